/* From a PUBLISH to its subscribers: matched once against the routing index, handed to those on this shard at once or
 * in a letter to each other shard that has some, delivered there. By the shard's thread. */
#ifndef GATEWAY_ROUTE_H
#define GATEWAY_ROUTE_H

#include "base/error.h"
#include "session/index.h"
#include "session/publication.h"

struct shard;
struct publisher_name;

/* A PUBLISH as it was received (retain and DUP cleared in its bytes), with its fixed header. */
struct outbound {
	const uint8_t *packet;
	struct publication publication;
	uint32_t publisher; /* its index on this shard, for No Local; 0: the gateway itself */
	/* Told by route_message(): nobody takes it, and somebody would have had room been left in his queue. Known only
	 * where all who subscribe are on this shard and it was delivered at once. */
	bool refused;
};

/* Routes the message. The packet's bytes must live until the end of the turn. *matched: whether there is a subscriber.
 * ERROR_MORE: an inbox is full and nothing was delivered to anyone; try again when it has room. ERROR_NO_MEMORY:
 * dropped. */
enum error route_message(struct shard *shard, struct outbound *outbound, bool *matched);
/* The same for one route that is known, to a member of a shared subscription. */
enum error route_to_member(struct shard *shard, struct outbound *outbound, route_bits route);

/* Has a publisher on another shard wait for the client at this place of our board. False: there is no room for a note
 * now. */
bool route_send_note(struct shard *shard, const struct publisher_name *publisher, uint16_t place);

/* A turn begins: its budgets are whole again. Goes on with messages of the gateway's own that wait. */
void route_turn_begin(struct shard *shard);
/* Delivers letters that came in, up to a turn's budget. */
void route_deliver_mail(struct shard *shard);
/* Whether letters wait, or a walk is unfinished. */
bool route_has_mail(const struct shard *shard);
/* After the flush: the parcels that were read go back to their owners. */
void route_return_parcels(struct shard *shard);

/* Messages of the gateway's own (wills, statistics, what a member of a shared subscription left behind): published now
 * or, where an inbox is full or a turn has had its share of them, in a later turn. They take over the caller's
 * reference to a message of shard->messages. The first also sets or clears the topic's retained message. */
void route_publish_kept(struct shard *shard, uint32_t message);
void route_hand_on(struct shard *shard, uint32_t message, route_bits route);
/* Whether some wait, and not for room. */
bool route_has_own(const struct shard *shard);
void route_forget_waiting(struct shard *shard);

#endif
