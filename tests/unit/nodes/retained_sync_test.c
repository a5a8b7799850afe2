/* Retained messages of several nodes, each a tree of its own, over a network that is cut and loses changes, with wall
 * clocks that differ and step, restarts, and concurrent sets and clears. When it is whole again all trees are the same.
 * The seed is printed; ROOST_SEED gives another one. */
#include "nodes/retained/retained_sync.h"
#include "publication_sample.h"
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define PLAYERS 4u
#define QUEUE_MAX 256u

static const struct hash_key TREE_KEY = {{5}}, CLUSTER_KEY = {{6}};

struct sent {
	struct sent *next;
	uint8_t kind;
	uint8_t from;
	uint64_t at_ms;
	size_t bytes;
	uint8_t body[];
};

struct play;

struct player {
	struct play *play;
	uint8_t number;
	struct retained *retained;
	struct retained_sync *sync;
	int64_t clock_off_ms;
	struct sent *queue; /* by the time of arrival, first in, first out for each sender */
	uint64_t told;
};

struct play {
	struct random random;
	uint64_t now_ms;
	uint32_t messages_max;
	uint32_t count;
	bool cut[PLAYERS][PLAYERS];
	struct player players[PLAYERS];
};

static struct retained_clocks clocks_of(const struct player *player)
{
	return (struct retained_clocks){.now_ms = player->play->now_ms,
					.wall_ms = (uint64_t)((int64_t)player->play->now_ms + player->clock_off_ms) +
						   1700000000000u};
}

/* ---- the network ---- */

static bool send_to(void *context, uint8_t peer, uint8_t kind, struct slice head, struct slice body)
{
	struct player *from = context;
	struct play *play = from->play;
	if (play->cut[from->number][peer])
		return true; /* on its way for ever */
	if (random_below(&play->random, 50) == 0)
		return false; /* no room */
	struct sent *sent = malloc(sizeof(*sent) + head.size + body.size);
	assert_non_null(sent);
	*sent = (struct sent){.kind = kind,
			      .from = from->number,
			      .at_ms = play->now_ms + 1 + random_below(&play->random, 5),
			      .bytes = head.size + body.size};
	memcpy(sent->body, head.data, head.size);
	if (body.size != 0)
		memcpy(sent->body + head.size, body.data, body.size);
	struct sent **at = &play->players[peer].queue;
	while (*at != NULL)
		at = &(*at)->next;
	*at = sent;
	return true;
}

static void note_changed(void *context, const struct publication *publication, const uint8_t *packet,
			 struct stamp stamp, uint64_t number, bool clears)
{
	struct player *player = context;
	assert_false(stamp_is_none(stamp));
	assert_int_not_equal(number, 0);
	assert_true(clears || publication != NULL);
	(void)packet;
	player->told++;
}

static size_t telling(const void *context)
{
	(void)context;
	return 0;
}

static void drop_queue(struct player *player, uint32_t from)
{
	for (struct sent **at = &player->queue; *at != NULL;) {
		struct sent *sent = *at;
		if (from != PLAYERS && sent->from != from) {
			at = &sent->next;
			continue;
		}
		*at = sent->next;
		free(sent);
	}
}

static void set_cut(struct play *play, uint32_t a, uint32_t b, bool cut)
{
	if (a == b || play->cut[a][b] == cut)
		return;
	play->cut[a][b] = play->cut[b][a] = cut;
	for (unsigned side = 0; side < 2; side++) {
		struct player *player = &play->players[side == 0 ? a : b];
		uint8_t other = (uint8_t)(side == 0 ? b : a);
		drop_queue(player, other);
		if (cut)
			retained_sync_away(player->sync, other);
		else
			retained_sync_joined(player->sync, other, play->now_ms);
	}
}

/* ---- nodes ---- */

static void open_player(struct play *play, uint32_t number)
{
	struct player *player = &play->players[number];
	player->play = play;
	player->number = (uint8_t)number;
	player->retained = retained_new(&TREE_KEY, play->messages_max, 1 << 22, NULL);
	assert_non_null(player->retained);
	assert_int_equal(retained_stamp(player->retained, &CLUSTER_KEY, 100 + number, NULL), ERROR_OK);
}

static void open_sync(struct player *player)
{
	const struct retained_sync_ends ends = {
		.send = send_to, .changed = note_changed, .telling = telling, .context = player};
	player->sync = retained_sync_new(player->retained, &ends);
	assert_non_null(player->sync);
}

