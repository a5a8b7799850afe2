#include "nodes/retained/retained_sync.h"

#include "base/check.h"
#include "nodes/retained/retained_sync_state.h"

#include <stdlib.h>

/* Tombstones that one turn forgets. */
#define FORGET_PER_TURN 256u
#define FORGET_MS 1000u
/* How often an asker that waits for shards, or for room, looks again. */
#define WAIT_MS 10u

struct retained_sync *retained_sync_new(struct retained *retained, const struct retained_sync_ends *ends)
{
	CHECK(retained_is_stamped(retained));
	struct retained_sync *sync = calloc(1, sizeof(*sync));
	if (sync == NULL)
		return NULL;
	sync->retained = retained;
	sync->ends = *ends;
	sync->answer_ms = UINT64_MAX;
	uint64_t shared = retained_state(retained).shared;
	for (uint32_t i = 0; i < NODES_MAX; i++)
		pull_init(&sync->pulls[i], (uint8_t)i, shared);
	return sync;
}

void retained_sync_free(struct retained_sync *sync)
{
	if (sync == NULL)
		return;
	for (uint32_t i = 0; i < NODES_MAX; i++)
		pull_fini(&sync->pulls[i]);
	free(sync->out);
	free(sync);
}

void retained_sync_joined(struct retained_sync *sync, uint8_t peer, uint64_t now_ms)
{
	CHECK_LT(peer, NODES_MAX);
	struct pull *pull = &sync->pulls[peer];
	sync->questions[peer].kind = 0;
	pull_fini(pull);
	pull->state = PULL_RESTING;
	pull->is_caught_up = false;
	pull->due_ms = now_ms;
}

void retained_sync_away(struct retained_sync *sync, uint8_t peer)
{
	CHECK_LT(peer, NODES_MAX);
	struct pull *pull = &sync->pulls[peer];
	sync->questions[peer].kind = 0;
	pull_fini(pull);
	pull->state = PULL_AWAY;
}

/* ---- questions ---- */

static bool question_is_sound(uint8_t kind, struct slice body)
{
	uint32_t round, other;
	struct retained_buckets parts;
	if (kind == RETAINED_ASK_DIGEST)
		return retained_round_read(body, &round);
	if (kind == RETAINED_ASK_LIST)
		return retained_ask_list_read(body, &round, &other, parts.bits);
	return retained_ask_values_read(body, &round, &other);
}

/* A new question takes the place of one that was not answered yet: who asks has given that up. */
static bool question_take(struct retained_sync *sync, uint8_t peer, uint8_t kind, struct slice body)
{
	struct sync_question *question = &sync->questions[peer];
	if (!question_is_sound(kind, body)) {
		sync->figures.faults++;
		return false;
	}
	CHECK_LE(body.size, sizeof(question->body));
	question->kind = kind;
	question->bytes = (uint32_t)body.size;
	memcpy(question->body, body.data, body.size);
	sync->answer_ms = 0;
	return true;
}

bool retained_sync_receive(struct retained_sync *sync, uint8_t peer, uint8_t kind, struct slice body,
			   struct retained_clocks clocks)
{
	CHECK_LT(peer, NODES_MAX);
	switch (kind) {
	case RETAINED_ASK_DIGEST:
	case RETAINED_ASK_LIST:
	case RETAINED_ASK_VALUES:
		return question_take(sync, peer, kind, body);
	case RETAINED_DIGEST:
	case RETAINED_LIST:
	case RETAINED_VALUES:
		return pull_receive(sync, &sync->pulls[peer], kind, body, clocks);
	default:
		return true; /* of a later version */
	}
}

/* ---- turns ---- */

/* Tombstones whose time is over. True: there are more. */
static bool sync_forget_old(struct retained_sync *sync, struct retained_clocks clocks)
{
	if (clocks.now_ms < sync->forget_ms)
		return false;
	if (retained_forget(sync->retained, (uint32_t)(clocks.now_ms / 1000), FORGET_PER_TURN))
		return true;
	sync->forget_ms = clocks.now_ms + FORGET_MS;
	return false;
}

bool retained_sync_turn(struct retained_sync *sync, struct retained_clocks clocks)
{
	bool is_busy = answers_turn(sync, clocks);
	for (uint32_t i = 0; i < NODES_MAX; i++)
		is_busy |= pull_turn(sync, &sync->pulls[i], clocks);
	return sync_forget_old(sync, clocks) || is_busy;
}

static uint64_t pull_deadline_ms(const struct pull *pull)
{
	if (pull->state == PULL_AWAY)
		return UINT64_MAX;
	if (pull->state == PULL_FETCHING && !pull->is_asked) /* due_ms is RETAINED_ANSWER_MS from the last look */
		return pull->due_ms - RETAINED_ANSWER_MS + WAIT_MS;
	return pull->due_ms;
}

uint64_t retained_sync_deadline_ms(const struct retained_sync *sync)
{
	uint64_t deadline_ms = sync->answer_ms;
	for (uint32_t i = 0; i < NODES_MAX; i++) {
		uint64_t own_ms = pull_deadline_ms(&sync->pulls[i]);
		deadline_ms = own_ms < deadline_ms ? own_ms : deadline_ms;
	}
	return deadline_ms;
}

bool retained_sync_is_caught_up(const struct retained_sync *sync)
{
	for (uint32_t i = 0; i < NODES_MAX; i++) {
		if (sync->pulls[i].state != PULL_AWAY && !sync->pulls[i].is_caught_up)
			return false;
	}
	return true;
}

struct retained_sync_figures retained_sync_figures(const struct retained_sync *sync)
{
	return sync->figures;
}
