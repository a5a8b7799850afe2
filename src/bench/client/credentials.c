#include "bench/client/credentials.h"

#include "base/check.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TOKEN_FILE_BYTES_MAX (1u << 30)
#define EXPIRES_AFTER_S 86400u
/* sub, iat and exp with their names. */
#define OWN_CLAIMS_BYTES_MAX 256u

/* Header and signature take 36 and 43 bytes, and base64url four bytes for three. */
_Static_assert((OWN_CLAIMS_BYTES_MAX + CREDENTIALS_CLAIMS_BYTES_MAX) * 4 / 3 + 36 + 43 + 4 <=
		       CREDENTIALS_PASSWORD_BYTES_MAX,
	       "every token that is made is a password");

/* Reads at most bytes_max. If it returns NULL, *fault says why. */
static char *read_file(const char *path, size_t bytes_max, size_t *size, const char **fault)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t room = 0;
	size_t got = 1;
	*fault = file == NULL ? strerror(errno) : NULL;
	*size = 0;
	while (*fault == NULL && got > 0) {
		room = room == 0 ? 4096 : room * 2;
		char *grown = realloc(text, room);
		if (grown == NULL) {
			*fault = "does not fit into memory";
			break;
		}
		text = grown;
		got = fread(text + *size, 1, room - *size, file);
		*size += got;
		if (ferror(file) != 0)
			*fault = strerror(errno);
		else if (*size > bytes_max)
			*fault = "is too large";
	}
	if (file != NULL)
		fclose(file);
	if (*fault == NULL)
		return text;
	free(text);
	return NULL;
}

/* Takes each line of the text that is not empty as a token. */
static const char *cut_tokens(struct credentials *credentials, size_t size)
{
	uint32_t room = 0;
	for (size_t at = 0; at < size;) {
		const char *line = credentials->text + at;
		const char *end = memchr(line, '\n', size - at);
		size_t line_size = end != NULL ? (size_t)(end - line) : size - at;
		at += line_size + 1;
		if (line_size > 0 && line[line_size - 1] == '\r')
			line_size--;
		if (line_size == 0)
			continue;
		if (line_size > CREDENTIALS_PASSWORD_BYTES_MAX)
			return "has a token that is longer than 4096 bytes";
		if (credentials->token_count == room) {
			room = room == 0 ? 64 : room * 2;
			struct slice *grown = realloc(credentials->tokens, room * sizeof(*grown));
			if (grown == NULL)
				return "does not fit into memory";
			credentials->tokens = grown;
		}
		credentials->tokens[credentials->token_count++] = slice_of(line, line_size);
	}
	return credentials->token_count > 0 ? NULL : "holds no token";
}

const char *credentials_open_tokens(struct credentials *credentials, const char *path)
{
	const char *fault;
	size_t size;
	credentials->text = read_file(path, TOKEN_FILE_BYTES_MAX, &size, &fault);
	return fault != NULL ? fault : cut_tokens(credentials, size);
}

const char *credentials_open_secret(struct credentials *credentials, const char *path, const char *claims,
				    uint64_t now_s)
{
	const char *fault;
	size_t size;
	char *text = read_file(path, CREDENTIALS_SECRET_BYTES_MAX, &size, &fault);
	if (fault != NULL)
		return fault;
	size -= size > 0 && text[size - 1] == '\n';
	memcpy(credentials->secret, text, size);
	credentials->secret_size = size;
	credentials->claims = claims;
	credentials->issued_s = now_s;
	credentials->expires_s = now_s + EXPIRES_AFTER_S;
	sodium_memzero(text, size);
	free(text);
	return size > 0 ? NULL : "holds no secret";
}

bool credentials_open(struct credentials *credentials, const char *load, const char *token_path,
		      const char *secret_path, const char *claims)
{
	const char *fault = NULL;
	CHECK(token_path == NULL || secret_path == NULL);
	if (token_path != NULL)
		fault = credentials_open_tokens(credentials, token_path);
	else if (secret_path != NULL)
		fault = credentials_open_secret(credentials, secret_path, claims, (uint64_t)time(NULL));
	if (fault != NULL)
		fprintf(stderr, "roost bench %s: %s %s\n", load, token_path != NULL ? token_path : secret_path, fault);
	return fault == NULL;
}

void credentials_close(struct credentials *credentials)
{
	free(credentials->text);
	free(credentials->tokens);
	credentials->text = NULL;
	credentials->tokens = NULL;
	sodium_memzero(credentials->secret, sizeof(credentials->secret));
}

/* base64url without padding [RFC 7515, 2]; returns the size. */
static size_t encode(const void *bytes, size_t size, uint8_t *out, size_t out_size)
{
	size_t needed = sodium_base64_ENCODED_LEN(size, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	CHECK(needed <= out_size);
	sodium_bin2base64((char *)out, out_size, bytes, size, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	return needed - 1;
}

static size_t make_token(const struct credentials *credentials, struct slice subject, uint8_t *out)
{
	static const char header[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";
	char claims[OWN_CLAIMS_BYTES_MAX + CREDENTIALS_CLAIMS_BYTES_MAX];
	uint8_t signature[crypto_auth_hmacsha256_BYTES];
	crypto_auth_hmacsha256_state state;
	int claims_size =
		snprintf(claims, sizeof(claims), "{\"sub\":\"%.*s\",\"iat\":%llu,\"exp\":%llu%s%s}", (int)subject.size,
			 (const char *)subject.data, (unsigned long long)credentials->issued_s,
			 (unsigned long long)credentials->expires_s, credentials->claims != NULL ? "," : "",
			 credentials->claims != NULL ? credentials->claims : "");
	CHECK(claims_size > 0 && (size_t)claims_size < sizeof(claims));
	size_t size = encode(header, sizeof(header) - 1, out, CREDENTIALS_PASSWORD_BYTES_MAX);
	out[size++] = '.';
	size += encode(claims, (size_t)claims_size, out + size, CREDENTIALS_PASSWORD_BYTES_MAX - size);
	crypto_auth_hmacsha256_init(&state, credentials->secret, credentials->secret_size);
	crypto_auth_hmacsha256_update(&state, out, size);
	crypto_auth_hmacsha256_final(&state, signature);
	out[size++] = '.';
	return size + encode(signature, sizeof(signature), out + size, CREDENTIALS_PASSWORD_BYTES_MAX - size);
}

size_t credentials_password(const struct credentials *credentials, uint32_t number, struct slice client_id,
			    uint8_t *out)
{
	if (credentials->text == NULL)
		return make_token(credentials, client_id, out);
	CHECK(credentials->token_count > 0);
	struct slice token = credentials->tokens[number % credentials->token_count];
	CHECK(token.size <= CREDENTIALS_PASSWORD_BYTES_MAX);
	memcpy(out, token.data, token.size);
	return token.size;
}
