/* A store with its threads that stands still and goes on: in the same program, and in the next one. Run under TSan too.
 */
#include "base/check.h"
#include "commit/store_state.h"
#include "memory/notes.h"
#include "outliving.h"
#include "scratch.h"
#include "toy_shard.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SHARDS 2u
#define LIMIT_MS 20000u

static const struct journal_events *const TELL = &STORE_JOURNAL_EVENTS;

static struct store_settings settings_of(enum store_durability durability, struct arena *arena)
{
	return (struct store_settings){.durability = durability,
				       .sync_interval_ms = 3600000,
				       .segment_bytes = 64u << 10,
				       .checkpoint_bytes = 1u << 20,
				       .buffer_bytes_max = 64u << 20,
				       .shard_count = SHARDS,
				       .arena = arena};
}

/* ---- a shard ---- */

struct teller {
	struct store *store;
	uint16_t number;
	uint32_t first;
	uint32_t count;
};

static void tell_session(struct store_shard *shard, uint32_t session)
{
	char id[24];
	struct journal_connected connected = {.expiry_s = 100, .generation = 1};
	snprintf(id, sizeof(id), "client-%u-%u", shard->number, session);
	TELL->opened(shard, (struct client_ref){session}, slice_string(id));
	TELL->connected(shard, (struct client_ref){session}, &connected);
}

/* Sessions, one a turn. */
static void *tell_sessions(void *context)
{
	struct teller *teller = context;
	struct store_shard *shard = store_shard(teller->store, teller->number);
	for (uint32_t i = 0; i < teller->count; i++) {
		TELL->begin(shard, 7);
		tell_session(shard, teller->first + i);
		TELL->end(shard);
	}
	return NULL;
}

/* Both shards tell, each by a thread of its own, and wait for nothing. */
static void tell_many(struct store *store, uint32_t first, uint32_t count)
{
	pthread_t threads[SHARDS];
	struct teller tellers[SHARDS];
	for (uint16_t i = 0; i < SHARDS; i++) {
		tellers[i] = (struct teller){.store = store, .number = i, .first = first, .count = count};
		assert_int_equal(pthread_create(&threads[i], NULL, tell_sessions, &tellers[i]), 0);
	}
	for (uint16_t i = 0; i < SHARDS; i++)
		pthread_join(threads[i], NULL);
}

static void tell_first_checkpoint(struct store *store)
{
	for (uint16_t i = 0; i < SHARDS; i++) {
		struct store_shard *shard = store_shard(store, i);
		TELL->begin(shard, 7);
		store_checkpoint_begin(shard, store_wants_checkpoint(shard));
		store_checkpoint_end(shard);
		TELL->end(shard);
	}
}

static void check_all_is_safe(struct store *store)
{
	struct store_figures figures;
	for (uint16_t i = 0; i < SHARDS; i++) {
		struct store_shard *shard = store_shard(store, i);
		assert_int_equal(STORE_JOURNAL_SAFETY.safe(shard, i), STORE_JOURNAL_SAFETY.told(shard));
	}
	store_figures(store, &figures);
	assert_int_equal(figures.buffered_bytes, 0);
	assert_int_equal(figures.state, STORE_WORKING);
}

/* ---- a store ---- */

static struct store *open_store(const struct disk *disk, const struct store_settings *settings)
{
	struct store *store;
	struct model *model;
	struct store_report report;
	assert_int_equal(store_open(&store, disk, settings), ERROR_OK);
	assert_int_equal(store_recover(store, NULL, NULL, &model, &report), ERROR_OK);
	model_free(&model);
	assert_int_equal(store_start(store, NULL), ERROR_OK);
	tell_first_checkpoint(store);
	return store;
}

/* As after a kill: what the directory holds. */
static void check_recovered(const char *directory, uint32_t sessions, bool stopped)
{
	struct disk disk;
	const char *why;
	struct store *store;
	struct model *model;
	struct store_report report;
	struct store_settings settings = settings_of(STORE_ALWAYS, NULL);
	assert_int_equal(disk_open_directory(&disk, directory, false, &why), 0);
	assert_int_equal(store_open(&store, &disk, &settings), ERROR_OK);
	assert_int_equal(store_recover(store, NULL, NULL, &model, &report), ERROR_OK);
	assert_int_equal(model->session_count, sessions);
	assert_int_equal(model->stopped, stopped);
	assert_string_equal(report.damage, "");
	model_free(&model);
	store_free(&store);
	disk_close_directory(&disk);
}

static void pause_store(struct store *store)
{
	struct store_refusal refusal = {.why = ""};
	bool paused = store_pause(store, LIMIT_MS, &refusal);
	assert_string_equal(refusal.why, "");
	assert_true(paused);
	check_all_is_safe(store);
}

/* What was told last is safe although nobody waits for it, in whatever mode. */
static void stands_still_under_load_and_goes_on(void **state)
{
	(void)state;
	for (int mode = 0; mode < 2; mode++) {
		struct scratch scratch = scratch_open();
		struct disk disk;
		const char *why;
		struct store_settings settings = settings_of(mode == 0 ? STORE_ALWAYS : STORE_PERIODIC, NULL);
		assert_int_equal(disk_open_directory(&disk, scratch.directory, true, &why), 0);
		struct store *store = open_store(&disk, &settings);
		uint32_t next = 1;
		for (unsigned i = 0; i < 20; i++) {
			tell_many(store, next, 1 + i * 5);
			next += 1 + i * 5;
			if (i % 2 == 0)
				store_hurry(store);
			pause_store(store);
			assert_int_equal(store_go_on(store, NULL), ERROR_OK);
		}
		pause_store(store);
		store_stop(store); /* its threads have ended already */
		store_free(&store);
		disk_close_directory(&disk);
		check_recovered(scratch.directory, SHARDS * (next - 1), true);
		scratch_close(&scratch);
	}
}

