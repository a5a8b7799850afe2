#include "tool/signer.h"

#include "auth/text/base64url.h"
#include "base/check.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <sodium.h>
#include <stdlib.h>

#define P256_HALF_BYTES 32
#define SIGNATURE_BYTES_MAX (KEY_RSA_BITS_MAX / 8u)

bool signer_generate(struct signer *signer, enum algorithm algorithm, struct fault *fault)
{
	*signer = (struct signer){.algorithm = algorithm};
	switch (algorithm) {
	case ALGORITHM_HS256:
		signer->secret_bytes = KEY_SECRET_BYTES_MIN;
		randombytes_buf(signer->secret, signer->secret_bytes);
		return true;
	case ALGORITHM_RS256:
		signer->pkey = EVP_RSA_gen(SIGNER_RSA_BITS);
		break;
	case ALGORITHM_ES256:
		signer->pkey = EVP_EC_gen("P-256");
		break;
	case ALGORITHM_EDDSA:
		signer->pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
		break;
	case ALGORITHM_COUNT:
		break;
	}
	ERR_clear_error();
	return signer->pkey != NULL || fault_set(fault, 0, "OpenSSL cannot make such a key");
}

bool signer_from_secret(struct signer *signer, struct slice secret, struct fault *fault)
{
	*signer = (struct signer){.algorithm = ALGORITHM_HS256};
	if (secret.size < KEY_SECRET_BYTES_MIN || secret.size > sizeof(signer->secret))
		return fault_set(fault, 0, "the secret has %zu bytes; HS256 takes from %u to %u", secret.size,
				 KEY_SECRET_BYTES_MIN, KEY_SECRET_BYTES_MAX);
	memcpy(signer->secret, secret.data, secret.size);
	signer->secret_bytes = secret.size;
	return true;
}

void signer_fini(struct signer *signer)
{
	EVP_PKEY_free(signer->pkey);
	sodium_memzero(signer, sizeof(*signer));
}

static size_t sign_hmac(const struct signer *signer, struct slice message, uint8_t *out)
{
	unsigned size = 0;
	CHECK(HMAC(EVP_sha256(), signer->secret, (int)signer->secret_bytes, message.data, message.size, out, &size) !=
	      NULL);
	return size;
}

/* From OpenSSL's DER: r and s, each at full length [RFC 7518, 3.4]. */
static size_t of_der(const uint8_t *der, size_t size, uint8_t *out)
{
	ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &der, (long)size);
	CHECK(signature != NULL);
	CHECK(BN_bn2binpad(ECDSA_SIG_get0_r(signature), out, P256_HALF_BYTES) == P256_HALF_BYTES);
	CHECK(BN_bn2binpad(ECDSA_SIG_get0_s(signature), out + P256_HALF_BYTES, P256_HALF_BYTES) == P256_HALF_BYTES);
	ECDSA_SIG_free(signature);
	return 2 * (size_t)P256_HALF_BYTES;
}

static size_t sign_pkey(const struct signer *signer, struct slice message, uint8_t *out)
{
	uint8_t der[SIGNATURE_BYTES_MAX];
	size_t size = sizeof(der);
	const EVP_MD *hash = signer->algorithm == ALGORITHM_EDDSA ? NULL : EVP_sha256();
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	CHECK(context != NULL && EVP_DigestSignInit(context, NULL, hash, NULL, signer->pkey) == 1);
	CHECK(EVP_DigestSign(context, der, &size, message.data, message.size) == 1);
	EVP_MD_CTX_free(context);
	if (signer->algorithm == ALGORITHM_ES256)
		return of_der(der, size, out);
	memcpy(out, der, size);
	return size;
}

char *signer_sign_as(const struct signer *signer, struct slice header, struct slice payload)
{
	size_t room = BASE64URL_ENCODED_BYTES(header.size) + BASE64URL_ENCODED_BYTES(payload.size) +
		      BASE64URL_ENCODED_BYTES(SIGNATURE_BYTES_MAX) + 3;
	char *token = malloc(room);
	CHECK(token != NULL);
	size_t size = base64url_encode(header, token);
	token[size++] = '.';
	size += base64url_encode(payload, token + size);

	uint8_t signature[SIGNATURE_BYTES_MAX];
	struct slice message = slice_of(token, size);
	size_t signature_bytes = signer->algorithm == ALGORITHM_HS256 ? sign_hmac(signer, message, signature)
								      : sign_pkey(signer, message, signature);
	token[size++] = '.';
	size += base64url_encode(slice_of(signature, signature_bytes), token + size);
	token[size] = '\0';
	return token;
}

char *signer_sign(const struct signer *signer, struct slice payload)
{
	json_t *header = json_pack("{s:s, s:s}", "alg", algorithm_name(signer->algorithm), "typ", "JWT");
	CHECK(header != NULL);
	if (signer->id[0] != '\0')
		CHECK(json_object_set_new(header, "kid", json_string(signer->id)) == 0);
	char *text = json_dumps(header, JSON_COMPACT | JSON_PRESERVE_ORDER);
	CHECK(text != NULL);
	char *token = signer_sign_as(signer, slice_string(text), payload);
	free(text);
	json_decref(header);
	return token;
}
