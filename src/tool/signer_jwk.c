/* Private keys as JWKs [RFC 7517; RFC 7518, 6; RFC 8037, 2], and read from PEM files. */
#include "tool/signer.h"

#include "auth/text/base64url.h"
#include "base/check.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define NUMBER_BYTES_MAX (KEY_RSA_BITS_MAX / 8u)
#define P256_BYTES 32u
#define P256_POINT_BYTES (1 + 2 * P256_BYTES)
#define THUMBPRINT_BYTES 32u

/* A number of an RSA or EC key: its names in a JWK and in OpenSSL, and its length in bytes; 0: as few as it needs. */
struct number {
	const char *member;
	const char *parameter;
	size_t bytes;
	bool secret;
};

static const struct number RSA_NUMBERS[] = {
	{"n", OSSL_PKEY_PARAM_RSA_N, 0, false},         {"e", OSSL_PKEY_PARAM_RSA_E, 0, false},
	{"d", OSSL_PKEY_PARAM_RSA_D, 0, true},          {"p", OSSL_PKEY_PARAM_RSA_FACTOR1, 0, true},
	{"q", OSSL_PKEY_PARAM_RSA_FACTOR2, 0, true},    {"dp", OSSL_PKEY_PARAM_RSA_EXPONENT1, 0, true},
	{"dq", OSSL_PKEY_PARAM_RSA_EXPONENT2, 0, true}, {"qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1, 0, true},
};
static const struct number EC_NUMBERS[] = {
	{"x", OSSL_PKEY_PARAM_EC_PUB_X, P256_BYTES, false},
	{"y", OSSL_PKEY_PARAM_EC_PUB_Y, P256_BYTES, false},
	{"d", OSSL_PKEY_PARAM_PRIV_KEY, P256_BYTES, true},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void set_bytes(json_t *jwk, const char *member, const uint8_t *bytes, size_t size)
{
	char text[BASE64URL_ENCODED_BYTES(KEY_SECRET_BYTES_MAX)];
	CHECK(size <= KEY_SECRET_BYTES_MAX);
	size_t length = base64url_encode(slice_of(bytes, size), text);
	CHECK(json_object_set_new(jwk, member, json_stringn(text, length)) == 0);
	sodium_memzero(text, sizeof(text));
}

static void set_numbers(json_t *jwk, const EVP_PKEY *pkey, const struct number *numbers, size_t count, bool secret)
{
	for (size_t i = 0; i < count; i++) {
		uint8_t bytes[NUMBER_BYTES_MAX];
		BIGNUM *number = NULL;
		if (numbers[i].secret && !secret)
			continue;
		CHECK(EVP_PKEY_get_bn_param(pkey, numbers[i].parameter, &number) == 1);
		int size = numbers[i].bytes != 0 ? (int)numbers[i].bytes : BN_num_bytes(number);
		CHECK(BN_bn2binpad(number, bytes, size) == size);
		set_bytes(jwk, numbers[i].member, bytes, (size_t)size);
		BN_clear_free(number);
		sodium_memzero(bytes, sizeof(bytes));
	}
}

static void set_okp(json_t *jwk, const EVP_PKEY *pkey, bool secret)
{
	uint8_t bytes[KEY_ED25519_BYTES];
	size_t size = sizeof(bytes);
	CHECK(EVP_PKEY_get_raw_public_key(pkey, bytes, &size) == 1);
	set_bytes(jwk, "x", bytes, size);
	if (secret) {
		CHECK(EVP_PKEY_get_raw_private_key(pkey, bytes, &size) == 1);
		set_bytes(jwk, "d", bytes, size);
	}
	sodium_memzero(bytes, sizeof(bytes));
}

/* The members that make up the key, and its thumbprint. */
static json_t *bare_jwk(const struct signer *signer, bool secret)
{
	static const char *const TYPES[ALGORITHM_COUNT] = {"oct", "RSA", "EC", "OKP"};
	json_t *jwk = json_pack("{s:s}", "kty", TYPES[signer->algorithm]);
	CHECK(jwk != NULL);
	switch (signer->algorithm) {
	case ALGORITHM_HS256:
		set_bytes(jwk, "k", signer->secret, signer->secret_bytes);
		break;
	case ALGORITHM_RS256:
		set_numbers(jwk, signer->pkey, RSA_NUMBERS, COUNT(RSA_NUMBERS), secret);
		break;
	case ALGORITHM_ES256:
		CHECK(json_object_set_new(jwk, "crv", json_string("P-256")) == 0);
		set_numbers(jwk, signer->pkey, EC_NUMBERS, COUNT(EC_NUMBERS), secret);
		break;
	case ALGORITHM_EDDSA:
		CHECK(json_object_set_new(jwk, "crv", json_string("Ed25519")) == 0);
		set_okp(jwk, signer->pkey, secret);
		break;
	case ALGORITHM_COUNT:
		break;
	}
	return jwk;
}

json_t *signer_jwk(const struct signer *signer, bool secret)
{
	json_t *jwk = bare_jwk(signer, secret);
	CHECK(json_object_set_new(jwk, "alg", json_string(algorithm_name(signer->algorithm))) == 0);
	CHECK(json_object_set_new(jwk, "use", json_string("sig")) == 0);
	if (signer->id[0] != '\0')
		CHECK(json_object_set_new(jwk, "kid", json_string(signer->id)) == 0);
	return jwk;
}

void signer_set_thumbprint(struct signer *signer)
{
	json_t *jwk = bare_jwk(signer, false);
	char *text = json_dumps(jwk, JSON_COMPACT | JSON_SORT_KEYS);
	uint8_t hash[THUMBPRINT_BYTES];
	CHECK(text != NULL && crypto_hash_sha256(hash, (const uint8_t *)text, strlen(text)) == 0);
	signer->id[base64url_encode(slice_of(hash, sizeof(hash)), signer->id)] = '\0';
	free(text);
	json_decref(jwk);
}

static bool get_bytes(const json_t *jwk, const char *member, uint8_t *out, size_t room, size_t *size)
{
	const json_t *text = json_object_get(jwk, member);
	*size = 0;
	return json_is_string(text) &&
	       sodium_base642bin(out, room, json_string_value(text), json_string_length(text), NULL, size, NULL,
				 sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0;
}

/* Pushes those of the numbers that the JWK has; OpenSSL finds out what is missing. made[] owns them until the
 * parameters are built. */
static void push_numbers(const json_t *jwk, const struct number *numbers, size_t count, OSSL_PARAM_BLD *builder,
			 BIGNUM **made)
{
	for (size_t i = 0; i < count; i++) {
		uint8_t bytes[NUMBER_BYTES_MAX];
		size_t size;
		if (!get_bytes(jwk, numbers[i].member, bytes, sizeof(bytes), &size))
			continue;
		made[i] = BN_bin2bn(bytes, (int)size, BN_secure_new());
		CHECK(made[i] != NULL && OSSL_PARAM_BLD_push_BN(builder, numbers[i].parameter, made[i]) == 1);
		sodium_memzero(bytes, sizeof(bytes));
	}
}

static EVP_PKEY *pkey_from(const char *type, OSSL_PARAM_BLD *builder)
{
	EVP_PKEY *pkey = NULL;
	OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	CHECK(parameters != NULL && context != NULL && EVP_PKEY_fromdata_init(context) == 1);
	EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_KEYPAIR, parameters);
	EVP_PKEY_CTX_free(context);
	OSSL_PARAM_free(parameters);
	return pkey;
}

static EVP_PKEY *read_rsa(const json_t *jwk)
{
	if (json_object_get(jwk, "d") == NULL)
		return NULL; /* OpenSSL would accept the public half alone */
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	BIGNUM *numbers[COUNT(RSA_NUMBERS)] = {NULL};
	CHECK(builder != NULL);
	push_numbers(jwk, RSA_NUMBERS, COUNT(RSA_NUMBERS), builder, numbers);
	EVP_PKEY *pkey = pkey_from("RSA", builder);
	OSSL_PARAM_BLD_free(builder);
	for (size_t i = 0; i < COUNT(numbers); i++)
		BN_clear_free(numbers[i]);
	return pkey;
}

static EVP_PKEY *read_ec(const json_t *jwk)
{
	uint8_t point[P256_POINT_BYTES] = {4}, number[P256_BYTES];
	size_t x_bytes, y_bytes, size;
	if (!get_bytes(jwk, "x", point + 1, P256_BYTES, &x_bytes) || x_bytes != P256_BYTES ||
	    !get_bytes(jwk, "y", point + 1 + P256_BYTES, P256_BYTES, &y_bytes) || y_bytes != P256_BYTES ||
	    !get_bytes(jwk, "d", number, sizeof(number), &size))
		return NULL;
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	BIGNUM *d = BN_bin2bn(number, (int)size, BN_secure_new());
	CHECK(builder != NULL && d != NULL);
	CHECK(OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) == 1 &&
	      OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)) == 1 &&
	      OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, d) == 1);
	EVP_PKEY *pkey = pkey_from("EC", builder);
	OSSL_PARAM_BLD_free(builder);
	BN_clear_free(d);
	sodium_memzero(number, sizeof(number));
	return pkey;
}

