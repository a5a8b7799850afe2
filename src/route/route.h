/* From a PUBLISH to its subscribers. A message is matched once against the routing index. Subscribers on this shard get
 * it at once; each other shard that has subscribers gets a record, and delivers it there. So does each other node of a
 * cluster that may have some (route/other_nodes.h). By the shard's thread. */
#ifndef ROUTE_ROUTE_H
#define ROUTE_ROUTE_H

#include "base/error.h"
#include "mqtt/field/reason.h"
#include "route/outbound.h"

struct shard;
struct publisher_name;

/* One step of routing a message: one slice of the match, and delivery to everything that it found. The packet's bytes
 * must live until the end of the turn. ERROR_MORE: another step with the same progress must follow; if an inbox is
 * full, once that has room. ERROR_NO_MEMORY: dropped. */
enum error route_message(struct shard *shard, struct outbound *outbound, struct route_progress *progress);
/* Whether the whole message could be routed in one step now. Changes nothing but the message's origin. */
bool route_fits(struct shard *shard, struct outbound *outbound);
/* The ticket of a message at QoS 1 or 2, taken if it has none. The router's hold lasts until the caller of
 * route_message() releases it. Each holder of the message that cannot say at once that it is safe has a hold of its
 * own. 0: no memory. */
uint32_t route_ticket(struct shard *shard, struct route_progress *progress);
/* When the routing is over, before the router's hold is released: where the journal was told something of the message,
 * the ticket is held until that is safe. ERROR_NO_MEMORY: there is none for a ticket. */
enum error route_await_commit(struct shard *shard, struct route_progress *progress);
/* A holder of the ticket says that the message is safe with it. */
void route_ticket_is_safe(struct shard *shard, uint32_t ticket);
/* Another holder of the ticket has the message, and says so now, but the message is safe with it only when this commit
 * of that shard is; commit 0: it is already; BATCH_LOST: it is lost there. Without memory to wait the message counts as
 * lost for want of memory. */
void route_release_ticket(struct shard *shard, uint32_t ticket, uint16_t holder, uint64_t commit);
/* Like route_message(), for one known route, to a member of a shared subscription. */
enum error route_to_member(struct shard *shard, struct outbound *outbound, route_bits route,
			   struct route_progress *progress);
/* The reason code of the acknowledgement of a message that was routed [3.4.2.1]. */
static inline enum mqtt_reason route_reason(const struct route_progress *progress)
{
	return progress->matched ? MQTT_REASON_SUCCESS : MQTT_REASON_NO_MATCHING_SUBSCRIBERS;
}
static inline bool route_awaits_room(const struct route_progress *progress)
{
	return progress->peer_bytes != 0;
}
/* Whether the inbox that the message waits for has room now. Only while route_awaits_room(). */
bool route_has_room(const struct shard *shard, const struct route_progress *progress);

/* Delivers the records that other shards sent, up to their share of a turn's work. */
void route_deliver_mail(struct shard *shard);
/* Whether records wait, or a walk is unfinished. */
bool route_has_mail(const struct shard *shard);
/* After the flush: returns the batches that were read to their owners. That tells the owner that all sessions of this
 * shard have the messages in them, and with which commit of this shard they are safe. */
void route_return_batches(struct shard *shard);

#endif
