/* Finds clients that are gone. Each client is graded by its keepalive, or by what TCP knows if it has none. The wheel
 * visits a client when a deadline may have passed; traffic only stores a tick.
 *
 *   silence        0 ........ 1.2 keepalives ........ 1.5 keepalives - grace ........ 1.5 keepalives [MQTT-3.1.2-22]
 *   state          ACTIVE     QUIET                   SUSPECT                         closed
 *
 * Without a keepalive TCP is asked at intervals. A client that does not answer TCP's probe is SUSPECT, and one that
 * still has not answered after the grace is closed. By the shard's thread. */
#ifndef CLIENT_KEEPALIVE_H
#define CLIENT_KEEPALIVE_H

#include "session/refs.h"
#include <stdint.h>

struct shard;
struct client;

/* The client is connected from now on: adds it to the wheel. */
void keepalive_begin(struct shard *shard, struct client_ref ref);
/* Its deadline has come: grades the client, and ends it if it has been silent or stuck for too long. Returns its next
 * deadline, as wheel_visit does. */
uint64_t keepalive_visit(struct shard *shard, struct client_ref ref);
/* Reading is paused until until_ms, say: brings the deadline forward if needed. */
void keepalive_hurry(struct shard *shard, struct client_ref ref, uint64_t until_ms);
/* The client's output is blocked from now on. */
void keepalive_blocked(struct shard *shard, struct client_ref ref);
/* A packet came. */
void keepalive_heard(struct shard *shard, struct client *client);

#endif
