/* From a PUBLISH to its subscribers: matched once against the routing index, handed to those on this shard at once or
 * in a record to each other shard that has some, delivered there. By the shard's thread. */
#ifndef ROUTE_ROUTE_H
#define ROUTE_ROUTE_H

#include "base/error.h"
#include "mqtt/field/reason.h"
#include "session/refs.h"
#include "topics/index.h"
#include "topics/publication.h"

struct shard;
struct publisher_name;

/* A PUBLISH as it was received, with its fixed header. What flags that one has is its sender's affair; whoever passes
 * the bytes on clears them in his copy. */
struct outbound {
	const uint8_t *packet;
	struct publication publication;
	struct client_ref publisher; /* its index on this shard, for No Local; 0: the gateway itself */
	/* Told by route_message(): nobody takes it, and somebody would have had room been left in his queue. Known only
	 * where all who subscribe are on this shard and it was delivered at once, in the first step. */
	bool refused;
};

/* How far a message has come; all zeros at its beginning. */
struct route_progress {
	struct index_place place; /* those whom a match finds before it have the message */
	uint32_t peer_bytes;      /* an inbox has no room for so many bytes; 0: all had room */
	uint32_t ticket;   /* of its acknowledgement (session/pending_acks.h), once there is something to wait for */
	uint16_t peer;     /* the shard whose inbox that is */
	bool matched;      /* there is a subscriber */
	bool at_once;      /* to all in one step, or to nobody */
	bool acknowledged; /* its publisher is told when it is safe */
};

/* One step of routing a message: a slice of the match, and all that it found. The packet's bytes must live until the
 * end of the turn. ERROR_MORE: another step with the same progress has to follow, where an inbox is full when it has
 * room. ERROR_NO_MEMORY: dropped. */
enum error route_message(struct shard *shard, struct outbound *outbound, struct route_progress *progress);
/* Whether all of it would go in one step now; nothing is done. */
bool route_fits(struct shard *shard, const struct outbound *outbound);
/* The ticket of a message that is acknowledged. The router holds it until the caller of route_message() lets go;
 * whoever takes the message and cannot say at once that it is safe takes a hold of his own. 0: no memory. */
uint32_t route_ticket(struct shard *shard, struct route_progress *progress);
/* The same for one route that is known, to a member of a shared subscription. */
enum error route_to_member(struct shard *shard, struct outbound *outbound, route_bits route,
			   struct route_progress *progress);
/* MQTT's reason code for a message that came through. */
static inline enum mqtt_reason route_reason(const struct route_progress *progress)
{
	return progress->matched ? MQTT_REASON_SUCCESS : MQTT_REASON_NO_MATCHING_SUBSCRIBERS;
}
static inline bool route_awaits_room(const struct route_progress *progress)
{
	return progress->peer_bytes != 0;
}
/* Whether what it waits for is there now. */
bool route_has_room(const struct shard *shard, const struct route_progress *progress);

/* Delivers records that came in, up to their share of a turn's work. */
void route_deliver_mail(struct shard *shard);
/* Whether records wait, or a walk is unfinished. */
bool route_has_mail(const struct shard *shard);
/* After the flush: the batches that were read go back to their owners. That says that their messages are safe here: all
 * sessions of this shard have them. A store that has to sync them first keeps the batches until it has. */
void route_return_batches(struct shard *shard);

#endif