static void play_open(struct play *play, uint64_t seed, uint32_t count, uint32_t messages_max)
{
	*play = (struct play){.random = {seed}, .now_ms = 10000000, .count = count, .messages_max = messages_max};
	for (uint32_t i = 0; i < count; i++) {
		open_player(play, i);
		open_sync(&play->players[i]);
	}
	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t j = 0; j < count; j++) {
			if (i != j)
				retained_sync_joined(play->players[i].sync, (uint8_t)j, play->now_ms);
		}
	}
}

static void play_close(struct play *play)
{
	for (uint32_t i = 0; i < play->count; i++) {
		drop_queue(&play->players[i], PLAYERS);
		retained_sync_free(play->players[i].sync);
		retained_free(play->players[i].retained);
	}
}

static bool restore_message(void *context, const struct publication *publication, const uint8_t *packet,
			    uint64_t change, struct stamp stamp)
{
	struct player *player = context;
	(void)change;
	struct retained_clocks clocks = clocks_of(player);
	struct retained_change restored = {
		.wall_ms = clocks.wall_ms, .now_s = (uint32_t)(clocks.now_ms / 1000), .stamp = stamp};
	assert_int_equal(retained_restore(player->retained, publication, packet, &restored), ERROR_OK);
	return true;
}

static bool restore_cleared(void *context, struct slice topic, struct stamp stamp, uint64_t number)
{
	struct player *player = context;
	(void)number;
	struct retained_clocks clocks = clocks_of(player);
	struct retained_change restored = {
		.wall_ms = clocks.wall_ms, .now_s = (uint32_t)(clocks.now_ms / 1000), .stamp = stamp};
	retained_restore_cleared(player->retained, topic, &restored);
	return true;
}

/* With what its store has told, or without a store. */
static void restart(struct play *play, uint32_t number, bool has_store)
{
	struct player *player = &play->players[number];
	struct retained *before = player->retained;
	drop_queue(player, PLAYERS);
	retained_sync_free(player->sync);
	open_player(play, number);
	if (has_store) {
		struct retained_walk walk = {0};
		uint32_t next = 0, visits;
		do
			visits = RETAINED_VISITS_MAX;
		while (!retained_tell_step(before, &walk, (uint32_t)(play->now_ms / 1000), &visits, restore_message,
					   player));
		do
			visits = RETAINED_VISITS_MAX;
		while (!retained_tell_cleared_step(before, &next, &visits, restore_cleared, player));
	}
	retained_free(before);
	open_sync(player);
	for (uint32_t i = 0; i < play->count; i++) {
		if (i == number || play->cut[i][number])
			continue;
		drop_queue(&play->players[i], number);
		retained_sync_away(play->players[i].sync, (uint8_t)number);
		retained_sync_joined(play->players[i].sync, (uint8_t)number, play->now_ms);
		retained_sync_joined(player->sync, (uint8_t)i, play->now_ms);
	}
}

/* ---- changes ---- */

static void publish(struct play *play, uint32_t number, const char *topic, const char *payload, uint32_t expiry_s,
		    uint32_t lost_percent)
{
	struct player *player = &play->players[number];
	struct retained_clocks clocks = clocks_of(player);
	uint32_t now_s = (uint32_t)(clocks.now_ms / 1000);
	struct sample sample;
	if (expiry_s != 0)
		sample_expiring(&sample, topic, slice_string(payload), expiry_s, now_s);
	else
		sample_plain(&sample, topic, slice_string(payload), 1);
	struct retained_change change = {.wall_ms = clocks.wall_ms, .now_s = now_s};
	struct retained_result result;
	if (retained_apply(player->retained, &sample.publication, sample.packet, &change, &result) != ERROR_OK)
		return;
	change.stamp = result.stamp;
	for (uint32_t i = 0; i < play->count; i++) {
		if (i == number || play->cut[number][i] || random_below(&play->random, 100) < lost_percent)
			continue;
		change.wall_ms = clocks_of(&play->players[i]).wall_ms;
		struct retained_result there;
		retained_apply(play->players[i].retained, &sample.publication, sample.packet, &change, &there);
	}
}

static void deliver(struct player *player)
{
	struct play *play = player->play;
	while (player->queue != NULL && player->queue->at_ms <= play->now_ms) {
		struct sent *sent = player->queue;
		player->queue = sent->next;
		assert_true(retained_sync_receive(player->sync, sent->from, sent->kind,
						  slice_of(sent->body, sent->bytes), clocks_of(player)));
		free(sent);
	}
}

