/* A cache of decisions on PUBLISH: a shard evaluates the rules once for a client and a topic, and from then on does one
 * look-up, however many rules there are. The table has a fixed size; a newer decision overwrites an older one in its
 * slot. Owned by one thread.
 *
 * A decision is found by a 63-bit mark of all that it depended on: rules, token's rules, client id, user and topic. It
 * is keyed with a random key, so that nobody can choose topics or names whose marks are equal. Marks in
 * one slot share the bits that choose the slot, so a check hits a wrong decision with a chance of slots / 2^63: with a
 * shard's 8192 slots 2^-50. New rules have another serial, so that nothing needs to be forgotten. */
#ifndef AUTH_ACL_CACHE_H
#define AUTH_ACL_CACHE_H

#include "auth/rules/acl.h"
#include "base/error.h"
#include "base/hash.h"
#include "memory/region.h"

struct acl_cache {
	struct hash_key key;
	uint64_t *slots; /* the lowest bit: allowed; 0: empty */
	uint64_t mask;
	uint64_t hits;
	uint64_t misses;
	struct region region; /* of the slots */
};

/* slots: a power of two, eight bytes each. */
enum error acl_cache_open(struct acl_cache *cache, uint32_t slots);
void acl_cache_close(struct acl_cache *cache);

/* Rules and a client for which decisions are asked. */
struct acl_subject {
	const struct acl *acl;
	struct slice token_rules; /* acl_pool_rules() */
	uint64_t token_serial;    /* acl_pool_serial() */
	struct acl_identity identity;
};

/* What acl_check() says to ACL_PUBLISH. */
bool acl_cache_check(struct acl_cache *cache, const struct acl_subject *subject, struct slice topic);

#endif
