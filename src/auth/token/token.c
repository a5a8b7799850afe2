#include "auth/token/token.h"

#include "auth/rules/acl_claims.h"
#include "auth/text/base64url.h"
#include "base/check.h"

#include <stdlib.h>

/* A header is a handful of members, a payload some dozens of claims. */
#define NODES_MAX 256u
/* Headers of one issuer's tokens are the same, byte for byte: of those that were seen last nothing is read again. */
#define KNOWN_HEADERS 4u
#define KNOWN_HEADER_BYTES_MAX 256u
/* The longest signature is RSA's. */
#define SIGNATURE_BYTES_MAX (KEY_RSA_BITS_MAX / 8u)

_Static_assert(KNOWN_HEADER_BYTES_MAX <= TOKEN_HEADER_BYTES_MAX, "only headers that were read are remembered");
_Static_assert(SIGNATURE_BYTES_MAX >= 64, "those of ES256 and Ed25519 fit too");

struct known_header {
	uint32_t size; /* 0: not in use */
	uint32_t key;
	uint8_t text[KNOWN_HEADER_BYTES_MAX];
};

struct token_verifier {
	struct claim_policy policy;
	uint32_t bytes_max;
	struct key_set *keys; /* NULL: none yet */
	struct key_check checks[KEY_SET_KEYS_MAX];
	struct known_header known[KNOWN_HEADERS];
	uint32_t known_next;
	struct strict_node nodes[NODES_MAX];
	uint8_t signature[SIGNATURE_BYTES_MAX + 2];
	uint8_t *scratch; /* a header or payload, decoded */
	uint8_t *rules;   /* of its permissions */
	size_t rules_room;
};

struct parts {
	struct slice header;
	struct slice payload;
	struct slice signature;
	struct slice signed_text; /* header and payload, with the dot */
};

struct token_verifier *token_verifier_new(const struct claim_policy *policy, uint32_t bytes_max)
{
	CHECK(bytes_max >= TOKEN_BYTES_MAX_LEAST && bytes_max <= TOKEN_BYTES_MAX_MOST);
	struct token_verifier *verifier = calloc(1, sizeof(*verifier));
	if (verifier == NULL)
		return NULL;
	verifier->policy = *policy;
	verifier->bytes_max = bytes_max;
	size_t decoded_bytes = BASE64URL_DECODED_BYTES_MAX((size_t)bytes_max);
	verifier->rules_room = ACL_CLAIMS_BYTES_MAX(decoded_bytes);
	verifier->scratch = malloc(decoded_bytes);
	verifier->rules = malloc(verifier->rules_room);
	if (verifier->scratch == NULL || verifier->rules == NULL) {
		token_verifier_free(verifier);
		return NULL;
	}
	return verifier;
}

static void token_verifier_forget_keys(struct token_verifier *verifier)
{
	for (uint32_t i = 0; i < KEY_SET_KEYS_MAX; i++)
		key_check_fini(&verifier->checks[i]);
	for (uint32_t i = 0; i < KNOWN_HEADERS; i++)
		verifier->known[i].size = 0;
	key_set_put(&verifier->keys);
}

void token_verifier_free(struct token_verifier *verifier)
{
	if (verifier == NULL)
		return;
	token_verifier_forget_keys(verifier);
	free(verifier->scratch);
	free(verifier->rules);
	free(verifier);
}

void token_verifier_use(struct token_verifier *verifier, struct key_set *keys)
{
	if (keys == verifier->keys)
		return;
	token_verifier_forget_keys(verifier);
	verifier->keys = key_set_get(keys);
}

/* Exactly two dots; an encrypted token has four. */
static bool token_split(struct slice text, struct parts *parts)
{
	const uint8_t *end = text.data + text.size;
	const uint8_t *first = text.size == 0 ? NULL : memchr(text.data, '.', text.size);
	if (first == NULL)
		return false;
	const uint8_t *second = memchr(first + 1, '.', (size_t)(end - first - 1));
	if (second == NULL || memchr(second + 1, '.', (size_t)(end - second - 1)) != NULL)
		return false;
	parts->header = slice_of(text.data, (size_t)(first - text.data));
	parts->payload = slice_of(first + 1, (size_t)(second - first - 1));
	parts->signature = slice_of(second + 1, (size_t)(end - second - 1));
	parts->signed_text = slice_of(text.data, (size_t)(second - text.data));
	CHECK(parts->header.size + 1 + parts->payload.size + 1 + parts->signature.size == text.size);
	return true;
}

bool token_has_form(struct slice text)
{
	struct parts parts;
	if (!token_split(text, &parts) || parts.header.size == 0)
		return false;
	for (size_t i = 0; i < text.size; i++) {
		uint8_t byte = text.data[i], lower = byte | 0x20;
		if (!(lower >= 'a' && lower <= 'z') && !(byte >= '0' && byte <= '9') && byte != '-' && byte != '_' &&
		    byte != '.')
			return false;
	}
	return true;
}

