/* The writer on a simulated disk: what it promises, what it writes, and what it does when the disk fails. */
#include "writer_scene.h"

#include "commit/reader.h"
#include "store/deadline.h"
#include "store/model/replay.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct scene *scene_with_epoch(unsigned seed, enum store_durability durability)
{
	struct scene *scene = scene_new(seed, durability, 16384, 60000);
	scene_checkpoint_all(scene, 100);
	assert_int_equal(figures_get(&scene->store->figures.checkpoints), 1);
	return scene;
}

static uint64_t tell(struct scene *scene, uint32_t shard)
{
	/* A session that opens: nothing squeezes that. */
	STORE_JOURNAL_EVENTS.begin(&scene->shards[shard], 5000);
	struct client_ref session = {1000 + (uint32_t)scene->shards[shard].buffers.number};
	STORE_JOURNAL_EVENTS.opened(&scene->shards[shard], session, slice_string("someone"));
	STORE_JOURNAL_EVENTS.end(&scene->shards[shard]);
	return STORE_JOURNAL_SAFETY.told(&scene->shards[shard]);
}

static void nothing_is_safe_before_the_first_checkpoint(void **state)
{
	(void)state;
	struct scene *scene = scene_new(1, STORE_ALWAYS, 16384, 60000);
	uint64_t told = tell(scene, 0);
	scene_step(scene);
	assert_int_equal(scene_safe(scene, 0), 0);
	assert_int_equal(figures_get(&scene->store->figures.commits), 1);
	assert_int_equal(figures_get(&scene->store->figures.syncs), 0);
	scene_checkpoint_all(scene, 100);
	assert_true(scene_safe(scene, 0) >= told);
	assert_int_equal(figures_get(&scene->store->figures.syncs), 1);
	scene_free(scene);
}

static void one_commit_and_one_sync_take_all_shards(void **state)
{
	(void)state;
	struct scene *scene = scene_with_epoch(2, STORE_ALWAYS);
	uint64_t commits = figures_get(&scene->store->figures.commits),
		 syncs = figures_get(&scene->store->figures.syncs);
	for (int i = 0; i < 10; i++) {
		tell(scene, 0);
		tell(scene, 1);
	}
	assert_true(scene_safe(scene, 0) < STORE_JOURNAL_SAFETY.told(&scene->shards[0]));
	assert_true(scene_step(scene) == SLEEPER_FOREVER);
	assert_int_equal(figures_get(&scene->store->figures.commits), commits + 1);
	assert_int_equal(figures_get(&scene->store->figures.syncs), syncs + 1);
	for (uint32_t i = 0; i < SCENE_SHARDS; i++)
		assert_int_equal(scene_safe(scene, i), STORE_JOURNAL_SAFETY.told(&scene->shards[i]));
	scene_free(scene);
}

static void a_shard_in_a_turn_is_not_waited_for(void **state)
{
	(void)state;
	struct scene *scene = scene_with_epoch(3, STORE_ALWAYS);
	STORE_JOURNAL_EVENTS.begin(&scene->shards[0], 5000);
	STORE_JOURNAL_EVENTS.opened(&scene->shards[0], (struct client_ref){999}, slice_string("busy"));
	uint64_t busy = STORE_JOURNAL_SAFETY.told(&scene->shards[0]), other = tell(scene, 1);
	scene_step(scene);
	assert_int_equal(scene_safe(scene, 1), other);
	assert_true(scene_safe(scene, 0) < busy);
	/* It was asked for its buffer, and gives it away although the next turn begins at once. */
	STORE_JOURNAL_EVENTS.end(&scene->shards[0]);
	STORE_JOURNAL_EVENTS.begin(&scene->shards[0], 5001);
	STORE_JOURNAL_EVENTS.ended(&scene->shards[0], (struct client_ref){999});
	assert_int_equal(STORE_JOURNAL_SAFETY.told(&scene->shards[0]), busy + 1);
	scene_step(scene);
	assert_int_equal(scene_safe(scene, 0), busy);
	STORE_JOURNAL_EVENTS.end(&scene->shards[0]);
	scene_step(scene);
	assert_int_equal(scene_safe(scene, 0), busy + 1);
	scene_free(scene);
}