/* ---- the next program ---- */

static void copy_directory(const char *from, const char *to)
{
	char command[512];
	snprintf(command, sizeof(command), "cp -r %s/. %s", from, to);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a test */
}

static void goes_on_in_the_next_program(void **state)
{
	(void)state;
	struct scratch scratch = scratch_open(), killed = scratch_open();
	struct outliving outliving;
	struct arena arena, next_arena;
	struct disk disk;
	const char *why;
	struct store *next_store = NULL;
	struct store_refusal refusal = {.why = ""};
	outliving_open(&outliving);
	assert_int_equal(arena_open(&arena, &outliving.root, "store"), ERROR_OK);
	struct store_settings settings = settings_of(STORE_PERIODIC, &arena);
	assert_int_equal(disk_open_directory(&disk, scratch.directory, true, &why), 0);
	struct store *store = open_store(&disk, &settings);
	tell_many(store, 1, 300);
	pause_store(store);
	copy_directory(scratch.directory, killed.directory);
	check_recovered(killed.directory, SHARDS * 300, false);
	assert_int_equal(store_save(store), ERROR_OK);
	outliving_adopt(&outliving, &next_arena, "store");
	settings.arena = &next_arena;
	/* It changes nothing, so the first one could go on. */
	store_continue(&next_store, &disk, &settings, &refusal);
	assert_string_equal(refusal.why, "");
	outliving_check_unchanged(&outliving);
	store_free(&next_store);
	outliving_check_unchanged(&outliving);
	assert_int_equal(store_continue(&next_store, &disk, &settings, &refusal), ERROR_OK);
	uint64_t epoch = store->writer.segments.header.epoch;
	/* The first program is gone. */
	store->is_adopted = store->writer.segments.adopted = true;
	for (uint16_t i = 0; i < SHARDS; i++) {
		store->common.shards[i].connected.bits.adopted = true;
		store->bodies.shards[i].slab.region.adopted = true;
	}
	store_free(&store);
	assert_int_equal(store_go_on(next_store, NULL), ERROR_OK);
	tell_many(next_store, 301, 200);
	pause_store(next_store);
	assert_int_equal(next_store->writer.segments.header.epoch, epoch);
	assert_int_equal(store_go_on(next_store, NULL), ERROR_OK);
	store_stop(next_store);
	store_free(&next_store);
	disk_close_directory(&disk);
	outliving_close(&outliving);
	check_recovered(scratch.directory, SHARDS * 500, true);
	scratch_close(&scratch);
	scratch_close(&killed);
}

/* ---- a device that does not answer, or fails ---- */

static struct {
	const struct disk_operations *good;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool hangs;
	bool has_hung;
	int error;
} device = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static int sync_if_it_may(void *context, struct disk_file *file)
{
	pthread_mutex_lock(&device.lock);
	while (device.hangs) {
		device.has_hung = true;
		pthread_cond_broadcast(&device.changed);
		pthread_cond_wait(&device.changed, &device.lock);
	}
	int error = device.error;
	pthread_mutex_unlock(&device.lock);
	return error != 0 ? error : device.good->sync(context, file);
}

static void set_device(bool hangs, int error)
{
	pthread_mutex_lock(&device.lock);
	device.hangs = hangs;
	device.error = error;
	pthread_cond_broadcast(&device.changed);
	pthread_mutex_unlock(&device.lock);
}

static void await_hanging(void)
{
	pthread_mutex_lock(&device.lock);
	while (!device.has_hung)
		pthread_cond_wait(&device.changed, &device.lock);
	device.has_hung = false;
	pthread_mutex_unlock(&device.lock);
}

static void is_not_held_up_by_a_device(void **state)
{
	(void)state;
	struct scratch scratch = scratch_open();
	struct disk disk;
	const char *why;
	struct store_refusal refusal;
	struct store_settings settings = settings_of(STORE_ALWAYS, NULL);
	assert_int_equal(disk_open_directory(&disk, scratch.directory, true, &why), 0);
	device.good = disk.operations;
	struct disk_operations slow = *device.good;
	slow.sync = sync_if_it_may;
	disk.operations = &slow;
	struct store *store = open_store(&disk, &settings);
	pause_store(store);
	assert_int_equal(store_go_on(store, NULL), ERROR_OK);
	/* It hangs while the store is to stand still. */
	set_device(true, 0);
	tell_many(store, 1, 10);
	await_hanging();
	store_hurry(store);
	assert_false(store_has_hurried(store));
	assert_false(store_pause(store, 1, &refusal));
	assert_non_null(strstr(refusal.why, "has not synced within 1 ms"));
	assert_int_equal(store_go_on(store, NULL), ERROR_OK);
	set_device(false, 0);
	tell_many(store, 11, 10);
	store_hurry(store);
	pause_store(store);
	assert_true(store_has_hurried(store));
	assert_int_equal(store_go_on(store, NULL), ERROR_OK);
	/* It fails. */
	set_device(false, -EIO);
	tell_many(store, 21, 10);
	assert_false(store_pause(store, LIMIT_MS, &refusal));
	assert_non_null(strstr(refusal.why, strerror(EIO)));
	assert_int_equal(store_go_on(store, NULL), ERROR_OK);
	set_device(false, 0);
	store_stop(store);
	store_free(&store);
	disk.operations = device.good;
	disk_close_directory(&disk);
	check_recovered(scratch.directory, SHARDS * 30, true);
	scratch_close(&scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(stands_still_under_load_and_goes_on),
					   cmocka_unit_test(goes_on_in_the_next_program),
					   cmocka_unit_test(is_not_held_up_by_a_device)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
