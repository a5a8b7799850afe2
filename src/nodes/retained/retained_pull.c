/* A comparison with a peer, from its digest to the last value. */
#include "base/check.h"
#include "nodes/retained/retained_sync_state.h"

#include <stdlib.h>

/* After something went wrong. */
#define AGAIN_MS 1000u
/* Up to which time others have had all that is here is told to the journal this often. */
#define SHARED_TOLD_MS 60000u

void pull_init(struct pull *pull, uint8_t peer, uint64_t shared)
{
	*pull = (struct pull){.state = PULL_AWAY, .peer = peer, .shared = shared};
}

void pull_fini(struct pull *pull)
{
	free(pull->listed.items);
	free(pull->wanted.items);
	pull->listed = pull->wanted = (struct pull_topics){0};
}

static bool pull_add_topic(struct pull_topics *topics, uint64_t topic)
{
	if (topics->count == topics->room) {
		uint32_t room = topics->room != 0 ? 2 * topics->room : 256;
		uint64_t *grown = realloc(topics->items, room * sizeof(*grown));
		if (grown == NULL)
			return false;
		topics->items = grown;
		topics->room = room;
	}
	CHECK_LT(topics->count, topics->room);
	topics->items[topics->count++] = topic;
	return true;
}

static void pull_rest(struct pull *pull, uint64_t until_ms)
{
	pull_fini(pull);
	pull->state = PULL_RESTING;
	pull->due_ms = until_ms;
}

static bool pull_ask(struct retained_sync *sync, struct pull *pull, uint8_t kind, struct slice body,
		     struct retained_clocks clocks)
{
	if (!sync->ends.send(sync->ends.context, pull->peer, kind, body, slice_of(NULL, 0)))
		return false;
	pull->due_ms = clocks.now_ms + RETAINED_ANSWER_MS;
	return true;
}

static void pull_ask_digest(struct retained_sync *sync, struct pull *pull, struct retained_clocks clocks)
{
	uint8_t body[RETAINED_ROUND_BYTES];
	pull->round++;
	retained_u32_write(body, pull->round);
	pull->state = PULL_DIGEST;
	if (!pull_ask(sync, pull, RETAINED_ASK_DIGEST, slice_of(body, sizeof(body)), clocks))
		pull_rest(pull, clocks.now_ms + AGAIN_MS);
}

static void pull_begin(struct retained_sync *sync, struct pull *pull, struct retained_clocks clocks)
{
	pull->began = retained_state(sync->retained).time;
	pull->lacking = UINT64_MAX;
	pull->taken = sync->figures.taken;
	pull->refused = sync->figures.refused;
	memset(&pull->done, 0, sizeof(pull->done));
	pull_ask_digest(sync, pull, clocks);
}

/* All parts were compared. What the peer lacked it may have by now; it has all that is older. */
static void pull_finish(struct retained_sync *sync, struct pull *pull, struct retained_clocks clocks)
{
	bool was_full = sync->figures.refused != pull->refused && sync->figures.taken == pull->taken;
	pull->shared = pull->lacking > pull->began ? pull->began : pull->lacking - 1;
	pull->is_caught_up = true;
	sync->figures.rounds++;
	pull_rest(pull, clocks.now_ms + (was_full ? RETAINED_FULL_REST_MS : RETAINED_REST_MS));
	retained_set_shared(sync->retained, pull->shared);
	if (sync->shared_ms != 0 && clocks.now_ms - sync->shared_ms < SHARED_TOLD_MS)
		return;
	sync->shared_ms = clocks.now_ms;
	uint64_t number;
	struct stamp times = retained_times(sync->retained, &number);
	sync->ends.changed(sync->ends.context, NULL, NULL, times, number, true);
}

static void pull_next_round(struct retained_sync *sync, struct pull *pull, struct retained_clocks clocks)
{
	if (!pull->has_more) {
		pull_finish(sync, pull, clocks);
		return;
	}
	for (uint32_t i = 0; i < RETAINED_PARTS / 64; i++)
		pull->done.bits[i] |= pull->parts.bits[i];
	pull_ask_digest(sync, pull, clocks);
}

