/* A store that is paused, from one program to the next: what lies beside the arena, and the files of the directory. */
#include "commit/store_state.h"

#include "base/check.h"
#include "base/layout_root.h"
#include "memory/notes.h"
#include "store/format/segment_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORE_NOTE "store"
#define SHARDS_NOTE "store shards"
#define SEGMENTS_NOTE "store segments"
#define FIGURES_NOTE "store figures"
#define GONE_NOTE "store removals"

/* Of the writer and of the log. */
struct store_note {
	uint32_t format;
	uint32_t shard_count;
	struct store_segment_header header; /* of the segment that is appended to */
	uint64_t offset;
	uint64_t file_bytes;
	uint64_t spare_bytes;
	uint32_t spare_number; /* 0: none is ready */
	uint32_t next_segment;
	uint64_t last_offset; /* of the last commit in this segment; 0: there is none */
	uint64_t next_commit;
	int64_t tail_wall_s;
	int64_t wall_s;
	uint64_t wall_at_ns;
	uint64_t written_at_ns;
	uint64_t written_bytes;
	uint64_t written_before_checkpoint;
	uint64_t again_bytes;
	uint64_t again_before_checkpoint;
	uint64_t checkpoint_again_bytes;
	uint32_t checkpoint;
	uint32_t base_segment;
	uint32_t safe_base;
	uint8_t epoch_is_safe;
	uint8_t checkpoint_runs;
	uint8_t checkpoint_soon;
	uint8_t checkpoint_waits;
};

struct store_shard_note {
	uint64_t number; /* of the last buffer: all are taken */
	uint64_t told_bytes;
	uint64_t since_ns;
	uint64_t taken_bytes;
	uint64_t barrier;
	uint64_t safe;
	int64_t wall_s;
	uint32_t connected;
	uint32_t connected_unknown;
	uint32_t checkpoint_begun;
	uint32_t checkpoint_ended;
};

LAYOUT_ROOT(store_note);
LAYOUT_ROOT(store_shard_note);
LAYOUT_ROOT(segment);
LAYOUT_ROOT(figures);
LAYOUT_ENUM(store_state);

/* ---- saving ---- */

static struct store_note store_carry_note(const struct store *store)
{
	const struct writer *writer = &store->writer;
	const struct segments *segments = &writer->segments;
	const struct tail *tail = &writer->tail;
	return (struct store_note){
		.format = STORE_FORMAT,
		.shard_count = store->common.shard_count,
		.header = segments->header,
		.offset = segments->offset,
		.file_bytes = segments->file_bytes,
		.spare_bytes = segments->spare != NULL ? segments->spare_bytes : 0,
		.spare_number = segments->spare != NULL ? segments->spare_number : 0,
		.next_segment = segments->next_number,
		.last_offset = tail->last_segment == segments->header.number ? tail->last_offset : 0,
		.next_commit = tail->next_number,
		.tail_wall_s = tail->wall_s,
		.wall_s = writer->wall_s,
		.wall_at_ns = writer->wall_at_ns,
		.written_at_ns = writer->written_at_ns,
		.written_bytes = writer->written_bytes,
		.written_before_checkpoint = writer->written_before_checkpoint,
		.again_bytes = writer->again_bytes,
		.again_before_checkpoint = writer->again_before_checkpoint,
		.checkpoint_again_bytes = writer->checkpoint_again_bytes,
		.checkpoint = writer->checkpoint,
		.base_segment = writer->base_segment,
		.safe_base = writer->safe_base,
		.epoch_is_safe = writer->epoch_is_safe,
		.checkpoint_runs = writer->checkpoint_runs,
		.checkpoint_soon = writer->checkpoint_soon,
		.checkpoint_waits = writer->checkpoint_waits,
	};
}

static struct store_shard_note store_carry_shard_note(const struct store *store, uint16_t number)
{
	const struct store_shard *shard = &store->common.shards[number];
	const struct writer_shard *writer = &store->writer.shards[number];
	CHECK(writer->taken == shard->buffers.number && writer->pending == NULL && writer->carry_bytes == 0);
	return (struct store_shard_note){
		.number = shard->buffers.number,
		.told_bytes = shard->buffers.told_bytes,
		.since_ns = figures_get(&shard->buffers.open_since_ns),
		.taken_bytes = writer->taken_bytes,
		.barrier = writer->barrier,
		.safe = figures_get(&shard->safe),
		.wall_s = writer->wall_s,
		.connected = atomic_load_explicit(&shard->connected.count, memory_order_relaxed),
		.connected_unknown = atomic_load_explicit(&shard->connected.unknown, memory_order_relaxed),
		.checkpoint_begun = shard->checkpoint_begun,
		.checkpoint_ended = writer->checkpoint_ended,
	};
}

