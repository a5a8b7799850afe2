/* The one function that moves a client from state to state, and the list of those that have more to read. By the
 * shard's thread. */
#ifndef STATE_CLIENT_STATE_H
#define STATE_CLIENT_STATE_H

#include "flow/refs.h"
#include "state/client.h"

struct shard;

/* Checks the transition against the table and moves the gauges. */
void client_set_state(struct shard *shard, struct client *client, enum client_state next);
/* It is read from in the next turn, unless it is paused. */
void client_mark_ready(struct shard *shard, struct client_ref ref, struct client *client);
/* There is room again: it goes on where it paused. */
void client_resume(struct shard *shard, struct client_ref ref);

#endif
