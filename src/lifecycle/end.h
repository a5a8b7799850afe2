/* The only place where clients and sessions end. All other code notes an end and its reason (state/ending.h). This step
 * of the turn then sends DISCONNECT, publishes the will or leaves it to its delay, hands on the messages of shared
 * subscriptions, publishes presence, and keeps or frees the session. The socket closes after the turn's flush, which
 * writes the DISCONNECT. By the shard's thread. */
#ifndef LIFECYCLE_END_H
#define LIFECYCLE_END_H

#include "session/refs.h"

#include <stdint.h>

struct client;
struct shard;

/* The step: carries out noted ends in their order, until the share of the turn's work is spent. */
void end_run(struct shard *shard);
/* After the flush: closes the sockets of clients that have ended. Each becomes FREE, or OFFLINE with its session. A
 * place whose session is still being cleaned up is freed later (lifecycle/cleanup.h). */
void end_close(struct shard *shard);
/* The step, the flush and the close for one client, because another connection takes over: carries out what was noted
 * for it at once. Afterwards it is OFFLINE, or its session has ended and its place may belong to another client. */
void end_for_take_over(struct shard *shard, struct client_ref ref);

/* An OFFLINE session ends here, and lives on another node: its will is dropped, and nobody is told. */
void end_moved(struct shard *shard, struct client_ref ref);

/* Counts a connection that has come (1) or is about to be closed (-1), by its transport. */
void connection_count(struct shard *shard, const struct client *client, int64_t change);

#endif
