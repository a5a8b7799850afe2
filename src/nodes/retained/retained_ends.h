/* What nodes/retained/retained_sync.h is given, and what it says of itself; and its limits. */
#ifndef NODES_RETAINED_ENDS_H
#define NODES_RETAINED_ENDS_H

#include "cluster/common/retained_format.h"
#include "topics/publication.h"

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

#endif
