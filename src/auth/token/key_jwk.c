#include "auth/token/key_jwk.h"

#include "base/check.h"

#include "auth/text/base64url.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <sodium.h>

#define P256_BYTES 32u
/* An uncompressed point: 4, x, y. */
#define P256_POINT_BYTES (1 + 2 * P256_BYTES)
#define RSA_BYTES_MAX (KEY_RSA_BITS_MAX / 8)

_Static_assert(P256_POINT_BYTES == 65, "SEC 1, 2.3.3");

struct jwk {
	const struct strict_json *json;
	const struct strict_node *node;
	struct slice id;
	struct fault *fault;
};

static const struct strict_node *jwk_member(const struct jwk *jwk, const char *name)
{
	return strict_member(jwk->json, jwk->node, slice_string(name));
}

static struct slice jwk_text_member(const struct jwk *jwk, const char *name)
{
	const struct strict_node *node = jwk_member(jwk, name);
	return node != NULL && node->type == STRICT_STRING ? node->text : slice_of(NULL, 0);
}

static bool jwk_text_is(struct slice text, const char *wanted)
{
	return slice_equal(text, slice_string(wanted));
}

/* A number or point, big-endian; it must be there. */
static bool jwk_read_bytes(const struct jwk *jwk, const char *name, uint8_t *out, size_t room, size_t *size)
{
	struct slice text = jwk_text_member(jwk, name);
	if (text.size == 0)
		return fault_set(jwk->fault, 0, "member \"%s\" is missing", name);
	if (BASE64URL_DECODED_BYTES_MAX(text.size) > room)
		return fault_set(jwk->fault, 0, "member \"%s\" is too long", name);
	if (!base64url_decode(text, out, size))
		return fault_set(jwk->fault, 0, "member \"%s\" is not base64url", name);
	CHECK(*size <= room);
	return true;
}

static bool jwk_from_oct(struct key *key, const struct jwk *jwk)
{
	struct slice text = jwk_text_member(jwk, "k");
	uint8_t secret[KEY_SECRET_BYTES_MAX + 1];
	size_t size = 0;
	/* A secret is decoded in constant time. */
	bool made =
		text.size != 0 && sodium_base642bin(secret, sizeof(secret), (const char *)text.data, text.size, NULL,
						    &size, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0;
	if (made)
		made = key_from_secret(key, jwk->id, slice_of(secret, size), jwk->fault);
	else
		fault_set(jwk->fault, 0, "member \"k\" is missing, not base64url or too long");
	sodium_memzero(secret, sizeof(secret));
	return made;
}

static EVP_PKEY *jwk_make_pkey(const char *type, OSSL_PARAM_BLD *builder)
{
	EVP_PKEY *pkey = NULL;
	OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	if (parameters != NULL && context != NULL && EVP_PKEY_fromdata_init(context) == 1)
		EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, parameters);
	EVP_PKEY_CTX_free(context);
	OSSL_PARAM_free(parameters);
	return pkey;
}

static EVP_PKEY *jwk_rsa_pkey(struct slice modulus, struct slice exponent)
{
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	BIGNUM *n = BN_bin2bn(modulus.data, (int)modulus.size, NULL);
	BIGNUM *e = BN_bin2bn(exponent.data, (int)exponent.size, NULL);
	EVP_PKEY *pkey = NULL;
	if (builder != NULL && n != NULL && e != NULL &&
	    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
	    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1)
		pkey = jwk_make_pkey("RSA", builder);
	BN_free(n);
	BN_free(e);
	OSSL_PARAM_BLD_free(builder);
	return pkey;
}

static bool jwk_from_rsa(struct key *key, const struct jwk *jwk)
{
	uint8_t modulus[RSA_BYTES_MAX + 2], exponent[RSA_BYTES_MAX + 2];
	size_t modulus_bytes = 0, exponent_bytes = 0;
	if (!jwk_read_bytes(jwk, "n", modulus, sizeof(modulus), &modulus_bytes) ||
	    !jwk_read_bytes(jwk, "e", exponent, sizeof(exponent), &exponent_bytes))
		return false;
	EVP_PKEY *pkey = jwk_rsa_pkey(slice_of(modulus, modulus_bytes), slice_of(exponent, exponent_bytes));
	if (pkey == NULL)
		return fault_set(jwk->fault, 0, "OpenSSL does not take the RSA key");
	return key_from_pkey(key, jwk->id, &pkey, jwk->fault);
}

static EVP_PKEY *jwk_p256_pkey(const uint8_t point[P256_POINT_BYTES])
{
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	EVP_PKEY *pkey = NULL;
	if (builder != NULL &&
	    OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) == 1 &&
	    OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, P256_POINT_BYTES) == 1)
		pkey = jwk_make_pkey("EC", builder);
	OSSL_PARAM_BLD_free(builder);
	return pkey;
}