/* A message that was acknowledged before its commit costs neither a write nor a sync. */
static void what_is_acknowledged_soon_costs_no_write(void **state)
{
	(void)state;
	struct scene *scene = scene_with_epoch(4, STORE_ALWAYS);
	struct store_shard *shard = &scene->shards[0];
	uint8_t packet[TOY_PACKET_MAX];
	struct journal_message kept = {.publication = toy_packet(7, 1, packet), .packet = packet, .expires_at_s = 1};
	struct journal_entry entry = {.message = {77}, .qos = 1};
	uint64_t commits = figures_get(&scene->store->figures.commits);
	for (uint16_t i = 1; i <= 100; i++) {
		STORE_JOURNAL_EVENTS.begin(shard, 5000);
		STORE_JOURNAL_EVENTS.kept(shard, entry.message, &kept);
		STORE_JOURNAL_EVENTS.queued(shard, (struct client_ref){5}, 9, &entry);
		STORE_JOURNAL_EVENTS.sent(shard, 9, i);
		STORE_JOURNAL_EVENTS.end(shard);
		STORE_JOURNAL_EVENTS.begin(shard, 5000);
		STORE_JOURNAL_EVENTS.done(shard, 9);
		STORE_JOURNAL_EVENTS.forgotten(shard, entry.message);
		STORE_JOURNAL_EVENTS.end(shard);
		scene_step(scene);
		assert_int_equal(scene_safe(scene, 0), STORE_JOURNAL_SAFETY.told(shard));
	}
	assert_int_equal(figures_get(&scene->store->figures.commits), commits);
	/* The identifiers that were given go with the next commit. */
	uint64_t records = figures_get(&scene->store->figures.records);
	tell(scene, 0);
	scene_step(scene);
	assert_int_equal(figures_get(&scene->store->figures.commits), commits + 1);
	assert_int_equal(figures_get(&scene->store->figures.records), records + 101);
	scene_free(scene);
}

static void periodic_is_safe_when_written_and_synced_in_time(void **state)
{
	(void)state;
	struct scene *scene = scene_with_epoch(5, STORE_PERIODIC);
	uint64_t syncs = figures_get(&scene->store->figures.syncs);
	uint64_t told = tell(scene, 0);
	uint64_t wait_ns = scene_step(scene);
	assert_int_equal(scene_safe(scene, 0), told);
	assert_int_equal(figures_get(&scene->store->figures.syncs), syncs);
	assert_int_equal(wait_ns, 1000000000u);
	scene->now_ns += wait_ns;
	assert_true(scene_step(scene) == SLEEPER_FOREVER);
	assert_int_equal(figures_get(&scene->store->figures.syncs), syncs + 1);
	scene_free(scene);
}

/* A topic's message and its removal, which is newer and another shard's. The removal is before the checkpoint's
 * beginning, and the message, whose turn is longer, behind it: so the removal has to be there as well. */
