#include "control/storage.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/format.h"
#include "base/hash.h"
#include "base/log.h"
#include "lifecycle/stored/restore.h"
#include "memory/notes.h"
#include "reactor/mailbox.h"
#include "runtime/settings/settings.h"
#include "shard/loop.h"
#include "state/shard.h"

#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* What a shard may tell while the writer is behind: some tenths of a second of its largest load. */
#define UNWRITTEN_BYTES_MAX (UINT64_C(64) << 20)
#define SLOW_READ_MS 1000u
#define LOOK_NAP_NS 1000000
/* Of memory that outlives the program, and the scope of its notes. */
#define STORAGE_ARENA "store"
#define DESCRIPTORS_NOTE "descriptors"

/* ---- opening ---- */

static enum error storage_complain(const struct storage *storage, const char *why)
{
	log_write(LOG_ERROR, "store %s: %s", storage->options->directory, why);
	return ERROR_SYSTEM;
}

static enum error lock_directory(struct storage *storage)
{
	int holder = 0;
	int error = disk_lock(&storage->disk, &holder);
	if (error == 0)
		return ERROR_OK;
	if (error != -EAGAIN)
		return storage_complain(storage, strerror(-error));
	if (holder == 0)
		return storage_complain(storage, "another process uses it");
	log_write(LOG_ERROR, "store %s: process %d uses it", storage->options->directory, holder);
	return ERROR_SYSTEM;
}

static struct store_settings storage_settings(struct storage *storage)
{
	const struct store_options *options = storage->options;
	return (struct store_settings){
		.durability = options->periodic ? STORE_PERIODIC : STORE_ALWAYS,
		.sync_interval_ms = options->sync_interval_ms,
		.segment_bytes = STORE_SEGMENT_BYTES,
		.checkpoint_bytes = options->checkpoint_bytes,
		.buffer_bytes_max = UNWRITTEN_BYTES_MAX,
		.shard_count = storage->shard_count,
		.is_followed = storage->is_followed,
		.arena = storage->arena.root != NULL ? &storage->arena : NULL,
	};
}

enum error storage_open(struct storage *storage, const struct store_options *options, uint16_t shard_count,
			struct memory_root *root)
{
	CHECK(storage->store == NULL && shard_count != 0);
	storage->options = options;
	storage->shard_count = shard_count;
	if (options->directory[0] == '\0')
		return ERROR_OK;
	if (root != NULL && arena_open(&storage->arena, root, STORAGE_ARENA) != ERROR_OK)
		return storage_complain(storage, "no memory for it that outlives the program");
	const char *why = NULL;
	int error = disk_open_directory(&storage->disk, options->directory, true, &why);
	if (error != 0)
		return storage_complain(storage, why != NULL ? why : strerror(-error));
	struct store_settings settings = storage_settings(storage);
	enum error opened = lock_directory(storage);
	if (opened == ERROR_OK)
		opened = store_open(&storage->store, &storage->disk, &settings);
	CHECK((opened == ERROR_OK) == (storage->store != NULL));
	if (opened == ERROR_OK)
		return ERROR_OK;
	log_write(LOG_ERROR, "the store in %s cannot be opened", options->directory);
	disk_close_directory(&storage->disk);
	return opened;
}

struct hash_key storage_key(const struct storage *storage)
{
	struct hash_key key;
	CHECK(storage->store != NULL);
	memcpy(key.bytes, store_key(storage->store), sizeof(key.bytes));
	return key;
}

static bool storage_is_full(const void *store)
{
	return store_is_full(store);
}

static bool storage_is_behind(const void *store)
{
	return store_is_behind(store);
}

static void storage_figures(const void *store, struct store_figures *figures)
{
	store_figures(store, figures);
}

void storage_attach(const struct storage *storage, struct shard_environment *environment)
{
	if (storage->store == NULL)
		return;
	CHECK(environment->number < storage->shard_count);
	environment->journal_events = &STORE_JOURNAL_EVENTS;
	environment->journal_safety = &STORE_JOURNAL_SAFETY;
	environment->journal_context = store_shard(storage->store, environment->number);
	environment->journal_checkpoints = &STORE_JOURNAL_CHECKPOINTS;
	environment->message_source = &STORE_MESSAGE_SOURCE;
	environment->message_source_context = environment->journal_context;
	environment->store = (struct shard_store){
		.is_full = storage_is_full,
		.is_behind = storage_is_behind,
		.figures = storage_figures,
		.context = storage->store,
	};
}

