/* What is to be done when a session loses its connection, gets another one, or ends, where it takes a while: its shared
 * subscriptions become live or not, what they had under way is handed on, and of a session that has ended subscriptions
 * and queue are freed. As much as the turn's share of work allows is done at once, so that few sessions notice; the
 * rest goes on in later turns. A place is not given away while something is left to do for it. By the shard's thread.
 */
#ifndef LIFECYCLE_CLEANUP_H
#define LIFECYCLE_CLEANUP_H

#include "session/refs.h"
#include <stdbool.h>
#include <stdint.h>

struct shard;

/* The client's connection or its session came or went. A session that has ended has no id any more. False: something is
 * left to do (client->session.cleaning). */
bool session_cleanup(struct shard *shard, struct client_ref ref);
/* The session is over and nothing is left to do for it: its place is free. */
void session_give_place(struct shard *shard, struct client_ref ref);
/* Goes on with what is left, for its share of a turn's work. */
void session_cleanups_run(struct shard *shard);
void session_cleanups_fini(struct shard *shard);

#endif
