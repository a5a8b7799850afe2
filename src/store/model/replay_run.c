#include "store/model/replay.h"

#include "base/check.h"
#include "store/model/replay_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define BODY_HEAD_BYTES (STORE_RECORD_HEAD_BYTES_MAX + 1u)

/* ---- what all steps need ---- */

enum error replay_damage(struct replay_state *state, uint32_t segment, const char *format, ...)
{
	struct replay *replay = state->replay;
	char what[sizeof(replay->damage)], name[STORE_SEGMENT_NAME_BYTES];
	int head = snprintf(what, sizeof(what), "%s: ", store_segment_name(segment, name));
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(what + head, sizeof(what) - (size_t)head, format, arguments);
	va_end(arguments);
	for (uint32_t i = 0; i < replay->segment_count; i++)
		if (replay->segments[i].number == segment)
			replay->segments[i].is_damaged = true;
	if (replay->damages++ == 0)
		memcpy(replay->damage, what, sizeof(what));
	if (state->hooks.damage != NULL)
		state->hooks.damage(state->hooks.context, what);
	return state->hooks.go_on ? ERROR_OK : ERROR_SYSTEM;
}

void replay_progress(struct replay_state *state, uint64_t done)
{
	state->done += done;
	if (state->done > state->all)
		state->done = state->all; /* a file has grown meanwhile */
	if (state->hooks.progress != NULL)
		state->hooks.progress(state->hooks.context, state->done, state->all);
}

enum error replay_read(struct replay_state *state, const struct replay_segment *segment)
{
	CHECK_NE(segment->epoch, 0u);
	struct store_segment_header header;
	/* As it was when it was checked: a header says nothing else. */
	store_segment_header_make(&header, state->identity->id, segment->number, segment->epoch, segment->first_commit,
				  0);
	int error = segment_file_read(state->disk, &header, state->hooks.go_on, &state->file);
	if (error == -ENOMEM)
		return ERROR_NO_MEMORY;
	if (error != 0) {
		enum error result = replay_damage(state, segment->number, "it cannot be read: %s", strerror(-error));
		return result == ERROR_OK ? ERROR_NOT_FOUND : result;
	}
	return ERROR_OK;
}

/* ---- commits ---- */

static enum error apply_section(struct replay_state *state, const struct segment_walk *walk, uint16_t shard,
				struct slice records)
{
	uint32_t segment = walk->file->header.number;
	while (records.size != 0) {
		struct store_record record;
		struct store_place place = {.segment = segment, .offset = (uint32_t)(records.data - walk->file->bytes)};
		size_t size = store_record_decode(records, &record);
		if (size == 0)
			return replay_damage(state, segment,
					     "commit %" PRIu64 " at byte %zu has no record at byte %" PRIu32,
					     walk->header.number, walk->commit_offset, place.offset);
		if (state->hooks.record != NULL)
			state->hooks.record(state->hooks.context, walk->header.number, shard, &record, place);
		if (state->model != NULL && model_apply(state->model, shard, &record, place) != ERROR_OK)
			return ERROR_NO_MEMORY;
		state->replay->records++;
		records = slice_of(records.data + size, records.size - size);
	}
	return ERROR_OK;
}

static enum error apply_commit(struct replay_state *state, const struct segment_walk *walk)
{
	struct replay *replay = state->replay;
	struct store_section_header section;
	struct slice records;
	size_t offset = 0;
	bool bad;
	while (store_section_next(walk->payload, &offset, &section, &records, &bad)) {
		if (section.shard == STORE_SECTION_STOP)
			replay->stopped = true;
		if (section.shard >= STORE_SECTION_UNSYNCED)
			continue;
		replay->stopped = false;
		enum error error = apply_section(state, walk, section.shard, records);
		if (error != ERROR_OK)
			return error;
	}
	if (bad)
		return replay_damage(state, walk->file->header.number,
				     "commit %" PRIu64 " at byte %zu has no section at byte %zu", walk->header.number,
				     walk->commit_offset, walk->commit_offset + sizeof(walk->header) + offset);
	if (walk->header.wall_s > replay->wall_s)
		replay->wall_s = walk->header.wall_s;
	replay->commits++;
	return ERROR_OK;
}

static const char *commit_fault(enum store_commit_state state)
{
	switch (state) {
	case STORE_COMMIT_NONE:
		return "is missing";
	case STORE_COMMIT_PARTIAL:
		return "is cut short";
	case STORE_COMMIT_GOOD:
	case STORE_COMMIT_DAMAGED:
		break;
	}
	return "is damaged";
}

/* A commit is not whole. Without a segment behind this one it was being written when the machine stopped, unless a
 * commit follows that was only written after it was safe. *ends: nothing counts behind it. */
