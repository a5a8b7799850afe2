#include "auth/token/key.h"

#include "base/check.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <sodium.h>
#include <stdlib.h>

#define SHA256_BYTES 32u
/* r and s of [RFC 7518, 3.4], 32 bytes each; and the DER that OpenSSL wants for them: two integers, each with a header
 * of two bytes and maybe a leading zero, in a sequence. */
#define ES256_HALF_BYTES 32u
#define ES256_BYTES (2 * ES256_HALF_BYTES)
#define ES256_DER_BYTES_MAX (2 + 2 * (2 + 1 + ES256_HALF_BYTES))

_Static_assert(SHA256_BYTES == crypto_hash_sha256_BYTES, "libsodium agrees");
_Static_assert(ES256_DER_BYTES_MAX - 2 < 0x80, "a length of DER in its short form");
_Static_assert(KEY_ED25519_BYTES == crypto_sign_PUBLICKEYBYTES, "libsodium's Ed25519");

static const char *const ALGORITHM_NAMES[ALGORITHM_COUNT] = {
	[ALGORITHM_HS256] = "HS256",
	[ALGORITHM_RS256] = "RS256",
	[ALGORITHM_ES256] = "ES256",
	[ALGORITHM_EDDSA] = "EdDSA",
};

const char *algorithm_name(enum algorithm algorithm)
{
	CHECK(algorithm < ALGORITHM_COUNT);
	return ALGORITHM_NAMES[algorithm];
}

bool algorithm_parse(struct slice name, enum algorithm *algorithm)
{
	for (unsigned i = 0; i < ALGORITHM_COUNT; i++) {
		if (slice_equal(name, slice_string(ALGORITHM_NAMES[i]))) {
			*algorithm = (enum algorithm)i;
			return true;
		}
	}
	return false;
}

static bool key_begin(struct key *key, enum algorithm algorithm, struct slice id, struct fault *fault)
{
	*key = (struct key){.algorithm = algorithm};
	if (id.size > KEY_ID_BYTES_MAX)
		return fault_set(fault, 0, "the key's id is longer than %u bytes", KEY_ID_BYTES_MAX);
	if (id.size == 0)
		return true;
	key->id = malloc(id.size);
	if (key->id == NULL)
		return fault_set(fault, 0, "out of memory");
	memcpy(key->id, id.data, id.size);
	key->id_bytes = (uint32_t)id.size;
	return true;
}

struct slice key_secret_trim(struct slice content)
{
	struct slice text = content;
	if (text.size > 0 && text.data[text.size - 1] == '\n')
		text.size--;
	if (text.size > 0 && text.size < content.size && text.data[text.size - 1] == '\r')
		text.size--;
	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] < 0x20 || text.data[i] > 0x7E)
			return content;
	return text;
}

/* The two pads of HMAC are hashed here, once. */
static EVP_MAC_CTX *key_begin_mac(struct slice secret)
{
	char sha256[] = "SHA256";
	OSSL_PARAM digest[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0),
			       OSSL_PARAM_construct_end()};
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *mac = hmac == NULL ? NULL : EVP_MAC_CTX_new(hmac);
	EVP_MAC_free(hmac); /* the context has a reference of its own */
	if (mac != NULL && EVP_MAC_init(mac, secret.data, secret.size, digest) != 1) {
		EVP_MAC_CTX_free(mac);
		mac = NULL;
	}
	return mac;
}

bool key_from_secret(struct key *key, struct slice id, struct slice secret, struct fault *fault)
{
	if (secret.size < KEY_SECRET_BYTES_MIN || secret.size > KEY_SECRET_BYTES_MAX)
		return fault_set(fault, 0, "the secret has %zu bytes; HS256 takes from %u to %u", secret.size,
				 KEY_SECRET_BYTES_MIN, KEY_SECRET_BYTES_MAX);
	if (!key_begin(key, ALGORITHM_HS256, id, fault))
		return false;
	key->mac = key_begin_mac(secret);
	if (key->mac != NULL)
		return true;
	key_fini(key);
	ERR_clear_error();
	return fault_set(fault, 0, "OpenSSL has no HMAC with SHA-256");
}