/* ---- the digest ---- */

/* The parts of this round. Returns how many. */
static uint32_t pull_choose_parts(struct retained_sync *sync, struct pull *pull)
{
	uint32_t parts = 0;
	uint64_t entries = 0;
	const struct retained_digest_message *theirs = &sync->digest;
	retained_digest(sync->retained, sync->own_digest, sync->own_count);
	memset(&pull->parts, 0, sizeof(pull->parts));
	pull->has_more = false;
	for (uint32_t i = 0; i < RETAINED_PARTS; i++) {
		if (theirs->digest[i] == sync->own_digest[i] || retained_buckets_have(&pull->done, i))
			continue;
		uint32_t count = theirs->count[i] > sync->own_count[i] ? theirs->count[i] : sync->own_count[i];
		if (parts != 0 && entries + count > RETAINED_ROUND_ENTRIES) {
			pull->has_more = true;
			continue;
		}
		retained_buckets_add(&pull->parts, i);
		entries += count;
		parts++;
	}
	return parts;
}

static void pull_ask_list(struct retained_sync *sync, struct pull *pull, uint32_t place, struct retained_clocks clocks)
{
	uint8_t body[RETAINED_ASK_LIST_BYTES];
	retained_ask_list_write(pull->round, place, pull->parts.bits, body);
	if (!pull_ask(sync, pull, RETAINED_ASK_LIST, slice_of(body, sizeof(body)), clocks))
		pull_rest(pull, clocks.now_ms + AGAIN_MS);
}

static bool pull_take_digest(struct retained_sync *sync, struct pull *pull, struct slice body,
			     struct retained_clocks clocks)
{
	if (!retained_digest_read(body, &sync->digest))
		return false;
	if (sync->digest.round != pull->round)
		return true; /* an answer that was given up */
	pull->peer_lacks = sync->digest.lacks;
	pull->peer_forgotten = sync->digest.forgotten;
	if (pull_choose_parts(sync, pull) == 0) {
		pull_finish(sync, pull, clocks);
		return true;
	}
	pull->listed.count = 0;
	pull->wanted.count = 0;
	pull->state = PULL_LISTING;
	pull_ask_list(sync, pull, 0, clocks);
	return true;
}

/* ---- the list ---- */

/* A retained_expired callback: the lock is held. */
static void pull_note_cleared(void *context, const struct publication *publication, const uint8_t *packet,
			      uint64_t number, struct stamp stamp)
{
	struct retained_sync *sync = context;
	sync->ends.changed(sync->ends.context, publication, packet, stamp, number, true);
}

static bool pull_take_item(struct retained_sync *sync, struct pull *pull, const struct retained_item_message *theirs,
			   struct retained_clocks clocks)
{
	struct retained_item own = {0};
	bool is_here = retained_find(sync->retained, theirs->topic, &own);
	if (!pull_add_topic(&pull->listed, theirs->topic))
		return false;
	int order = stamp_compare(theirs->stamp, own.stamp);
	if (is_here && order < 0 && own.stamp.time < pull->lacking)
		pull->lacking = own.stamp.time;
	if (order <= 0)
		return true;
	if (!theirs->is_cleared)
		return pull_add_topic(&pull->wanted, theirs->topic);
	struct retained_change change = {
		.wall_ms = clocks.wall_ms, .now_s = (uint32_t)(clocks.now_ms / 1000), .stamp = theirs->stamp};
	sync->figures.cleared += retained_clear(sync->retained, theirs->topic, &change, pull_note_cleared, sync);
	return true;
}

static bool pull_take_list(struct retained_sync *sync, struct pull *pull, struct slice body,
			   struct retained_clocks clocks)
{
	uint32_t round, next, count;
	if (!retained_list_read(body, &round, &next, &count))
		return false;
	if (round != pull->round)
		return true;
	if (pull->listed.count + count > RETAINED_LISTED_MAX)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		struct retained_item_message item;
		if (!retained_item_read(body, i, &item))
			return false;
		if (!pull_take_item(sync, pull, &item, clocks)) { /* no memory */
			pull_rest(pull, clocks.now_ms + AGAIN_MS);
			return true;
		}
	}
	if (next != 0) {
		pull_ask_list(sync, pull, next, clocks);
		return true;
	}
	pull_sort_listed(pull);
	pull->state = PULL_CHECKING;
	pull->place = 0;
	return true;
}

