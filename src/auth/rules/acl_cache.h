/* Decisions on PUBLISH that were made before: a shard asks the rules once for a client and a topic, and then it is one
 * look-up, however many rules there are. A fixed table in which a newer decision takes an older one's place. Owned by
 * one thread.
 *
 * A decision is found by a 63-bit mark of all that it depended on: rules, token's rules, client id, user and topic. It
 * is made with a key of the table's own, so that nobody can choose topics or names whose marks are equal. Decisions
 * that share a place share the bits that choose it, so that a check finds another's by chance once in 2^63 / slots:
 * with a shard's 8192 once in 2^50. New rules have another serial, so that nothing needs to be forgotten. */
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
