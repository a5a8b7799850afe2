/* Whether a client is still there: graded from its keepalive and from what TCP knows, so that a dead one is found also
 * where it has no keepalive. The wheel visits a client when a deadline may have passed; traffic only stores a tick.
 *
 *   silence        0 ........ 1.2 keepalives ........ 1.5 keepalives - grace ........ 1.5 keepalives [MQTT-3.1.2-22]
 *   state          ACTIVE     QUIET                   SUSPECT                         closed
 *
 * Without a keepalive TCP is asked at an interval: unanswered makes SUSPECT, and still unanswered after the grace,
 * closed. By the shard's thread. */
#ifndef CLIENT_KEEPALIVE_H
#define CLIENT_KEEPALIVE_H

#include "session/refs.h"
#include <stdint.h>

struct shard;
struct client;

/* The client is connected from now on: files it with the wheel. */
void keepalive_begin(struct shard *shard, struct client_ref ref);
/* Its deadline has come: grades the client, and ends it where it has been silent or stuck for too long. Returns its
 * next deadline, as wheel_visit does. */
uint64_t keepalive_visit(struct shard *shard, struct client_ref ref);
/* Output is blocked from now on, or reading is paused until `until_ms`: the deadline may have come nearer. */
void keepalive_hurry(struct shard *shard, struct client_ref ref, uint64_t until_ms);
/* A packet came. */
void keepalive_heard(struct shard *shard, struct client *client);

#endif
