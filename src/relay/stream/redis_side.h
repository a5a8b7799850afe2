/* The Redis that rules send to: one server, the master that Sentinels name, or the masters of a cluster, with the map
 * that says which of them has which stream. On one server the batches of all lanes that are ready go in one write, each
 * a transaction of its own. In a cluster each master gets what is its, and one that is away holds up nobody else's.
 * Owned by the relay's thread, which never waits for Redis. */
#ifndef RELAY_STREAM_REDIS_SIDE_H
#define RELAY_STREAM_REDIS_SIDE_H

#include "relay/stream/entry_groups.h"
#include "relay/stream/lane.h"
#include "relay/stream/master_watch.h"
#include "relay/stream/redis_node.h"

/* For poll(): the nodes, what says that a thread has connected, and a Sentinel. */
#define REDIS_SIDE_POLLED_MAX (REDIS_NODES_MAX + 2u)

struct redis_side {
	const struct redis_target *target;
	struct redis_node_owner owner;
	struct redis_node *nodes[REDIS_NODES_MAX]; /* by number; NULL: none */
	uint32_t node_end;                         /* behind the last of these */
	int done_fd;               /* an eventfd: a thread has connected, or learned the map; -1: closed */
	bool connected;            /* to one node at least */
	struct master_watch watch; /* where there are Sentinels */
	/* Of a cluster. */
	struct redis_slots *slots;
	struct redis_slots *fresh;           /* the map that is being learned */
	uint16_t number_of[REDIS_NODES_MAX]; /* of the map's nodes, those of above; REDIS_NO_NODE: there is none */
	bool has_slots[REDIS_NODES_MAX];     /* by the map's number */
	struct redis_connection scout;       /* that learns the map */
	struct redis_dial dial;              /* its thread */
	bool wants_map;                      /* something is not where the map says */
	uint32_t map_jitter_ms;
	uint64_t map_ms;                  /* when it was learned; 0: never */
	struct pause map_pause;           /* before it is asked for again */
	uint64_t redirects;               /* that were followed */
	char map_told[REDIS_FAULT_BYTES]; /* what was logged last of it; "": nothing since it was learned */
	struct entry_groups groups;
	char fault[REDIS_FAULT_BYTES]; /* why nothing is connected; "": it was not tried yet */
};

/* target outlives it. false: memory is short. Any thread; the others are the relay's thread's. */
bool redis_side_init(struct redis_side *side, const struct redis_target *target);
/* Opens descriptors of its own. */
void redis_side_begin(struct redis_side *side);
/* Waits for threads that connect. */
void redis_side_fini(struct redis_side *side);

static inline bool redis_side_is_cluster(const struct redis_side *side)
{
	return side->target->url.kind == REDIS_CLUSTER;
}
/* Whether answers are due. */
bool redis_side_owes(const struct redis_side *side);
/* Whether lanes may be launched: not on one server while answers of earlier ones are due, since those of one flush go
 * together. */
bool redis_side_takes(const struct redis_side *side);

/* Connects, learns the map, gives up servers that are silent. Does not wait. */
void redis_side_tend(struct redis_side *side, uint64_t now_ms);
/* When that is due at the latest; UINT64_MAX: nothing is. */
uint64_t redis_side_due_ms(const struct redis_side *side);

/* Writes what was launched (relay/stream/launch.h). */
void redis_side_flush(struct redis_side *side, uint64_t now_ms);

/* Fills in what is to be polled. Returns how many there are. */
uint32_t redis_side_poll(const struct redis_side *side, struct pollfd polled[REDIS_SIDE_POLLED_MAX]);
/* After poll(): receives answers and settles lanes. */
void redis_side_hear(struct redis_side *side, const struct pollfd *polled, uint64_t now_ms);

/* How it is doing. */
void redis_side_status(const struct redis_side *side, uint64_t now_ms, struct redis_status *status);

#endif