static enum error store_carry_save_shards(const struct store *store)
{
	uint16_t count = store->common.shard_count;
	struct store_shard_note *notes = calloc(count, sizeof(*notes));
	if (notes == NULL)
		return ERROR_NO_MEMORY;
	for (uint16_t i = 0; i < count; i++)
		notes[i] = store_carry_shard_note(store, i);
	enum error error = arena_put(store->settings.arena, SHARDS_NOTE, notes, count * sizeof(*notes));
	free(notes);
	return error;
}

enum error store_save(const struct store *store)
{
	const struct writer *writer = &store->writer;
	const struct arena *arena = store->settings.arena;
	CHECK(arena != NULL && store->has_started && !store->writer_runs && !store->reader_runs);
	CHECK(writer->tail.commit_count == 0 && !writer->checkpoint_is_written && !writer->failed);
	struct store_note note = store_carry_note(store);
	enum error error = arena_put(arena, STORE_NOTE, &note, sizeof(note));
	if (error == ERROR_OK)
		error = store_carry_save_shards(store);
	if (error == ERROR_OK)
		error = arena_put(arena, SEGMENTS_NOTE, writer->segments.list,
				  writer->segments.count * sizeof(writer->segments.list[0]));
	if (error == ERROR_OK)
		error = arena_put(arena, FIGURES_NOTE, &store->figures, sizeof(store->figures));
	if (error == ERROR_OK)
		error = arena_put(arena, GONE_NOTE, writer->gone, writer->gone_bytes);
	return error == ERROR_OK ? commit_bodies_save(&store->bodies) : error;
}

/* ---- going on ---- */

static bool store_carry_refuse(struct store_refusal *refusal, const char *why)
{
	snprintf(refusal->why, sizeof(refusal->why), "%s", why);
	return false;
}

static bool store_carry_miss(struct store_refusal *refusal, const char *note)
{
	snprintf(refusal->why, sizeof(refusal->why), "the store's note `%s` is missing, or contradicts itself", note);
	return false;
}

static bool store_carry_find_note(const struct store *store, struct store_note *note, struct store_refusal *refusal)
{
	if (!arena_get_exact(store->settings.arena, STORE_NOTE, note, sizeof(*note)))
		return store_carry_miss(refusal, STORE_NOTE);
	if (note->format != STORE_FORMAT)
		return store_carry_refuse(refusal, "the store has another format");
	if (note->shard_count != store->settings.shard_count)
		return store_carry_refuse(refusal, "the store has another number of shards");
	if (memcmp(note->header.store_id, store->identity.id, sizeof(note->header.store_id)) != 0)
		return store_carry_refuse(refusal, "the directory holds another store");
	bool is_sound = note->header.number != 0 && note->header.epoch != 0 && note->next_commit != 0 &&
			note->next_segment > note->header.number && note->offset >= sizeof(note->header) &&
			note->offset % STORE_ALIGNMENT == 0 && note->last_offset < note->offset &&
			note->safe_base <= note->base_segment && note->base_segment <= note->header.number;
	return is_sound ? true : store_carry_miss(refusal, STORE_NOTE);
}

static void store_carry_take_writer(struct writer *writer, const struct store_note *note)
{
	struct segments *segments = &writer->segments;
	segments->header = note->header;
	segments->offset = note->offset;
	segments->file_bytes = note->file_bytes;
	segments->spare_bytes = note->spare_bytes;
	segments->spare_number = note->spare_number;
	writer->tail.last_segment = note->last_offset != 0 ? note->header.number : 0;
	writer->tail.last_offset = note->last_offset;
	writer->state = STORE_WORKING;
	writer->wall_s = note->wall_s;
	writer->wall_at_ns = note->wall_at_ns;
	writer->written_at_ns = note->written_at_ns;
	writer->written_bytes = note->written_bytes;
	writer->written_before_checkpoint = note->written_before_checkpoint;
	writer->again_bytes = note->again_bytes;
	writer->again_before_checkpoint = note->again_before_checkpoint;
	writer->checkpoint_again_bytes = note->checkpoint_again_bytes;
	writer->checkpoint = note->checkpoint;
	writer->base_segment = note->base_segment;
	writer->safe_base = note->safe_base;
	writer->epoch_is_safe = note->epoch_is_safe != 0;
	writer->checkpoint_runs = note->checkpoint_runs != 0;
	writer->checkpoint_soon = note->checkpoint_soon != 0;
	writer->checkpoint_waits = note->checkpoint_waits != 0;
	atomic_store_explicit(&writer->common->checkpoint, note->checkpoint, memory_order_relaxed);
}