/* ---- recovery ---- */

static enum error read_body(void *store, struct store_place place, const struct publication *publication,
			    uint8_t **packet)
{
	return store_read_body(store, place, publication, packet);
}

static enum error note_place(void *store, uint16_t shard, struct message_ref message, struct store_place place)
{
	return store_restore_place(store, shard, message, place);
}

/* What the log is like. */
static void log_report(const struct storage *storage, const struct store_report *report, const struct model *model)
{
	const char *directory = storage->options->directory;
	char bytes[FORMAT_BYTES];
	if (report->cut_bytes != 0)
		log_always(LOG_WARNING,
			   "store %s: the last %s, from byte %lu of segment %u on, were being written when the machine "
			   "stopped; they were not acknowledged, and are cut off",
			   directory, format_bytes((double)report->cut_bytes, bytes), report->cut_offset,
			   report->cut_segment);
	if (report->has_nothing)
		log_always(LOG_WARNING,
			   "store %s: it was made before, and no commit can be read: it begins empty. If it held "
			   "anything, its segments are missing",
			   directory);
	if (model->wall_s != 0 && !model->stopped)
		log_always(LOG_INFO, "store %s: the process before did not stop in good order", directory);
}

/* After a slow read, so that nobody takes the rest of the start for a stop. */
static void log_read(const struct storage *storage, const struct store_report *report, const struct model *model,
		     uint64_t took_ms)
{
	char sessions[FORMAT_BYTES];
	char bytes[FORMAT_BYTES];
	char took[FORMAT_BYTES];
	if (took_ms >= SLOW_READ_MS)
		log_always(LOG_INFO, "store %s: %s were read in %s; restoring %s sessions", storage->options->directory,
			   format_bytes((double)report->bytes, bytes), format_duration((double)took_ms / 1000, took),
			   format_count(model->session_count, sessions));
}

static void log_restored(const struct storage *storage, const struct store_report *report,
			 const struct restore_report *restored, uint64_t began_ms, uint64_t read_ms)
{
	char sessions[FORMAT_BYTES];
	char messages[FORMAT_BYTES];
	char retained[FORMAT_BYTES];
	char bytes[FORMAT_BYTES];
	char took[FORMAT_BYTES];
	char read[FORMAT_BYTES];
	log_always(
		LOG_INFO,
		"store %s: %s sessions, %s messages for them and %s retained messages, from %s in %s, of which reading "
		"took %s",
		storage->options->directory, format_count(restored->sessions, sessions),
		format_count(restored->messages, messages), format_count(restored->retained, retained),
		format_bytes((double)report->bytes, bytes),
		format_duration((double)(clock_now_ms() - began_ms) / 1000, took),
		format_duration((double)(read_ms - began_ms) / 1000, read));
	if (restored->lost != 0)
		log_always(LOG_ERROR, "store %s: %s messages are lost, since they could not be read",
			   storage->options->directory, format_count(restored->lost, messages));
}

enum error storage_recover(struct storage *storage, struct shard *shards, const struct hash_key *key,
			   store_progress progress, void *context)
{
	if (storage->store == NULL)
		return ERROR_OK;
	uint64_t began_ms = clock_now_ms();
	struct model *model = NULL;
	struct store_report report = {0};
	struct restore_report restored = {0};
	struct restore_bodies bodies = {.read = read_body, .place = note_place, .context = storage->store};
	enum error error = store_recover(storage->store, progress, context, &model, &report);
	uint64_t read_ms = clock_now_ms();
	if (error == ERROR_OK) {
		log_report(storage, &report, model);
		log_read(storage, &report, model, read_ms - began_ms);
		for (uint16_t i = 0; i < storage->shard_count; i++)
			shard_begin_clock(&shards[i]);
		error = restore_shards(shards, key, model, &bodies, &restored);
	} else if (report.damage[0] != '\0') {
		storage_complain(storage, report.damage);
	} else {
		storage_complain(storage, error_sentence(error));
	}
	if (error == ERROR_OK)
		log_restored(storage, &report, &restored, began_ms, read_ms);
	model_free(&model);
	malloc_trim(0); /* what the threads that restored have freed lies in arenas of theirs */
	return error;
}

