/* Output to clients: whether there is room for it, and its counters. By the shard's thread. */
#ifndef DELIVER_OUTGOING_H
#define DELIVER_OUTGOING_H

#include "base/error.h"
#include "base/slice.h"
#include "session/flow.h"
#include "session/refs.h"

#include <stdbool.h>
#include <stdint.h>

struct extension;
struct shard;
struct client;

/* Whether `bytes` more fit into the client's output. May flush the connection first, and so find that it is broken. */
bool outgoing_has_room(struct shard *shard, struct client *client, size_t bytes);

/* Before an answer that tells a journaled session's client of what the journal was told: holds the client's output
 * until all that this shard has told is safe. is_first: the answer is CONNACK. ERROR_NO_MEMORY: the client has to end,
 * and the answer must not be sent. */
enum error outgoing_hold(struct shard *shard, struct client_ref ref, bool is_first);

void outgoing_count_sent(struct shard *shard, uint8_t qos, struct slice payload);
/* Counts why a message could not be sent. ERROR_OK: it was sent, and nothing is counted. */
void outgoing_count_refused(struct shard *shard, enum error error);

/* The bounds of what may be under way to the client at QoS 1 and 2: in messages its Receive Maximum, but no more than
 * inflight_max; in bytes the queue's limit, and more for Roost's own clients. */
struct flow_bounds outgoing_window(const struct shard *shard, const struct client *client,
				   const struct extension *extension);
/* How much may wait in a session's queue. */
struct queue_limits {
	uint32_t messages;
	uint32_t bytes;
};
struct queue_limits outgoing_queue_limits(const struct shard *shard, bool is_internal);
/* Whether the client's queue waits for an acknowledgement before it can go on. */
bool outgoing_awaits_acks(const struct shard *shard, const struct client *client);

#endif
