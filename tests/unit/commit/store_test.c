/* A store with its threads, in a directory: shards tell, wait, load bodies, and find all again after a restart. Run
 * under TSan too. */
#include "base/check.h"
#include "commit/told/shard.h"
#include "reactor/waker.h"
#include "scratch.h"
#include "store/store.h"
#include "toy_shard.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SHARDS 2u
#define QUEUE_MAX 256u

struct shard_thread {
	struct store *store;
	struct store_shard *shard;
	struct waker waker;
	uint16_t number;
	unsigned rounds;
	uint32_t first, last; /* entries first..last-1 are queued, each with the message of its number */
	uint32_t told_again;  /* in this checkpoint, up to this one */
	uint64_t loaded;
	uint64_t checkpoints;
};

static const struct journal_events *const TELL = &STORE_JOURNAL_EVENTS;

static uint32_t name_of(uint32_t number)
{
	return number % QUEUE_MAX + 1;
}

static void tell_kept(const struct shard_thread *self, uint32_t number)
{
	uint8_t packet[TOY_PACKET_MAX];
	struct journal_message told = {
		.publication = toy_packet(number, 1, packet), .packet = packet, .expires_at_s = INT64_MAX};
	TELL->kept(self->shard, (struct message_ref){name_of(number)}, &told);
}

static void tell_queued(const struct shard_thread *self, uint32_t number)
{
	struct journal_entry entry = {.message = {name_of(number)}, .qos = 1};
	TELL->queued(self->shard, (struct client_ref){1}, name_of(number), &entry);
}

static void tell_session(const struct shard_thread *self)
{
	char id[16];
	snprintf(id, sizeof(id), "client-%u", self->number);
	struct journal_connected connected = {.expiry_s = 100, .generation = 1};
	TELL->opened(self->shard, (struct client_ref){1}, slice_string(id));
	TELL->connected(self->shard, (struct client_ref){1}, &connected);
}

/* The whole of a checkpoint, in one turn. */
static void tell_checkpoint(struct shard_thread *self)
{
	uint32_t wanted = store_wants_checkpoint(self->shard);
	if (wanted == 0)
		return;
	TELL->begin(self->shard, 7);
	store_checkpoint_begin(self->shard, wanted);
	store_checkpoint_again(self->shard, true);
	for (uint32_t i = self->first; i != self->last; i++)
		tell_kept(self, i);
	tell_session(self);
	for (uint32_t i = self->first; i != self->last; i++)
		tell_queued(self, i);
	store_checkpoint_again(self->shard, false);
	store_checkpoint_end(self->shard);
	TELL->end(self->shard);
	self->checkpoints++;
}

/* Sleeps as a shard does. */
static void wait_for_wake(struct shard_thread *self, bool (*is_there)(struct shard_thread *self))
{
	while (!is_there(self)) {
		tell_checkpoint(self);
		waker_sleep(&self->waker);
		bool there = is_there(self); /* an answer is there once: it is taken */
		if (there || store_wants_checkpoint(self->shard) != 0) {
			waker_awake(&self->waker);
			if (there)
				return;
			continue;
		}
		struct pollfd fd = {.fd = self->waker.fd, .events = POLLIN};
		assert_int_equal(poll(&fd, 1, 20000), 1);
		waker_awake(&self->waker);
		uint64_t count;
		assert_int_equal(read(self->waker.fd, &count, sizeof(count)), sizeof(count));
	}
}

static bool all_is_safe(struct shard_thread *self)
{
	uint64_t told = STORE_JOURNAL_SAFETY.told(self->shard);
	return STORE_JOURNAL_SAFETY.safe(self->shard, self->number) >= told;
}