static void a_removed_retained_message_stays_away(void **state)
{
	(void)state;
	static const uint8_t PACKET[] = "\x31\x05\x00\x03odd";
	struct scene *scene = scene_with_epoch(7, STORE_ALWAYS);
	struct journal_message message = {
		.publication = {.packet_bytes = 7, .topic_bytes = 3, .header_bytes = 2, .retain = true},
		.packet = PACKET,
		.expires_at_s = DEADLINE_NEVER_S};
	struct journal_retained kept = {.number = 1000000, .topic = slice_string("odd"), .message = &message};
	struct journal_retained gone = {.number = 1000001, .topic = slice_string("odd")};
	scene->store->writer.checkpoint_soon = true;
	STORE_JOURNAL_EVENTS.begin(&scene->shards[1], 5000);
	STORE_JOURNAL_EVENTS.opened(&scene->shards[1], (struct client_ref){999}, slice_string("busy"));
	scene_step(scene);
	STORE_JOURNAL_EVENTS.begin(&scene->shards[0], 5000);
	STORE_JOURNAL_EVENTS.retained(&scene->shards[0], &kept);
	STORE_JOURNAL_EVENTS.retained(&scene->shards[1], &gone);
	STORE_JOURNAL_EVENTS.end(&scene->shards[1]);
	scene_step(scene);
	assert_true(scene->store->writer.checkpoint_runs);
	STORE_JOURNAL_EVENTS.end(&scene->shards[0]);
	scene_checkpoint_all(scene, 100);
	assert_int_equal(figures_get(&scene->store->figures.checkpoints), 2);
	struct model *model = model_new();
	struct replay replay;
	assert_int_equal(replay_run(&scene->sim->disk, &scene->store->identity, NULL, model, &replay), ERROR_OK);
	for (const struct model_retained *at = model->retained; at != NULL; at = at->next)
		assert_false(slice_equal(at->topic, slice_string("odd")));
	replay_fini(&replay);
	model_free(&model);
	scene_free(scene);
}

/* ---- failures ---- */

static void goes_on_in_a_new_segment_after_a_sync_that_failed(void **state)
{
	(void)state;
	struct scene *scene = scene_with_epoch(6, STORE_ALWAYS);
	uint32_t segment = scene->store->writer.segments.header.number;
	scene->sim->fail_error = EIO;
	scene->sim->fail_sync_in = 1;
	uint64_t told = tell(scene, 0);
	scene_step(scene);
	assert_true(scene_safe(scene, 0) < told);
	assert_int_equal(scene->store->figures.state, STORE_BROKEN);
	assert_int_equal(scene->store->figures.error, EIO);
	assert_true((scene->store->common.full & STORE_FULL_DEVICE) != 0);
	scene_step(scene); /* too soon */
	assert_int_equal(figures_get(&scene->store->figures.failures), 1);
	scene->sim->fail_sync_in = 0;
	tell(scene, 0);
	for (int i = 0; i < 5; i++)
		scene_step(scene);
	assert_int_equal(scene_safe(scene, 0), told + 1);
	assert_int_equal(scene->store->figures.state, STORE_WORKING);
	assert_int_equal(scene->store->common.full, 0);
	assert_true(scene->store->writer.segments.header.number > segment);
	/* Soon nothing depends on the file that failed. */
	assert_true(store_wants_checkpoint(&scene->shards[0]) != 0);
	scene_checkpoint_all(scene, 100);
	assert_null(segments_find(&scene->store->writer.segments, segment));
	scene_free(scene);
}

static void is_full_before_there_is_no_room_and_goes_on_when_there_is(void **state)
{
	(void)state;
	struct scene *scene = scene_with_epoch(7, STORE_ALWAYS);
	uint64_t room;
	scene->sim->disk.operations->room(scene->sim, &room);
	uint64_t limit = scene->sim->room;
	scene->sim->room = limit - room; /* what is allocated, and no more */
	unsigned steps = 0;
	while (scene->store->figures.state == STORE_WORKING && steps++ < 2000) {
		scene_turn(scene, 0, 20);
		scene_step(scene);
	}
	assert_int_equal(scene->store->figures.state, STORE_FULL);
	assert_int_equal(scene->store->figures.error, ENOSPC);
	/* The segment that was ready is in use, so this one is still safe. */
	uint64_t told = tell(scene, 0);
	scene_step(scene);
	assert_int_equal(scene_safe(scene, 0), told);
	for (steps = 0; scene_safe(scene, 0) == STORE_JOURNAL_SAFETY.told(&scene->shards[0]); steps++) {
		assert_true(steps < 2000);
		scene_turn(scene, 0, 20);
		scene_step(scene);
	}
	scene->sim->room = limit;
	for (int i = 0; i < 8; i++)
		scene_step(scene);
	assert_int_equal(scene_safe(scene, 0), STORE_JOURNAL_SAFETY.told(&scene->shards[0]));
	assert_int_equal(scene->store->figures.state, STORE_WORKING);
	scene_free(scene);
}