/* Decodes and reads a part that must be a JSON object. */
static bool token_read_object(struct token_verifier *verifier, struct slice part, struct strict_json *json)
{
	size_t size, at;
	CHECK(part.size <= verifier->bytes_max); /* scratch has room for what it decodes to */
	*json = (struct strict_json){.nodes = verifier->nodes, .capacity = NODES_MAX};
	return base64url_decode(part, verifier->scratch, &size) &&
	       strict_json_read(json, verifier->scratch, size, &at) == NULL && json->nodes[0].type == STRICT_OBJECT;
}

static bool token_optional_text(const struct strict_json *json, const char *name, struct slice *text)
{
	const struct strict_node *node = strict_member(json, json->nodes, slice_string(name));
	*text = node == NULL ? slice_of(NULL, 0) : node->text;
	return node == NULL || node->type == STRICT_STRING;
}

/* [RFC 7515, 4.1]. What else a header may say, "typ" among it, makes no difference to us. */
static enum error token_read_header(struct token_verifier *verifier, struct slice header, uint32_t *key)
{
	struct strict_json json;
	struct slice name, id;
	enum algorithm algorithm;
	if (header.size > TOKEN_HEADER_BYTES_MAX || !token_read_object(verifier, header, &json))
		return ERROR_TOKEN_MALFORMED;
	if (strict_member(&json, json.nodes, slice_string("crit")) != NULL)
		return ERROR_TOKEN_CRITICAL;
	if (!token_optional_text(&json, "alg", &name) || !token_optional_text(&json, "kid", &id) || name.size == 0)
		return ERROR_TOKEN_MALFORMED;
	if (!algorithm_parse(name, &algorithm))
		return ERROR_TOKEN_ALGORITHM;
	return verifier->keys == NULL ? ERROR_TOKEN_KEY_UNKNOWN : key_set_find(verifier->keys, id, algorithm, key);
}

static bool token_find_known_header(const struct token_verifier *verifier, struct slice header, uint32_t *key)
{
	for (uint32_t i = 0; i < KNOWN_HEADERS; i++) {
		const struct known_header *known = &verifier->known[i];
		if (known->size != 0 && slice_equal(slice_of(known->text, known->size), header)) {
			*key = known->key;
			return true;
		}
	}
	return false;
}

/* Only headers of tokens with a valid signature, so that nobody else can evict them. */
static void token_remember_header(struct token_verifier *verifier, struct slice header, uint32_t key)
{
	if (header.size > KNOWN_HEADER_BYTES_MAX)
		return;
	struct known_header *known = &verifier->known[verifier->known_next++ % KNOWN_HEADERS];
	known->size = (uint32_t)header.size;
	CHECK(key < key_set_count(verifier->keys));
	known->key = key;
	memcpy(known->text, header.data, header.size);
}

static enum error token_check_signature(struct token_verifier *verifier, const struct parts *parts,
					const struct key **used)
{
	uint32_t key;
	size_t signature_bytes;
	bool known = token_find_known_header(verifier, parts->header, &key);
	enum error error = known ? ERROR_OK : token_read_header(verifier, parts->header, &key);
	if (error != ERROR_OK)
		return error;
	if (BASE64URL_DECODED_BYTES_MAX(parts->signature.size) > sizeof(verifier->signature) ||
	    !base64url_decode(parts->signature, verifier->signature, &signature_bytes))
		return ERROR_TOKEN_MALFORMED;
	*used = key_set_at(verifier->keys, key);
	if (!key_verify(*used, &verifier->checks[key], parts->signed_text,
			slice_of(verifier->signature, signature_bytes)))
		return ERROR_TOKEN_SIGNATURE;
	if (!known)
		token_remember_header(verifier, parts->header, key);
	return ERROR_OK;
}

static enum error token_read_permissions(struct token_verifier *verifier, const struct strict_json *json,
					 struct token *token)
{
	size_t size;
	token->permissions = slice_of(NULL, 0);
	if (token->claims.permissions == NULL)
		return ERROR_OK;
	enum error error =
		acl_claims_compile(json, token->claims.permissions, verifier->rules, verifier->rules_room, &size);
	CHECK(error != ERROR_OK || size <= verifier->rules_room);
	if (error == ERROR_OK)
		token->permissions = slice_of(verifier->rules, size);
	return error;
}

enum error token_verify(struct token_verifier *verifier, struct slice text, int64_t now_s, struct token *token)
{
	struct parts parts;
	struct strict_json json;
	*token = (struct token){0};
	if (text.size > verifier->bytes_max)
		return ERROR_TOKEN_TOO_LARGE;
	if (!token_split(text, &parts))
		return ERROR_TOKEN_MALFORMED;
	enum error error = token_check_signature(verifier, &parts, &token->key);
	if (error != ERROR_OK)
		return error;
	if (!token_read_object(verifier, parts.payload, &json))
		return ERROR_TOKEN_MALFORMED;
	error = claims_read(&json, &verifier->policy, now_s, &token->claims);
	return error == ERROR_OK ? token_read_permissions(verifier, &json, token) : error;
}
