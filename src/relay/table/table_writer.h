/* The table of who is online in Redis, as commands and their answers. One hash for each gateway, PREFIX:NODE, has a
 * field for each client. A sorted set, PREFIX, has the nodes and when each was last heard of, in ms since 1970.
 *
 * The hash lives for TABLE_LIFE_S from its last renewal on, so that one of a gateway that has died goes. A table that
 * is made anew grows in PREFIX:NODE:new, and takes the place of the other one when it is whole: who reads meanwhile
 * sees one that is out of date, and none that lacks clients. Pure: no sockets, no clock. Owned by one thread. */
#ifndef RELAY_TABLE_WRITER_H
#define RELAY_TABLE_WRITER_H

#include "relay/entry/bytes.h"
#include "relay/table/table_status.h"

#define TABLE_LIFE_S 60u
/* A node that was not heard of for so long is forgotten. */
#define TABLE_NODE_LIFE_MS (UINT64_C(3600) * 1000)

struct table_writer {
	char prefix[TABLE_KEY_BYTES];
	char node[TABLE_KEY_BYTES];
	char key[TABLE_KEY_BYTES];
	char fresh[TABLE_KEY_BYTES]; /* the key of one that is being made */
	struct bytes out;            /* commands that were not sent yet */
	struct bytes due;            /* answers that are, each an enum of the source file */
	size_t heard;                /* of these, those that have come */
	bool is_making;              /* clients go to the fresh one */
	bool has_put;                /* since the life of the hash was last set */
	uint64_t clients;            /* in the table, by the answers so far */
	uint64_t renewals;           /* that were confirmed */
	bool is_wrong;               /* Redis has another number of clients than it confirmed */
};

/* prefix, node: of at most 63 bytes. */
void table_writer_init(struct table_writer *writer, const char *prefix, const char *node);
void table_writer_free(struct table_writer *writer);
/* The connection is lost, or is a new one: nothing is due, and the table has to be made anew. */
void table_writer_reset(struct table_writer *writer);
static inline bool table_writer_owes(const struct table_writer *writer)
{
	return writer->due.size != writer->heard;
}

/* Begins to make the table anew, without clients. */
void table_writer_begin(struct table_writer *writer);
/* It has all clients, and no answer is due: from now on it is the table. */
void table_writer_finish(struct table_writer *writer, uint64_t wall_ms);

/* value: JSON. */
void table_writer_put(struct table_writer *writer, struct slice client, struct slice value);
void table_writer_remove(struct table_writer *writer, struct slice client);
/* Behind some of these, before they are sent: a hash that one of them has made anew is not to live for ever. */
void table_writer_end_batch(struct table_writer *writer);
/* The gateway is there still. Where the table is not being made, Redis is asked whether it has all of it. */
void table_writer_renew(struct table_writer *writer, uint64_t wall_ms);
/* The gateway ends. */
void table_writer_leave(struct table_writer *writer);

/* The next answer is a number, or is_number is false. False: none is due, or it is no answer to that. */
bool table_writer_hear(struct table_writer *writer, bool is_number, int64_t number);

#endif
