/* Packets of waiting messages: those that the store has safely leave memory when all of them together take too much of
 * it, and are read again when a client takes its messages. By the shard's thread.
 *
 * A client's queue stops at an absent message and asks for the packets of its next entries, all in one load. There is
 * one load a client at a time (struct flow), and its answer is for the connection that asked. Half-way through what
 * came the next ones are asked for, so that a client that takes a long queue does not wait for the device at each step.
 * The order of messages stays: a new one is queued behind an absent one.
 *
 * Memory. What is told to the journal and not safe yet cannot leave, and is bounded by the store, which takes no new
 * messages when too much waits to be written. What is read ahead is little while memory is short. */
#ifndef DELIVER_BODIES_H
#define DELIVER_BODIES_H

#include "session/flow.h"

struct body_loads;
struct client;
struct shard;

void bodies_init(struct body_loads *loads);
void bodies_fini(struct body_loads *loads);

/* The message, which is apart and in the first unsent entry of the client's flow, is about to be sent. False: it is
 * absent. Then its packet has been asked for, unless it is unreadable. */
bool bodies_use(struct shard *shard, struct client *client, struct flow *flow, struct message *message);

/* Asks for the packets of a husk's entries from this one on, which has no connection (runtime/nodes/moves.h). */
void bodies_fetch(struct shard *shard, const struct client *client, struct flow *flow, uint32_t entry);

/* Lets the oldest packets go while there are too many, a bounded number a turn. */
void bodies_evict(struct shard *shard);

/* Takes what the source has answered. Whether there are answers that are not dealt with. */
bool bodies_collect(struct shard *shard);
/* Whether bodies_take() has something to do, of what was collected. */
bool bodies_wait(const struct shard *shard);
/* Deals with the next answer, or finds a client for which memory was short. False: no more in this turn. *client: whose
 * queue may go on; none: nobody's. */
bool bodies_take(struct shard *shard, struct client_ref *client);

#endif
