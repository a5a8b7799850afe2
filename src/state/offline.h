/* Deadlines of a session without a connection: when it expires, when its will is due, and when expired messages are
 * removed from its queue. By the shard's thread. */
#ifndef STATE_OFFLINE_H
#define STATE_OFFLINE_H

#include "session/refs.h"
#include "state/extension.h"

struct shard;

/* How often expired messages are removed from its queue. */
#define OFFLINE_SWEEP_MS 60000u

/* The connection has ended: the client becomes OFFLINE, expiry [3.1.2.11.2] and will delay [3.1.3.2.2] begin to run,
 * and the wheel gets the deadline. The session outlives its connection: its expiry is not 0. */
void offline_begin(struct shard *shard, struct client_ref ref);
/* A stored session is OFFLINE from the start: it ends, and its will is due, at these seconds of the shard's clock,
 * which may be past. ends_at_s: or EXTENSION_NEVER_S. Its queue is restored already. */
void offline_restore(struct shard *shard, struct client_ref ref, uint32_t ends_at_s, uint32_t will_at_s);
/* The session's deadlines are others from now on, or count again after offline_halt(). Does nothing where its end is
 * noted. */
void offline_again(struct shard *shard, struct client_ref ref, uint32_t ends_at_s, uint32_t will_at_s);
/* It neither ends nor publishes its will until offline_again(): it is on its way to another node. */
void offline_halt(struct shard *shard, struct client_ref ref);
/* The first message was queued for the OFFLINE session: the wheel visits it to remove expired messages. */
void offline_queue_begins(struct shard *shard, struct client_ref ref);
/* When the session expires or its will is due, whichever is first, in milliseconds of the shard's clock. WHEEL_NEVER:
 * neither. */
uint64_t offline_deadline_ms(const struct shard *shard, const struct extension *extension);
/* Whether the session has expired, or its end is noted: no connection may resume it. */
bool offline_is_over(const struct shard *shard, const struct extension *extension);
/* Whether its end is noted. */
bool offline_is_ending(const struct extension *extension);
/* Notes that the session is to end now. False: that was noted already. */
bool offline_let_go(struct shard *shard, struct client_ref ref);

/* Whether the will delay is over. True only once: the caller then notes the will (session_will_is_due()). */
bool offline_take_due_will(struct shard *shard, struct extension *extension);
/* Whether the will is due, whether noted or not. */
bool offline_will_is_due(const struct shard *shard, const struct extension *extension);

#endif
