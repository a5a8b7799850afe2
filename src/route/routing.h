/* Messages whose routing takes longer than the step in which it began, because the match has more work than one step
 * may do or because an inbox is full. From then on the gateway keeps such a message and continues it turn by turn. A
 * publisher is left unread meanwhile, and gets its acknowledgement when all subscribers have the message. The gateway's
 * own messages wait in a queue. By the shard's thread. */
#ifndef ROUTE_ROUTING_H
#define ROUTE_ROUTING_H

#include "route/route.h"
#include "session/messages.h"
#include "session/refs.h"
#include "state/routing.h"

struct origin;

/* While this much of the gateway's own messages waits, no client is admitted. What is added then comes only from
 * clients that are already here (their wills, say), and is in memory already. */
#define ROUTINGS_OWN_BYTES_MAX ((uint64_t)64 << 20)

void routings_init(struct routings *routings);
void routings_fini(struct shard *shard);

/* False: as many messages are being routed as may be. One that cannot be routed at once has to be tried again later. */
bool routings_take(const struct routings *routings);
/* Continues a client's message in later turns. The caller pauses the client, which is left unread until the routing
 * is over. At QoS 1 and 2 progress->ticket is then in the client's line, and the routing owns the hold on it, which it
 * releases when all shards have the message. Only if routings_take(). ERROR_NO_MEMORY: the ticket, if there is one, is
 * the caller's. */
enum error routing_begin(struct shard *shard, const struct outbound *outbound, struct route_progress *progress,
			 uint16_t packet_id);
/* The client ends. Its message that is being routed becomes the gateway's own, so that its will comes after it. */
void routing_disown(struct shard *shard, struct client_ref client);

/* Batches have come back: there may be room. */
void routings_have_room(struct shard *shard);
/* Does a turn's work on all of them. */
void routings_run(struct shard *shard);
/* Whether any of them can go on without waiting for room. */
bool routings_can_go_on(const struct shard *shard);
/* Whether there are any, which may wait for room. */
bool routings_await_room(const struct shard *shard);

/* Sets or clears the topic's retained message, as retained_set() does, and tells the journal. *stamp: of the change,
 * which other nodes of the cluster are to make as well (topics/retained_changes.h); none: there is no cluster, or it is
 * this node's own. */
enum error routing_retain(struct shard *shard, const struct publication *publication, const uint8_t *packet,
			  struct stamp *stamp);
/* Tells the journal of a change that was made to the tree already, by another thread, under this number. */
void routing_tell_retained(struct shard *shard, const struct publication *publication, const uint8_t *packet,
			   struct stamp stamp, uint64_t number);
/* The same of one that took the topic's message away, which this was; NULL: two times (topics/retained_changes.h). */
void routing_tell_cleared(struct shard *shard, const struct publication *publication, const uint8_t *packet,
			  struct stamp stamp, uint64_t number);

/* The gateway's own messages: wills, statistics, what a member of a shared subscription left behind. They are published
 * now, or queued if that takes longer or the turn has done its share of them. Both functions take over the caller's
 * reference to a message of shard->mem.messages. The first also sets or clears the topic's retained message. publisher:
 * the client whose will it is, for No Local; none: nobody's. origin: made before the client's id was gone, and taken
 * over (deliver/origin/origin.h); NULL: it is made now. route: not 0. */
void routing_publish(struct shard *shard, struct message_ref message, struct client_ref publisher,
		     struct origin *origin);
void routing_hand_on(struct shard *shard, struct message_ref message, route_bits route);
/* A message whose publishing began before a restart: like routing_publish(), but what it did to the topic's retained
 * message was stored then. */
void routing_publish_again(struct shard *shard, struct message_ref message);
/* Whether so many own messages wait that no client is admitted. */
static inline bool routings_own_are_many(const struct routings *routings)
{
	return routings->own_bytes >= ROUTINGS_OWN_BYTES_MAX;
}
/* Whether own messages wait for room in an inbox. */
bool routing_waits_for_room(const struct shard *shard);

#endif
