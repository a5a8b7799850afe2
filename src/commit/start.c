/* A store as a whole: opening, recovering, starting and stopping, and what any thread may ask. */
#include "commit/store_state.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- opening ---- */

static void count_name(void *argument, const char *name)
{
	/* The lock is there as soon as somebody has asked for it, and the last in each new file system. */
	if (strcmp(name, "lock") != 0 && strcmp(name, STORE_IDENTITY_NEW_NAME) != 0 && strcmp(name, "lost+found") != 0)
		++*(uint64_t *)argument;
}

/* The identity, made anew where the directory is empty. */
static enum error store_identify(struct store *store)
{
	const char *why = NULL;
	enum error error = store_identity_load(store->disk, &store->identity, &why);
	if (error == ERROR_NOT_FOUND) {
		uint64_t names = 0;
		int failed = store->disk->operations->list(store->disk->context, count_name, &names);
		if (failed != 0 || names != 0) {
			log_write(LOG_ERROR, "store: the directory has no file " STORE_IDENTITY_NAME " and %s",
				  failed != 0 ? "cannot be read" : "is not empty: this is no store");
			return ERROR_SYSTEM;
		}
		error = store_identity_make(store->disk, &store->identity, &why);
		store->is_new = true;
	}
	if (error != ERROR_OK)
		log_write(LOG_ERROR, "store: %s: %s", STORE_IDENTITY_NAME, why != NULL ? why : error_sentence(error));
	return error;
}

static enum error store_open_shards(struct store *store)
{
	uint16_t count = store->settings.shard_count;
	struct store_common *common = &store->common;
	common->buffer_bytes_max = store->settings.buffer_bytes_max;
	common->shards = aligned_alloc(_Alignof(struct store_shard), count * sizeof(*common->shards));
	if (common->shards == NULL)
		return ERROR_NO_MEMORY;
	memset(common->shards, 0, count * sizeof(*common->shards));
	for (uint16_t i = 0; i < count; i++) {
		struct store_shard *shard = &common->shards[i];
		shard->number = i;
		shard->writer = &store->writer.sleeper;
		shard->common = common;
		enum error error = buffers_init(&shard->buffers);
		if (error != ERROR_OK)
			return error;
		common->shard_count++;
		error = connected_init(&shard->connected, store->settings.arena, i);
		if (error != ERROR_OK)
			return error;
	}
	return ERROR_OK;
}

enum error store_open_parts(struct store *store)
{
	CHECK(store->common.shards == NULL);
	enum error error = store_open_shards(store);
	return error == ERROR_OK
		       ? commit_bodies_init(&store->bodies, store->settings.shard_count, store->settings.arena)
		       : error;
}

enum error store_open(struct store **opened, const struct disk *disk, const struct store_settings *settings)
{
	CHECK(settings->shard_count > 0 && settings->shard_count < STORE_SECTION_STOP);
	struct store *store = calloc(1, sizeof(*store));
	if (store == NULL)
		return ERROR_NO_MEMORY;
	store->disk = disk;
	store->settings = *settings;
	if (settings->is_followed)
		trail_init(&store->trail, &store->writer.sleeper);
	enum error error = store_identify(store);
	if (error == ERROR_OK)
		error = store_open_parts(store);
	if (error != ERROR_OK) {
		store_free(&store);
		return error;
	}
	*opened = store;
	return ERROR_OK;
}

void store_free(struct store **freed)
{
	struct store *store = *freed;
	*freed = NULL;
	if (store == NULL)
		return;
	CHECK(!store->writer_runs && !store->reader_runs && (!store->has_started || store->is_adopted));
	if (store->has_started)
		writer_fini(&store->writer);
	for (uint16_t i = 0; i < store->common.shard_count; i++) {
		struct store_load *load;
		while ((load = store_loaded(&store->common.shards[i])) != NULL) {
			for (uint32_t j = 0; j < load->count; j++)
				free(load->bodies[j].packet);
			free(load);
		}
		buffers_fini(&store->common.shards[i].buffers);
		connected_fini(&store->common.shards[i].connected);
	}
	free(store->common.shards);
	commit_bodies_fini(&store->bodies);
	if (store->has_recovered)
		replay_fini(&store->replay);
	free(store->restored_bytes);
	if (store_trail(store) != NULL)
		trail_fini(&store->trail);
	explicit_bzero(&store->identity, sizeof(store->identity));
	free(store);
}