static bool has_answer(struct shard_thread *self)
{
	struct store_load *load = store_loaded(self->shard);
	if (load == NULL)
		return false;
	for (uint32_t i = 0; i < load->count; i++) {
		struct publication publication = {
			.packet_bytes = load->bodies[i].packet_bytes, .topic_bytes = 1, .header_bytes = 2, .qos = 1};
		if (publication.packet_bytes >= 130)
			publication.header_bytes = 3;
		CHECK(load->bodies[i].packet != NULL);
		CHECK_EQ(toy_body(load->bodies[i].packet, &publication), self->first + i);
		free(load->bodies[i].packet);
		self->loaded++;
	}
	free(load);
	return true;
}

static void ask_for_bodies(struct shard_thread *self)
{
	struct store_load *load = calloc(1, sizeof(*load));
	for (uint32_t i = self->first; i != self->last && load->count < STORE_LOAD_MAX; i++) {
		uint8_t packet[TOY_PACKET_MAX];
		load->bodies[load->count++] = (struct store_body){
			.message = {name_of(i)}, .packet_bytes = toy_packet(i, 1, packet).packet_bytes};
	}
	store_load(self->shard, &load);
	wait_for_wake(self, has_answer);
}

static void *shard_main(void *context)
{
	struct shard_thread *self = context;
	STORE_JOURNAL_SAFETY.await(self->shard, true);
	for (unsigned round = 0; round < self->rounds; round++) {
		tell_checkpoint(self);
		TELL->begin(self->shard, 7);
		if (round == 0 && self->last == 1)
			tell_session(self);
		for (unsigned i = 0; i < 1 + round % 5 && self->last - self->first < QUEUE_MAX - 2; i++) {
			tell_kept(self, self->last);
			tell_queued(self, self->last++);
		}
		for (unsigned i = 0; i < round % 6 && self->first != self->last; i++) {
			TELL->done(self->shard, name_of(self->first));
			TELL->forgotten(self->shard, (struct message_ref){name_of(self->first++)});
		}
		TELL->end(self->shard);
		if (round % 16 != 15)
			continue;
		wait_for_wake(self, all_is_safe);
		if (round % 64 == 63 && self->first != self->last)
			ask_for_bodies(self);
	}
	wait_for_wake(self, all_is_safe);
	return NULL;
}

static struct store_settings settings_of(enum store_durability durability)
{
	return (struct store_settings){.durability = durability,
				       .sync_interval_ms = 5,
				       .segment_bytes = 256u << 10,
				       .checkpoint_bytes = 512u << 10,
				       .buffer_bytes_max = 64u << 20,
				       .shard_count = SHARDS};
}

static void check_recovered(const struct shard_thread *threads, const struct model *model, struct store *store)
{
	assert_int_equal(model->session_count, SHARDS);
	for (const struct model_session *session = model->sessions; session != NULL; session = session->next) {
		const struct shard_thread *thread = &threads[session->client_id.data[7] - '0'];
		uint32_t number = thread->first;
		for (const struct model_entry *entry = session->queue; entry != NULL; entry = entry->next, number++) {
			uint8_t *packet;
			assert_int_equal(
				store_read_body(store, entry->message->place, &entry->message->publication, &packet),
				ERROR_OK);
			assert_int_equal(toy_body(packet, &entry->message->publication), number);
			free(packet);
		}
		assert_int_equal(number, thread->last);
	}
	assert_true(model->stopped);
}