static void says_that_it_is_full_when_the_writer_is_behind(void **state)
{
	(void)state;
	struct scene *scene = scene_with_epoch(8, STORE_ALWAYS);
	scene->store->common.buffer_bytes_max = 5000;
	while ((scene->store->common.full & STORE_FULL_BUFFERS) == 0)
		scene_turn(scene, 1, 50);
	scene_step(scene);
	assert_int_equal(scene->store->common.full, 0);
	scene_free(scene);
}

/* ---- checkpoints and bodies ---- */

static void old_segments_go_and_bodies_in_them_move_on(void **state)
{
	(void)state;
	struct scene *scene = scene_new(9, STORE_ALWAYS, 4096, 20000);
	uint64_t absent = 0;
	for (int i = 0; i < 60; i++) {
		scene_play(scene, 40);
		for (uint32_t j = 0; j < SCENE_SHARDS; j++) {
			for (uint32_t k = 1; k <= TOY_MESSAGES; k++)
				absent +=
					scene->toys[j].messages[k].references != 0 && scene->toys[j].messages[k].absent;
		}
	}
	assert_true(absent > 100);
	assert_true(figures_get(&scene->store->figures.checkpoints) > 5);
	/* So much is live at most: 48 messages of 300 bytes a shard; the log is of that size and no more. */
	assert_true(scene->store->writer.segments.log_bytes < 200000);
	assert_true(figures_get(&scene->store->figures.written_bytes) > 2 * scene->store->writer.segments.log_bytes);
	unsigned seed = 1;
	scene_check_cut(scene, scene->sim->count, SIM_NONE, &seed);
	scene_free(scene);
}

static void keep(struct scene *scene, uint32_t message, uint16_t topic_bytes)
{
	static uint8_t packet[1000] = {0x32, 0xe5, 0x07};
	struct journal_message told = {.publication = {.packet_bytes = sizeof(packet),
						       .topic_bytes = topic_bytes,
						       .header_bytes = 3,
						       .qos = 1},
				       .packet = packet,
				       .expires_at_s = STORE_NEVER_S};
	STORE_JOURNAL_EVENTS.kept(&scene->shards[0], (struct message_ref){message}, &told);
}

/* Tells the messages again, and whatever else a checkpoint takes. */
static void checkpoint_of(struct scene *scene, uint32_t from, uint32_t end)
{
	for (uint32_t i = 0; i < SCENE_SHARDS; i++) {
		struct store_shard *shard = &scene->shards[i];
		STORE_JOURNAL_EVENTS.begin(shard, 5000);
		store_checkpoint_begin(shard, store_wants_checkpoint(shard));
		store_checkpoint_again(shard, true);
		for (uint32_t message = from; message < end && i == 0; message++)
			keep(scene, message, 10);
		store_checkpoint_again(shard, false);
		store_checkpoint_end(shard);
		STORE_JOURNAL_EVENTS.end(shard);
	}
	scene_step(scene);
}

static uint32_t segment_of(const struct scene *scene, uint32_t message)
{
	struct body body;
	assert_true(bodies_find(&scene->store->bodies, 0, message, &body));
	return body.segment;
}

