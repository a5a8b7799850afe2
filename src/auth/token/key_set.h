/* The keys that tokens may be signed with. It is built once, of the bytes of files and of what a URL answered, and is
 * immutable from then on: keys are rotated by building another and putting the old one down. Whoever holds a reference
 * may read it in any thread. Pure.
 *
 * struct key_set *set = key_set_new(); key_set_add_...(set, ...); then share it. */
#ifndef AUTH_KEY_SET_H
#define AUTH_KEY_SET_H

#include "auth/token/key.h"
#include "base/error.h"

#define KEY_SET_KEYS_MAX 128u
/* Of a PEM file or a JWK set. */
#define KEY_SET_BYTES_MAX ((size_t)1 << 20)

struct key_set;

/* Empty, with one reference, which is the caller's. NULL without memory. */
struct key_set *key_set_new(void);

/* Each copies what it needs; the bytes stay the caller's. id: what a token's "kid" must say; size 0: none.
 * False: *fault says why; the set is as it was. */
bool key_set_add_secret(struct key_set *set, struct slice id, struct slice secret, struct fault *fault);
bool key_set_add_pem(struct key_set *set, struct slice id, struct slice text, struct fault *fault);

/* What became of a JWK set's keys. */
struct jwks_result {
	uint32_t added;
	uint32_t skipped;          /* kinds and uses that are not ours, broken ones, those that are there already */
	struct fault first_reason; /* why the first was skipped; `line` is its number, from 1 */
};

/* A JWK set {"keys": [...]}, or one JWK. False where the text as a whole is none, or too large. Keys that are not for
 * us are skipped and counted [RFC 7517, 5]; a set of which nothing is left is for the caller to judge. */
bool key_set_add_jwks(struct key_set *set, struct slice text, struct jwks_result *result, struct fault *fault);

struct key_set *key_set_get(struct key_set *set);
/* The last reference frees it. */
void key_set_put(struct key_set **set);

uint32_t key_set_count(const struct key_set *set);
/* How many of them are shared secrets, which whoever knows them can sign with. */
uint32_t key_set_secrets(const struct key_set *set);
const struct key *key_set_at(const struct key_set *set, uint32_t index);

/* The key for a token's header. With an id, the key of that id; where no key has it, or the token names none, the only
 * key of the algorithm that could be meant: for a token without an id any, for one with an id one that has none itself.
 * ERROR_TOKEN_ALGORITHM: there is a key of that id, and its algorithm is another. ERROR_TOKEN_KEY_UNKNOWN: none, or
 * more than one could be meant. */
enum error key_set_find(const struct key_set *set, struct slice id, enum algorithm algorithm, uint32_t *index);

#endif
