/* SUBSCRIBE and UNSUBSCRIBE. A packet may name hundreds of thousands of filters: as many are done at once as the turn's
 * share of work allows, and the rest goes on in the next turns. Until the answer is sent the client is not read from,
 * so that it has one such packet at a time: a copy of what is left of it, and a byte for each filter. By the shard's
 * thread. */
#ifndef CLIENT_SUBSCRIBE_H
#define CLIENT_SUBSCRIBE_H

#include "base/error.h"
#include "session/refs.h"

#include <stdint.h>

struct shard;
struct packet;

/* Either type. ERROR_OK: it was answered, or it goes on and the client pauses (PAUSE_FILTERS). ERROR_MORE: too many
 * such packets are under way; the client pauses before it (PAUSE_TURN). Otherwise the reason why the client ends. */
enum error client_subscribes(struct shard *shard, struct client_ref ref, const struct packet *packet);

/* Goes on with those that were left, in turns, for their share of a turn's work. A client that has ended meanwhile has
 * its packet forgotten. */
void filter_jobs_run(struct shard *shard);
void filter_jobs_fini(struct shard *shard);

#endif