/* A checkpoint writes no body that lies in the log already, unless it would keep much for little. */
static void a_checkpoint_leaves_bodies_where_they_are(void **state)
{
	(void)state;
	struct scene *scene = scene_new(11, STORE_ALWAYS, 1 << 20, 40000);
	checkpoint_of(scene, 0, 0);
	STORE_JOURNAL_EVENTS.begin(&scene->shards[0], 5000);
	for (uint32_t message = 1; message <= 60; message++)
		keep(scene, message, 10);
	STORE_JOURNAL_EVENTS.end(&scene->shards[0]);
	scene_step(scene);
	uint32_t first = segment_of(scene, 1);
	uint64_t written = figures_get(&scene->store->figures.written_bytes);
	assert_true(written > 60000);
	checkpoint_of(scene, 1, 61);
	assert_int_equal(figures_get(&scene->store->figures.checkpoints), 2);
	assert_in_range(figures_get(&scene->store->figures.written_bytes) - written, 60, 60 * 40);
	assert_int_equal(segment_of(scene, 60), first);
	/* The next one is due once the log has grown by checkpoint_bytes, whatever the last one told. */
	assert_int_equal(store_wants_checkpoint(&scene->shards[0]), 0);
	/* Then most of it is forgotten, and the segment takes more than twice what lives in it and checkpoint_bytes. */
	STORE_JOURNAL_EVENTS.begin(&scene->shards[0], 5000);
	for (uint32_t message = 1; message <= 55; message++)
		STORE_JOURNAL_EVENTS.forgotten(&scene->shards[0], (struct message_ref){message});
	STORE_JOURNAL_EVENTS.end(&scene->shards[0]);
	scene_step(scene);
	for (uint32_t message = 100; store_wants_checkpoint(&scene->shards[0]) == 0; message++) {
		assert_true(message < 150);
		STORE_JOURNAL_EVENTS.begin(&scene->shards[0], 5000);
		STORE_JOURNAL_EVENTS.forgotten(&scene->shards[0], (struct message_ref){message - 1});
		keep(scene, message, 10);
		STORE_JOURNAL_EVENTS.end(&scene->shards[0]);
		scene_step(scene);
	}
	written = figures_get(&scene->store->figures.written_bytes);
	checkpoint_of(scene, 56, 61);
	assert_true(segment_of(scene, 56) > first);
	assert_in_range(figures_get(&scene->store->figures.written_bytes) - written, 5000, 5000 + 500);
	assert_null(segments_find(&scene->store->writer.segments, first));
	scene_free(scene);
}

/* The segment that failed is not depended on, though nothing in it is needless. */
static void a_checkpoint_after_a_failure_moves_what_lies_in_the_file_that_failed(void **state)
{
	(void)state;
	struct scene *scene = scene_new(12, STORE_ALWAYS, 1 << 20, 1 << 20);
	checkpoint_of(scene, 0, 0);
	STORE_JOURNAL_EVENTS.begin(&scene->shards[0], 5000);
	for (uint32_t message = 1; message <= 50; message++)
		keep(scene, message, 10);
	STORE_JOURNAL_EVENTS.end(&scene->shards[0]);
	scene_step(scene);
	uint32_t first = segment_of(scene, 1);
	scene->sim->fail_error = EIO;
	scene->sim->fail_sync_in = 1;
	tell(scene, 1);
	scene_step(scene);
	assert_int_equal(scene->store->figures.state, STORE_BROKEN);
	scene->sim->fail_sync_in = 0;
	for (int i = 0; i < 5; i++)
		scene_step(scene);
	assert_int_equal(scene->store->figures.state, STORE_WORKING);
	assert_int_equal(segment_of(scene, 1), first);
	checkpoint_of(scene, 1, 51);
	for (uint32_t message = 1; message <= 50; message++)
		assert_true(segment_of(scene, message) > first);
	assert_null(segments_find(&scene->store->writer.segments, first));
	scene_free(scene);
}