static void run_store(const char *directory, enum store_durability durability, struct shard_thread *threads,
		      unsigned rounds)
{
	struct disk disk;
	const char *why;
	struct store *store;
	struct model *model;
	struct store_report report;
	struct store_settings settings = settings_of(durability);
	assert_int_equal(disk_open_directory(&disk, directory, true, &why), 0);
	assert_int_equal(store_open(&store, &disk, &settings), ERROR_OK);
	assert_int_equal(store_recover(store, NULL, NULL, &model, &report), ERROR_OK);
	if (threads[0].last != 0)
		check_recovered(threads, model, store);
	struct waker *wakers[SHARDS];
	for (uint16_t i = 0; i < SHARDS; i++) {
		threads[i].store = store;
		threads[i].shard = store_shard(store, i);
		threads[i].number = i;
		threads[i].rounds = rounds;
		if (threads[i].last == 0)
			threads[i].first = threads[i].last = 1;
		assert_int_equal(waker_open(&threads[i].waker), ERROR_OK);
		wakers[i] = &threads[i].waker;
	}
	/* The bodies of what was restored stay in memory here. */
	model_free(&model);
	assert_int_equal(store_start(store, wakers), ERROR_OK);
	pthread_t ids[SHARDS];
	for (uint16_t i = 0; i < SHARDS; i++)
		assert_int_equal(pthread_create(&ids[i], NULL, shard_main, &threads[i]), 0);
	for (uint16_t i = 0; i < SHARDS; i++)
		pthread_join(ids[i], NULL);
	struct store_figures figures;
	store_figures(store, &figures);
	assert_int_equal(figures.state, STORE_WORKING);
	assert_int_equal(figures.failures, 0);
	assert_int_equal(figures.load_failures, 0);
	assert_int_equal(figures.loads, threads[0].loaded + threads[1].loaded);
	assert_false(store_is_full(store));
	store_stop(store);
	store_free(&store);
	for (uint16_t i = 0; i < SHARDS; i++) {
		waker_close(&threads[i].waker);
		threads[i].loaded = 0;
	}
	disk_close_directory(&disk);
}

static void shards_find_all_again_after_restarts(void **state)
{
	(void)state;
	struct scratch scratch = scratch_open();
	const char *directory = scratch.directory;
	struct shard_thread threads[SHARDS] = {0};
	run_store(directory, STORE_ALWAYS, threads, 1000);
	run_store(directory, STORE_ALWAYS, threads, 200);
	run_store(directory, STORE_PERIODIC, threads, 3000);
	assert_true(threads[0].checkpoints > 4);
	run_store(directory, STORE_ALWAYS, threads, 64);
	scratch_close(&scratch);
}

/* ---- a device that fails while bodies are read ---- */

static int fail_to_read(void *context, struct disk_file *file, void *bytes, size_t size, uint64_t offset, size_t *got)
{
	(void)context, (void)file, (void)bytes, (void)size, (void)offset;
	*got = 0;
	return -EIO;
}

static void a_body_is_lost_by_wrong_bytes_and_not_by_an_error(void **state)
{
	(void)state;
	struct scratch scratch = scratch_open();
	struct shard_thread threads[SHARDS] = {0};
	run_store(scratch.directory, STORE_ALWAYS, threads, 1000);
	struct disk disk;
	const char *why;
	struct store *store;
	struct model *model;
	struct store_report report;
	struct store_settings settings = settings_of(STORE_ALWAYS);
	assert_int_equal(disk_open_directory(&disk, scratch.directory, true, &why), 0);
	assert_int_equal(store_open(&store, &disk, &settings), ERROR_OK);
	assert_int_equal(store_recover(store, NULL, NULL, &model, &report), ERROR_OK);
	const struct model_session *session = model->sessions;
	while (session->queue == NULL || session->queue->message == NULL)
		session = session->next;
	const struct model_message *message = session->queue->message;
	struct store_place place = message->place;
	uint8_t *packet;
	assert_int_equal(store_read_body(store, place, &message->publication, &packet), ERROR_OK);
	free(packet);
	const struct disk_operations *good = disk.operations;
	struct disk_operations failing = *good;
	failing.read = fail_to_read;
	disk.operations = &failing;
	assert_int_equal(store_read_body(store, place, &message->publication, &packet), ERROR_SYSTEM);
	disk.operations = good;
	place.offset++;
	assert_int_equal(store_read_body(store, place, &message->publication, &packet), ERROR_NOT_FOUND);
	model_free(&model);
	store_free(&store);
	disk_close_directory(&disk);
	scratch_close(&scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(shards_find_all_again_after_restarts),
					   cmocka_unit_test(a_body_is_lost_by_wrong_bytes_and_not_by_an_error)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
