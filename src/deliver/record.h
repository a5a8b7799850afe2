/* Records that shards write into each other's batches (reactor/mailbox.h). By the shard's thread. */
#ifndef DELIVER_RECORD_H
#define DELIVER_RECORD_H

#include "state/routing.h"
#include "topics/publication.h"

/* A message for one shard's subscribers; its routes, its packet and its origin follow. A record without routes is a
 * note that a publisher has to wait. */
struct record {
	uint32_t record_bytes;           /* with the padding to 8 */
	struct publisher_name publisher; /* of the message; of a note, the one that has to wait */
	struct publication publication;
	uint32_t route_count;
	union {
		uint32_t origin_bytes; /* of a message; 0: there is none (deliver/origin/origin.h) */
		struct {
			uint16_t shard; /* of the congested client */
			uint16_t place; /* its place on that shard's board */
		} note;
	};
	route_bits routes[];
};
_Static_assert(sizeof(struct record) == 32, "each message between shards carries a record's head");
_Static_assert(offsetof(struct batch, bytes) % 8 == 0 && _Alignof(struct record) <= 8, "records are read in place");
_Static_assert(offsetof(struct record, routes) % sizeof(route_bits) == 0, "routes are read in place");

static inline size_t record_bytes(uint32_t routes, size_t packet_bytes)
{
	return sizeof(struct record) + routes * sizeof(route_bits) + packet_bytes;
}

#endif