static void run(struct play *play, uint64_t ms)
{
	for (uint64_t end = play->now_ms + ms; play->now_ms < end; play->now_ms++) {
		for (uint32_t i = 0; i < play->count; i++) {
			struct player *player = &play->players[i];
			deliver(player);
			while (retained_sync_turn(player->sync, clocks_of(player)))
				;
			retained_expire(player->retained, (uint32_t)(play->now_ms / 1000), 100, NULL, NULL);
		}
	}
}

static bool are_equal(struct play *play)
{
	uint64_t digests[2][RETAINED_BUCKETS];
	retained_digest(play->players[0].retained, digests[0], NULL);
	for (uint32_t i = 1; i < play->count; i++) {
		retained_digest(play->players[i].retained, digests[1], NULL);
		struct retained_size a = retained_size(play->players[0].retained),
				     b = retained_size(play->players[i].retained);
		if (memcmp(digests[0], digests[1], sizeof(digests[0])) != 0 || a.messages != b.messages ||
		    a.bytes != b.bytes)
			return false;
	}
	return true;
}

static bool are_caught_up(const struct play *play)
{
	for (uint32_t i = 0; i < play->count; i++) {
		if (!retained_sync_is_caught_up(play->players[i].sync))
			return false;
	}
	return true;
}

static void heal(struct play *play)
{
	for (uint32_t i = 0; i < play->count; i++) {
		for (uint32_t j = 0; j < i; j++)
			set_cut(play, i, j, false);
	}
	/* What a node takes from another after it was compared with a third comes with the next comparison. */
	for (unsigned i = 0; i < 8 && !(are_caught_up(play) && are_equal(play)); i++)
		run(play, RETAINED_REST_MS);
	assert_true(are_caught_up(play));
	assert_true(are_equal(play));
}

/* ---- plays ---- */

static bool has(struct player *player, const char *topic)
{
	struct retained_item item;
	return retained_find(player->retained, hash_slice(&CLUSTER_KEY, slice_string(topic)), &item) &&
	       !item.is_cleared;
}

static uint64_t seed(void)
{
	const char *given = getenv("ROOST_SEED");
	return given != NULL ? strtoull(given, NULL, 10) : 20301129;
}

static void test_random_plays(void **state)
{
	(void)state;
	uint64_t first = seed();
	for (uint64_t number = first; number < first + 12; number++) {
		struct play play;
		print_message("seed %llu\n", (unsigned long long)number);
		play_open(&play, number * 2 + 1, 2 + (uint32_t)(number % (PLAYERS - 1)), 400);
		for (uint32_t i = 0; i < play.count; i++)
			play.players[i].clock_off_ms = (int64_t)random_below(&play.random, 600000) - 300000;
		for (uint32_t step = 0; step < 600; step++) {
			char topic[16], payload[16];
			snprintf(topic, sizeof(topic), "t/%u", random_below(&play.random, 200));
			snprintf(payload, sizeof(payload), "%.0u", random_below(&play.random, 3) * step);
			publish(&play, random_below(&play.random, play.count), topic, payload,
				random_below(&play.random, 10) == 0 ? 1 + random_below(&play.random, 60) : 0, 10);
			uint32_t what = random_below(&play.random, 40);
			uint32_t a = random_below(&play.random, play.count), b = random_below(&play.random, play.count);
			if (what < 3)
				set_cut(&play, a, b, what != 2);
			else if (what == 3)
				restart(&play, a, random_below(&play.random, 3) != 0);
			else if (what == 4)
				play.players[a].clock_off_ms = (int64_t)random_below(&play.random, 600000) - 300000;
			run(&play, random_below(&play.random, 30));
		}
		heal(&play);
		play_close(&play);
	}
}

static void test_a_node_that_comes_takes_all(void **state)
{
	(void)state;
	struct play play;
	enum { COUNT = 20000 };
	play_open(&play, 3, 2, COUNT);
	set_cut(&play, 0, 1, true);
	char topic[32];
	for (uint32_t i = 0; i < COUNT; i++) {
		snprintf(topic, sizeof(topic), "site/%u/state", i);
		publish(&play, 0, topic, "value", 0, 0);
	}
	set_cut(&play, 0, 1, false);
	assert_false(are_caught_up(&play));
	run(&play, 2000);
	assert_true(are_caught_up(&play));
	assert_true(are_equal(&play));
	assert_int_equal(retained_sync_figures(play.players[1].sync).taken, COUNT);
	assert_int_equal(play.players[1].told, COUNT + 1);
	play_close(&play);
}

