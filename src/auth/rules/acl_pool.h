/* The rules from the tokens of one shard's clients. Equal rules are stored once: a million clients with the same claims
 * cost an index of four bytes each and nothing more. Owned by one thread. */
#ifndef AUTH_ACL_POOL_H
#define AUTH_ACL_POOL_H

#include "base/hash.h"
#include "memory/pool.h"
#include "memory/slab.h"
#include "memory/table.h"

struct acl_pool {
	struct hash_key key;
	struct pool entries; /* struct acl_pool_entry */
	struct slab texts;
	struct table table; /* of entries, by hash; it grows without a pause */
	uint64_t last_serial;
};

/* arena: where its memory is, or NULL (memory/arena.h). entries_max: distinct sets of rules; bytes_max: of all of them.
 */
enum error acl_pool_open(struct acl_pool *pool, struct arena *arena, uint32_t entries_max, size_t bytes_max);
/* Notes what lies beside its memory, for the program that adopts the arena. */
enum error acl_pool_save(const struct acl_pool *pool, const struct arena *arena);
void acl_pool_close(struct acl_pool *pool);

/* A reference to these rules, which are copied if the pool does not have them yet. 0: a limit is reached, or there is
 * no memory. */
uint32_t acl_pool_take(struct acl_pool *pool, struct slice rules);
/* Gives a reference back; the last one frees the rules. 0 is ignored. */
void acl_pool_give(struct acl_pool *pool, uint32_t index);

/* For acl_check(): the rules until the reference is given back; of index 0, the slice that says that there are none. */
struct slice acl_pool_rules(const struct acl_pool *pool, uint32_t index);
/* Tells these rules from all others that the pool has ever held; of index 0 it is 0. */
uint64_t acl_pool_serial(const struct acl_pool *pool, uint32_t index);

#endif