/* ---- its life ---- */

static enum error storage_make_wakers(struct storage *storage, struct mailbox *mailboxes)
{
	CHECK(storage->wakers == NULL);
	storage->wakers = calloc(storage->shard_count, sizeof(struct waker *));
	if (storage->wakers == NULL)
		return ERROR_NO_MEMORY;
	for (uint16_t i = 0; i < storage->shard_count; i++)
		storage->wakers[i] = &mailboxes[i].waker;
	return ERROR_OK;
}

enum error storage_start(struct storage *storage, struct mailbox *mailboxes)
{
	if (storage->store == NULL)
		return ERROR_OK;
	enum error error = storage_make_wakers(storage, mailboxes);
	return error == ERROR_OK ? store_start(storage->store, storage->wakers) : error;
}

void storage_log_promise(const struct storage *storage)
{
	const struct store_options *options = storage->options;
	if (storage->store == NULL)
		log_always(LOG_INFO, "no store: sessions and messages are in memory, and end with the process");
	else if (options->periodic)
		log_always(LOG_INFO, "PUBACK means: written, and synced every %u ms (store %s, durability periodic)",
			   options->sync_interval_ms, options->directory);
	else
		log_always(LOG_INFO, "PUBACK means: synced to the device (store %s, durability always)",
			   options->directory);
}

bool storage_stop(struct storage *storage)
{
	if (storage->store == NULL)
		return true;
	struct store_figures figures;
	store_stop(storage->store);
	store_figures(storage->store, &figures);
	if (figures.buffered_bytes == 0)
		return true;
	log_always(LOG_ERROR, "store %s: %lu bytes of events could not be written: %s", storage->options->directory,
		   figures.buffered_bytes, strerror(figures.error));
	return false;
}

void storage_close(struct storage *storage)
{
	if (storage->store == NULL)
		return;
	store_free(&storage->store);
	if (storage->is_adopted)
		disk_leave(&storage->disk);
	else
		disk_close_directory(&storage->disk);
	free(storage->wakers);
	storage->wakers = NULL;
}

/* ---- the program is replaced ---- */

#define NO_STORE "none"

/* The directory by what it is, since a path may be a link. */
static bool describe_directory(const char *directory, char text[STORAGE_TEXT_BYTES])
{
	struct stat status = {.st_dev = 0};
	bool is_there = stat(directory, &status) == 0;
	int size = snprintf(text, STORAGE_TEXT_BYTES, "%u %lu:%lu", STORE_FORMAT, (unsigned long)status.st_dev,
			    (unsigned long)status.st_ino);
	CHECK(size > 0 && (size_t)size < STORAGE_TEXT_BYTES);
	return is_there;
}

void storage_describe(const struct store_options *options, char text[STORAGE_TEXT_BYTES])
{
	if (options->directory[0] == '\0')
		snprintf(text, STORAGE_TEXT_BYTES, NO_STORE);
	else
		describe_directory(options->directory, text);
}

