#include "auth/password/password_hash.h"

#include "base/check.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define ARGON2ID_PREFIX "$argon2id$"
#define PBKDF2_PREFIX "$7$"
#define PBKDF2_HASH_BYTES 64u
#define PBKDF2_SALT_BYTES_MAX 64u

_Static_assert(PBKDF2_HASH_BYTES == crypto_hash_sha512_BYTES, "PBKDF2 is made with SHA-512");
_Static_assert(crypto_pwhash_argon2id_STRBYTES <= PASSWORD_HASH_BYTES_MAX, "libsodium's text has room");

static bool password_hash_begins_with(struct slice text, const char *prefix)
{
	size_t size = strlen(prefix);
	return text.size >= size && memcmp(text.data, prefix, size) == 0;
}

/* As a string, for libraries that want one. */
static void password_hash_copy(struct slice text, char out[PASSWORD_HASH_BYTES_MAX])
{
	CHECK(text.size < PASSWORD_HASH_BYTES_MAX);
	memcpy(out, text.data, text.size);
	out[text.size] = '\0';
}

/* libsodium reads the rest when it verifies, and finds any hash wrong that it cannot read; what has to be known here is
 * that it can, and at what cost. */
static const char *argon2id_check(struct slice hash)
{
	char text[PASSWORD_HASH_BYTES_MAX];
	unsigned long memory_kib, passes, lanes;
	int end = 0;
	password_hash_copy(hash, text);
	if (sscanf(text, ARGON2ID_PREFIX "v=19$m=%8lu,t=%8lu,p=%8lu$%n", &memory_kib, &passes, &lanes, &end) != 3 ||
	    end == 0)
		return "the argon2id hash is malformed";
	if (memory_kib < 8 || memory_kib > PASSWORD_MEMORY_BYTES_MAX / 1024 || passes < 1 ||
	    passes > PASSWORD_PASSES_MAX || lanes != 1)
		return "the argon2id hash asks for more memory, passes or lanes than are allowed";
	/* libsodium's own reader; what it says about the cost does not matter. */
	if (crypto_pwhash_argon2id_str_needs_rehash(text, PASSWORD_PASSES, PASSWORD_MEMORY_BYTES) < 0)
		return "the argon2id hash is malformed";
	return NULL;
}

static enum error argon2id_verify(struct slice hash, struct slice password)
{
	/* libsodium wants all of its buffer. */
	char text[PASSWORD_HASH_BYTES_MAX] = {0};
	password_hash_copy(hash, text);
	errno = 0;
	if (crypto_pwhash_argon2id_str_verify(text, (const char *)password.data, password.size) == 0)
		return ERROR_OK;
	return errno == ENOMEM ? ERROR_NO_MEMORY : ERROR_PASSWORD_WRONG;
}

struct pbkdf2 {
	unsigned long iterations;
	uint8_t salt[PBKDF2_SALT_BYTES_MAX];
	size_t salt_bytes;
	uint8_t hash[PBKDF2_HASH_BYTES];
};

static bool pbkdf2_read_base64(const char *text, size_t size, uint8_t *out, size_t room, size_t *got)
{
	return sodium_base642bin(out, room, text, size, NULL, got, NULL, sodium_base64_VARIANT_ORIGINAL) == 0;
}

/* "$7$iterations$salt$hash" */
static bool pbkdf2_read(struct slice hash, struct pbkdf2 *read)
{
	char text[PASSWORD_HASH_BYTES_MAX], *end;
	size_t hash_bytes;
	password_hash_copy(hash, text);
	const char *number = text + sizeof(PBKDF2_PREFIX) - 1;
	if (*number < '1' || *number > '9')
		return false;
	errno = 0;
	read->iterations = strtoul(number, &end, 10);
	if (errno != 0 || *end != '$')
		return false;
	const char *salt = end + 1, *separator = strchr(salt, '$');
	return separator != NULL &&
	       pbkdf2_read_base64(salt, (size_t)(separator - salt), read->salt, sizeof(read->salt),
				  &read->salt_bytes) &&
	       pbkdf2_read_base64(separator + 1, strlen(separator + 1), read->hash, sizeof(read->hash), &hash_bytes) &&
	       read->salt_bytes > 0 && hash_bytes == sizeof(read->hash);
}