bool key_from_ed25519(struct key *key, struct slice id, struct slice point, struct fault *fault)
{
	if (point.size != KEY_ED25519_BYTES || crypto_core_ed25519_is_valid_point(point.data) != 1)
		return fault_set(fault, 0, "the Ed25519 key is not a point of the curve");
	if (!key_begin(key, ALGORITHM_EDDSA, id, fault))
		return false;
	memcpy(key->ed25519, point.data, KEY_ED25519_BYTES);
	return true;
}

static bool key_rsa_is_sound(const EVP_PKEY *pkey, struct fault *fault)
{
	int bits = EVP_PKEY_get_bits(pkey);
	if (bits < KEY_RSA_BITS_MIN || bits > KEY_RSA_BITS_MAX)
		return fault_set(fault, 0, "the RSA key has %d bits; RS256 takes from %d to %d", bits, KEY_RSA_BITS_MIN,
				 KEY_RSA_BITS_MAX);
	BIGNUM *exponent = NULL;
	bool sound = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &exponent) == 1 && BN_is_odd(exponent) &&
		     !BN_is_one(exponent);
	BN_free(exponent);
	return sound || fault_set(fault, 0, "the RSA key's exponent is even or 1");
}

static bool key_curve_is_p256(EVP_PKEY *pkey)
{
	char curve[32];
	size_t size;
	return EVP_PKEY_get_group_name(pkey, curve, sizeof(curve), &size) == 1 && strcmp(curve, "prime256v1") == 0;
}

static bool key_openssl_is_sound(EVP_PKEY *pkey, struct fault *fault)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(pkey, NULL);
	bool sound = context != NULL && EVP_PKEY_public_check(context) == 1;
	EVP_PKEY_CTX_free(context);
	return sound || fault_set(fault, 0, "OpenSSL finds the key unsound");
}

static bool key_algorithm_of(EVP_PKEY *pkey, enum algorithm *algorithm, struct fault *fault)
{
	switch (EVP_PKEY_get_base_id(pkey)) {
	case EVP_PKEY_RSA:
		*algorithm = ALGORITHM_RS256;
		return key_rsa_is_sound(pkey, fault) && key_openssl_is_sound(pkey, fault);
	case EVP_PKEY_EC:
		*algorithm = ALGORITHM_ES256;
		if (!key_curve_is_p256(pkey))
			return fault_set(fault, 0, "the key is on another curve than P-256");
		return key_openssl_is_sound(pkey, fault);
	default:
		return fault_set(fault, 0, "the key is none of RSA, EC and Ed25519");
	}
}

static bool key_take_pkey(struct key *key, struct slice id, EVP_PKEY *pkey, struct fault *fault)
{
	enum algorithm algorithm = ALGORITHM_COUNT;
	if (EVP_PKEY_get_base_id(pkey) == EVP_PKEY_ED25519) {
		uint8_t point[KEY_ED25519_BYTES];
		size_t size = sizeof(point);
		if (EVP_PKEY_get_raw_public_key(pkey, point, &size) != 1)
			return fault_set(fault, 0, "the Ed25519 key cannot be read");
		return key_from_ed25519(key, id, slice_of(point, size), fault);
	}
	if (!key_algorithm_of(pkey, &algorithm, fault) || !key_begin(key, algorithm, id, fault))
		return false;
	CHECK(EVP_PKEY_up_ref(pkey) == 1);
	key->pkey = pkey;
	return true;
}

bool key_from_pkey(struct key *key, struct slice id, struct evp_pkey_st **pkey, struct fault *fault)
{
	bool made = key_take_pkey(key, id, *pkey, fault);
	EVP_PKEY_free(*pkey);
	*pkey = NULL;
	ERR_clear_error();
	return made;
}

void key_fini(struct key *key)
{
	EVP_MAC_CTX_free(key->mac);
	EVP_PKEY_free(key->pkey);
	free(key->id);
	*key = (struct key){0};
}

/* What follows is each thread's own. */

