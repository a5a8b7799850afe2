/* Notes to publishers on other nodes: whom they lead to, what is congested how long, and that nothing is believed. Two
 * nodes; the test is the link between them. */
#include "nodes/publish/far_waits.h"

#include "cluster/publish/publish_message.h"
#include "control/gateway.h"
#include "runtime/nodes/node_mail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SHARDS 3u
#define SLOT_OF_A 5u /* as b calls it */
#define SLOT_OF_B 63u

struct node {
	struct congestion_board boards[SHARDS + 1];
	struct node_port port;
	struct far_waits waits;
};

struct scene {
	struct node a; /* where the publishers are */
	struct node b;
	uint64_t now_ms;
};

static void node_begin(struct node *node)
{
	node->port.shard_count = SHARDS;
	struct gateway_parts parts = {.boards = node->boards, .nodes = &node->port, .shard_count = SHARDS};
	assert_int_equal(far_waits_init(&node->waits, &parts), ERROR_OK);
}

static int scene_open(void **state)
{
	struct scene *scene = aligned_alloc(64, sizeof(*scene));
	assert_non_null(scene);
	memset(scene, 0, sizeof(*scene));
	node_begin(&scene->a);
	node_begin(&scene->b);
	scene->now_ms = 1000;
	*state = scene;
	return 0;
}

static uint32_t raised(const struct node *node)
{
	uint32_t count = 0;
	for (uint32_t place = 0; place < CONGESTION_PLACES; place++)
		count += atomic_load(&node->boards[SHARDS].congested[place]);
	return count;
}

static int scene_close(void **state)
{
	struct scene *scene = *state;
	far_waits_fini(&scene->a.waits);
	far_waits_fini(&scene->b.waits);
	assert_int_equal(raised(&scene->a), 0);
	free(scene);
	return 0;
}

static struct publisher_name name_of(struct scene *scene, uint32_t publisher, uint16_t shard, uint16_t generation)
{
	struct publish_message message = {.publisher = publisher, .shard = shard, .generation = generation};
	return far_waits_name(&scene->b.waits, SLOT_OF_A, &message);
}

/* A shard of b writes a note, which goes to a. False: it leads nowhere. */
static bool tell(struct scene *scene, struct publisher_name name, uint16_t shard, uint16_t place, bool of_spool,
		 struct record *note)
{
	uint8_t body[FAR_NOTE_BYTES];
	uint32_t slot;
	struct record written = {
		.record_bytes = sizeof(written), .publisher = name, .note = {.shard = shard, .place = place}};
	if (!far_waits_pass(&scene->b.waits, &written, &slot, body))
		return false;
	assert_int_equal(slot, SLOT_OF_A);
	far_waits_have_passed(&scene->b.waits, slot, body, scene->now_ms);
	assert_true(far_waits_hear_note(&scene->a.waits, SLOT_OF_B, slice_of(body, sizeof(body)), of_spool,
					scene->now_ms, note));
	return true;
}

/* False: there is nothing to say. */
static bool tell_places(struct scene *scene)
{
	uint8_t body[FAR_PLACES_BYTES];
	if (!far_waits_owe(&scene->b.waits, SLOT_OF_A, scene->now_ms, body))
		return false;
	far_waits_have_told(&scene->b.waits, SLOT_OF_A, body, scene->now_ms);
	assert_true(far_waits_hear_places(&scene->a.waits, SLOT_OF_B, slice_of(body, sizeof(body)), scene->now_ms));
	return true;
}

static void congest(struct scene *scene, uint16_t shard, uint16_t place, uint16_t clients)
{
	atomic_store(&scene->b.boards[shard].congested[place], clients);
}

static void test_a_publisher_is_told_and_let_go(void **state)
{
	struct scene *scene = *state;
	struct record note;
	congest(scene, 2, 255, 1);
	assert_true(tell(scene, name_of(scene, 77, 1, 9), 2, 255, false, &note));
	assert_int_equal(note.record_bytes, sizeof(note));
	assert_int_equal(note.route_count, 0);
	assert_int_equal(note.publisher.index, 77);
	assert_int_equal(note.publisher.shard, 1);
	assert_int_equal(note.publisher.generation, 9);
	assert_int_equal(note.note.shard, SHARDS);
	assert_int_equal(atomic_load(&scene->a.boards[SHARDS].congested[note.note.place]), 1);
	assert_int_equal(raised(&scene->a), 1);
	assert_false(far_waits_hold_spool(&scene->a.waits, SLOT_OF_B));
	assert_false(tell_places(scene)); /* it knows */
	assert_true(tell(scene, name_of(scene, 78, 0, 1), 2, 255, false, &note));
	assert_int_equal(raised(&scene->a), 1); /* of the same place */
	congest(scene, 2, 255, 0);
	assert_true(tell_places(scene));
	assert_int_equal(raised(&scene->a), 0);
	scene->now_ms += 2 * FAR_AGAIN_MS;
	assert_false(tell_places(scene));
}

