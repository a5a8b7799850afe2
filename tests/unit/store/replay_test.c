/* Which segments and commits of a store count, and what is told of those that are damaged. */
#include "log_scene.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct scene {
	struct log_scene log;
	struct model *model;
	struct replay replay;
};

static int set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	log_scene_init(&scene->log);
	*state = scene;
	return 0;
}

static void forget(struct scene *scene)
{
	model_free(&scene->model);
	replay_fini(&scene->replay);
}

static int tear_down(void **state)
{
	struct scene *scene = *state;
	forget(scene);
	log_scene_fini(&scene->log);
	free(scene);
	return 0;
}

static void add_session(struct scene *scene, const char *client_id)
{
	uint32_t name = (uint32_t)scene->log.next_commit;
	log_scene_add(
		&scene->log, 0,
		&(const struct store_record){.kind = STORE_OPENED, .session = name, .text = slice_string(client_id)});
}

/* A commit with a session. */
static void commit_session(struct scene *scene, const char *client_id)
{
	add_session(scene, client_id);
	log_scene_commit(&scene->log);
}

/* A new epoch in a new segment, with its first checkpoint: the session "base". */
static void begin(struct scene *scene)
{
	log_scene_segment(&scene->log, true);
	add_session(scene, "base");
	log_scene_mark(&scene->log, STORE_SECTION_CHECKPOINT, scene->log.segment.number);
	log_scene_commit(&scene->log);
}

static struct disk_file *segment(struct scene *scene, uint32_t number)
{
	char name[STORE_SEGMENT_NAME_BYTES];
	struct disk_file *file = memory_disk_file(&scene->log.memory, store_segment_name(number, name));
	assert_non_null(file);
	return file;
}

static enum error replay(struct scene *scene, bool go_on)
{
	forget(scene);
	return log_scene_replay(&scene->log, go_on, &scene->model, &scene->replay);
}

static void assert_good(struct scene *scene, uint64_t sessions)
{
	enum error error = replay(scene, false);
	assert_string_equal(scene->replay.damage, "");
	assert_int_equal(error, ERROR_OK);
	assert_int_equal(scene->model->session_count, sessions);
}