static bool key_verify_hs256(const struct key *key, struct key_check *check, struct slice message,
			     struct slice signature)
{
	uint8_t expected[SHA256_BYTES];
	size_t size;
	CHECK(key->mac != NULL);
	if (check->mac == NULL && (check->mac = EVP_MAC_CTX_dup(key->mac)) == NULL)
		return false;
	/* Without a key: from the pads that are hashed already. */
	return EVP_MAC_init(check->mac, NULL, 0, NULL) == 1 &&
	       EVP_MAC_update(check->mac, message.data, message.size) == 1 &&
	       EVP_MAC_final(check->mac, expected, &size, sizeof(expected)) == 1 && size == sizeof(expected) &&
	       signature.size == sizeof(expected) && CRYPTO_memcmp(signature.data, expected, sizeof(expected)) == 0;
}

/* An integer of DER: no leading zeros, but one where the number would else look negative. */
static size_t key_write_der_integer(uint8_t *out, const uint8_t *number)
{
	size_t skip = 0;
	while (skip + 1 < ES256_HALF_BYTES && number[skip] == 0)
		skip++;
	size_t size = ES256_HALF_BYTES - skip, zero = number[skip] >> 7;
	out[0] = 0x02;
	out[1] = (uint8_t)(size + zero);
	out[2] = 0;
	memcpy(out + 2 + zero, number + skip, size);
	return 2 + zero + size;
}

static size_t key_write_der(uint8_t out[ES256_DER_BYTES_MAX], struct slice signature)
{
	CHECK(signature.size == ES256_BYTES);
	size_t size = key_write_der_integer(out + 2, signature.data);
	size += key_write_der_integer(out + 2 + size, signature.data + ES256_HALF_BYTES);
	CHECK(2 + size <= ES256_DER_BYTES_MAX);
	out[0] = 0x30;
	out[1] = (uint8_t)size;
	return 2 + size;
}

/* A context that is made once serves every token: making one costs half as much as an RSA verification. */
static bool key_check_begin(const struct key *key, struct key_check *check)
{
	CHECK(key->pkey != NULL);
	if (check->context != NULL)
		return true;
	if (check->hash == NULL)
		check->hash = EVP_MD_fetch(NULL, "SHA256", NULL);
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key->pkey, NULL);
	bool begun = check->hash != NULL && context != NULL && EVP_PKEY_verify_init(context) == 1 &&
		     EVP_PKEY_CTX_set_signature_md(context, check->hash) == 1;
	if (begun && key->algorithm == ALGORITHM_RS256)
		begun = EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
	if (!begun) {
		EVP_PKEY_CTX_free(context);
		return false;
	}
	check->context = context;
	return true;
}

static bool key_verify_digest(const struct key *key, struct key_check *check, struct slice message,
			      struct slice signature)
{
	uint8_t digest[SHA256_BYTES];
	unsigned size;
	return key_check_begin(key, check) &&
	       EVP_Digest(message.data, message.size, digest, &size, check->hash, NULL) == 1 &&
	       EVP_PKEY_verify(check->context, signature.data, signature.size, digest, sizeof(digest)) == 1;
}

static bool key_verify_any(const struct key *key, struct key_check *check, struct slice message, struct slice signature)
{
	uint8_t der[ES256_DER_BYTES_MAX];
	switch (key->algorithm) {
	case ALGORITHM_HS256:
		return key_verify_hs256(key, check, message, signature);
	case ALGORITHM_RS256:
		return key_verify_digest(key, check, message, signature);
	case ALGORITHM_ES256:
		return signature.size == ES256_BYTES &&
		       key_verify_digest(key, check, message, slice_of(der, key_write_der(der, signature)));
	case ALGORITHM_EDDSA:
		return signature.size == crypto_sign_BYTES &&
		       crypto_sign_verify_detached(signature.data, message.data, message.size, key->ed25519) == 0;
	case ALGORITHM_COUNT:
		break;
	}
	return false;
}

bool key_verify(const struct key *key, struct key_check *check, struct slice message, struct slice signature)
{
	bool good = key_verify_any(key, check, message, signature);
	if (!good)
		ERR_clear_error();
	return good;
}

void key_check_fini(struct key_check *check)
{
	EVP_MAC_CTX_free(check->mac);
	EVP_PKEY_CTX_free(check->context);
	EVP_MD_free(check->hash);
	*check = (struct key_check){0};
}