/* ---- the values ---- */

/* False: it waits for shards, or for room on the link. */
static bool pull_ask_values(struct retained_sync *sync, struct pull *pull, struct retained_clocks clocks)
{
	uint8_t body[RETAINED_ROUND_BYTES + 8u * RETAINED_TOPICS_MAX];
	if (sync->ends.telling(sync->ends.context) > RETAINED_TELLING_BYTES_MAX)
		return false;
	CHECK_LE(pull->fetched, pull->wanted.count);
	uint32_t left = pull->wanted.count - pull->fetched;
	pull->asked = left < RETAINED_TOPICS_MAX ? left : RETAINED_TOPICS_MAX;
	uint8_t *at = retained_u32_write(body, pull->round);
	for (uint32_t i = 0; i < pull->asked; i++)
		at = retained_u64_write(at, pull->wanted.items[pull->fetched + i]);
	pull->is_asked = pull_ask(sync, pull, RETAINED_ASK_VALUES, slice_of(body, (size_t)(at - body)), clocks);
	return pull->is_asked;
}

static bool pull_take_values(struct retained_sync *sync, struct pull *pull, struct slice body,
			     struct retained_clocks clocks)
{
	uint32_t round, served, values = 0;
	struct slice rest_of;
	if (!retained_values_read(body, &round, &served, &rest_of))
		return false;
	if (round != pull->round || !pull->is_asked)
		return true;
	if (served > pull->asked)
		return false;
	for (; rest_of.size != 0; values++) {
		struct retained_value_message value;
		if (values == served || !retained_value_read(&rest_of, &value) ||
		    !pull_take_value(sync, &value, clocks))
			return false;
	}
	pull->fetched += served;
	pull->is_asked = false;
	return true;
}

/* ---- all of it ---- */

static bool pull_take(struct retained_sync *sync, struct pull *pull, uint8_t kind, struct slice body,
		      struct retained_clocks clocks)
{
	if (kind == RETAINED_DIGEST && pull->state == PULL_DIGEST)
		return pull_take_digest(sync, pull, body, clocks);
	if (kind == RETAINED_LIST && pull->state == PULL_LISTING)
		return pull_take_list(sync, pull, body, clocks);
	if (kind == RETAINED_VALUES && pull->state == PULL_FETCHING)
		return pull_take_values(sync, pull, body, clocks);
	return true; /* an answer that was given up */
}

bool pull_receive(struct retained_sync *sync, struct pull *pull, uint8_t kind, struct slice body,
		  struct retained_clocks clocks)
{
	if (pull_take(sync, pull, kind, body, clocks))
		return true;
	sync->figures.faults++;
	if (pull->state != PULL_AWAY)
		pull_rest(pull, clocks.now_ms + RETAINED_REST_MS);
	return false;
}

bool pull_turn(struct retained_sync *sync, struct pull *pull, struct retained_clocks clocks)
{
	switch (pull->state) {
	case PULL_AWAY:
		return false;
	case PULL_RESTING:
		if (clocks.now_ms >= pull->due_ms)
			pull_begin(sync, pull, clocks);
		return false;
	case PULL_CHECKING:
		pull_check(sync, pull, clocks);
		return true;
	case PULL_FETCHING:
		if (!pull->is_asked && pull->fetched == pull->wanted.count) {
			pull_next_round(sync, pull, clocks);
			return false;
		}
		if (!pull->is_asked) {
			if (!pull_ask_values(sync, pull, clocks))
				pull->due_ms = clocks.now_ms + RETAINED_ANSWER_MS;
			return false;
		}
		break;
	case PULL_DIGEST:
	case PULL_LISTING:
		break;
	}
	if (clocks.now_ms < pull->due_ms)
		return false;
	sync->figures.lost++;
	pull_rest(pull, clocks.now_ms + AGAIN_MS);
	return false;
}
