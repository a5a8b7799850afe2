/* What all shards share, found by the next program: the routing index at every stage of its growth, and the retained
 * messages with a walk under way. */
#include "match_all.h"
#include "outliving.h"
#include "publication_sample.h"
#include "random.h"
#include "topics/retained.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SHARDS 3u
#define TOPICS 40u

struct scene {
	struct outliving outliving;
	struct arena arena;
	struct arena next_arena;
	struct index *index;
	struct index *next;
	struct random random;
};

static const struct hash_key KEY = {{9, 8, 7}};

static int scene_setup(void **state)
{
	static struct scene scene;
	scene = (struct scene){.random = {11}};
	outliving_open(&scene.outliving);
	assert_int_equal(arena_open(&scene.arena, &scene.outliving.root, "shared"), ERROR_OK);
	reader_register();
	*state = &scene;
	return 0;
}

static int scene_teardown(void **state)
{
	struct scene *scene = *state;
	reader_unregister();
	outliving_close(&scene->outliving);
	return 0;
}

/* ---- the index ---- */

/* Exact ones, ones with wildcards, and shared ones of both. */
static void filter_text(char *text, size_t size, uint32_t i)
{
	static const char *const KINDS[] = {"a/%u", "a/%u/b", "a/+/%u", "a/%u/#", "$share/g%u/a/7", "$share/g%u/a/#"};
	snprintf(text, size, KINDS[i % 6], i / 6); /* NOLINT(clang-diagnostic-format-nonliteral) */
}

static struct index_slot slot_of(struct index *index, const char *text, bool create)
{
	if (strncmp(text, "$share/", 7) != 0)
		return index_find(index, slice_string(text), create);
	const char *group = text + 7;
	const char *filter = strchr(group, '/') + 1;
	return index_find_group(index, slice_of(group, (size_t)(filter - group) - 1), slice_string(filter), create);
}

static void set_route(struct index *index, uint32_t i, uint16_t shard, bool is_set)
{
	char text[64];
	filter_text(text, sizeof(text), i);
	struct index_slot slot = slot_of(index, text, is_set);
	if (slot.node != 0) {
		route_bits route = is_set ? route_make(ROUTE_ONE, shard, (uint16_t)i, i + 1) : 0;
		assert_int_equal(index_set_route(slot, shard, route), ERROR_OK);
		if (is_set)
			index_set_members(slot, shard, (struct index_members){1, 1});
	}
	index_leave(slot);
}

static int compare_routes(const void *one, const void *other)
{
	route_bits a = *(const route_bits *)one, b = *(const route_bits *)other;
	return (a > b) - (a < b);
}

static void assert_same_matches(struct index *one, struct index *other, uint32_t filters)
{
	struct routes routes = {0}, others = {0};
	for (uint32_t i = 0; i < filters + TOPICS; i++) {
		char topic[64];
		snprintf(topic, sizeof(topic), i % 3 == 0 ? "a/%u" : i % 3 == 1 ? "a/%u/b" : "a/x/%u", i / 3);
		assert_int_equal(match_all(one, slice_string(topic), &routes), ERROR_OK);
		assert_int_equal(match_all(other, slice_string(topic), &others), ERROR_OK);
		assert_int_equal(routes.count, others.count);
		if (routes.count == 0)
			continue;
		qsort(routes.items, routes.count, sizeof(route_bits), compare_routes);
		qsort(others.items, others.count, sizeof(route_bits), compare_routes);
		assert_memory_equal(routes.items, others.items, routes.count * sizeof(route_bits));
	}
	routes_fini(&routes);
	routes_fini(&others);
}

