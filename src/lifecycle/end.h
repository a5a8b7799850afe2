/* The one place where clients and sessions end. Everybody else notes who is to end and why (state/ending.h); this step
 * of the turn then says goodbye, publishes the will or leaves it to its delay, hands on what shared subscriptions had
 * under way, tells presence, and keeps the session or frees it. The socket is closed after the turn's flush, which has
 * the last words in it. By the shard's thread. */
#ifndef LIFECYCLE_END_H
#define LIFECYCLE_END_H

#include "session/refs.h"
#include <stdint.h>

struct shard;

/* The step: those that were noted, in their order, for its share of the turn's work. */
void end_run(struct shard *shard);
/* After the flush: closes the sockets of those that ended. Each is then free, or a session without a connection. */
void end_close(struct shard *shard);
/* The step for this one client, with its flush and its close, because another connection takes over: what was noted for
 * it is carried out now. Afterwards it is OFFLINE, or its session is over and its place may be another's. */
void end_for_take_over(struct shard *shard, struct client_ref ref);

#endif