/* A coordinate has the full size of the field, leading zeros included [RFC 7518, 6.2.1.2]. */
static bool jwk_read_coordinate(const struct jwk *jwk, const char *name, uint8_t out[P256_BYTES])
{
	uint8_t bytes[P256_BYTES + 2];
	size_t size = 0;
	if (!jwk_read_bytes(jwk, name, bytes, sizeof(bytes), &size))
		return false;
	if (size != P256_BYTES)
		return fault_set(jwk->fault, 0, "member \"%s\" has %zu bytes instead of %u", name, size, P256_BYTES);
	memcpy(out, bytes, P256_BYTES);
	return true;
}

static bool jwk_from_ec(struct key *key, const struct jwk *jwk)
{
	uint8_t point[P256_POINT_BYTES] = {4};
	if (!jwk_text_is(jwk_text_member(jwk, "crv"), "P-256"))
		return fault_set(jwk->fault, 0, "the key is on another curve than P-256");
	if (!jwk_read_coordinate(jwk, "x", point + 1) || !jwk_read_coordinate(jwk, "y", point + 1 + P256_BYTES))
		return false;
	EVP_PKEY *pkey = jwk_p256_pkey(point);
	if (pkey == NULL)
		return fault_set(jwk->fault, 0, "the key is not a point of P-256");
	return key_from_pkey(key, jwk->id, &pkey, jwk->fault);
}

static bool jwk_from_okp(struct key *key, const struct jwk *jwk)
{
	uint8_t point[KEY_ED25519_BYTES + 2];
	size_t size = 0;
	if (!jwk_text_is(jwk_text_member(jwk, "crv"), "Ed25519"))
		return fault_set(jwk->fault, 0, "the key is on another curve than Ed25519");
	return jwk_read_bytes(jwk, "x", point, sizeof(point), &size) &&
	       key_from_ed25519(key, jwk->id, slice_of(point, size), jwk->fault);
}

/* [RFC 7517, 4.2, 4.3] */
static bool jwk_is_for_verifying(const struct jwk *jwk)
{
	const struct strict_node *use = jwk_member(jwk, "use"), *operations = jwk_member(jwk, "key_ops");
	if (use != NULL && !jwk_text_is(jwk_text_member(jwk, "use"), "sig"))
		return fault_set(jwk->fault, 0, "its use is not \"sig\"");
	if (operations == NULL)
		return true;
	bool verify = false;
	const struct strict_node *operation = strict_first(operations);
	for (uint32_t i = 0; i < operations->count; i++, operation = strict_next(jwk->json, operation))
		verify = verify || (operation->type == STRICT_STRING && jwk_text_is(operation->text, "verify"));
	return verify || fault_set(jwk->fault, 0, "its operations do not include \"verify\"");
}

static const struct {
	const char *type;
	enum algorithm algorithm;
	bool (*make)(struct key *key, const struct jwk *jwk);
} TYPES[] = {
	{"oct", ALGORITHM_HS256, jwk_from_oct},
	{"RSA", ALGORITHM_RS256, jwk_from_rsa},
	{"EC", ALGORITHM_ES256, jwk_from_ec},
	{"OKP", ALGORITHM_EDDSA, jwk_from_okp},
};

bool key_from_jwk(struct key *key, const struct strict_json *json, const struct strict_node *node, struct fault *fault)
{
	struct jwk jwk = {.json = json, .node = node, .fault = fault};
	if (node->type != STRICT_OBJECT)
		return fault_set(fault, 0, "it is not an object");
	jwk.id = jwk_text_member(&jwk, "kid");
	if (jwk_member(&jwk, "kid") != NULL && jwk.id.size == 0)
		return fault_set(fault, 0, "its id is no text, or empty");
	if (!jwk_is_for_verifying(&jwk))
		return false;
	struct slice type = jwk_text_member(&jwk, "kty"), named = jwk_text_member(&jwk, "alg");
	for (size_t i = 0; i < sizeof(TYPES) / sizeof(TYPES[0]); i++) {
		if (!jwk_text_is(type, TYPES[i].type))
			continue;
		if (jwk_member(&jwk, "alg") != NULL && !jwk_text_is(named, algorithm_name(TYPES[i].algorithm)))
			return fault_set(fault, 0, "its algorithm is \"%.*s\", for which there is no support",
					 (int)(named.size < 32 ? named.size : 32), (const char *)named.data);
		bool made = TYPES[i].make(key, &jwk);
		ERR_clear_error();
		return made;
	}
	return fault_set(fault, 0, "its type is \"%.*s\", which is not known", (int)(type.size < 32 ? type.size : 32),
			 (const char *)type.data);
}