/* ---- recovery ---- */

/* A place does not say how long the body is that lies there. The average will do: it decides no more than whether a
 * segment is mostly dead. */
static enum error store_estimate_bodies(struct store *store, const struct model *model)
{
	const struct replay *replay = &store->replay;
	store->restored_bytes = calloc((size_t)replay->segment_count + 1, sizeof(*store->restored_bytes));
	if (store->restored_bytes == NULL)
		return ERROR_NO_MEMORY;
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < replay->segment_count; i++)
		bytes += replay->segments[i].body_bytes;
	uint64_t average = model->message_count != 0 ? bytes / model->message_count : 0;
	store->restored_body_bytes = average == 0 ? 1 : average > UINT32_MAX ? UINT32_MAX : (uint32_t)average;
	return ERROR_OK;
}

enum error store_recover(struct store *store, store_progress progress, void *context, struct model **model,
			 struct store_report *report)
{
	CHECK(!store->has_recovered);
	*report = (struct store_report){.segments = 0};
	*model = model_new();
	if (*model == NULL)
		return ERROR_NO_MEMORY;
	struct replay_hooks hooks = {.context = context, .progress = progress};
	struct replay *replay = &store->replay;
	store->has_recovered = true;
	enum error error = replay_run(store->disk, &store->identity, &hooks, *model, replay);
	report->segments = replay->segment_count;
	report->bytes = replay->bytes;
	report->commits = replay->commits;
	report->records = replay->records;
	report->cut_bytes = replay->cut_bytes;
	report->cut_segment = replay->cut_segment;
	report->cut_offset = replay->cut_offset;
	report->has_nothing = !store->is_new && replay_has_nothing(replay);
	snprintf(report->damage, sizeof(report->damage), "%s", replay->damage);
	if (error == ERROR_OK) {
		/* A start that was cut short: its epoch counts for nothing. */
		int failed = replay_remove_later(store->disk, replay);
		const char *what = "what is left of an earlier start cannot be removed";
		if (failed == 0) {
			failed = replay_sync_log(store->disk, replay);
			what = "what was read cannot be synced";
		}
		if (failed != 0) {
			log_write(LOG_ERROR, "store: %s: %s", what,
				  strerror(-failed)); /* NOLINT(concurrency-mt-unsafe) */
			error = ERROR_SYSTEM;
		}
	}
	if (error == ERROR_OK)
		error = store_estimate_bodies(store, *model);
	if (error != ERROR_OK)
		model_free(model);
	return error;
}

/* Only bytes that are wrong are lost. What the device fails to read now it may read at the next start, and the first
 * checkpoint of this one would leave it out for good. */
enum error store_read_body(struct store *store, struct store_place place, const struct publication *publication,
			   uint8_t **packet)
{
	struct disk_file *file;
	char name[STORE_SEGMENT_NAME_BYTES];
	int failed = store->disk->operations->open(store->disk->context, store_segment_name(place.segment, name), false,
						   &file);
	enum error error = ERROR_SYSTEM;
	if (failed == 0) {
		error = replay_read_body(store->disk, file, place.offset, publication, packet, &failed);
		store->disk->operations->close(store->disk->context, file);
	}
	if (failed == -ENOMEM)
		error = ERROR_NO_MEMORY;
	if (error == ERROR_NOT_FOUND)
		log_write(LOG_ERROR, "store: %s: the body of a message at byte %u is not there as it was written", name,
			  place.offset);
	else if (error == ERROR_SYSTEM)
		log_write(LOG_ERROR, "store: %s: the body of a message at byte %u cannot be read: %s", name,
			  place.offset, strerror(-failed)); /* NOLINT(concurrency-mt-unsafe) */
	return error;
}

const uint8_t *store_key(const struct store *store)
{
	return store->identity.key;
}

/* Of the replay's segments, which are sorted; segment_count: none has this number. */
static uint32_t store_replay_index(const struct store *store, uint32_t segment)
{
	const struct replay *replay = &store->replay;
	uint32_t from = 0, end = replay->segment_count;
	while (from < end) {
		uint32_t middle = from + (end - from) / 2;
		if (replay->segments[middle].number < segment)
			from = middle + 1;
		else
			end = middle;
	}
	return from < replay->segment_count && replay->segments[from].number == segment ? from : replay->segment_count;
}