static enum error meet_fault(struct replay_state *state, uint32_t index, struct segment_walk *walk,
			     enum store_commit_state fault, bool *ends)
{
	struct replay *replay = state->replay;
	uint32_t number = replay->segments[index].number;
	uint64_t limit = state->limits[index], missing = walk->number;
	size_t offset = walk->offset;
	bool is_last = limit == UINT64_MAX;
	struct segment_walk behind = *walk;
	*ends = !segment_walk_find(&behind, limit, is_last);
	if (is_last && *ends) {
		replay->cut_bytes = segment_walk_rest(walk);
		replay->cut_segment = replay->cut_bytes != 0 ? number : 0;
		replay->cut_offset = replay->cut_bytes != 0 ? offset : 0;
		return ERROR_OK;
	}
	if (!*ends)
		*walk = behind;
	uint64_t next = *ends ? limit : behind.number;
	if (next - missing == 1)
		return replay_damage(state, number, "commit %" PRIu64 " at byte %zu %s", missing, offset,
				     commit_fault(fault));
	return replay_damage(state, number, "commit %" PRIu64 " at byte %zu %s, and what follows up to commit %" PRIu64,
			     missing, offset, commit_fault(fault), next - 1);
}

/* *next: the number of the commit that the segment has to begin with, 0: any; moves it on. */
static enum error replay_segment(struct replay_state *state, uint32_t index, uint64_t *next)
{
	struct replay *replay = state->replay;
	struct replay_segment *segment = &replay->segments[index];
	enum error error = ERROR_OK;
	/* Replaced as a whole: a write had failed in it, and what the segment before has was written again too. */
	if (segment->first_commit >= state->limits[index])
		return ERROR_OK;
	if (*next != 0 && segment->first_commit != *next)
		error = replay_damage(state, segment->number,
				      "commits %" PRIu64 " to %" PRIu64 " before it are missing", *next,
				      segment->first_commit - 1);
	if (error == ERROR_OK)
		error = replay_read(state, segment);
	if (error == ERROR_NOT_FOUND) { /* and the damage is noted */
		*next = 0;
		return ERROR_OK;
	}
	if (error == ERROR_OK && state->file.unreadable_bytes != 0)
		error = replay_damage(state, segment->number, "%" PRIu64 " bytes of it cannot be read: %s",
				      state->file.unreadable_bytes, strerror(-state->file.unreadable_error));
	struct segment_walk walk = segment_walk(&state->file);
	bool ends = false;
	while (error == ERROR_OK && !ends && walk.number < state->limits[index]) {
		enum store_commit_state commit = segment_walk_next(&walk);
		if (commit != STORE_COMMIT_GOOD) {
			error = meet_fault(state, index, &walk, commit, &ends);
			continue;
		}
		if (segment->role == REPLAY_LOG)
			error = apply_commit(state, &walk);
		segment->good_bytes = walk.offset;
		replay_progress(state, walk.offset - walk.commit_offset);
	}
	*next = ends && state->limits[index] != UINT64_MAX ? 0 : walk.number;
	replay->last_commit = walk.number - 1;
	if (segment->role == REPLAY_LOG)
		replay->log_commit = replay->last_commit;
	return error;
}

/* From the log's beginning to the end of the store. Without a log the store must be so new that nothing was removed. */
static enum error replay_forward(struct replay_state *state)
{
	struct replay *replay = state->replay;
	uint64_t next = replay->base_segment != 0 ? 0 : 1;
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < replay->segment_count; i++)
		if (replay->segments[i].role != REPLAY_NEEDLESS)
			bytes += replay->segments[i].file_bytes;
	replay->bytes = bytes;
	state->all = state->done + bytes; /* the other files were looked at, or need not be */
	enum error error = ERROR_OK;
	for (uint32_t i = 0; error == ERROR_OK && i < replay->segment_count; i++)
		if (replay->segments[i].role != REPLAY_NEEDLESS)
			error = replay_segment(state, i, &next);
	if (error == ERROR_OK)
		replay_progress(state, state->all - state->done); /* also where a file has room ahead */
	return error;
}

/* ---- bodies ---- */