static void tell_all_again_by_place(struct scene *scene, uint32_t count)
{
	const struct journal_message told = {
		.publication = {.packet_bytes = 1000, .topic_bytes = 10, .header_bytes = 3, .qos = 1},
		.expires_at_s = STORE_NEVER_S};
	scene->store->writer.checkpoint_soon = true;
	scene_step(scene);
	for (uint32_t i = 0; i < SCENE_SHARDS; i++) {
		struct store_shard *shard = &scene->shards[i];
		STORE_JOURNAL_EVENTS.begin(shard, 5000);
		store_checkpoint_begin(shard, store_wants_checkpoint(shard));
		store_checkpoint_again(shard, true);
		for (uint32_t message = 1; message <= count && i == 0; message++)
			store_checkpoint_kept_at(shard, (struct message_ref){message}, &told);
		store_checkpoint_again(shard, false);
		store_checkpoint_end(shard);
		STORE_JOURNAL_EVENTS.end(shard);
	}
	for (int i = 0; i < 3; i++)
		scene_step(scene);
}

/* What does not fit stays with its segment until the next checkpoint. */
static void bodies_that_move_keep_a_commit_in_its_bound(void **state)
{
	(void)state;
	enum { COUNT = 20000 };
	struct scene *scene = scene_new(13, STORE_ALWAYS, 32 << 20, 64 << 20);
	checkpoint_of(scene, 0, 0);
	for (uint32_t message = 1; message <= COUNT;) {
		STORE_JOURNAL_EVENTS.begin(&scene->shards[0], 5000);
		for (uint32_t end = message + COUNT / 20; message < end; message++)
			keep(scene, message, 10);
		STORE_JOURNAL_EVENTS.end(&scene->shards[0]);
		scene_step(scene);
	}
	uint32_t first = segment_of(scene, 1);
	assert_int_equal(segment_of(scene, COUNT), first);
	segments_find(&scene->store->writer.segments, first)->failed = true;
	uint64_t written = figures_get(&scene->store->figures.written_bytes);
	tell_all_again_by_place(scene, COUNT);
	assert_int_equal(figures_get(&scene->store->figures.checkpoints), 2);
	assert_in_range(figures_get(&scene->store->figures.written_bytes) - written, STORE_COMMIT_BYTES_MAX / 2,
			STORE_COMMIT_BYTES_MAX);
	assert_true(segment_of(scene, 1) > first);
	assert_int_equal(segment_of(scene, COUNT), first);
	assert_non_null(segments_find(&scene->store->writer.segments, first));
	tell_all_again_by_place(scene, COUNT);
	assert_int_equal(figures_get(&scene->store->figures.checkpoints), 3);
	assert_true(segment_of(scene, COUNT) > first);
	assert_null(segments_find(&scene->store->writer.segments, first));
	scene_free(scene);
}

static struct store_body load_one(struct scene *scene, struct reader *reader, uint32_t message)
{
	struct store_load *load = calloc(1, sizeof(*load));
	load->count = 1;
	load->bodies[0] = (struct store_body){.message = {message}, .packet_bytes = 1000};
	store_load(&scene->shards[0], &load);
	assert_true(reader_step(reader, scene->now_ns));
	load = store_loaded(&scene->shards[0]);
	assert_non_null(load);
	struct store_body body = load->bodies[0];
	free(load);
	return body;
}

static void a_body_that_has_changed_is_not_handed_out(void **state)
{
	(void)state;
	struct scene *scene = scene_new(14, STORE_ALWAYS, 1 << 20, 1 << 20);
	struct reader reader;
	checkpoint_of(scene, 0, 0);
	STORE_JOURNAL_EVENTS.begin(&scene->shards[0], 5000);
	keep(scene, 1, 10);
	STORE_JOURNAL_EVENTS.end(&scene->shards[0]);
	scene_step(scene);
	reader_init(&reader, &scene->store->common, &scene->store->bodies, &scene->sim->disk, &scene->store->figures,
		    NULL);
	struct store_body body = load_one(scene, &reader, 1);
	assert_non_null(body.packet);
	free(body.packet);
	struct body place;
	assert_true(bodies_find(&scene->store->bodies, 0, 1, &place));
	scene->store->writer.segments.file->bytes[place.offset + 500] ^= 1;
	body = load_one(scene, &reader, 1);
	assert_null(body.packet);
	assert_false(body.later);
	assert_int_equal(figures_get(&scene->store->figures.load_failures), 1);
	reader_fini(&reader);
	scene_free(scene);
}

