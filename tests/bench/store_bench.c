/* What the store costs, in figures to be read by people:
 *
 *     store_bench [DIR]
 *
 * ns a record: to tell it (encoding into the shard's buffer), to squeeze it, and to write it. Records a second with one
 * and two shards, to a directory, with every commit synced. Bytes written for a message of 200 bytes, where it is
 * acknowledged soon and where it waits.
 *
 * Without DIR nothing goes to a device. DIR is made and removed; take one on the device in question. */
#include "base/check.h"
#include "base/clock.h"
#include "commit/told/shard.h"
#include "commit/told/squeeze.h"
#include "reactor/waker.h"
#include "store/store.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHARDS_MAX 2u
#define MESSAGES 256u /* names in use at a time */
#define PACKET_BYTES 200u
#define RUN_NS 2000000000u

static const struct journal_events *const TELL = &STORE_JOURNAL_EVENTS;

struct bench_shard {
	struct store_shard *shard;
	struct waker waker;
	uint16_t number;
	bool stays; /* every second message waits for a session that is offline */
	uint64_t messages;
	uint64_t waited_ns;
	uint32_t queued_from, queued_end;
	uint8_t packet[PACKET_BYTES];
};

static struct journal_message message_of(struct bench_shard *self)
{
	return (struct journal_message){
		.publication = {.packet_bytes = PACKET_BYTES, .topic_bytes = 20, .header_bytes = 3, .qos = 1},
		.packet = self->packet,
		.expires_at_s = INT64_MAX};
}

/* A turn with so many messages, each to a session that is online; the last turn's are acknowledged. */
static void tell_online(struct bench_shard *self, uint32_t count, uint64_t turn)
{
	struct journal_message kept = message_of(self);
	TELL->begin(self->shard, 1);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t name = (uint32_t)(turn % 2 * count) + i + 1;
		struct journal_entry entry = {.message = {name * 14}, .qos = 1};
		TELL->kept(self->shard, entry.message, &kept);
		TELL->queued(self->shard, (struct client_ref){i + 1}, name, &entry);
		TELL->sent(self->shard, name, (uint16_t)(turn + 1));
	}
	for (uint32_t i = 0; i < count && turn != 0; i++) {
		uint32_t name = (uint32_t)((turn + 1) % 2 * count) + i + 1;
		TELL->done(self->shard, name);
		TELL->forgotten(self->shard, (struct message_ref){name * 14});
	}
	TELL->end(self->shard);
}

/* ---- without a device ---- */

static void measure_memory(void)
{
	struct sleeper sleeper = {0};
	struct store_common common = {.buffer_bytes_max = UINT64_MAX};
	static struct store_shard shard;
	shard = (struct store_shard){.common = &common, .writer = &sleeper};
	static struct bench_shard self;
	self.shard = &shard;
	CHECK(buffers_init(&shard.buffers) == ERROR_OK);
	struct squeeze squeeze = {0};
	uint8_t *left = malloc(16u << 20);
	uint64_t tell_ns = 0, squeeze_ns = 0, records = 0, left_records = 0, bytes = 0;
	for (uint64_t round = 0; round < 2000; round++) {
		uint64_t from_ns = clock_now_ns();
		for (uint64_t turn = 0; turn < 16; turn++)
			tell_online(&self, 32, round * 16 + turn);
		uint64_t told_ns = clock_now_ns();
		struct buffer *buffer = buffers_take(&shard.buffers);
		struct squeezed squeezed;
		CHECK(squeeze_run(&squeeze, slice_of(buffer->region.base, buffer->size), left, &squeezed) == ERROR_OK);
		squeeze_ns += clock_now_ns() - told_ns;
		tell_ns += told_ns - from_ns;
		records += squeezed.records_before;
		left_records += squeezed.records;
		bytes += buffer->size;
		buffers_give(&shard.buffers, buffer);
	}
	printf("tell %.1f ns a record, %.0f ns a message; squeeze %.1f ns a record, %.0f ns a message; "
	       "%.1f bytes a record, %.1f %% of the records left\n",
	       (double)tell_ns / (double)records, (double)tell_ns / (2000.0 * 16 * 32),
	       (double)squeeze_ns / (double)records, (double)squeeze_ns / (2000.0 * 16 * 32),
	       (double)bytes / (double)records, 100.0 * (double)left_records / (double)records);
	free(left);
	squeeze_fini(&squeeze);
	buffers_fini(&shard.buffers);
}

/* ---- on a device ---- */

static void tell_checkpoint(struct bench_shard *self)
{
	uint32_t wanted = store_wants_checkpoint(self->shard);
	if (wanted == 0)
		return;
	struct journal_message kept = message_of(self);
	TELL->begin(self->shard, 1);
	store_checkpoint_begin(self->shard, wanted);
	store_checkpoint_again(self->shard, true);
	for (uint32_t i = self->queued_from; i != self->queued_end; i++) {
		uint32_t name = 100000 + i % 65536;
		TELL->kept(self->shard, (struct message_ref){name}, &kept);
	}
	char id[16];
	snprintf(id, sizeof(id), "offline-%u", self->number);
	TELL->opened(self->shard, (struct client_ref){100}, slice_string(id));
	for (uint32_t i = self->queued_from; i != self->queued_end; i++) {
		uint32_t name = 100000 + i % 65536;
		struct journal_entry entry = {.message = {name}, .qos = 1};
		TELL->queued(self->shard, (struct client_ref){100}, name, &entry);
	}
	store_checkpoint_again(self->shard, false);
	store_checkpoint_end(self->shard);
	TELL->end(self->shard);
}

