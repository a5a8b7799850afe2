/* What clients sign in with: a user name, and a token as the password. Tokens come from a file, or are made for each
 * client with the server's HS256 secret [RFC 7515, 7519]. Opened by the main thread; afterwards any thread may read it.
 */
#ifndef BENCH_CREDENTIALS_H
#define BENCH_CREDENTIALS_H

#include "base/slice.h"

#define CREDENTIALS_PASSWORD_BYTES_MAX 4096u
/* Longer secrets add nothing: HMAC hashes them to 32 bytes. */
#define CREDENTIALS_SECRET_BYTES_MAX 1024u
/* What `--token-claims` may add. */
#define CREDENTIALS_CLAIMS_BYTES_MAX 1024u

struct credentials {
	const char *user_name;
	/* either */
	char *text; /* the token file; NULL: tokens are made */
	struct slice *tokens;
	uint32_t token_count;
	/* or */
	uint8_t secret[CREDENTIALS_SECRET_BYTES_MAX];
	size_t secret_size;
	uint64_t issued_s; /* seconds since 1970 */
	uint64_t expires_s;
	const char *claims; /* NULL: none but sub, iat and exp */
};

/* Both return NULL, or a sentence that says what is wrong with the file; static storage. Names and claims are borrowed
 * and must not need escapes in JSON. Claims are members of a JSON object: "iss":"me","aud":"you". */

/* A file of tokens, one a line. Clients take them in turn. */
const char *credentials_open_tokens(struct credentials *credentials, const char *path);
/* A file whose bytes are the secret, except for one newline at its end. */
const char *credentials_open_secret(struct credentials *credentials, const char *path, const char *claims,
				    uint64_t now_s);
/* Opens what a load's options name: a file of tokens, a file with a secret, or nothing if both are NULL. If it returns
 * false, it has said on stderr what is wrong with the file. */
bool credentials_open(struct credentials *credentials, const char *load, const char *token_path,
		      const char *secret_path, const char *claims);
void credentials_close(struct credentials *credentials);

/* Writes the password of client `number` into out, which holds CREDENTIALS_PASSWORD_BYTES_MAX. Returns the size. */
size_t credentials_password(const struct credentials *credentials, uint32_t number, struct slice client_id,
			    uint8_t *out);

#endif