static void session_event(struct scene *scene, uint32_t session, bool connects)
{
	struct store_shard *shard = &scene->shards[1];
	struct journal_connected connected = {.expiry_s = 60};
	struct journal_left left = {.expiry_s = 60, .ends_at_s = 9000};
	STORE_JOURNAL_EVENTS.begin(shard, 5000);
	if (connects)
		STORE_JOURNAL_EVENTS.connected(shard, (struct client_ref){session}, &connected);
	else
		STORE_JOURNAL_EVENTS.left(shard, (struct client_ref){session}, &left);
	STORE_JOURNAL_EVENTS.end(shard);
}

/* While a session is connected, the time is noted every ten seconds: when its connection was lost. */
static void the_time_is_noted_while_sessions_are_connected(void **state)
{
	(void)state;
	struct scene *scene = scene_with_epoch(13, STORE_ALWAYS);
	session_event(scene, 70, true);
	session_event(scene, 70, true); /* taken over */
	session_event(scene, 9000, true);
	uint64_t from_ns = scene->now_ns;
	assert_int_equal(scene_step(scene), WRITER_HEARTBEAT_NS);
	uint64_t commits = figures_get(&scene->store->figures.commits),
		 syncs = figures_get(&scene->store->figures.syncs);
	uint64_t written = figures_get(&scene->store->figures.written_bytes);
	for (uint64_t second = 1; second < 10; second++) {
		scene->now_ns = from_ns + second * 1000000000u;
		assert_int_equal(scene_step(scene), (10 - second) * 1000000000u);
	}
	assert_int_equal(figures_get(&scene->store->figures.commits), commits);
	assert_int_equal(scene_wall(scene), 5000);
	for (uint64_t second = 10; second <= 30; second += 10) {
		scene->now_ns = from_ns + second * 1000000000u;
		assert_int_equal(scene_step(scene), WRITER_HEARTBEAT_NS);
		assert_int_equal(scene_wall(scene), 5000 + second);
	}
	assert_int_equal(figures_get(&scene->store->figures.commits), commits + 3);
	assert_int_equal(figures_get(&scene->store->figures.syncs), syncs + 3);
	assert_int_equal(figures_get(&scene->store->figures.written_bytes),
			 written + 3 * sizeof(struct store_commit_header));
	session_event(scene, 70, false);
	assert_int_equal(scene_step(scene), WRITER_HEARTBEAT_NS);
	session_event(scene, 9000, false);
	assert_true(scene_step(scene) == SLEEPER_FOREVER);
	scene->now_ns += 100000000000u;
	commits = figures_get(&scene->store->figures.commits);
	assert_true(scene_step(scene) == SLEEPER_FOREVER);
	assert_int_equal(figures_get(&scene->store->figures.commits), commits);
	scene_free(scene);
}

static void a_clean_stop_is_noted_and_nothing_is_left_behind(void **state)
{
	(void)state;
	struct scene *scene = scene_with_epoch(10, STORE_ALWAYS);
	scene_play(scene, 200);
	assert_true(writer_stop(&scene->store->writer, scene->now_ns));
	for (uint32_t i = 0; i < SCENE_SHARDS; i++)
		assert_int_equal(scene_safe(scene, i), STORE_JOURNAL_SAFETY.told(&scene->shards[i]));
	assert_int_equal(scene->store->figures.state, STORE_STOPPED);
	scene_free(scene);
}

/* ---- power cuts ---- */

static void nothing_safe_is_lost_when_the_power_fails(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 3; seed++) {
		struct scene *scene = scene_new(seed, STORE_ALWAYS, 4096, 12000);
		scene_play(scene, 500);
		assert_true(figures_get(&scene->store->figures.checkpoints) > 1);
		scene_check_cuts(scene, seed);
		scene_free(scene);
	}
}

