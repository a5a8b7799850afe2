#include "auth/token/key_set.h"

#include "auth/token/key_jwk.h"
#include "auth/token/key_pem.h"
#include "base/check.h"

#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>

/* A key of a set has some ten members, one with a chain of certificates a few more. */
#define JWKS_NODES_MAX (KEY_SET_KEYS_MAX * 32u)

struct key_set {
	_Atomic uint32_t references;
	uint32_t count;
	struct key keys[KEY_SET_KEYS_MAX];
};

struct key_set *key_set_new(void)
{
	struct key_set *set = calloc(1, sizeof(*set));
	if (set != NULL)
		atomic_store(&set->references, 1);
	return set;
}

struct key_set *key_set_get(struct key_set *set)
{
	CHECK(atomic_fetch_add_explicit(&set->references, 1, memory_order_relaxed) != 0);
	return set;
}

void key_set_put(struct key_set **set)
{
	struct key_set *put = *set;
	*set = NULL;
	if (put == NULL)
		return;
	uint32_t references = atomic_fetch_sub_explicit(&put->references, 1, memory_order_acq_rel);
	CHECK(references != 0);
	if (references != 1)
		return;
	for (uint32_t i = 0; i < put->count; i++)
		key_fini(&put->keys[i]);
	free(put);
}

uint32_t key_set_count(const struct key_set *set)
{
	return set->count;
}

uint32_t key_set_secrets(const struct key_set *set)
{
	uint32_t secrets = 0;
	for (uint32_t i = 0; i < set->count; i++)
		secrets += set->keys[i].algorithm == ALGORITHM_HS256;
	return secrets;
}

const struct key *key_set_at(const struct key_set *set, uint32_t index)
{
	CHECK(index < set->count);
	return &set->keys[index];
}

/* A second key of one id and algorithm could never be chosen. Keys without an id may be several: then only those tokens
 * find one that name an id. */
static bool key_set_has(const struct key_set *set, const struct key *key)
{
	for (uint32_t i = 0; i < set->count; i++)
		if (key->id_bytes != 0 && set->keys[i].algorithm == key->algorithm &&
		    slice_equal(key_id(&set->keys[i]), key_id(key)))
			return true;
	return false;
}

/* Takes the key. */
static bool key_set_add(struct key_set *set, struct key *key, struct fault *fault)
{
	if (key_set_has(set, key))
		fault_set(fault, 0, "there is a key of this id already");
	else if (set->count == KEY_SET_KEYS_MAX)
		fault_set(fault, 0, "there are more than %u keys", KEY_SET_KEYS_MAX);
	else {
		set->keys[set->count++] = *key;
		return true;
	}
	key_fini(key);
	return false;
}

bool key_set_add_secret(struct key_set *set, struct slice id, struct slice secret, struct fault *fault)
{
	struct key key;
	return key_from_secret(&key, id, secret, fault) && key_set_add(set, &key, fault);
}

bool key_set_add_pem(struct key_set *set, struct slice id, struct slice text, struct fault *fault)
{
	struct key key;
	return key_from_pem(&key, id, text, fault) && key_set_add(set, &key, fault);
}

static void key_set_add_jwk(struct key_set *set, const struct strict_json *json, const struct strict_node *jwk,
			    struct jwks_result *result)
{
	struct key key;
	struct fault reason;
	if (key_from_jwk(&key, json, jwk, &reason) && key_set_add(set, &key, &reason)) {
		result->added++;
		return;
	}
	result->skipped++;
	if (result->skipped == 1) {
		result->first_reason = reason;
		result->first_reason.line = result->added + result->skipped;
	}
}

static bool key_set_add_json(struct key_set *set, const struct strict_json *json, struct jwks_result *result,
			     struct fault *fault)
{
	const struct strict_node *keys = strict_member(json, json->nodes, slice_string("keys"));
	if (keys == NULL && strict_member(json, json->nodes, slice_string("kty")) != NULL) {
		key_set_add_jwk(set, json, json->nodes, result);
		return true;
	}
	if (keys == NULL || keys->type != STRICT_ARRAY)
		return fault_set(fault, 0, "it is neither a JWK set nor a JWK: there is no list \"keys\" in it");
	const struct strict_node *jwk = strict_first(keys);
	for (uint32_t i = 0; i < keys->count; i++, jwk = strict_next(json, jwk))
		key_set_add_jwk(set, json, jwk, result);
	return true;
}

bool key_set_add_jwks(struct key_set *set, struct slice text, struct jwks_result *result, struct fault *fault)
{
	*result = (struct jwks_result){0};
	if (text.size > KEY_SET_BYTES_MAX)
		return fault_set(fault, 0, "it is larger than %zu bytes", KEY_SET_BYTES_MAX);
	/* The reader changes what it reads. */
	uint8_t *copy = malloc(text.size + 1);
	struct strict_json json = {.nodes = calloc(JWKS_NODES_MAX, sizeof(*json.nodes)), .capacity = JWKS_NODES_MAX};
	bool added = false;
	if (copy == NULL || json.nodes == NULL) {
		fault_set(fault, 0, "out of memory");
	} else {
		size_t at;
		if (text.size != 0)
			memcpy(copy, text.data, text.size);
		const char *wrong = strict_json_read(&json, copy, text.size, &at);
		if (wrong != NULL)
			fault_set(fault, 0, "byte %zu: %s", at, wrong);
		else
			added = key_set_add_json(set, &json, result, fault);
		sodium_memzero(copy, text.size); /* there may be secrets in it */
	}
	free(json.nodes);
	free(copy);
	return added;
}

/* The only key that the predicate allows. */
static bool key_set_find_only(const struct key_set *set, enum algorithm algorithm, bool without_id, uint32_t *index)
{
	CHECK(set->count <= KEY_SET_KEYS_MAX);
	uint32_t found = 0;
	for (uint32_t i = 0; i < set->count; i++) {
		if (set->keys[i].algorithm != algorithm || (without_id && set->keys[i].id_bytes != 0))
			continue;
		*index = i;
		found++;
	}
	return found == 1;
}

enum error key_set_find(const struct key_set *set, struct slice id, enum algorithm algorithm, uint32_t *index)
{
	bool id_known = false;
	for (uint32_t i = 0; id.size != 0 && i < set->count; i++) {
		if (!slice_equal(key_id(&set->keys[i]), id))
			continue;
		id_known = true;
		if (set->keys[i].algorithm != algorithm)
			continue;
		*index = i;
		return ERROR_OK;
	}
	if (id_known)
		return ERROR_TOKEN_ALGORITHM;
	return key_set_find_only(set, algorithm, id.size != 0, index) ? ERROR_OK : ERROR_TOKEN_KEY_UNKNOWN;
}