static EVP_PKEY *read_okp(const json_t *jwk)
{
	uint8_t seed[KEY_ED25519_BYTES];
	size_t size;
	if (!get_bytes(jwk, "d", seed, sizeof(seed), &size))
		return NULL;
	EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, size);
	sodium_memzero(seed, sizeof(seed));
	return pkey;
}

static bool set_pkey(struct signer *signer, EVP_PKEY *pkey, enum algorithm algorithm, struct fault *fault)
{
	ERR_clear_error();
	if (pkey == NULL)
		return fault_set(fault, 0, "it is no private key that OpenSSL can read");
	signer->algorithm = algorithm;
	signer->pkey = pkey;
	return true;
}

static bool read_jwk(struct signer *signer, const json_t *jwk, struct fault *fault)
{
	const char *type = json_string_value(json_object_get(jwk, "kty"));
	const char *curve = json_string_value(json_object_get(jwk, "crv"));
	const char *id = json_string_value(json_object_get(jwk, "kid"));
	if (id != NULL && strlen(id) >= sizeof(signer->id))
		return fault_set(fault, 0, "the key's id is too long");
	if (id != NULL)
		memcpy(signer->id, id, strlen(id) + 1);
	if (type != NULL && strcmp(type, "oct") == 0) {
		signer->algorithm = ALGORITHM_HS256;
		return get_bytes(jwk, "k", signer->secret, sizeof(signer->secret), &signer->secret_bytes) ||
		       fault_set(fault, 0, "member \"k\" is missing, not base64url or too long");
	}
	if (type != NULL && strcmp(type, "RSA") == 0)
		return set_pkey(signer, read_rsa(jwk), ALGORITHM_RS256, fault);
	if (type != NULL && strcmp(type, "EC") == 0 && curve != NULL && strcmp(curve, "P-256") == 0)
		return set_pkey(signer, read_ec(jwk), ALGORITHM_ES256, fault);
	if (type != NULL && strcmp(type, "OKP") == 0 && curve != NULL && strcmp(curve, "Ed25519") == 0)
		return set_pkey(signer, read_okp(jwk), ALGORITHM_EDDSA, fault);
	return fault_set(fault, 0, "the JWK is of an unknown kind");
}

