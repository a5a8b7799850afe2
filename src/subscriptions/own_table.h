/* Finds a session's own subscription to a filter by client and node, where a walk over the session's subscriptions
 * would be long. It also keeps the bytes that the filters of such a session take. Only sessions with many subscriptions
 * are in it, at 24 bytes for each subscription; ordinary clients are not. Owned by the shard's thread. */
#ifndef SUBSCRIPTIONS_OWN_TABLE_H
#define SUBSCRIPTIONS_OWN_TABLE_H

#include "memory/table.h"
#include "session/refs.h"

struct arena;

/* A session with more subscriptions than this has all of them in the table. */
#define OWN_WALK_MAX 16u
/* In place of a node's name, which is never 0: the entry with the bytes of all filters of the session. */
#define OWN_SUM 0u

struct own_table {
	struct pool entries;
	struct table table;
};

/* arena: where its memory is, or NULL (memory/arena.h). limit: subscriptions. */
enum error own_table_open(struct own_table *own, struct arena *arena, uint32_t limit);
enum error own_table_save(const struct own_table *own, const struct arena *arena);
void own_table_close(struct own_table *own);

/* Adds an entry that is not in the table. value: not 0 for a node. ERROR_NO_MEMORY. */
enum error own_table_add(struct own_table *own, struct client_ref client, uint32_t node, uint32_t value);
/* The entry must be in the table. */
void own_table_remove(struct own_table *own, struct client_ref client, uint32_t node);
/* The entry's value; 0: it is not in the table. */
uint32_t own_table_find(const struct own_table *own, struct client_ref client, uint32_t node);
/* Replaces the value of an entry that is in the table. */
void own_table_set(struct own_table *own, struct client_ref client, uint32_t node, uint32_t value);

#endif
