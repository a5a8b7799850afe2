/* The one function that moves a client from state to state, and the list of those that have more to read. By the
 * shard's thread. */
#ifndef STATE_CLIENT_STATE_H
#define STATE_CLIENT_STATE_H

#include "session/refs.h"
#include "state/client.h"

struct shard;

/* Checks the transition against the table and moves the gauges. */
void client_set_state(struct shard *shard, struct client *client, enum client_state next);
/* It is read from in the next turn, unless it is paused. */
void client_mark_ready(struct shard *shard, struct client_ref ref, struct client *client);
/* Leaves a client, which is not paused, unread for this reason (enum client_pause says who ends that). Its other states
 * do not change: a paused client is graded, written to and ended like any other. It is connected, or was until the
 * packet that is being handled. */
void client_pause(struct client *client, enum client_pause why);
/* The reason is gone: the client goes on where it paused. Nothing happens where it has ended meanwhile. */
void client_resume(struct shard *shard, struct client_ref ref, enum client_pause why);

#endif
