/* The relay's connection to one server: flights of several rules go out in one write, and their answers come in the
 * same order. It is made by a thread of its own, so that nothing waits for it. Owned by the relay's thread. */
#ifndef RELAY_STREAM_REDIS_NODE_H
#define RELAY_STREAM_REDIS_NODE_H

#include "bridge/redis_dial.h"
#include "reactor/pause.h"
#include "relay/entry/rule.h"
#include "relay/stream/flight.h"

#include <poll.h>

/* A Redis that says nothing for so long, while it owes answers, is lost: the connection is made anew. Longer than a
 * sync of its log takes on a slow device. */
#define REDIS_NODE_ANSWER_MS 10000u
/* So many answers of one parcel come in many pieces: Redis sends them as it reads commands. */
#define REDIS_NODE_MUCH 64u
/* Then they gather for so long. */
#define REDIS_NODE_HEAR_MS 2u

struct redis_node;

/* What a node tells its owner. */
struct redis_node_owner {
	void *context;
	/* A parcel is to go elsewhere: flight->redirect says where, and flight_send_on() follows. */
	void (*redirected)(void *context, struct flight *flight, uint64_t now_ms);
	/* All answers came, or the connection is lost, and fault says why; "" else. */
	void (*landed)(void *context, struct flight *flight, const char *fault, uint64_t now_ms);
};

struct redis_node {
	const struct redis_target *target;
	const struct redis_node_owner *owner;
	struct redis_place place; /* of a cluster's node; else not set */
	struct redis_connection connection;
	struct redis_dial dial;
	bool connected;
	bool is_blocked; /* the socket takes no more for now */
	bool is_left;    /* it has said that it is no master any more */
	struct bytes out;
	struct flight *owed[RULES_MAX]; /* whose answers are due, in the order in which they come */
	uint32_t owed_first;
	uint32_t owed_end;
	uint64_t heard_ms;             /* when the last answer came, or the first command went */
	uint64_t hear_ms;              /* when it is to be read; 0: as soon as it says something */
	uint64_t used_ms;              /* when something went there last, or it was made */
	struct pause pause;            /* not connected: before it is tried again */
	char fault[REDIS_FAULT_BYTES]; /* why it is not connected; "": it was not tried yet */
	char told[REDIS_FAULT_BYTES];  /* what was logged last; "": nothing since it was connected */
};

/* place: of the server; NULL: where redis_connection_open_master() finds it. owner outlives it. done_fd: an eventfd,
 * written to when redis_node_tend() is due at once. NULL: memory is short. */
struct redis_node *redis_node_new(const struct redis_target *target, const struct redis_place *place,
				  const struct redis_node_owner *owner, int done_fd, uint64_t now_ms);
/* Waits for the thread that connects, if there is one. What is owed is not told of. */
void redis_node_free(struct redis_node *node);

static inline bool redis_node_owes(const struct redis_node *node)
{
	return node->owed_first != node->owed_end;
}
static inline bool redis_node_is_dialling(const struct redis_node *node)
{
	return node->dial.is_running;
}
/* Where it is, or is to be, in words. */
const char *redis_node_text(const struct redis_node *node, char text[REDIS_PLACE_BYTES]);

/* Connects where it is time, and gives up a server that has been silent for too long. Does not wait. */
void redis_node_tend(struct redis_node *node, uint64_t now_ms);
/* Another server is the master now: where it is connected to one that is not at this place the connection is made anew.
 */
void redis_node_leave(struct redis_node *node, const struct redis_place *master, uint64_t now_ms);
/* When redis_node_tend() is due at the latest; UINT64_MAX: nothing is. */
uint64_t redis_node_due_ms(const struct redis_node *node);

/* Connected: sends a flight, behind what was launched before; redis_node_flush() writes it. */
void redis_node_launch(struct redis_node *node, struct flight *flight, uint64_t now_ms);
void redis_node_flush(struct redis_node *node, uint64_t now_ms);
/* For poll(): a descriptor of -1 where it is not connected. */
struct pollfd redis_node_poll(const struct redis_node *node);
/* After poll(): sends and receives. */
void redis_node_hear(struct redis_node *node, short events, uint64_t now_ms);

#endif
