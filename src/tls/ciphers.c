#include "tls/ciphers.h"

#include "base/check.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

enum { HASH_SHA_256, HASH_SHA_384, HASHES };

static const struct {
	const char *name;
	int hash;
} SUITES[TLS_SUITES] = {
	[TLS_AES_128_GCM] = {"AES-128-GCM", HASH_SHA_256},
	[TLS_AES_256_GCM] = {"AES-256-GCM", HASH_SHA_384},
	[TLS_CHACHA20_POLY1305] = {"ChaCha20-Poly1305", HASH_SHA_256},
};

/* A context and the key that it has. Several records of one stream in a row take the key once: to compare it costs less
 * than a tenth of taking it. */
struct keyed_context {
	EVP_CIPHER_CTX *context;
	uint8_t key[TLS_KEY_BYTES_MAX];
	bool has_key;
};

struct tls_ciphers {
	struct keyed_context sealing[TLS_SUITES];
	struct keyed_context opening[TLS_SUITES];
	EVP_MAC_CTX *hmac[HASHES];
};

/* ---- contexts ---- */

static EVP_CIPHER_CTX *context_new(const char *name, bool seals)
{
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	if (cipher == NULL || context == NULL ||
	    EVP_CipherInit_ex2(context, cipher, NULL, NULL, seals ? 1 : 0, NULL) != 1) {
		EVP_CIPHER_CTX_free(context);
		context = NULL;
	}
	EVP_CIPHER_free(cipher); /* the context has a reference */
	return context;
}

static EVP_MAC_CTX *hmac_new(const char *digest)
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *context = mac != NULL ? EVP_MAC_CTX_new(mac) : NULL;
	EVP_MAC_free(mac);
	char name[16];
	strcpy(name, digest);
	const OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
		OSSL_PARAM_construct_end(),
	};
	if (context != NULL && EVP_MAC_CTX_set_params(context, parameters) != 1) {
		EVP_MAC_CTX_free(context);
		context = NULL;
	}
	return context;
}

struct tls_ciphers *tls_ciphers_new(void)
{
	struct tls_ciphers *ciphers = calloc(1, sizeof(*ciphers));
	if (ciphers == NULL)
		return NULL;
	bool complete = true;
	for (size_t i = 0; i < TLS_SUITES; i++) {
		ciphers->sealing[i].context = context_new(SUITES[i].name, true);
		ciphers->opening[i].context = context_new(SUITES[i].name, false);
		complete &= ciphers->sealing[i].context != NULL && ciphers->opening[i].context != NULL;
	}
	ciphers->hmac[HASH_SHA_256] = hmac_new("SHA256");
	ciphers->hmac[HASH_SHA_384] = hmac_new("SHA384");
	complete &= ciphers->hmac[HASH_SHA_256] != NULL && ciphers->hmac[HASH_SHA_384] != NULL;
	if (!complete) {
		tls_ciphers_free(ciphers);
		return NULL;
	}
	return ciphers;
}

void tls_ciphers_free(struct tls_ciphers *ciphers)
{
	if (ciphers == NULL)
		return;
	for (size_t i = 0; i < TLS_SUITES; i++) {
		EVP_CIPHER_CTX_free(ciphers->sealing[i].context);
		EVP_CIPHER_CTX_free(ciphers->opening[i].context);
	}
	for (size_t i = 0; i < HASHES; i++)
		EVP_MAC_CTX_free(ciphers->hmac[i]);
	OPENSSL_cleanse(ciphers, sizeof(*ciphers));
	free(ciphers);
}

/* ---- records ---- */

/* The key, unless the context has it already. */
static const uint8_t *new_key(struct keyed_context *keyed, const struct tls_aead *aead)
{
	size_t size = tls_key_bytes(aead->suite);
	if (keyed->has_key && memcmp(keyed->key, aead->key, size) == 0)
		return NULL;
	memcpy(keyed->key, aead->key, size);
	keyed->has_key = true;
	return aead->key;
}

/* None of these calls allocates: what they need, the contexts have. */
void tls_aead_seal(struct tls_ciphers *ciphers, const struct tls_aead *aead, uint8_t *bytes, size_t size)
{
	CHECK(aead->suite < TLS_SUITES && size <= TLS_PLAIN_BYTES_MAX + 256u);
	struct keyed_context *keyed = &ciphers->sealing[aead->suite];
	EVP_CIPHER_CTX *context = keyed->context;
	int count = 0;
	int rest = 0;
	CHECK_EQ(EVP_EncryptInit_ex2(context, NULL, new_key(keyed, aead), aead->nonce, NULL), 1);
	CHECK_EQ(EVP_EncryptUpdate(context, NULL, &count, aead->head.data, (int)aead->head.size), 1);
	CHECK_EQ(EVP_EncryptUpdate(context, bytes, &count, bytes, (int)size), 1);
	CHECK_EQ(EVP_EncryptFinal_ex(context, bytes + count, &rest), 1);
	CHECK_EQ((size_t)count + (size_t)rest, size);
	OSSL_PARAM tag[] = {
		OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, bytes + size, TLS_TAG_BYTES),
		OSSL_PARAM_construct_end(),
	};
	CHECK_EQ(EVP_CIPHER_CTX_get_params(context, tag), 1);
}

bool tls_aead_open(struct tls_ciphers *ciphers, const struct tls_aead *aead, const uint8_t *sealed, size_t size,
		   uint8_t *out)
{
	CHECK(aead->suite < TLS_SUITES && size <= TLS_PLAIN_BYTES_MAX + 256u);
	struct keyed_context *keyed = &ciphers->opening[aead->suite];
	EVP_CIPHER_CTX *context = keyed->context;
	uint8_t tag[TLS_TAG_BYTES]; /* OpenSSL takes what it may write to */
	memcpy(tag, sealed + size, sizeof(tag));
	const OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, sizeof(tag)),
		OSSL_PARAM_construct_end(),
	};
	int count = 0;
	int rest = 0;
	CHECK_EQ(EVP_DecryptInit_ex2(context, NULL, new_key(keyed, aead), aead->nonce, parameters), 1);
	CHECK_EQ(EVP_DecryptUpdate(context, NULL, &count, aead->head.data, (int)aead->head.size), 1);
	/* An empty record is its tag alone. OpenSSL takes no pointer to nothing for the end of it. */
	count = 0;
	if (size != 0)
		CHECK_EQ(EVP_DecryptUpdate(context, out, &count, sealed, (int)size), 1);
	return EVP_DecryptFinal_ex(context, out + count, &rest) == 1;
}

/* ---- hashes ---- */

void tls_hmac(struct tls_ciphers *ciphers, enum tls_suite suite, struct slice key, const struct slice *parts,
	      size_t count, uint8_t *out)
{
	CHECK(suite < TLS_SUITES && key.size != 0);
	EVP_MAC_CTX *context = ciphers->hmac[SUITES[suite].hash];
	size_t size = 0;
	CHECK_EQ(EVP_MAC_init(context, key.data, key.size, NULL), 1);
	for (size_t i = 0; i < count; i++)
		CHECK_EQ(EVP_MAC_update(context, parts[i].data, parts[i].size), 1);
	CHECK_EQ(EVP_MAC_final(context, out, &size, TLS_HASH_BYTES_MAX), 1);
}
