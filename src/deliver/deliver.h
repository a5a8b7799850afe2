/* Delivers one message to the subscribers of one shard. By the shard's thread.
 *
 * One walk per shard. The publisher's shard matches a message once and sends each other shard that has subscribers one
 * record with all of its routes. This shard then walks the subscribers of each route once (route/route.c), and each of
 * them gets the message from deliver_to(). Only this shard touches its clients, so there is no lock. One message object
 * that all shards count references of was not done: its count would be a cache line that moves between cores with each
 * message (reactor/mailbox.h).
 *
 * QoS 0 is shared bytes. The message is encoded at most once for each protocol version and retain flag (struct frame),
 * and every subscriber is sent the same bytes. A packet that came at QoS 0 in the subscriber's version goes out as it
 * came. Only a client with a Subscription Identifier or topic aliases gets a head of its own. There is no queue: what
 * does not fit into a client's output is dropped and counted.
 *
 * At QoS 1 and 2 each session gives the message its own packet identifier, so the bytes before the payload are written
 * for each subscriber and the payload is shared (deliver/queue.h). The shard keeps at most one copy of a message, and
 * makes it when the first session needs one: when the session may outlive its connection, when another member of a
 * shared subscription may have to take the message over, or when it cannot be sent now. For any other session the
 * packet identifier alone is kept: the message cannot be sent again, because the session ends with its connection.
 *
 * Direct, or by record. Subscribers on the publisher's own shard get the message at once if they, and the bytes for all
 * of them, are few, if there is no record to this shard under way that it would overtake, and if no walk is unfinished.
 * Otherwise the shard sends the record to itself. A walk over records may stop when its share of the turn is spent and
 * go on in the next turn; a direct one may not, since its packet lives only for this turn. Records are read in the
 * order in which they were written, so messages from one publisher reach one subscriber in order.
 *
 * Never dropped: a message that is in the inflight window, or was in that of an earlier connection, and a message for a
 * connected client that reads, for which publishers wait instead (within the bounds of deliver/congestion.h). All other
 * drops have counters.
 *
 * Hazard, scratch: output points into the packet and the frames until the flush. Emptying scratch in the middle of a
 * walk is allowed only where the packet lies in a batch (is_mail), and then all frames are encoded again. A direct
 * delivery's packet may lie in scratch itself.
 *
 * Hazard, re-entrancy: a shard has one walk cursor and one list of routes. Nothing below may publish, subscribe or
 * begin another walk. A flush may run in the middle of a delivery, and what it finds is only noted.
 *
 * Hazard, ends: such a flush may find that a connection is broken. Its client is CLOSING from then on and gets nothing
 * more, but the client, its session and its subscriptions stay until the step of the turn that carries ends out
 * (state/ending.h). So check client_is_connected() again after anything that may flush; pointers to clients stay valid.
 * A pointer to a client's extension does not stay valid past queue_send(), which may free it. */
#ifndef DELIVER_H
#define DELIVER_H

#include "deliver/delivery.h"
#include "subscriptions/subscriptions.h"

struct shard;
struct client;

/* packet: lives until the end of the turn. kept: the references that an interrupted walk saved from delivery->kept;
 * NULL: none. */
struct delivery deliver_begin(const uint8_t *packet, const struct publication *publication, bool is_mail,
			      const struct kept_message *kept);
/* Whether the client published the message itself and this subscription is No Local [MQTT-3.8.3-3]. */
bool deliver_is_no_local(const struct shard *shard, const struct delivery *delivery,
			 const struct subscription *subscription);
void deliver_to(struct shard *shard, struct delivery *delivery, const struct subscription *subscription);
/* Releases the delivery's references to the kept message. */
void deliver_end(struct shard *shard, struct delivery *delivery);

#endif