static void nothing_safe_is_lost_when_the_disk_fails_before_the_power(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 3; seed++) {
		struct scene *scene = scene_new(seed, STORE_ALWAYS, 4096, 12000);
		scene->sim->fail_error = EIO;
		for (unsigned i = 0; i < 40; i++) {
			scene_play(scene, 12);
			scene->sim->torn = i % 3 == 0;
			if (i % 4 == 1)
				scene->sim->fail_sync_in = 2;
			if (i % 4 == 3)
				scene->sim->fail_write_in = 2;
			scene_play(scene, 8);
			scene->sim->fail_sync_in = scene->sim->fail_write_in = 0;
		}
		assert_true(figures_get(&scene->store->figures.failures) > 5);
		scene_check_cuts(scene, seed);
		scene_free(scene);
	}
}

/* In periodic mode the power may take what was not synced: from some commit on, all of it. */
static void periodic_loses_the_end_alone_when_the_power_fails(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 2; seed++) {
		struct scene *scene = scene_new(seed, STORE_PERIODIC, 4096, 12000);
		scene->sim->fail_error = EIO;
		for (unsigned i = 0; i < 10; i++) {
			scene_play(scene, 30);
			scene->sim->fail_sync_in = i % 3 == 2 ? 1 : 0;
			scene_play(scene, 20);
			scene->sim->fail_sync_in = 0;
		}
		assert_true(figures_get(&scene->store->figures.failures) > 0);
		scene_check_cuts(scene, seed);
		scene_free(scene);
	}
}

/* A start counts once its first checkpoint is complete; until then what was before is there. */
static void nothing_safe_is_lost_over_restarts(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 3; seed++) {
		struct scene *scene = scene_new(seed, STORE_ALWAYS, 4096, 12000);
		for (unsigned i = 0; i < 4; i++) {
			scene_play(scene, 120);
			scene_checkpoint_all(scene, 100);
			scene_restart(scene);
		}
		scene_play(scene, 60);
		scene_check_cuts(scene, seed);
		scene_free(scene);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_safe_before_the_first_checkpoint),
		cmocka_unit_test(one_commit_and_one_sync_take_all_shards),
		cmocka_unit_test(a_shard_in_a_turn_is_not_waited_for),
		cmocka_unit_test(what_is_acknowledged_soon_costs_no_write),
		cmocka_unit_test(periodic_is_safe_when_written_and_synced_in_time),
		cmocka_unit_test(a_removed_retained_message_stays_away),
		cmocka_unit_test(goes_on_in_a_new_segment_after_a_sync_that_failed),
		cmocka_unit_test(is_full_before_there_is_no_room_and_goes_on_when_there_is),
		cmocka_unit_test(says_that_it_is_full_when_the_writer_is_behind),
		cmocka_unit_test(old_segments_go_and_bodies_in_them_move_on),
		cmocka_unit_test(a_checkpoint_leaves_bodies_where_they_are),
		cmocka_unit_test(a_checkpoint_after_a_failure_moves_what_lies_in_the_file_that_failed),
		cmocka_unit_test(bodies_that_move_keep_a_commit_in_its_bound),
		cmocka_unit_test(a_body_that_has_changed_is_not_handed_out),
		cmocka_unit_test(the_time_is_noted_while_sessions_are_connected),
		cmocka_unit_test(a_clean_stop_is_noted_and_nothing_is_left_behind),
		cmocka_unit_test(nothing_safe_is_lost_when_the_power_fails),
		cmocka_unit_test(nothing_safe_is_lost_when_the_disk_fails_before_the_power),
		cmocka_unit_test(periodic_loses_the_end_alone_when_the_power_fails),
		cmocka_unit_test(nothing_safe_is_lost_over_restarts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
