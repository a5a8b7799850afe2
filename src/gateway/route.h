/* From a PUBLISH to its subscribers: matched once against the routing index, handed to those on this shard at once or
 * in a letter to each other shard that has some, delivered there. By the shard's thread. */
#ifndef GATEWAY_ROUTE_H
#define GATEWAY_ROUTE_H

#include "base/error.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct shard;

/* A PUBLISH as it was received (QoS 0, retain and DUP cleared), with its fixed header. */
struct message {
	struct slice packet;
	struct slice topic;
	uint32_t publisher; /* its index on this shard, for No Local */
	uint8_t version;    /* the publisher's: the packet's form */
};

/* Routes the message. The packet's bytes must live until the end of the turn. ERROR_MORE: an inbox is full and nothing
 * was delivered to anyone; try again when it has room. ERROR_NO_MEMORY: dropped. */
enum error route_message(struct shard *shard, const struct message *message);

/* A turn begins: its budgets are whole again. */
void route_turn_begin(struct shard *shard);
/* Delivers letters that came in, up to a turn's budget. */
void route_deliver_mail(struct shard *shard);
/* Whether letters wait, or a walk is unfinished. */
bool route_has_mail(const struct shard *shard);
/* After the flush: the parcels that were read go back to their owners. */
void route_return_parcels(struct shard *shard);

#endif