static bool read_json(struct signer *signer, struct slice text, struct fault *fault)
{
	json_error_t error;
	json_t *json = json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES, &error);
	if (json == NULL)
		return fault_set(fault, (uint32_t)error.line, "%s", error.text);
	const json_t *keys = json_object_get(json, "keys");
	bool read;
	if (keys != NULL && json_array_size(keys) != 1)
		read = fault_set(fault, 0, "the JWK set has %zu keys; signing takes a set of one",
				 json_array_size(keys));
	else
		read = read_jwk(signer, keys != NULL ? json_array_get(keys, 0) : json, fault);
	json_decref(json);
	return read;
}

static bool read_pem(struct signer *signer, struct slice text, struct fault *fault)
{
	BIO *memory = text.size > INT_MAX ? NULL : BIO_new_mem_buf(text.data, (int)text.size);
	CHECK(memory != NULL);
	/* The passphrase "", rather than a question on the terminal. */
	EVP_PKEY *pkey = PEM_read_bio_PrivateKey(memory, NULL, NULL, (void *)"");
	BIO_free(memory);
	int type = pkey == NULL ? EVP_PKEY_NONE : EVP_PKEY_get_base_id(pkey);
	switch (type) {
	case EVP_PKEY_RSA:
		return set_pkey(signer, pkey, ALGORITHM_RS256, fault);
	case EVP_PKEY_EC:
		return set_pkey(signer, pkey, ALGORITHM_ES256, fault);
	case EVP_PKEY_ED25519:
		return set_pkey(signer, pkey, ALGORITHM_EDDSA, fault);
	default:
		EVP_PKEY_free(pkey);
		return set_pkey(signer, NULL, ALGORITHM_COUNT, fault);
	}
}

static bool halves_match(EVP_PKEY *pkey, struct fault *fault)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(pkey, NULL);
	bool match = context != NULL && EVP_PKEY_pairwise_check(context) == 1;
	EVP_PKEY_CTX_free(context);
	ERR_clear_error();
	return match || fault_set(fault, 0, "the private and the public half are not of one key");
}

/* False: the server would refuse the key, by its own rules. */
static bool is_sound(const struct signer *signer, struct fault *fault)
{
	struct key key;
	bool sound;
	if (signer->algorithm == ALGORITHM_HS256) {
		sound = key_from_secret(&key, slice_of(NULL, 0), slice_of(signer->secret, signer->secret_bytes), fault);
	} else {
		EVP_PKEY *pkey = signer->pkey;
		CHECK(EVP_PKEY_up_ref(pkey) == 1);
		sound = key_from_pkey(&key, slice_of(NULL, 0), &pkey, fault);
	}
	if (sound)
		key_fini(&key);
	return sound;
}

bool signer_read(struct signer *signer, struct slice text, struct fault *fault)
{
	*signer = (struct signer){0};
	bool json = text.size > 0 && memchr(text.data, '{', text.size) != NULL &&
		    memmem(text.data, text.size, "-----BEGIN", 10) == NULL;
	bool read = json ? read_json(signer, text, fault) : read_pem(signer, text, fault);
	if (read && signer->pkey != NULL)
		read = halves_match(signer->pkey, fault);
	if (read && is_sound(signer, fault))
		return true;
	signer_fini(signer);
	return false;
}