static void test_places_of_several_shards(void **state)
{
	struct scene *scene = *state;
	struct record note;
	for (uint16_t shard = 0; shard < SHARDS; shard++) {
		congest(scene, shard, 4, 1);
		assert_true(tell(scene, name_of(scene, 1, 0, 1), shard, 4, false, &note));
	}
	assert_int_equal(raised(&scene->a), SHARDS);
	congest(scene, 1, 4, 0);
	assert_true(tell_places(scene));
	assert_int_equal(raised(&scene->a), SHARDS - 1);
}

static void test_it_is_said_again_while_it_lasts(void **state)
{
	struct scene *scene = *state;
	struct record note;
	congest(scene, 0, 0, 2);
	assert_true(tell(scene, name_of(scene, 1, 0, 1), 0, 0, false, &note));
	for (int i = 0; i < 20; i++) {
		scene->now_ms += FAR_AGAIN_MS;
		assert_true(tell_places(scene));
		far_waits_expire(&scene->a.waits, scene->now_ms);
		assert_int_equal(raised(&scene->a), 1);
	}
	/* Then b says nothing more. */
	assert_int_equal(far_waits_deadline(&scene->a.waits), scene->now_ms + FAR_SILENT_MS);
	scene->now_ms += FAR_SILENT_MS;
	far_waits_expire(&scene->a.waits, scene->now_ms);
	assert_int_equal(raised(&scene->a), 0);
	assert_int_equal(far_waits_deadline(&scene->a.waits), UINT64_MAX);
}

static void test_a_link_that_ends(void **state)
{
	struct scene *scene = *state;
	struct record note;
	congest(scene, 0, 0, 1);
	assert_true(tell(scene, name_of(scene, 1, 0, 1), 0, 0, true, &note));
	far_waits_begin(&scene->a.waits, SLOT_OF_B);
	assert_int_equal(raised(&scene->a), 0);
	assert_false(far_waits_hold_spool(&scene->a.waits, SLOT_OF_B));
	assert_int_not_equal(far_waits_deadline(&scene->b.waits), UINT64_MAX);
	far_waits_begin(&scene->b.waits, SLOT_OF_A);
	scene->now_ms += FAR_AGAIN_MS;
	assert_false(tell_places(scene));
	assert_int_equal(far_waits_deadline(&scene->b.waits), UINT64_MAX);
}

static void test_what_comes_out_of_the_spool_waits(void **state)
{
	struct scene *scene = *state;
	struct record note;
	congest(scene, 0, 7, 1);
	congest(scene, 0, 8, 1);
	assert_true(tell(scene, name_of(scene, 0, 0, 0), 0, 7, true, &note)); /* Roost's own: nobody to be told */
	assert_int_equal(note.record_bytes, 0);
	assert_true(tell(scene, name_of(scene, 3, 0, 0), 0, 8, false, &note));
	assert_true(far_waits_hold_spool(&scene->a.waits, SLOT_OF_B));
	congest(scene, 0, 7, 0);
	assert_true(tell_places(scene));
	assert_false(far_waits_hold_spool(&scene->a.waits, SLOT_OF_B)); /* for its messages did not meet the other */
	assert_int_equal(raised(&scene->a), 1);
}

static void test_a_name_is_one_publishers(void **state)
{
	struct scene *scene = *state;
	struct record note;
	struct publisher_name first = name_of(scene, 1, 0, 1);
	struct publisher_name again = name_of(scene, 1, 0, 1);
	assert_memory_equal(&first, &again, sizeof(first));
	assert_int_equal(first.shard, SHARDS + NODES_MAX);
	/* So many that somebody gets its place. */
	for (uint32_t i = 2; i < 50 * FAR_PUBLISHERS; i++)
		name_of(scene, i, 0, 1);
	assert_false(tell(scene, first, 0, 0, false, &note));
	assert_true(tell(scene, name_of(scene, 1, 0, 1), 0, 0, false, &note));
	assert_int_equal(note.publisher.index, 1);
}

static void test_what_is_no_such_message(void **state)
{
	struct scene *scene = *state;
	struct record note;
	uint8_t body[FAR_PLACES_BYTES + 1];
	memset(body, 0xff, sizeof(body));
	for (size_t size = 0; size <= sizeof(body); size++) {
		assert_false(far_waits_hear_note(&scene->a.waits, SLOT_OF_B, slice_of(body, size), true, 1, &note));
		if (size != FAR_PLACES_BYTES)
			assert_false(far_waits_hear_places(&scene->a.waits, SLOT_OF_B, slice_of(body, size), 1));
	}
	assert_int_equal(raised(&scene->a), 0);
	assert_true(far_waits_hear_places(&scene->a.waits, SLOT_OF_B, slice_of(body, FAR_PLACES_BYTES), 1));
	assert_true(far_waits_hear_places(&scene->a.waits, SLOT_OF_B - 1, slice_of(body, FAR_PLACES_BYTES), 1));
	assert_int_equal(raised(&scene->a), 2 * CONGESTION_PLACES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_publisher_is_told_and_let_go, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_places_of_several_shards, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_it_is_said_again_while_it_lasts, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_a_link_that_ends, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_what_comes_out_of_the_spool_waits, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_a_name_is_one_publishers, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_what_is_no_such_message, scene_open, scene_close),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
