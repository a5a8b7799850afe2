/* Records that shards write into each other's batches (reactor/mailbox.h). By the shard's thread. */
#ifndef DELIVER_RECORD_H
#define DELIVER_RECORD_H

#include "state/routing.h"
#include "topics/publication.h"

/* A message for one shard's subscribers; its routes, its packet and its origin follow. A record without routes is a
 * note that a publisher has to wait.
 *
 * So it is with a message for another node (runtime/nodes/node_mail.h). Of its routes one has the index 0 where the
 * node's own subscribers are to be found there; each of the others is that node's name and generation of a shared
 * subscription. In the place of its origin it has the stamp of a retained message. */
struct record {
	uint32_t record_bytes;           /* with the padding to 8 */
	struct publisher_name publisher; /* of the message; of a note, the one that has to wait */
	struct publication publication;
	uint32_t route_count;
	union {
		/* Of a message: of its origin (deliver/origin/origin.h), or to another node RECORD_STAMP_BYTES; 0: it
		 * has none. */
		uint32_t origin_bytes;
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

#define RECORD_STAMP_BYTES 16u

static inline size_t record_bytes(uint32_t routes, size_t packet_bytes)
{
	return sizeof(struct record) + routes * sizeof(route_bits) + packet_bytes;
}

#endif
