/* The relay's connection to Redis, over which the batches of all lanes go: those that are ready in one write, each a
 * transaction of its own. Owned by the relay's thread, which blocks on Redis only to connect. */
#ifndef RELAY_STREAM_REDIS_SIDE_H
#define RELAY_STREAM_REDIS_SIDE_H

#include "bridge/redis_link.h"
#include "bridge/redis_tls.h"
#include "relay/stream/lane.h"
#include "transport/stream_tls.h"

/* A Redis that says nothing for so long, while it owes answers, is lost: the connection is made anew. Longer than a
 * sync of its log takes on a slow device. */
#define REDIS_SIDE_ANSWER_MS 10000u

#define REDIS_SIDE_MUCH 64u

struct redis_side_settings {
	struct redis_url url;
	struct redis_tls_settings tls;
};

struct redis_side {
	const struct redis_side_settings *settings;
	struct streams streams;
	struct tls_streams tls;
	struct tls_context *context; /* of the connection; NULL: without TLS, or not connected */
	struct redis_link link;
	bool connected;
	bool is_blocked; /* the socket takes no more for now */
	struct bytes out;
	struct lane *owed[RULES_MAX]; /* lanes whose answers are due, in the order in which they come */
	uint32_t owed_first;
	uint32_t owed_end;
	uint32_t answer;               /* of the first of these: how many have come */
	uint64_t heard_ms;             /* when the last answer came, or the first command went */
	struct pause pause;            /* not connected: before it is tried again */
	char fault[REDIS_FAULT_BYTES]; /* why it is not connected */
	char told[REDIS_FAULT_BYTES];  /* what was logged last; "": nothing since it was connected */
};

/* settings outlive it. false: memory is short. */
bool redis_side_init(struct redis_side *side, const struct redis_side_settings *settings);
void redis_side_fini(struct redis_side *side);

/* Connects, if it is not connected and it is time. Blocks for some seconds at most. */
void redis_side_connect(struct redis_side *side, uint64_t now_ms);
/* -1: not connected. */
int redis_side_fd(const struct redis_side *side);
static inline bool redis_side_owes(const struct redis_side *side)
{
	return side->owed_first != side->owed_end;
}
/* Whether so many answers of one lane are due that they come in many pieces: Redis sends them as it reads commands. */
static inline bool redis_side_owes_much(const struct redis_side *side)
{
	return redis_side_owes(side) && side->owed[side->owed_first]->flying.count > side->answer + REDIS_SIDE_MUCH;
}

/* Sends what this lane has, behind what was launched before; redis_side_flush() writes it. Not while answers of earlier
 * lanes are due: those of one flush go together. */
void redis_side_launch(struct redis_side *side, struct lane *lane, uint64_t now_ms);
void redis_side_flush(struct redis_side *side, uint64_t now_ms);
/* Receives answers and settles lanes. */
void redis_side_receive(struct redis_side *side, uint64_t now_ms);
/* Gives a Redis up that has been silent for too long. */
void redis_side_check(struct redis_side *side, uint64_t now_ms);
/* When one of the two above is due at the latest; UINT64_MAX: nothing is. */
uint64_t redis_side_due_ms(const struct redis_side *side);

#endif