static void play_index(struct scene *scene, uint32_t filters)
{
	scene->index = index_new(SHARDS, &KEY, &scene->arena);
	assert_non_null(scene->index);
	for (uint32_t i = 0; i < filters; i++)
		set_route(scene->index, i, (uint16_t)(i % SHARDS), true);
	for (uint32_t i = 0; i < filters / 3; i++)
		set_route(scene->index, random_below(&scene->random, filters), (uint16_t)(i % SHARDS), i % 2 == 0);
	reader_offline();
	assert_int_equal(index_save(scene->index, &scene->arena), ERROR_OK);
	outliving_adopt(&scene->outliving, &scene->next_arena, "shared");
	scene->next = index_new(SHARDS, &KEY, &scene->next_arena);
	assert_non_null(scene->next);
	outliving_check_unchanged(&scene->outliving);
	reader_online();
	assert_int_equal(index_size(scene->next).filters, index_size(scene->index).filters);
	assert_int_equal(index_size(scene->next).bytes, index_size(scene->index).bytes);
	assert_same_matches(scene->index, scene->next, filters);
	/* It grows on, and nothing is left when all have gone. */
	for (uint32_t i = filters; i < 2 * filters; i++)
		set_route(scene->next, i, (uint16_t)(i % SHARDS), true);
	for (uint32_t i = 0; i < 2 * filters; i++) {
		for (uint16_t shard = 0; shard < SHARDS; shard++)
			set_route(scene->next, i, shard, false);
	}
	assert_int_equal(index_size(scene->next).filters, 0);
	reader_offline();
	index_free(scene->next);
	index_free(scene->index);
	reader_online();
}

/* The tables grow from 64 buckets, at 65 nodes of a part and at each doubling: thirty sizes stop in every phase. */
static void test_index_is_found_at_every_stage_of_growth(void **state)
{
	for (uint32_t filters = 1; filters < 6000; filters += 1 + filters / 4) {
		play_index(*state, filters);
		scene_teardown(state);
		scene_setup(state);
	}
}

static bool is_refused(void *arena)
{
	return index_new(SHARDS, &KEY, arena) == NULL;
}

static bool is_refused_for_more_shards(void *arena)
{
	return index_new(SHARDS + 1, &KEY, arena) == NULL;
}

static void test_index_of_other_shards_is_refused(void **state)
{
	struct scene *scene = *state;
	scene->index = index_new(SHARDS, &KEY, &scene->arena);
	reader_offline();
	assert_int_equal(index_save(scene->index, &scene->arena), ERROR_OK);
	reader_online();
	outliving_adopt(&scene->outliving, &scene->next_arena, "shared");
	assert_true(outliving_in_child(is_refused_for_more_shards, &scene->next_arena));
	struct slice note;
	assert_true(arena_get(&scene->next_arena, "index 3 table", &note));
	for (size_t at = 0; at < 16; at += 4) { /* blocks and masks */
		uint8_t *bytes = (uint8_t *)(uintptr_t)note.data + at;
		uint8_t good[4];
		memcpy(good, bytes, sizeof(good));
		memset(bytes, 0xff, sizeof(good));
		/* A table that is not being built has any mask. */
		if (at != 12)
			assert_true(outliving_in_child(is_refused, &scene->next_arena));
		memcpy(bytes, good, sizeof(good));
	}
	outliving_check_unchanged(&scene->outliving);
	reader_offline();
	index_free(scene->index);
	reader_online();
}

/* ---- retained messages ---- */

struct seen {
	uint32_t count;
	uint32_t bytes;
	uint32_t sum;
};

static bool see(void *context, const struct publication *publication, const uint8_t *packet)
{
	struct seen *seen = context;
	seen->count++;
	seen->bytes += publication->packet_bytes;
	for (uint32_t i = 0; i < publication->packet_bytes; i++)
		seen->sum = seen->sum * 31 + packet[i];
	return true;
}

static struct seen walk_rest(struct retained *retained, struct retained_walk *walk)
{
	struct seen seen = {0};
	uint32_t visits;
	do {
		visits = 7;
	} while (!retained_walk_step(retained, walk, slice_string("#"), 5000, &visits, see, &seen));
	return seen;
}