static bool store_carry_take_segments(struct store *store, struct store_refusal *refusal)
{
	struct slice kept;
	if (!arena_get(store->settings.arena, SEGMENTS_NOTE, &kept) || kept.size % sizeof(struct segment) != 0)
		return store_carry_miss(refusal, SEGMENTS_NOTE);
	struct segments *segments = &store->writer.segments;
	const struct segment *list = (const void *)kept.data;
	uint32_t before = 0;
	for (size_t i = 0; i < kept.size / sizeof(*list); i++) {
		if (list[i].number <= before || list[i].number > segments->header.number)
			return store_carry_miss(refusal, SEGMENTS_NOTE);
		if (segments_add(segments, list[i].number, list[i].bytes) != 0)
			return store_carry_refuse(refusal, error_sentence(ERROR_NO_MEMORY));
		segments->list[segments->count - 1] = list[i];
		before = list[i].number;
	}
	return before == segments->header.number ? true : store_carry_miss(refusal, SEGMENTS_NOTE);
}

static void store_carry_take_shard(struct store *store, uint16_t number, const struct store_shard_note *note)
{
	struct store_shard *shard = &store->common.shards[number];
	struct writer_shard *writer = &store->writer.shards[number];
	shard->buffers.number = note->number;
	shard->buffers.told_bytes = note->told_bytes;
	figures_set(&shard->buffers.told_bytes_seen, note->told_bytes);
	figures_set(&shard->buffers.open_number, note->number);
	figures_set(&shard->buffers.open_since_ns, note->since_ns);
	figures_set(&shard->safe, note->safe);
	figures_set(&shard->written_bytes, note->taken_bytes);
	atomic_store_explicit(&shard->connected.count, note->connected, memory_order_relaxed);
	atomic_store_explicit(&shard->connected.unknown, note->connected_unknown != 0, memory_order_relaxed);
	shard->checkpoint_begun = note->checkpoint_begun;
	writer->taken = note->number;
	writer->taken_bytes = note->taken_bytes;
	writer->barrier = note->barrier;
	writer->wall_s = note->wall_s;
	writer->checkpoint_ended = note->checkpoint_ended;
}

static bool store_carry_take_shards(struct store *store, struct store_refusal *refusal)
{
	struct slice kept;
	size_t count = store->common.shard_count;
	if (!arena_get(store->settings.arena, SHARDS_NOTE, &kept) ||
	    kept.size != count * sizeof(struct store_shard_note))
		return store_carry_miss(refusal, SHARDS_NOTE);
	const struct store_shard_note *notes = (const void *)kept.data;
	for (uint16_t i = 0; i < count; i++) {
		if (notes[i].safe > notes[i].number || notes[i].checkpoint_ended > notes[i].checkpoint_begun)
			return store_carry_miss(refusal, SHARDS_NOTE);
		store_carry_take_shard(store, i, &notes[i]);
	}
	return true;
}

static bool store_carry_take_removals(struct store *store, struct store_refusal *refusal)
{
	struct slice kept;
	struct writer *writer = &store->writer;
	if (!arena_get(store->settings.arena, GONE_NOTE, &kept))
		return store_carry_miss(refusal, GONE_NOTE);
	if (kept.size == 0)
		return true;
	writer->gone = malloc(kept.size);
	if (writer->gone == NULL)
		return store_carry_refuse(refusal, error_sentence(ERROR_NO_MEMORY));
	memcpy(writer->gone, kept.data, kept.size);
	writer->gone_bytes = writer->gone_room = kept.size;
	return true;
}

/* ---- the directory ---- */

/* The segments are those of the list, and the one that is ready; and nothing was written behind the last commit. */
static bool store_carry_names_are_the_same(const struct segments *segments, const uint32_t *numbers, uint32_t count)
{
	bool has_spare = segments->spare_number != 0;
	if (count != segments->count + has_spare)
		return false;
	for (uint32_t i = 0; i < segments->count; i++) {
		if (numbers[i] != segments->list[i].number)
			return false;
	}
	return !has_spare || numbers[count - 1] == segments->spare_number;
}

