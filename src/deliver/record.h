/* What shards write into each other's batches (reactor/mailbox.h). By the shard's thread. */
#ifndef DELIVER_RECORD_H
#define DELIVER_RECORD_H

#include "state/routing.h"
#include "topics/publication.h"

struct shard;

/* In a batch: a message for one shard's subscribers, followed by its routes and its packet. A record without routes is
 * a note to a publisher that it has to wait. */
struct record {
	uint32_t record_bytes;           /* with the padding to 8 */
	struct publisher_name publisher; /* of the message, or who is told */
	struct publication publication;
	uint32_t route_count;
	uint16_t note_shard; /* where the client is that is waited for, and its place on that shard's board */
	uint16_t note_place;
	route_bits routes[];
};
_Static_assert(sizeof(struct record) == 32, "a record's head is in the way of each message between shards");
_Static_assert(offsetof(struct record, routes) % sizeof(route_bits) == 0, "routes are read where they are");

static inline size_t record_bytes(uint32_t routes, size_t packet_bytes)
{
	return sizeof(struct record) + routes * sizeof(route_bits) + packet_bytes;
}

/* Has a publisher on another shard wait for the client at this place of our board. False: there is no room for a note
 * now. */
bool record_send_note(struct shard *shard, const struct publisher_name *publisher, uint16_t place);

#endif