static void set_retained(struct retained *retained, uint32_t i, const char *payload)
{
	struct sample sample;
	char topic[64];
	snprintf(topic, sizeof(topic), "r/%u/%u", i % 10, i);
	if (i % 3 == 0)
		sample_expiring(&sample, topic, slice_string(payload), 1000 + i * 7 % 100, 5000);
	else
		sample_plain(&sample, topic, slice_string(payload), 1);
	assert_int_equal(retained_set(retained, &sample.publication, sample.packet, 5000, NULL), ERROR_OK);
}

static void test_retained_messages_and_a_walk_go_on(void **state)
{
	struct scene *scene = *state;
	struct retained *retained = retained_new(&KEY, 1000, 1 << 20, &scene->arena);
	assert_non_null(retained);
	for (uint32_t i = 0; i < 900; i++)
		set_retained(retained, i, "value");
	for (uint32_t i = 0; i < 900; i += 5)
		set_retained(retained, i, "");
	struct retained_walk walk = {0};
	struct seen seen = {0};
	uint32_t visits = 200;
	assert_false(retained_walk_step(retained, &walk, slice_string("#"), 5000, &visits, see, &seen));

	assert_int_equal(retained_save(retained, &scene->arena), ERROR_OK);
	outliving_adopt(&scene->outliving, &scene->next_arena, "shared");
	/* Lower limits do not make what is there more than there may be. */
	struct retained *next = retained_new(&KEY, 10, 100, &scene->next_arena);
	assert_non_null(next);
	outliving_check_unchanged(&scene->outliving);
	assert_int_equal(retained_size(next).messages, retained_size(retained).messages);
	assert_int_equal(retained_size(next).bytes, retained_size(retained).bytes);
	set_retained(next, 1, "other");
	set_retained(next, 1, "value");
	struct retained_walk next_walk = walk;
	seen.count += walk_rest(next, &next_walk).count;
	assert_int_equal(seen.count, retained_size(next).messages);
	assert_int_equal(next_walk.node, 0);
	/* All that expire do, in their order, and the rest is taken away: nothing is left. */
	assert_false(retained_has_expired(next, 5999));
	assert_true(retained_has_expired(next, 6100));
	while (retained_expire(next, 7000, 16, NULL, NULL) != 0)
		;
	for (uint32_t i = 0; i < 900; i++)
		set_retained(next, i, "");
	assert_true(retained_is_empty(next));
	assert_int_equal(retained_size(next).bytes, 0);
	retained_free(next);
	retained_free(retained);
}

static bool are_refused(void *arena)
{
	return retained_new(&KEY, 1000, 1 << 20, arena) == NULL;
}

static void test_damaged_note_of_retained_messages_is_refused(void **state)
{
	struct scene *scene = *state;
	struct retained *retained = retained_new(&KEY, 1000, 1 << 20, &scene->arena);
	set_retained(retained, 3, "value");
	assert_int_equal(retained_save(retained, &scene->arena), ERROR_OK);
	outliving_adopt(&scene->outliving, &scene->next_arena, "shared");
	static const struct {
		const char *name;
		size_t at;
	} DAMAGES[] = {{"retained", 16}, {"retained", 24}, {"retained expiries", 0}, {"retained expiries", 4}};
	for (size_t i = 0; i < sizeof(DAMAGES) / sizeof(DAMAGES[0]); i++) {
		struct slice note;
		assert_true(arena_get(&scene->next_arena, DAMAGES[i].name, &note));
		uint8_t *bytes = (uint8_t *)(uintptr_t)note.data + DAMAGES[i].at;
		uint8_t good[4];
		memcpy(good, bytes, sizeof(good));
		memset(bytes, 0xff, sizeof(good));
		assert_true(outliving_in_child(are_refused, &scene->next_arena));
		memcpy(bytes, good, sizeof(good));
	}
	retained_free(retained);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_index_is_found_at_every_stage_of_growth),
		IN_SCENE(test_index_of_other_shards_is_refused),
		IN_SCENE(test_retained_messages_and_a_walk_go_on),
		IN_SCENE(test_damaged_note_of_retained_messages_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
