/* A session's own subscription to a filter, by client and node, where a walk over the session's subscriptions would be
 * long, and what the filters of all of them take. It holds only the subscriptions of such sessions, at 24 bytes each;
 * an ordinary client has none in it. Owned by the shard's thread. */
#ifndef SUBSCRIPTIONS_OWN_TABLE_H
#define SUBSCRIPTIONS_OWN_TABLE_H

#include "memory/table.h"
#include "session/refs.h"

/* A session with more subscriptions than this has them in the table. */
#define OWN_WALK_MAX 16u
/* No node's name: the entry of what the filters of all take. */
#define OWN_SUM 0u

struct own_table {
	struct pool entries;
	struct table table;
};

/* limit: subscriptions. */
enum error own_table_open(struct own_table *own, uint32_t limit);
void own_table_close(struct own_table *own);

/* value: not 0 for a node. ERROR_NO_MEMORY. */
enum error own_table_add(struct own_table *own, struct client_ref client, uint32_t node, uint32_t value);
/* It must be there. */
void own_table_remove(struct own_table *own, struct client_ref client, uint32_t node);
/* What was added; 0: there is none. */
uint32_t own_table_find(const struct own_table *own, struct client_ref client, uint32_t node);
/* Another one in the place of what is there. */
void own_table_set(struct own_table *own, struct client_ref client, uint32_t node, uint32_t value);

#endif