enum error store_restore_place(struct store *store, uint16_t shard, struct message_ref message,
			       struct store_place place)
{
	CHECK(!store->has_started && shard < store->common.shard_count);
	uint32_t index = store_replay_index(store, place.segment);
	CHECK_LT(index, store->replay.segment_count);
	struct body body = {.message = message.index,
			    .segment = place.segment,
			    .offset = place.offset,
			    .bytes = store->restored_body_bytes};
	struct body before = bodies_set(&store->bodies, shard, body);
	CHECK_EQ(before.message, 0u);
	atomic_fetch_add_explicit(&store->restored_bytes[index], body.bytes, memory_order_relaxed);
	return ERROR_OK;
}

/* ---- running ---- */

static void *store_writer_main(void *context)
{
	struct store *store = context;
	static const struct check_context WHO = {.thread = "store writer"};
	check_context_set(&WHO);
	writer_run(&store->writer);
	check_context_set(NULL);
	return NULL;
}

static void *store_reader_main(void *context)
{
	struct store *store = context;
	static const struct check_context WHO = {.thread = "store reader"};
	check_context_set(&WHO);
	reader_run(&store->reader);
	check_context_set(NULL);
	return NULL;
}

static enum error store_begin(struct store *store, struct waker *const *wakers)
{
	const struct replay *replay = &store->replay;
	CHECK(replay->highest_epoch >= replay->epoch && replay->highest_segment >= replay->base_segment);
	struct writer_start start = {.common = &store->common,
				     .settings = &store->settings,
				     .wakers = wakers,
				     .figures = &store->figures,
				     .bodies = &store->bodies,
				     .disk = store->disk,
				     .trail = store_trail(store),
				     .store_id = store->identity.id,
				     .epoch = replay->highest_epoch + 1,
				     .next_segment = replay->highest_segment + 1,
				     .next_commit = replay->last_commit + 1,
				     .wall_s = replay->wall_s};
	enum error error = writer_init(&store->writer, &start);
	for (uint32_t i = 0; i < replay->segment_count && error == ERROR_OK; i++)
		error = writer_add_segment(&store->writer, replay->segments[i].number, replay->segments[i].file_bytes,
					   figures_get(&store->restored_bytes[i]));
	if (error != ERROR_OK)
		return error;
	int failed = writer_begin(&store->writer);
	if (failed == 0)
		return ERROR_OK;
	log_write(LOG_ERROR, "store: the first segment of this start cannot be made: %s",
		  strerror(-failed)); /* NOLINT(concurrency-mt-unsafe) */
	return ERROR_SYSTEM;
}

static void store_stop_writer(struct store *store)
{
	atomic_store(&store->writer.stops, true);
	sleeper_wake(&store->writer.sleeper);
	sleeper_wake(&store->writer.retry);
	if (store->writer_runs)
		pthread_join(store->writer_thread, NULL);
	store->writer_runs = false;
	if (!writer_stop(&store->writer, clock_now_ns()))
		log_write(LOG_ERROR, "store: what was told last could not be written; none of it was acknowledged");
	writer_fini(&store->writer);
	store->has_started = false;
}

/* Signals are for the main thread. */
static bool store_start_thread(pthread_t *thread, void *(*main)(void *), struct store *store)
{
	sigset_t all, before;
	sigfillset(&all);
	CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
	int error = pthread_create(thread, NULL, main, store);
	CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
	return error == 0;
}

enum error store_start_threads(struct store *store)
{
	CHECK(store->has_started && !store->is_adopted);
	if (!store->writer_runs)
		store->writer_runs = store_start_thread(&store->writer_thread, store_writer_main, store);
	if (store->writer_runs && !store->reader_runs)
		store->reader_runs = store_start_thread(&store->reader_thread, store_reader_main, store);
	return store->writer_runs && store->reader_runs ? ERROR_OK : ERROR_SYSTEM;
}

enum error store_start(struct store *store, struct waker *const *wakers)
{
	CHECK(store->has_recovered && !store->has_started);
	enum error error = store_begin(store, wakers);
	if (error != ERROR_OK) {
		writer_fini(&store->writer);
		return error;
	}
	reader_init(&store->reader, &store->common, &store->bodies, store->disk, &store->figures, wakers);
	store->has_started = true;
	error = store_start_threads(store);
	if (error == ERROR_OK)
		return ERROR_OK;
	if (store->writer_runs) {
		store_stop_writer(store);
	} else {
		writer_fini(&store->writer);
		store->has_started = false;
	}
	return error;
}