static struct replay_segment *find_by_number(const struct replay *replay, uint32_t number)
{
	uint32_t low = 0, high = replay->segment_count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (replay->segments[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	bool found = low < replay->segment_count && replay->segments[low].number == number;
	return found ? &replay->segments[low] : NULL;
}

struct body_count {
	struct replay_state *state;
	uint32_t missing; /* the segment of the last body that has none: each is told once, or little more often */
	enum error error;
};

static void count_body(void *argument, const struct model_message *message)
{
	struct body_count *count = argument;
	struct replay_segment *segment = find_by_number(count->state->replay, message->place.segment);
	if (segment == NULL || segment->epoch == 0) {
		if (count->error == ERROR_OK && count->missing != message->place.segment)
			count->error = replay_damage(count->state, message->place.segment,
						     "it is missing, and messages have their bodies in it");
		count->missing = message->place.segment;
		return;
	}
	segment->body_bytes += message->publication.packet_bytes;
	if (segment->role == REPLAY_NEEDLESS)
		segment->role = REPLAY_BODIES;
}

/* ---- all of it ---- */

enum error replay_run(const struct disk *disk, const struct store_identity *identity, const struct replay_hooks *hooks,
		      struct model *model, struct replay *replay)
{
	struct replay_state state = {.disk = disk, .identity = identity, .model = model, .replay = replay};
	if (hooks != NULL)
		state.hooks = *hooks;
	*replay = (struct replay){.segments = NULL};
	enum error error = replay_find_segments(&state);
	if (error == ERROR_OK)
		error = replay_find_base(&state);
	if (error == ERROR_OK && model != NULL)
		error = model_begin_epoch(model, replay->epoch);
	if (error == ERROR_OK)
		error = replay_forward(&state);
	if (error == ERROR_OK && model != NULL) {
		model_set_wall(model, replay->wall_s);
		model->stopped = replay->stopped;
		error = model_finish(model);
		struct body_count count = {.state = &state};
		if (error == ERROR_OK) {
			model_each_message(model, count_body, &count);
			error = count.error;
		}
	}
	segment_file_fini(&state.file);
	free(state.limits);
	return error;
}

void replay_fini(struct replay *replay)
{
	free(replay->segments);
	replay->segments = NULL;
	replay->segment_count = 0;
}

bool replay_has_nothing(const struct replay *replay)
{
	for (uint32_t i = 0; i < replay->segment_count; i++)
		if (replay->segments[i].good_bytes != 0)
			return false;
	return true;
}

bool replay_is_foreign(const struct replay *replay)
{
	for (uint32_t i = 0; i < replay->segment_count; i++)
		if (replay->segments[i].epoch != 0)
			return false;
	return replay->segment_count != 0 && replay->damages != 0;
}

int replay_remove_later(const struct disk *disk, struct replay *replay)
{
	char name[STORE_SEGMENT_NAME_BYTES];
	while (replay->segment_count > 0) {
		const struct replay_segment *last = &replay->segments[replay->segment_count - 1];
		if (last->role == REPLAY_LOG)
			break;
		int error = disk->operations->remove(disk->context, store_segment_name(last->number, name));
		if (error == 0 || error == -ENOENT)
			error = disk->operations->sync_names(disk->context);
		if (error != 0)
			return error;
		replay->segment_count--;
	}
	replay->last_commit = replay->log_commit;
	return 0;
}

int replay_sync_log(const struct disk *disk, const struct replay *replay)
{
	uint32_t i = replay->segment_count;
	while (i > 0 && replay->segments[i - 1].role != REPLAY_LOG)
		i--;
	if (i == 0)
		return 0;
	struct disk_file *file;
	char name[STORE_SEGMENT_NAME_BYTES];
	store_segment_name(replay->segments[i - 1].number, name);
	int error = disk->operations->open(disk->context, name, false, &file);
	if (error != 0)
		return error;
	error = disk->operations->sync(disk->context, file);
	disk->operations->close(disk->context, file);
	return error;
}

enum error replay_read_body(const struct disk *disk, struct disk_file *file, uint32_t offset,
			    const struct publication *publication, uint8_t **packet, int *error)
{
	size_t size = (size_t)publication->packet_bytes + BODY_HEAD_BYTES, got = 0;
	uint8_t *bytes = malloc(size);
	*packet = NULL;
	*error = 0;
	if (bytes == NULL)
		return ERROR_NO_MEMORY;
	*error = disk->operations->read(disk->context, file, bytes, size, offset, &got);
	struct store_record record;
	enum error result = ERROR_OK;
	if (*error != 0)
		result = ERROR_SYSTEM;
	else if (store_record_decode(slice_of(bytes, got), &record) == 0 || record.kind != STORE_KEPT ||
		 record.packet_bytes != publication->packet_bytes || record.topic_bytes != publication->topic_bytes ||
		 record.header_bytes != publication->header_bytes || !store_record_is_intact(&record))
		result = ERROR_NOT_FOUND;
	if (result != ERROR_OK) {
		free(bytes);
		return result;
	}
	memmove(bytes, record.body.data, record.body.size);
	*packet = bytes;
	return ERROR_OK;
}