static const char *pbkdf2_check(struct slice hash)
{
	struct pbkdf2 read;
	if (!pbkdf2_read(hash, &read))
		return "the PBKDF2 hash is malformed";
	return read.iterations <= PASSWORD_ITERATIONS_MAX ? NULL
							  : "the PBKDF2 hash asks for more iterations than are allowed";
}

static enum error pbkdf2_verify(struct slice hash, struct slice password)
{
	struct pbkdf2 read;
	uint8_t made[PBKDF2_HASH_BYTES];
	CHECK(pbkdf2_read(hash, &read));
	CHECK(read.salt_bytes <= sizeof(read.salt) && read.iterations <= PASSWORD_ITERATIONS_MAX);
	bool good = PKCS5_PBKDF2_HMAC((const char *)password.data, (int)password.size, read.salt, (int)read.salt_bytes,
				      (int)read.iterations, EVP_sha512(), sizeof(made), made) == 1;
	if (!good) {
		ERR_clear_error();
		return ERROR_NO_MEMORY;
	}
	return sodium_memcmp(made, read.hash, sizeof(made)) == 0 ? ERROR_OK : ERROR_PASSWORD_WRONG;
}

const char *password_hash_check(struct slice hash)
{
	if (hash.size >= PASSWORD_HASH_BYTES_MAX || (hash.size > 0 && memchr(hash.data, '\0', hash.size) != NULL))
		return "the hash is too long, or has a null character in it";
	if (password_hash_begins_with(hash, ARGON2ID_PREFIX))
		return argon2id_check(hash);
	if (password_hash_begins_with(hash, PBKDF2_PREFIX))
		return pbkdf2_check(hash);
	return "the hash is neither argon2id nor mosquitto's PBKDF2 ($7$); is it a password?";
}

enum error password_hash_verify(struct slice hash, struct slice password)
{
	return password_hash_begins_with(hash, ARGON2ID_PREFIX) ? argon2id_verify(hash, password)
								: pbkdf2_verify(hash, password);
}

bool password_hash(struct slice password, char out[PASSWORD_HASH_BYTES_MAX])
{
	CHECK(sodium_init() >= 0);
	return crypto_pwhash_argon2id_str(out, (const char *)password.data, password.size, PASSWORD_PASSES,
					  PASSWORD_MEMORY_BYTES) == 0;
}

#define DECOY_SALT_BYTES 16u
#define DECOY_HASH_BYTES 32u

void password_hash_decoy(char out[PASSWORD_HASH_BYTES_MAX])
{
	uint8_t random[DECOY_SALT_BYTES + DECOY_HASH_BYTES];
	char salt[sodium_base64_ENCODED_LEN(DECOY_SALT_BYTES, sodium_base64_VARIANT_ORIGINAL_NO_PADDING)];
	char hash[sodium_base64_ENCODED_LEN(DECOY_HASH_BYTES, sodium_base64_VARIANT_ORIGINAL_NO_PADDING)];
	CHECK(sodium_init() >= 0);
	randombytes_buf(random, sizeof(random));
	sodium_bin2base64(salt, sizeof(salt), random, DECOY_SALT_BYTES, sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
	sodium_bin2base64(hash, sizeof(hash), random + DECOY_SALT_BYTES, DECOY_HASH_BYTES,
			  sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
	snprintf(out, PASSWORD_HASH_BYTES_MAX, ARGON2ID_PREFIX "v=19$m=%zu,t=%u,p=1$%s$%s",
		 PASSWORD_MEMORY_BYTES / 1024, PASSWORD_PASSES, salt, hash);
}
