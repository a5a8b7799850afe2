/* From a PUBLISH to its subscribers: matched once against the routing index, handed to those on this shard at once or
 * in a letter to each other shard that has some, delivered there. By the shard's thread. */
#ifndef GATEWAY_ROUTE_H
#define GATEWAY_ROUTE_H

#include "base/error.h"
#include "session/index.h"
#include "session/publication.h"

struct shard;

/* A PUBLISH as it was received (retain and DUP cleared in its bytes), with its fixed header. */
struct outbound {
	const uint8_t *packet;
	struct publication publication;
	uint32_t publisher; /* its index on this shard, for No Local; 0: the gateway itself */
};

/* Routes the message. The packet's bytes must live until the end of the turn. *matched: whether there is a subscriber.
 * ERROR_MORE: an inbox is full, try again when it has room. ERROR_NO_MEMORY. With either nothing was delivered to
 * anyone. */
enum error route_message(struct shard *shard, const struct outbound *outbound, bool *matched);
/* The same for one route that is known, to a member of a shared subscription. */
enum error route_to_member(struct shard *shard, const struct outbound *outbound, route_bits route);

/* A turn begins: its budgets are whole again. */
void route_turn_begin(struct shard *shard);
/* Delivers letters that came in, up to a turn's budget. */
void route_deliver_mail(struct shard *shard);
/* Whether letters wait, or a walk is unfinished. */
bool route_has_mail(const struct shard *shard);
/* After the flush: the parcels that were read go back to their owners. */
void route_return_parcels(struct shard *shard);

/* Messages of the gateway's own (wills, statistics, what a member of a shared subscription left behind): published now
 * or, where an inbox is full, when it has room. They take over the caller's reference to a message of shard->messages.
 * The first also sets or clears the topic's retained message. publisher: the client whose will it is, for No Local; 0:
 * nobody's. */
void route_publish_kept(struct shard *shard, uint32_t message, uint32_t publisher);
void route_hand_on(struct shard *shard, uint32_t message, route_bits route);
/* There is room again. */
void route_publish_waiting(struct shard *shard);
void route_forget_waiting(struct shard *shard);

#endif
