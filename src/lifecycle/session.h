/* A session across connections: what is kept when one ends, for how long, and what the next one finds. By the shard's
 * thread. */
#ifndef LIFECYCLE_SESSION_H
#define LIFECYCLE_SESSION_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct admission;
struct shard;

/* Makes a client of an admission: takes over from an older connection with the same id, goes on with its session or
 * begins a new one, greets the client and reads what came behind CONNECT. Owns fd. The admission is still the caller's.
 */
void client_admit(struct shard *shard, int fd, const struct admission *admission);

/* The connection ends, in state CLOSING: settles the will, hands on what shared subscriptions had under way, and ends
 * the session unless it outlives its connections. A client whose session has ended has no id any more. */
void session_connection_ended(struct shard *shard, uint32_t index, bool was_active, enum error reason);
/* The socket is closed, the session is kept. */
void session_goes_offline(struct shard *shard, uint32_t index);
/* Without a connection: the first message waits for it. */
void session_queue_begins(struct shard *shard, uint32_t index);
/* Ends the session now, and its connection if it has one, for this reason. */
void session_end(struct shard *shard, uint32_t index, enum error reason);
/* What was left to do for it is done: the place of a session that has ended, with its connection closed, is free. */
void session_is_clean(struct shard *shard, uint32_t index);
/* Without a connection: publishes a will that is due, ends a session whose time is over, takes messages out that
 * expired. Returns its next deadline in
 * milliseconds, as wheel_visit. */
uint64_t session_visit(struct shard *shard, uint32_t index);

#endif