/* Messages that wait; those that have waited long enough go. */
static void tell_offline(struct bench_shard *self, uint32_t count)
{
	struct journal_message kept = message_of(self);
	TELL->begin(self->shard, 1);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t name = 100000 + self->queued_end++ % 65536;
		struct journal_entry entry = {.message = {name}, .qos = 1};
		TELL->kept(self->shard, entry.message, &kept);
		TELL->queued(self->shard, (struct client_ref){100}, name, &entry);
	}
	while (self->queued_end - self->queued_from > 20000) {
		uint32_t name = 100000 + self->queued_from++ % 65536;
		TELL->dropped(self->shard, name);
		TELL->forgotten(self->shard, (struct message_ref){name});
	}
	TELL->end(self->shard);
}

/* At most so many messages are not safe: as many as publishers wait for. */
static void *run_shard(void *context)
{
	struct bench_shard *self = context;
	uint64_t until_ns = clock_now_ns() + RUN_NS, turn = 0;
	while (clock_now_ns() < until_ns) {
		tell_checkpoint(self);
		tell_online(self, 32, turn++);
		self->messages += 32;
		if (self->stays) {
			tell_offline(self, 32);
			self->messages += 32;
		}
		uint64_t told = STORE_JOURNAL_SAFETY.told(self->shard);
		while (turn % 64 == 0 && STORE_JOURNAL_SAFETY.safe(self->shard, self->number) + 2 < told &&
		       clock_now_ns() < until_ns)
			usleep(50);
	}
	return NULL;
}

static void remove_store(const char *directory)
{
	char command[512];
	snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	CHECK(system(command) == 0);
}

static void measure_device(const char *directory, uint16_t shards, bool stays)
{
	struct disk disk;
	const char *why;
	struct store *store;
	struct model *model;
	struct store_report report;
	struct store_settings settings = {.durability = STORE_ALWAYS,
					  .segment_bytes = STORE_SEGMENT_BYTES,
					  .checkpoint_bytes = 64u << 20,
					  .buffer_bytes_max = 256u << 20,
					  .shard_count = shards};
	CHECK(disk_open_directory(&disk, directory, true, &why) == 0);
	CHECK(store_open(&store, &disk, &settings) == ERROR_OK);
	CHECK(store_recover(store, NULL, NULL, &model, &report) == ERROR_OK);
	model_free(&model);
	static struct bench_shard selves[SHARDS_MAX];
	struct waker *wakers[SHARDS_MAX];
	pthread_t threads[SHARDS_MAX];
	for (uint16_t i = 0; i < shards; i++) {
		selves[i] = (struct bench_shard){.shard = store_shard(store, i), .number = i, .stays = stays};
		CHECK(waker_open(&selves[i].waker) == ERROR_OK);
		wakers[i] = &selves[i].waker;
	}
	CHECK(store_start(store, wakers) == ERROR_OK);
	for (uint16_t i = 0; i < shards; i++)
		CHECK(pthread_create(&threads[i], NULL, run_shard, &selves[i]) == 0);
	uint64_t messages = 0;
	for (uint16_t i = 0; i < shards; i++) {
		pthread_join(threads[i], NULL);
		messages += selves[i].messages;
	}
	struct store_figures figures;
	store_figures(store, &figures);
	double seconds = RUN_NS / 1e9;
	printf("%u shard%s, %s: %.0f messages a second, %.0f records told a second, %.1f %% squeezed, "
	       "%.0f bytes a message written (packet %u), %.0f commits a second, sync %.2f ms, %" PRIu64
	       " checkpoints\n",
	       shards, shards == 1 ? "" : "s", stays ? "half wait" : "acknowledged soon", (double)messages / seconds,
	       (double)(figures.records + figures.records_squeezed) / seconds,
	       100.0 * (double)figures.records_squeezed / (double)(figures.records + figures.records_squeezed + 1),
	       (double)figures.written_bytes / (double)(messages + 1), PACKET_BYTES, (double)figures.commits / seconds,
	       figures.syncs != 0 ? (double)figures.sync_ns / (double)figures.syncs / 1e6 : 0, figures.checkpoints);
	store_stop(store);
	store_free(&store);
	for (uint16_t i = 0; i < shards; i++)
		waker_close(&selves[i].waker);
	disk_close_directory(&disk);
	remove_store(directory);
}

int main(int argc, char **argv)
{
	measure_memory();
	for (uint16_t shards = 1; shards <= SHARDS_MAX && argc > 1; shards++) {
		measure_device(argv[1], shards, false);
		measure_device(argv[1], shards, true);
	}
	return 0;
}
