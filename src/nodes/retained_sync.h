/* A node takes from each other node what that has of retained messages and it lacks itself, when they meet and at a
 * slow pace ever after. So changes that did not come as messages (this node was away, or was full, or a message at QoS
 * 0 was lost) come in this way, and all nodes end with the same.
 *
 * Each node asks for itself alone: it compares the digests of RETAINED_PARTS parts of all topics, has the stamps of
 * those listed which differ, and asks for the values of those that are newer there (cluster/retained_format.h). Whoever
 * answers keeps nothing but the question, so at most one of each peer waits.
 *
 * What is here, and not there. Usually the other one will take it. But it may be that it was taken away there while
 * this node was gone for so long that the tombstone has been forgotten. Each node knows the latest stamp of a tombstone
 * that it forgot, and up to which time another node has had all that this one has. What is older than both, and is not
 * there, is taken away here too; unless the other node says that it lacks some because it was full.
 *
 * The nodes thread. Time comes in, and messages go out through functions, so that tests can have many of them. */
#ifndef NODES_RETAINED_SYNC_H
#define NODES_RETAINED_SYNC_H

#include "cluster/retained_format.h"
#include "topics/retained_changes.h"

/* Between two comparisons with a peer when nothing was amiss. */
#define RETAINED_REST_MS 30000u
/* And after one in which something did not fit here: it will hardly fit the next time. */
#define RETAINED_FULL_REST_MS 600000u
/* An answer that takes longer than this is asked for anew. */
#define RETAINED_ANSWER_MS 10000u
/* Entries of the parts that one comparison takes up; more of them wait for the next one, which follows at once. */
#define RETAINED_ROUND_ENTRIES 65536u
/* What a peer may list in one comparison: one part that is very large, and what has come since. */
#define RETAINED_LISTED_MAX (4u << 20)
/* Bytes of changes that shards have not told the journal yet; no more values are asked for beyond that. */
#define RETAINED_TELLING_BYTES_MAX (1u << 20)

struct retained_sync_ends {
	/* False: there is no room now. */
	bool (*send)(void *context, uint8_t peer, uint8_t kind, struct slice head, struct slice body);
	/* A change that was made here: the journal is to be told. Only with `number` not 0. clears: the topic's message
	 * was taken away, of which this is the last; packet NULL: retained_times(). */
	void (*changed)(void *context, const struct publication *publication, const uint8_t *packet, struct stamp stamp,
			uint64_t number, bool clears);
	/* Bytes of changes that it was given and that are not told yet. */
	size_t (*telling)(const void *context);
	void *context;
};

struct retained_clocks {
	uint64_t now_ms; /* monotonic; in seconds the gateway's clock */
	uint64_t wall_ms;
};

struct retained_sync_figures {
	uint64_t rounds;  /* comparisons that came to their end */
	uint64_t taken;   /* messages that came in this way */
	uint64_t cleared; /* that were taken away */
	uint64_t dropped; /* of those, by word of a node that has no tombstone any more */
	uint64_t refused; /* that did not fit here */
	uint64_t ahead;   /* stamps that were too far ahead of the clock */
	uint64_t faults;  /* messages of nodes that were not sound */
	uint64_t lost;    /* answers that did not come in time */
};

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