static void assert_damaged(struct scene *scene, const char *sentence)
{
	assert_int_equal(replay(scene, false), ERROR_SYSTEM);
	if (strstr(scene->replay.damage, sentence) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", sentence, scene->replay.damage);
}

static bool has(const struct scene *scene, const char *client_id)
{
	return log_scene_session(scene->model, client_id) != NULL;
}

static void test_a_new_store_is_empty(void **state)
{
	struct scene *scene = *state;
	assert_good(scene, 0);
	assert_int_equal(scene->replay.highest_segment, 0);
	assert_int_equal(scene->replay.last_commit, 0);
	log_scene_segment(&scene->log, true);
	commit_session(scene, "told, but its checkpoint never ended");
	assert_good(scene, 0);
	assert_int_equal(scene->replay.highest_segment, 1);
	assert_int_equal(scene->replay.highest_epoch, 1);
	assert_int_equal(scene->replay.last_commit, 1);
	assert_int_equal(scene->replay.segments[0].role, REPLAY_LATER);
	assert_int_equal(replay_remove_later(&scene->log.disk, &scene->replay), 0);
	assert_int_equal(scene->replay.last_commit, 0);
	assert_int_equal(scene->log.memory.removed, 1);
}

static void test_what_follows_a_checkpoint_counts(void **state)
{
	struct scene *scene = *state;
	begin(scene);
	commit_session(scene, "one");
	log_scene_segment(&scene->log, false);
	commit_session(scene, "two");
	assert_good(scene, 3);
	assert_int_equal(scene->replay.base_segment, 1);
	assert_int_equal(scene->replay.epoch, 1);
	assert_int_equal(scene->replay.commits, 3);
	assert_int_equal(scene->replay.records, 3);
	assert_int_equal(scene->replay.last_commit, 3);
	assert_int_equal(scene->replay.wall_s, scene->log.wall_s - 1);
	assert_int_equal(scene->replay.segments[1].good_bytes, scene->replay.segments[1].file_bytes);
	assert_int_equal(scene->model->wall_s, scene->log.wall_s - 1);
	assert_false(scene->model->stopped);
	log_scene_mark(&scene->log, STORE_SECTION_STOP, 0);
	log_scene_commit(&scene->log);
	assert_good(scene, 3);
	assert_true(scene->model->stopped);
}

static void test_a_later_checkpoint_is_where_the_log_begins(void **state)
{
	struct scene *scene = *state;
	begin(scene);
	commit_session(scene, "gone, for the checkpoint does not tell it");
	log_scene_segment(&scene->log, false);
	commit_session(scene, "told again");
	log_scene_segment(&scene->log, false);
	log_scene_mark(&scene->log, STORE_SECTION_CHECKPOINT, 2);
	log_scene_commit(&scene->log);
	assert_good(scene, 1);
	assert_int_equal(scene->replay.base_segment, 2);
	assert_int_equal(scene->replay.segments[0].role, REPLAY_NEEDLESS);
	/* And then what is older may be gone. */
	scene->log.disk.operations->remove(scene->log.disk.context, "0000000001.log");
	assert_good(scene, 1);
	scene->log.disk.operations->remove(scene->log.disk.context, "0000000002.log");
	assert_damaged(scene, "0000000003.log: its checkpoint begins in segment 2, which is missing");
}

static void test_an_epoch_without_a_checkpoint_counts_for_nothing(void **state)
{
	struct scene *scene = *state;
	begin(scene);
	log_scene_segment(&scene->log, true);
	commit_session(scene, "told of the second epoch");
	log_scene_segment(&scene->log, false);
	commit_session(scene, "and this");
	assert_good(scene, 1);
	assert_true(has(scene, "base"));
	assert_int_equal(scene->replay.last_commit, 3);
	assert_int_equal(scene->replay.highest_epoch, 2);
	assert_int_equal(scene->replay.segments[2].role, REPLAY_LATER);
	assert_int_equal(replay_remove_later(&scene->log.disk, &scene->replay), 0);
	assert_int_equal(scene->log.memory.removed, 2);
	assert_int_equal(scene->replay.last_commit, 1);
	assert_int_equal(scene->replay.highest_segment, 3);
	assert_good(scene, 1);
}

static void test_the_newest_complete_epoch_is_the_truth(void **state)
{
	struct scene *scene = *state;
	begin(scene);
	commit_session(scene, "of the first epoch");
	begin(scene);
	assert_good(scene, 1);
	assert_int_equal(scene->replay.epoch, 2);
	assert_int_equal(scene->replay.base_segment, 2);
}

static void test_the_end_of_the_last_segment_may_be_cut_anywhere(void **state)
{
	struct scene *scene = *state;
	begin(scene);
	commit_session(scene, "one");
	size_t whole = segment(scene, 1)->size;
	commit_session(scene, "two");
	size_t all = segment(scene, 1)->size;
	uint8_t *bytes = malloc(all);
	memcpy(bytes, segment(scene, 1)->bytes, all);
	for (size_t cut = whole; cut <= all; cut++) {
		/* The file ends there, or it was allocated and ends in zeros. */
		for (size_t zeros = 0; zeros <= 64; zeros += 64) {
			struct disk_file *file = memory_disk_put(&scene->log.memory, "0000000001.log", bytes, cut);
			scene->log.disk.operations->truncate(scene->log.disk.context, file, cut + zeros);
			bool is_whole = true; /* its padding is zeros too */
			for (size_t i = cut; i < all; i++)
				is_whole = is_whole && bytes[i] == 0 && zeros >= all - cut;
			assert_good(scene, is_whole ? 3 : 2);
			assert_int_equal(scene->replay.last_commit, is_whole ? 3 : 2);
			assert_true(scene->replay.cut_bytes <= all - whole);
			assert_true(scene->replay.cut_bytes == 0 || scene->replay.cut_offset == whole);
		}
	}
	free(bytes);
}

static void test_a_flipped_bit_is_told_with_its_place(void **state)
{
	struct scene *scene = *state;
	begin(scene);
	size_t start = segment(scene, 1)->size;
	commit_session(scene, "one");
	size_t end = segment(scene, 1)->size;
	commit_session(scene, "two");
	char where[64];
	snprintf(where, sizeof(where), "0000000001.log: commit 2 at byte %zu is ", start);
	for (size_t bit = start * 8; bit < end * 8; bit++) {
		segment(scene, 1)->bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_damaged(scene, where);
		assert_int_equal(replay(scene, true), ERROR_OK);
		assert_int_equal(scene->replay.damages, 1);
		assert_true(has(scene, "base") && has(scene, "two") && !has(scene, "one"));
		segment(scene, 1)->bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_good(scene, 3);
}

static void test_damage_before_the_last_segment(void **state)
{
	struct scene *scene = *state;
	begin(scene);
	commit_session(scene, "one");
	commit_session(scene, "two");
	segment(scene, 1)->bytes[segment(scene, 1)->size - 40] ^= 1;
	assert_good(scene, 2); /* its end: it was being written */
	log_scene_segment(&scene->log, false);
	commit_session(scene, "three");
	assert_damaged(scene, "0000000001.log: commit 3 at byte ");
	assert_int_equal(replay(scene, true), ERROR_OK);
	assert_true(has(scene, "one") && !has(scene, "two") && has(scene, "three"));
	scene->log.disk.operations->truncate(scene->log.disk.context, segment(scene, 1), 64);
	assert_damaged(scene, "");
}

#define AHEAD_BYTES (9u << 20) /* more than is read at a time */

/* The room that is allocated ahead is not read; but a hole in the middle is damage, not an end. */
static void test_the_room_ahead_is_skipped(void **state)
{
	struct scene *scene = *state;
	begin(scene);
	size_t start = segment(scene, 1)->size;
	for (int i = 0; i < 1000; i++)
		commit_session(scene, i == 0 ? "one" : i == 999 ? "last" : "between");
	size_t written = segment(scene, 1)->size;
	scene->log.disk.operations->truncate(scene->log.disk.context, segment(scene, 1), AHEAD_BYTES);
	assert_good(scene, 4);
	assert_int_equal(scene->replay.last_commit, 1001);
	assert_int_equal(scene->replay.cut_bytes, 0);
	assert_true(scene->log.memory.holes != 0);
	/* Damage in the middle, as a device has it that forgets blocks. */
	size_t hole = (start / MEMORY_DISK_BLOCK + 2) * MEMORY_DISK_BLOCK;
	uint8_t *bytes = segment(scene, 1)->bytes;
	assert_true(hole + 3 * MEMORY_DISK_BLOCK < written);
	memset(bytes + hole, 0, 2 * MEMORY_DISK_BLOCK);
	assert_damaged(scene, "0000000001.log: commit ");
	assert_int_equal(replay(scene, true), ERROR_OK);
	assert_true(has(scene, "one") && has(scene, "last"));
	/* Something far behind, which is not a commit: it was cut there. */
	memset(bytes + start, 0, written - start);
	bytes[AHEAD_BYTES - 100] = 1;
	assert_good(scene, 1);
	assert_int_equal(scene->replay.cut_offset, start);
	assert_int_equal(scene->replay.cut_bytes, AHEAD_BYTES - 100 + 1 - start);
}

static void on_progress(void *context, uint64_t done, uint64_t all)
{
	double *part = context;
	assert_true(done <= all && all != 0);
	assert_true((double)done / (double)all >= *part);
	*part = (double)done / (double)all;
}

/* Whoever shows it sees it grow from little to all, whatever is passed over. */
static void test_progress_grows_and_ends(void **state)
{
	struct scene *scene = *state;
	for (int epoch = 0; epoch < 3; epoch++) {
		begin(scene);
		commit_session(scene, "one");
	}
	scene->log.disk.operations->truncate(scene->log.disk.context, segment(scene, 3), AHEAD_BYTES);
	double part = 0;
	struct replay_hooks hooks = {.context = &part, .progress = on_progress};
	assert_int_equal(replay_run(&scene->log.disk, &scene->log.identity, &hooks, NULL, &scene->replay), ERROR_OK);
	assert_true(part == 1);
}

/* All segments are read into one buffer. */
static void test_nothing_is_left_of_the_segment_before(void **state)
{
	struct scene *scene = *state;
	begin(scene);
	size_t second = 0;
	for (int i = 0; i < 1000; i++)
		commit_session(scene, "long");
	log_scene_segment(&scene->log, false);
	commit_session(scene, "short");
	second = segment(scene, 2)->size;
	assert_true(second + MEMORY_DISK_BLOCK < segment(scene, 1)->size);
	scene->log.disk.operations->truncate(scene->log.disk.context, segment(scene, 2), segment(scene, 1)->size);
	assert_good(scene, 3);
	assert_int_equal(scene->replay.cut_bytes, 0);
	assert_int_equal(scene->replay.last_commit, 1002);
}

static void test_what_a_later_segment_replaces_is_skipped(void **state)
{
	struct scene *scene = *state;
	begin(scene);
	commit_session(scene, "one");
	commit_session(scene, "written, but not synced");
	scene->log.next_commit = 3;
	log_scene_segment(&scene->log, false);
	assert_good(scene, 2);
	commit_session(scene, "two");
	assert_good(scene, 3);
	assert_false(has(scene, "written, but not synced"));
	scene->log.next_commit = 3;
	log_scene_segment(&scene->log, false);
	commit_session(scene, "at last");
	assert_good(scene, 3);
	assert_true(has(scene, "one") && has(scene, "at last") && !has(scene, "two"));
}

static void test_segments_that_are_missing(void **state)
{
	struct scene *scene = *state;
	begin(scene);
	for (int i = 0; i < 2; i++) {
		log_scene_segment(&scene->log, false);
		commit_session(scene, i == 0 ? "one" : "two");
	}
	scene->log.disk.operations->remove(scene->log.disk.context, "0000000002.log");
	assert_damaged(scene, "0000000001.log: commit 2 at byte ");
	assert_int_equal(replay(scene, true), ERROR_OK);
	assert_true(has(scene, "base") && has(scene, "two"));
	scene->log.disk.operations->remove(scene->log.disk.context, "0000000001.log");
	assert_damaged(scene, "0000000003.log: commits 1 to 2 before it are missing");
}

static void test_segments_that_were_never_begun(void **state)
{
	struct scene *scene = *state;
	static const uint8_t ZEROS[4096];
	begin(scene);
	memory_disk_put(&scene->log.memory, "0000000002.log", ZEROS, sizeof(ZEROS));
	memory_disk_put(&scene->log.memory, "0000000003.log", "Roost", 5);
	memory_disk_put(&scene->log.memory, "0000000004.log", "", 0);
	memory_disk_put(&scene->log.memory, "notes.txt", "not ours", 8);
	memory_disk_put(&scene->log.memory, "0000000005.log.damaged", "not ours", 8);
	assert_good(scene, 1);
	assert_int_equal(scene->replay.highest_segment, 4);
	assert_int_equal(scene->replay.segment_count, 4);
	assert_int_equal(scene->replay.segments[3].role, REPLAY_NEEDLESS);
}

static void test_foreign_segments(void **state)
{
	struct scene *scene = *state;
	begin(scene);
	memory_disk_put(&scene->log.memory, "0000000002.log", "2026-11-28 INFO started", 23);
	assert_damaged(scene, "0000000002.log: this is no segment of a Roost store");
	memory_disk_put(&scene->log.memory, "0000000002.log", segment(scene, 1)->bytes, segment(scene, 1)->size);
	assert_damaged(scene, "0000000002.log: it was made under another name");
	struct store_segment_header header;
	store_segment_header_make(&header, (const uint8_t *)"another store id", 2, 1, 2, 0);
	memory_disk_put(&scene->log.memory, "0000000002.log", &header, sizeof(header));
	assert_damaged(scene, "0000000002.log: it belongs to another store");
	header.epoch++;
	memory_disk_put(&scene->log.memory, "0000000002.log", &header, sizeof(header));
	assert_damaged(scene, "0000000002.log: its header is damaged");
	assert_int_equal(replay(scene, true), ERROR_OK);
	assert_true(has(scene, "base"));
}

static void test_what_cannot_be_read(void **state)
{
	struct scene *scene = *state;
	begin(scene);
	size_t start = segment(scene, 1)->size;
	for (int i = 0; i < 300; i++)
		commit_session(scene, i == 0 ? "one" : i == 299 ? "last" : "between");
	scene->log.memory.bad_file = segment(scene, 1);
	scene->log.memory.bad_from = start + 8192;
	scene->log.memory.bad_to = start + 8193;
	assert_damaged(scene, "0000000001.log: it cannot be read: Input/output error");
	assert_int_equal(replay(scene, true), ERROR_OK);
	assert_true(has(scene, "base") && has(scene, "one") && has(scene, "last"));
	assert_int_equal(scene->replay.damages, 2);
	assert_non_null(strstr(scene->replay.damage, "4096 bytes of it cannot be read"));
}

/* With a durability of a stated interval, a loss of power may leave a later commit whole and an earlier one not. */
static void test_what_was_not_synced_may_be_lost_in_any_order(void **state)
{
	struct scene *scene = *state;
	begin(scene);
	size_t start = segment(scene, 1)->size;
	commit_session(scene, "lost");
	add_session(scene, "whole");
	log_scene_mark(&scene->log, STORE_SECTION_UNSYNCED, 0);
	log_scene_commit(&scene->log);
	segment(scene, 1)->bytes[start + 50] ^= 1;
	assert_good(scene, 1);
	assert_true(scene->replay.cut_bytes > 100);
	commit_session(scene, "written after a sync");
	assert_damaged(scene, "0000000001.log: commit 2 at byte ");
}

static void test_records_that_are_none(void **state)
{
	struct scene *scene = *state;
	begin(scene);
	add_session(scene, "good");
	add_session(scene, "spoilt");
	memset(scene->log.commit + scene->log.size - 9, 0xff, 9);
	log_scene_commit(&scene->log);
	commit_session(scene, "next");
	assert_damaged(scene, "0000000001.log: commit 2 at byte ");
	assert_int_equal(replay(scene, true), ERROR_OK);
	assert_true(has(scene, "next"));
}

/* ---- bodies ---- */

static void queue_message(struct scene *scene, const struct store_record *kept)
{
	log_scene_add(&scene->log, 0, kept);
	log_scene_add(
		&scene->log, 0,
		&(const struct store_record){
			.kind = STORE_OPENED, .session = 1, .text = slice_string("client"), .flags = STORE_FLAG_AGAIN});
	log_scene_add(&scene->log, 0,
		      &(const struct store_record){
			      .kind = STORE_QUEUED, .session = 1, .entry = 1, .message = 1, .flags = STORE_FLAG_AGAIN});
}

static void test_bodies_in_older_segments(void **state)
{
	struct scene *scene = *state;
	struct publication publication;
	struct slice packet = log_scene_packet("a/b", "payload", 9, &publication);
	struct store_record kept = {.kind = STORE_KEPT, .message = 1, .expires_at_s = STORE_NEVER_S, .body = packet};
	store_record_set_publication(&kept, &publication);
	log_scene_segment(&scene->log, true);
	queue_message(scene, &kept);
	log_scene_mark(&scene->log, STORE_SECTION_CHECKPOINT, 1);
	log_scene_commit(&scene->log);
	assert_good(scene, 1);
	struct store_place place = log_scene_session(scene->model, "client")->queue->message->place;
	assert_int_equal(place.segment, 1);
	log_scene_segment(&scene->log, true);
	struct store_record at = kept;
	at.kind = STORE_KEPT_AT;
	at.segment = place.segment;
	at.offset = place.offset;
	queue_message(scene, &at);
	log_scene_mark(&scene->log, STORE_SECTION_CHECKPOINT, 2);
	log_scene_commit(&scene->log);
	assert_good(scene, 1);
	assert_int_equal(scene->replay.segments[0].role, REPLAY_BODIES);
	assert_int_equal(scene->replay.segments[0].body_bytes, packet.size);
	uint8_t *body;
	int error;
	assert_int_equal(
		replay_read_body(&scene->log.disk, segment(scene, 1), place.offset, &publication, &body, &error),
		ERROR_OK);
	assert_memory_equal(body, packet.data, packet.size);
	free(body);
	assert_int_equal(
		replay_read_body(&scene->log.disk, segment(scene, 1), place.offset + 1, &publication, &body, &error),
		ERROR_NOT_FOUND);
	assert_null(body);
	/* A record's body is its end. */
	uint8_t bytes[256];
	size_t last = place.offset + store_record_encode(&kept, bytes) - 1;
	segment(scene, 1)->bytes[last] ^= 1;
	assert_int_equal(
		replay_read_body(&scene->log.disk, segment(scene, 1), place.offset, &publication, &body, &error),
		ERROR_NOT_FOUND);
	assert_null(body);
	scene->log.disk.operations->remove(scene->log.disk.context, "0000000001.log");
	assert_damaged(scene, "0000000001.log: it is missing, and messages have their bodies in it");
	free((void *)(uintptr_t)packet.data);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_new_store_is_empty),
		TEST(what_follows_a_checkpoint_counts),
		TEST(a_later_checkpoint_is_where_the_log_begins),
		TEST(an_epoch_without_a_checkpoint_counts_for_nothing),
		TEST(the_newest_complete_epoch_is_the_truth),
		TEST(the_end_of_the_last_segment_may_be_cut_anywhere),
		TEST(a_flipped_bit_is_told_with_its_place),
		TEST(damage_before_the_last_segment),
		TEST(the_room_ahead_is_skipped),
		TEST(nothing_is_left_of_the_segment_before),
		TEST(progress_grows_and_ends),
		TEST(what_a_later_segment_replaces_is_skipped),
		TEST(segments_that_are_missing),
		TEST(segments_that_were_never_begun),
		TEST(foreign_segments),
		TEST(what_cannot_be_read),
		TEST(what_was_not_synced_may_be_lost_in_any_order),
		TEST(records_that_are_none),
		TEST(bodies_in_older_segments),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
