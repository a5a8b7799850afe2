/* The time of a session without a connection: when it ends, when its will is due, and when its queue is looked through.
 * By the shard's thread. */
#ifndef STATE_OFFLINE_H
#define STATE_OFFLINE_H

#include "session/refs.h"
#include "state/extension.h"

struct shard;

/* Its queue is rid of expired messages so often. */
#define OFFLINE_SWEEP_MS 60000u

/* Its connection is over: both times begin to run, and the wheel knows. The client is OFFLINE from here on. */
void offline_begin(struct shard *shard, struct client_ref ref);
/* The first message waits for it. */
void offline_queue_begins(struct shard *shard, struct client_ref ref);
/* When it ends or its will is due, whichever is first, in milliseconds of the shard's clock; WHEEL_NEVER: neither. */
uint64_t offline_deadline_ms(const struct shard *shard, const struct extension *extension);
/* Whether its time is over, or somebody has ended it: nobody may take it over. */
bool offline_is_over(const struct shard *shard, const struct extension *extension);
/* Ends its time now. False: somebody did already. */
bool offline_let_go(struct shard *shard, struct client_ref ref);

/* Whether there is a will whose delay is over; the caller notes that it is to be published, once. */
bool offline_take_due_will(struct shard *shard, struct extension *extension);
/* Whether its will is due, noted or not. */
bool offline_will_is_due(const struct shard *shard, const struct extension *extension);

#endif
