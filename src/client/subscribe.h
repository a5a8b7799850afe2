/* SUBSCRIBE and UNSUBSCRIBE [3.8, 3.10]. A packet may name hundreds of thousands of filters. As many are handled at
 * once as the turn's share of work allows, and the rest in the next turns. The client is not read from until the answer
 * is sent, so it has only one such packet under way: a copy of what is left of it, and a byte for each filter. By the
 * shard's thread. */
#ifndef CLIENT_SUBSCRIBE_H
#define CLIENT_SUBSCRIBE_H

#include "base/error.h"
#include "session/refs.h"

#include <stdint.h>

struct shard;
struct packet;

/* Handles a packet of either type. ERROR_OK: it was answered, or it goes on in later turns and the client is paused
 * (PAUSE_FILTERS). ERROR_MORE: too many such packets are under way, and the client is paused before this one
 * (PAUSE_TURN). Otherwise the reason why the client ends. */
enum error client_subscribes(struct shard *shard, struct client_ref ref, const struct packet *packet);

/* Continues the packets that are not done, one after another, for their share of the turn's work. The packet of a
 * client that has ended meanwhile is dropped. */
void filter_jobs_run(struct shard *shard);
void filter_jobs_fini(struct shard *shard);

#endif
