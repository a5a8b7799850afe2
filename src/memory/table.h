/* A hash table of pool objects that grows without a pause: linear hashing, where an insertion beyond the load splits
 * one bucket. It costs four bytes an object. The links are inside the objects, which are named by their pool index. The
 * table compares hashes only; its owner compares keys. Owned by one thread, or guarded by its owner's lock. */
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
/* The same in an arena, under a name (region_open_in()); one that was adopted, as for a pool (memory/pool.h). */
enum error table_open_in(struct table *table, struct arena *arena, const char *name, const struct pool *pool,
			 uint32_t node_offset, uint32_t limit);
enum error table_save(const struct table *table, const struct arena *arena);
void table_close(struct table *table);

/* So many objects will be inserted: an empty table gets their buckets at once, and splits none on the way. */
void table_expect(struct table *table, uint32_t count);

/* The first object of this hash's chain whose hash is the same, or 0; and the next one after `index`. */
uint32_t table_first(const struct table *table, uint32_t hash);
uint32_t table_next(const struct table *table, uint32_t index);
/* Adds an object that is not in the table yet. Never fails: without memory the chains grow longer. */
void table_insert(struct table *table, uint32_t index, uint32_t hash);
/* The object must be in the table. */
void table_remove(struct table *table, uint32_t index);

/* The same functions for references of one kind; DEFINE_REF(NAME) comes first (memory/ref.h). */
#define DEFINE_TABLE(name)                                                                                             \
	REF_INLINE struct name##_ref name##_table_first(const struct table *table, uint32_t hash)                      \
	{                                                                                                              \
		return (struct name##_ref){table_first(table, hash)};                                                  \
	}                                                                                                              \
	REF_INLINE struct name##_ref name##_table_next(const struct table *table, struct name##_ref ref)               \
	{                                                                                                              \
		return (struct name##_ref){table_next(table, ref.index)};                                              \
	}                                                                                                              \
	REF_INLINE void name##_table_insert(struct table *table, struct name##_ref ref, uint32_t hash)                 \
	{                                                                                                              \
		table_insert(table, ref.index, hash);                                                                  \
	}                                                                                                              \
	REF_INLINE void name##_table_remove(struct table *table, struct name##_ref ref)                                \
	{                                                                                                              \
		table_remove(table, ref.index);                                                                        \
	}                                                                                                              \
	_Static_assert(sizeof(struct name##_ref) == sizeof(uint32_t), "links are four bytes")

#endif