static int store_carry_read_commit(const struct segments *segments, uint64_t offset, struct store_commit_header *commit)
{
	size_t got = 0;
	*commit = (struct store_commit_header){.magic = 0};
	return segments->disk->operations->read(segments->disk->context, segments->file, commit, sizeof(*commit),
						offset, &got);
}

static bool store_carry_ends_the_same(const struct store *store, int *error)
{
	const struct segments *segments = &store->writer.segments;
	const struct tail *tail = &store->writer.tail;
	struct store_commit_header commit;
	if (tail->last_offset != 0) {
		*error = store_carry_read_commit(segments, tail->last_offset, &commit);
		if (*error != 0 || commit.magic != STORE_COMMIT_MAGIC || commit.number != tail->next_number - 1)
			return false;
	}
	*error = store_carry_read_commit(segments, segments->offset, &commit);
	return *error == 0 && commit.magic != STORE_COMMIT_MAGIC;
}

static bool store_carry_open_log(struct store *store, struct store_refusal *refusal)
{
	struct segments *segments = &store->writer.segments;
	uint32_t number = 0, count = 0;
	uint32_t *numbers = NULL;
	int error = segment_file_list(store->disk, &numbers, &count);
	bool same = error == 0 && store_carry_names_are_the_same(segments, numbers, count);
	free(numbers);
	if (error == 0 && !same)
		return store_carry_refuse(refusal, "the store's directory has not the segments that it had");
	if (error == 0)
		error = segments_adopt(segments, &number);
	if (error == 0 && store_carry_ends_the_same(store, &error))
		return true;
	if (error != 0 && error != -EINVAL)
		snprintf(refusal->why, sizeof(refusal->why), "the store's segment %u cannot be opened: %s", number,
			 strerror(-error)); /* NOLINT(concurrency-mt-unsafe): glibc's is per thread */
	else
		snprintf(refusal->why, sizeof(refusal->why), "the store's segment %u is not as it was left", number);
	return false;
}

static bool store_carry_adopt(struct store *store, struct store_refusal *refusal)
{
	const char *why = NULL;
	struct store_note note;
	enum error error = store_identity_load(store->disk, &store->identity, &why);
	if (error != ERROR_OK)
		return store_carry_refuse(refusal, why != NULL ? why : "the directory holds no store");
	if (!store_carry_find_note(store, &note, refusal))
		return false;
	struct writer_start start = {.common = &store->common,
				     .settings = &store->settings,
				     .figures = &store->figures,
				     .bodies = &store->bodies,
				     .disk = store->disk,
				     .trail = store_trail(store),
				     .store_id = store->identity.id,
				     .epoch = note.header.epoch,
				     .next_segment = note.next_segment,
				     .next_commit = note.next_commit,
				     .wall_s = note.tail_wall_s};
	error = store_open_parts(store);
	if (error != ERROR_OK)
		return store_carry_refuse(refusal, error == ERROR_NOT_FOUND ? "the store's memory is not what it was"
									    : error_sentence(error));
	error = writer_init(&store->writer, &start);
	store->has_started = store->is_adopted = store->writer.segments.adopted = true;
	if (error != ERROR_OK)
		return store_carry_refuse(refusal, error_sentence(error));
	store_carry_take_writer(&store->writer, &note);
	reader_init(&store->reader, &store->common, &store->bodies, store->disk, &store->figures, NULL);
	if (!arena_get_exact(store->settings.arena, FIGURES_NOTE, &store->figures, sizeof(store->figures)))
		return store_carry_miss(refusal, FIGURES_NOTE);
	return store_carry_take_shards(store, refusal) && store_carry_take_segments(store, refusal) &&
	       store_carry_take_removals(store, refusal) && store_carry_open_log(store, refusal);
}

enum error store_continue(struct store **continued, const struct disk *disk, const struct store_settings *settings,
			  struct store_refusal *refusal)
{
	CHECK(arena_is_adopted(settings->arena));
	struct store *store = calloc(1, sizeof(*store));
	if (store == NULL) {
		store_carry_refuse(refusal, error_sentence(ERROR_NO_MEMORY));
		return ERROR_NO_MEMORY;
	}
	store->disk = disk;
	store->settings = *settings;
	if (settings->is_followed)
		trail_init(&store->trail, &store->writer.sleeper);
	if (!store_carry_adopt(store, refusal)) {
		store_free(&store);
		return ERROR_SYSTEM;
	}
	*continued = store;
	return ERROR_OK;
}
