/* A hash table of pool objects that grows without ever pausing (linear hashing: an insertion beyond the load splits one
 * bucket), at four bytes an object. The links are inside the objects, which are named by their pool index; what makes
 * two keys equal is the owner's affair. Owned by one thread, or guarded by its owner's lock. */
#ifndef MEMORY_TABLE_H
#define MEMORY_TABLE_H

#include "memory/pool.h"

struct table_node {
	uint32_t hash;
	uint32_t next;
};

struct table {
	const struct pool *pool;
	struct region buckets;
	uint32_t node_offset;  /* of the struct table_node in an object */
	uint32_t bucket_count; /* in (level_mask / 2 + 1, level_mask + 1] */
	uint32_t level_mask;
	uint32_t count;
};

/* limit: objects. The pool must outlive the table. */
enum error table_open(struct table *table, const struct pool *pool, uint32_t node_offset, uint32_t limit);
void table_close(struct table *table);

/* The first object of this hash's chain whose hash is the same, or 0; and the next one after `index`. */
uint32_t table_first(const struct table *table, uint32_t hash);
uint32_t table_next(const struct table *table, uint32_t index);
/* Files an object that is not in the table. Never fails: without memory the chains grow longer. */
void table_insert(struct table *table, uint32_t index, uint32_t hash);
/* The object must be in the table. */
void table_remove(struct table *table, uint32_t index);

#endif
