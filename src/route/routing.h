/* Messages whose routing takes longer than the step in which it began: the match has more to do than one step may, or
 * an inbox is full. Such a message is the gateway's from then on, which goes on with it turn by turn; a publisher is
 * left unread meanwhile and gets its acknowledgement when all have it, the gateway's own messages wait in line. By the
 * shard's thread. */
#ifndef ROUTE_ROUTING_H
#define ROUTE_ROUTING_H

#include "route/route.h"
#include "session/messages.h"
#include "session/refs.h"
#include "state/routing.h"

/* While so much of the gateway's own waits nobody is let in: what comes to wait then is only what those leave who are
 * here, and is in memory already. */
#define ROUTINGS_OWN_BYTES_MAX ((uint64_t)64 << 20)

void routings_init(struct routings *routings);
void routings_fini(struct shard *shard);

/* False: there are as many as there may be, and what cannot be routed at once is to be tried again later. */
bool routings_take(const struct routings *routings);
/* Goes on with a client's message in later turns, in which the client, unless it ends before, is left unread; the
 * caller pauses it. progress->ticket, where the message is acknowledged, stands in the client's line then and is the
 * routing's, which lets go of it when all shards have the message. ERROR_NO_MEMORY: the ticket, if there is one, is the
 * caller's. */
enum error routing_begin(struct shard *shard, const struct outbound *outbound, struct route_progress *progress,
			 uint16_t packet_id);
/* The client ends. What it has under way becomes the gateway's own, so that its will comes behind it. */
void routing_disown(struct shard *shard, struct client_ref client);

/* Some batches have come back. */
void routings_have_room(struct shard *shard);
/* A turn's work on all of them. */
void routings_run(struct shard *shard);
/* Whether there is something to do without room coming first. */
bool routings_can_go_on(const struct shard *shard);
/* Whether some wait for room. */
bool routings_await_room(const struct shard *shard);

/* Sets or clears the topic's retained message, as retained_set() does, and tells the journal. */
enum error routing_retain(struct shard *shard, const struct publication *publication, const uint8_t *packet);

/* Messages of the gateway's own (wills, statistics, what a member of a shared subscription left behind): published now
 * or, where that takes longer or the turn has done its share of them, in line. They take over the caller's reference to
 * a message of shard->mem.messages. The first also sets or clears the topic's retained message. publisher: the client
 * whose will it is, for No Local; 0: nobody's. */
void routing_publish(struct shard *shard, struct message_ref message, struct client_ref publisher);
void routing_hand_on(struct shard *shard, struct message_ref message, route_bits route);
/* Whether so many own messages wait in line that they are to become fewer first. */
static inline bool routings_own_are_many(const struct routings *routings)
{
	return routings->own_bytes >= ROUTINGS_OWN_BYTES_MAX;
}
/* Whether own messages wait in line for room in an inbox. */
bool routing_waits_for_room(const struct shard *shard);

#endif