static bool storage_refuse(struct store_refusal *refusal, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static bool storage_refuse(struct store_refusal *refusal, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(refusal->why, sizeof(refusal->why), format, arguments);
	va_end(arguments);
	return false;
}

/* A pause finds out again. Here clients do not wait yet. */
static bool storage_works(const struct storage *storage, struct store_figures *figures, struct store_refusal *refusal)
{
	store_figures(storage->store, figures);
	if (figures->state != STORE_FULL && figures->state != STORE_BROKEN)
		return true;
	return storage_refuse(refusal, "the store is %s: %s", store_state_name(figures->state),
			      strerror(figures->error));
}

bool storage_may_follow(const struct storage *storage, const char *text, struct store_refusal *refusal)
{
	char ours[STORAGE_TEXT_BYTES];
	unsigned format = 0;
	bool has_store = storage->store != NULL, gets_store = strcmp(text, NO_STORE) != 0;
	if (!has_store || !gets_store)
		return has_store == gets_store ||
		       storage_refuse(refusal, "there is %s, and its configuration has %s",
				      has_store ? "a store" : "no store", gets_store ? "one" : "none");
	if (sscanf(text, "%u", &format) != 1 || format != STORE_FORMAT)
		return storage_refuse(refusal, "the store has format %u, and it writes format %u", STORE_FORMAT,
				      format);
	if (!describe_directory(storage->options->directory, ours))
		return storage_refuse(refusal, "the store's directory %s is gone: %s", storage->options->directory,
				      strerror(errno));
	if (strcmp(text, ours) != 0)
		return storage_refuse(refusal, "the store is in %s, and its configuration has another directory",
				      storage->options->directory);
	struct store_figures figures;
	return storage_works(storage, &figures, refusal);
}

bool storage_hurry(struct storage *storage, uint32_t limit_ms, struct store_refusal *refusal)
{
	static const struct timespec nap = {.tv_nsec = LOOK_NAP_NS};
	uint64_t until_ms = clock_now_ms() + limit_ms;
	struct store_figures figures;
	if (storage->store == NULL)
		return true;
	store_hurry(storage->store);
	while (storage_works(storage, &figures, refusal)) {
		if (store_has_hurried(storage->store))
			return true;
		if (clock_now_ms() >= until_ms)
			return storage_refuse(refusal, "the store's device has not synced what was told %lu ms ago",
					      figures.oldest_unsafe_ms);
		clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
	}
	return false;
}

bool storage_pause(struct storage *storage, uint32_t limit_ms, struct store_refusal *refusal)
{
	return storage->store == NULL || store_pause(storage->store, limit_ms, refusal);
}

enum error storage_go_on(struct storage *storage, struct mailbox *mailboxes)
{
	if (storage->store == NULL)
		return ERROR_OK;
	enum error error = storage->wakers == NULL ? storage_make_wakers(storage, mailboxes) : ERROR_OK;
	if (error != ERROR_OK)
		return error;
	if (storage->is_adopted)
		storage_keep(storage, false);
	storage->is_adopted = false;
	return store_go_on(storage->store, storage->wakers);
}

enum error storage_save(const struct storage *storage)
{
	if (storage->store == NULL)
		return ERROR_OK;
	CHECK(storage->arena.root != NULL);
	struct disk_descriptors descriptors = disk_keep(&storage->disk, false);
	enum error error = arena_put(&storage->arena, DESCRIPTORS_NOTE, &descriptors, sizeof(descriptors));
	return error == ERROR_OK ? store_save(storage->store) : error;
}

void storage_keep(const struct storage *storage, bool keep)
{
	if (storage->store != NULL)
		disk_keep(&storage->disk, keep);
}

static bool take_directory(struct storage *storage, struct store_refusal *refusal)
{
	struct disk_descriptors descriptors;
	const char *why = NULL;
	if (!arena_get_exact(&storage->arena, DESCRIPTORS_NOTE, &descriptors, sizeof(descriptors)))
		return storage_refuse(refusal, "the note of the store's descriptors is missing");
	int error = disk_take(&storage->disk, storage->options->directory, descriptors, &why);
	storage->is_adopted = error == 0;
	return error == 0 || storage_refuse(refusal, "the store's directory cannot be taken over: %s",
					    why != NULL ? why : strerror(-error));
}

enum error storage_continue(struct storage *storage, const struct store_options *options, uint16_t shard_count,
			    struct memory_root *root, struct store_refusal *refusal)
{
	CHECK(storage->store == NULL && shard_count != 0);
	storage->options = options;
	storage->shard_count = shard_count;
	bool has_store = arena_find(&storage->arena, root, STORAGE_ARENA) == ERROR_OK;
	bool wants_store = options->directory[0] != '\0';
	if (!has_store && !wants_store)
		return ERROR_OK;
	if (has_store != wants_store)
		storage_refuse(refusal, "the program before has %s", has_store ? "a store" : "none");
	if (has_store != wants_store || !take_directory(storage, refusal))
		return ERROR_SYSTEM;
	struct store_settings settings = storage_settings(storage);
	enum error error = store_continue(&storage->store, &storage->disk, &settings, refusal);
	if (error != ERROR_OK)
		disk_leave(&storage->disk);
	return error;
}
