/* The table's connection to Redis: what the writer has goes out, answers come back to it. Owned by the table's thread,
 * which blocks on Redis only to connect. */
#ifndef RELAY_TABLE_LINK_H
#define RELAY_TABLE_LINK_H

#include "bridge/redis_connection.h"
#include "relay/stream/redis_node.h"
#include "relay/table/table_writer.h"

struct table_link {
	struct table_writer *writer;
	struct redis_connection connection; /* to the server that has the table */
	bool connected;
	bool is_blocked;               /* the socket takes no more for now */
	uint64_t heard_ms;             /* when the last answer came, or the first command went */
	struct pause pause;            /* not connected: before it is tried again */
	char fault[TABLE_FAULT_BYTES]; /* why it was lost, in words; "": it was not */
	char told[TABLE_FAULT_BYTES];  /* what the log was told last; "": it works */
};

/* False: memory is short. The target and the writer outlive the link. */
bool table_link_init(struct table_link *link, const struct redis_target *target, struct table_writer *writer);
void table_link_fini(struct table_link *link);
/* -1: not connected. */
int table_link_fd(const struct table_link *link);

/* Connects if it is not connected and its time has come. Blocks, for seconds at the most. */
void table_link_connect(struct table_link *link, uint64_t now_ms);
/* Sends what the socket takes of the writer's output. */
void table_link_flush(struct table_link *link, uint64_t now_ms);
/* Reads all answers that there are. One that is an error loses the connection: the table is not what it should be. */
void table_link_receive(struct table_link *link, uint64_t now_ms);
/* A Redis that has been silent for too long is lost. */
void table_link_check(struct table_link *link, uint64_t now_ms);
/* When there is something to do by the clock; UINT64_MAX: never. */
uint64_t table_link_due_ms(const struct table_link *link);
/* The table is whole: whatever is lost next is told of, and tried again soon. */
void table_link_works(struct table_link *link);

#endif
