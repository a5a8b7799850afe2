/* Who is connected to the gateway, page by page, asked by commands to one shard after the other (runtime/command.h).
 * Each page is true at its moment, and no shard waits for the next. Any thread but a shard's, with the shards' wakers
 * in its descriptor table; a page waits for a turn of a shard, and for SESSION_ASKER_WAIT_MS at most. */
#ifndef RELAY_TABLE_LISTING_H
#define RELAY_TABLE_LISTING_H

#include "base/error.h"
#include "relay/table/table_entry.h"
#include "shard/command_clients.h"

#define TABLE_PAGE_ROWS 256u

struct gateway;

struct table_listing {
	struct gateway *gateway;
	uint32_t shard;  /* that is asked next; as many as there are shards: the listing is over */
	uint32_t cursor; /* where in it */
	struct client_row rows[TABLE_PAGE_ROWS];
	uint8_t texts[3 * COMMAND_ID_BYTES_MAX]; /* client ids and users */
};

void table_listing_begin(struct table_listing *listing);
bool table_listing_is_over(const struct table_listing *listing);
/* Calls visit() for each client of the next page, but not for Roost's own. wall_ms: since 1970. */
enum error table_listing_next(struct table_listing *listing, uint64_t wall_ms,
			      void (*visit)(void *context, struct slice client, const struct table_entry *entry),
			      void *context);

#endif
