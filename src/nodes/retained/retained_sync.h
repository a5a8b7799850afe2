/* A node takes from each other node what that has of retained messages and it lacks itself, when they meet and at a
 * slow pace ever after. So changes that did not come as messages (this node was away, or was full, or a message at QoS
 * 0 was lost) come in this way, and all nodes end with the same.
 *
 * Each node asks for itself alone: it compares the digests of RETAINED_PARTS parts of all topics, has the stamps of
 * those listed which differ, and asks for the values of those that are newer there (cluster/common/retained_format.h).
 * Whoever answers keeps nothing but the question, so at most one of each peer waits.
 *
 * What is here, and not there. Usually the other one will take it. But it may be that it was taken away there while
 * this node was gone for so long that the tombstone has been forgotten. Each node knows the latest stamp of a tombstone
 * that it forgot, and up to which time another node has had all that this one has. What is older than both, and is not
 * there, is taken away here too; unless the other node says that it lacks some because it was full.
 *
 * The nodes thread. Time comes in, and messages go out through functions, so that tests can have many of them. */
#ifndef NODES_RETAINED_SYNC_H
#define NODES_RETAINED_SYNC_H

#include "nodes/retained/retained_ends.h"
#include "topics/retained_changes.h"

struct retained_sync;

/* retained: stamped; not owned. NULL: no memory. */
struct retained_sync *retained_sync_new(struct retained *retained, const struct retained_sync_ends *ends);
/* sync may be NULL. */
void retained_sync_free(struct retained_sync *sync);

/* The peer of this slot can be reached, from here on; a comparison begins. Again after it was away. */
void retained_sync_joined(struct retained_sync *sync, uint8_t peer, uint64_t now_ms);
/* It cannot. */
void retained_sync_away(struct retained_sync *sync, uint8_t peer);
/* A message of RETAINED_ASK_DIGEST..RETAINED_VALUES. False: it does not follow the protocol. */
bool retained_sync_receive(struct retained_sync *sync, uint8_t peer, uint8_t kind, struct slice body,
			   struct retained_clocks clocks);
/* Answers, and goes on. True: there is more to do at once. */
bool retained_sync_turn(struct retained_sync *sync, struct retained_clocks clocks);
uint64_t retained_sync_deadline_ms(const struct retained_sync *sync);

/* Whether a comparison with each peer that can be reached has come to its end since it joined. */
bool retained_sync_is_caught_up(const struct retained_sync *sync);
struct retained_sync_figures retained_sync_figures(const struct retained_sync *sync);

#endif