/* Its tombstones were forgotten meanwhile. */
static void test_a_node_that_was_away_for_long_believes_the_others(void **state)
{
	(void)state;
	struct play play;
	play_open(&play, 7, 3, 400);
	publish(&play, 0, "gone", "before", 0, 0);
	publish(&play, 0, "stays", "before", 0, 0);
	run(&play, RETAINED_REST_MS + 1000);
	set_cut(&play, 0, 2, true);
	set_cut(&play, 1, 2, true);
	publish(&play, 2, "made alone", "value", 0, 0);
	publish(&play, 1, "gone", "", 0, 0);
	for (uint32_t i = 0; i < 2; i++) {
		play.now_ms += (uint64_t)RETAINED_CLEARED_S * 500u;
		run(&play, 2000);
	}
	play.now_ms += 10000;
	run(&play, 2000);
	assert_int_equal(retained_state(play.players[0].retained).cleared, 0);
	restart(&play, 2, true); /* it remembers since when it was alone */
	assert_true(has(&play.players[2], "gone"));
	heal(&play);
	for (uint32_t i = 0; i < 3; i++) {
		assert_false(has(&play.players[i], "gone"));
		assert_true(has(&play.players[i], "stays"));
		assert_true(has(&play.players[i], "made alone"));
	}
	assert_int_equal(retained_sync_figures(play.players[2].sync).dropped, 1);
	play_close(&play);
}

/* A node that has lost its store takes nothing away from others. */
static void test_a_node_that_lost_all_gets_it_back(void **state)
{
	(void)state;
	struct play play;
	play_open(&play, 9, 2, 400);
	publish(&play, 0, "a", "value", 0, 0);
	publish(&play, 1, "b", "value", 0, 0);
	run(&play, RETAINED_REST_MS + 1000);
	restart(&play, 1, false);
	heal(&play);
	assert_true(has(&play.players[1], "a"));
	assert_true(has(&play.players[1], "b"));
	play_close(&play);
}

static void test_a_node_that_is_full_goes_on(void **state)
{
	(void)state;
	struct play play;
	play_open(&play, 11, 2, 50);
	set_cut(&play, 0, 1, true);
	char topic[32];
	for (uint32_t i = 0; i < 40; i++) {
		for (uint32_t node = 0; node < 2; node++) {
			snprintf(topic, sizeof(topic), "n%u/%u", node, i);
			publish(&play, node, topic, "x", 0, 0);
		}
	}
	set_cut(&play, 0, 1, false);
	run(&play, 5000);
	assert_true(are_caught_up(&play));
	assert_false(are_equal(&play));
	for (uint32_t node = 0; node < 2; node++) {
		assert_int_equal(retained_size(play.players[node].retained).messages, 50);
		assert_true(retained_sync_figures(play.players[node].sync).refused >= 30);
		assert_int_equal(retained_sync_figures(play.players[node].sync).dropped, 0);
	}
	play_close(&play);
}

/* What is not sound has no effect, is counted, and the comparison begins again later. */
static void test_what_is_not_sound_is_a_fault(void **state)
{
	(void)state;
	struct play play;
	play_open(&play, 13, 2, 50);
	struct player *player = &play.players[0];
	uint8_t body[RETAINED_DIGEST_BYTES] = {0};
	for (unsigned kind = RETAINED_ASK_DIGEST; kind <= RETAINED_VALUES; kind++) {
		for (size_t size = 0; size < 200; size++)
			retained_sync_receive(player->sync, 1, (uint8_t)kind, slice_of(body, size), clocks_of(player));
	}
	assert_true(retained_sync_figures(player->sync).faults > 300);
	/* A value whose packet is none. */
	publish(&play, 1, "a", "value", 0, 100);
	assert_true(retained_is_empty(player->retained));
	heal(&play);
	play_close(&play);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_plays),
		cmocka_unit_test(test_a_node_that_comes_takes_all),
		cmocka_unit_test(test_a_node_that_was_away_for_long_believes_the_others),
		cmocka_unit_test(test_a_node_that_lost_all_gets_it_back),
		cmocka_unit_test(test_a_node_that_is_full_goes_on),
		cmocka_unit_test(test_what_is_not_sound_is_a_fault),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