void store_stop(struct store *store)
{
	CHECK(store->has_started && !store->is_adopted);
	atomic_store(&store->reader.stops, true);
	sleeper_wake(&store->common.reader);
	if (store->reader_runs)
		pthread_join(store->reader_thread, NULL);
	store->reader_runs = false;
	while (reader_step(&store->reader, clock_now_ns()))
		;
	reader_fini(&store->reader);
	store_stop_writer(store);
}

struct trail *store_trail(struct store *store)
{
	return store->settings.is_followed ? &store->trail : NULL;
}

void store_recovered(const struct store *store, uint64_t *epoch, uint64_t *commit)
{
	*epoch = store->has_recovered ? store->replay.epoch : 0;
	*commit = store->has_recovered ? store->replay.log_commit : 0;
}

const struct store_identity *store_identity(const struct store *store)
{
	return &store->identity;
}

struct store_shard *store_shard(struct store *store, uint16_t number)
{
	CHECK_LT(number, store->common.shard_count);
	return &store->common.shards[number];
}

bool store_is_full(const struct store *store)
{
	return atomic_load_explicit(&store->common.full, memory_order_relaxed) != 0;
}

bool store_is_behind(const struct store *store)
{
	uint32_t full = atomic_load_explicit(&store->common.full, memory_order_relaxed);
	return (full & (STORE_FULL_BUFFERS | STORE_FULL_MEMORY)) != 0;
}

/* ---- figures ---- */

static uint64_t store_oldest_ms(const struct store *store)
{
	uint64_t since_ns = figures_get(&store->figures.taken_since_ns);
	for (uint16_t i = 0; i < store->common.shard_count; i++) {
		const struct store_shard *shard = &store->common.shards[i];
		uint64_t open_ns = figures_get(&shard->buffers.open_since_ns);
		if (figures_get(&shard->buffers.open_number) > figures_get(&shard->safe) &&
		    (since_ns == 0 || open_ns < since_ns))
			since_ns = open_ns;
	}
	uint64_t now_ns = clock_now_ns();
	return since_ns != 0 && now_ns > since_ns ? (now_ns - since_ns) / 1000000u : 0;
}

void store_figures(const struct store *store, struct store_figures *figures)
{
	const struct figures *from = &store->figures;
	uint64_t buffered = 0;
	for (uint16_t i = 0; i < store->common.shard_count; i++) {
		const struct store_shard *shard = &store->common.shards[i];
		uint64_t written = figures_get(&shard->written_bytes);
		uint64_t told = figures_get(&shard->buffers.told_bytes_seen);
		buffered += told > written ? told - written : 0;
	}
	*figures = (struct store_figures){
		.state = (enum store_state)atomic_load_explicit(&from->state, memory_order_relaxed),
		.error = atomic_load_explicit(&from->error, memory_order_relaxed),
		.commits = figures_get(&from->commits),
		.records = figures_get(&from->records),
		.records_squeezed = figures_get(&from->records_squeezed),
		.written_bytes = figures_get(&from->written_bytes),
		.syncs = figures_get(&from->syncs),
		.sync_ns = figures_get(&from->sync_ns),
		.sync_last_ns = figures_get(&from->sync_last_ns),
		.sync_max_ns = figures_get(&from->sync_max_ns),
		.failures = figures_get(&from->failures),
		.log_bytes = figures_get(&from->log_bytes),
		.segments = figures_get(&from->segments),
		.room_bytes = figures_get(&from->room_bytes),
		.buffered_bytes = buffered,
		.checkpoints = figures_get(&from->checkpoints),
		.loads = figures_get(&from->loads),
		.load_failures = figures_get(&from->load_failures),
		.oldest_unsafe_ms = store_oldest_ms(store),
	};
}

const char *store_state_name(enum store_state state)
{
	static const char *const NAMES[] = {[STORE_RECOVERING] = "recovering",
					    [STORE_WORKING] = "working",
					    [STORE_FULL] = "full",
					    [STORE_BROKEN] = "broken",
					    [STORE_STOPPED] = "stopped"};
	return (size_t)state < sizeof(NAMES) / sizeof(NAMES[0]) ? NAMES[state] : "unknown";
}
