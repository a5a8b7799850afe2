#include "store/model/replay_state.h"

#include "base/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- the segments ---- */

static const char *header_fault(const struct replay_state *state, uint32_t number, const struct segment_file_head *head)
{
	switch (head->state) {
	case STORE_HEADER_FOREIGN:
		return "this is no segment of a Roost store";
	case STORE_HEADER_NEWER:
		return "it is of a newer format: this program is too old for it";
	case STORE_HEADER_OLDER:
		return "it is of an older format, which this program does not know";
	case STORE_HEADER_DAMAGED:
		return "its header is damaged";
	case STORE_HEADER_EMPTY:
		return NULL;
	case STORE_HEADER_GOOD:
		break;
	}
	if (memcmp(head->header.store_id, state->identity->id, sizeof(state->identity->id)) != 0)
		return "it belongs to another store";
	return head->header.number != number ? "it was made under another name" : NULL;
}

static enum error find_segment(struct replay_state *state, uint32_t number, struct replay_segment *segment)
{
	struct segment_file_head head;
	int error = segment_file_head(state->disk, number, &head);
	*segment = (struct replay_segment){.number = number, .role = REPLAY_NEEDLESS, .file_bytes = head.file_bytes};
	if (error != 0)
		return replay_damage(state, number, "it cannot be read: %s", strerror(-error));
	const char *fault = header_fault(state, number, &head);
	if (fault != NULL) {
		enum error result = replay_damage(state, number, "%s", fault);
		bool is_readable = head.state != STORE_HEADER_NEWER && head.state != STORE_HEADER_OLDER;
		return is_readable ? result : ERROR_SYSTEM; /* it is no damage, and nothing to be put aside */
	}
	if (head.state != STORE_HEADER_GOOD)
		return ERROR_OK;
	segment->epoch = head.header.epoch;
	segment->first_commit = head.header.first_commit;
	return ERROR_OK;
}

/* From the last one to the first. */
static void find_limits(struct replay_state *state)
{
	const struct replay *replay = state->replay;
	uint64_t limit = UINT64_MAX;
	for (uint32_t i = replay->segment_count; i-- > 0;) {
		state->limits[i] = limit;
		if (replay->segments[i].epoch != 0 && replay->segments[i].first_commit < limit)
			limit = replay->segments[i].first_commit;
	}
}

enum error replay_find_segments(struct replay_state *state)
{
	struct replay *replay = state->replay;
	uint32_t *numbers, count;
	int error = segment_file_list(state->disk, &numbers, &count);
	if (error != 0) {
		snprintf(replay->damage, sizeof(replay->damage), "the directory cannot be read: %s", strerror(-error));
		return error == -ENOMEM ? ERROR_NO_MEMORY : ERROR_SYSTEM;
	}
	replay->segments = calloc((size_t)count + 1, sizeof(*replay->segments));
	state->limits = calloc((size_t)count + 1, sizeof(*state->limits));
	enum error result = replay->segments != NULL && state->limits != NULL ? ERROR_OK : ERROR_NO_MEMORY;
	for (uint32_t i = 0; result == ERROR_OK && i < count; i++) {
		struct replay_segment *segment = &replay->segments[replay->segment_count++];
		result = find_segment(state, numbers[i], segment);
		replay->highest_segment = segment->number;
		if (result == ERROR_OK && segment->epoch != 0 && segment->epoch < replay->highest_epoch)
			result = replay_damage(state, segment->number, "its epoch is older than that of one before it");
		if (segment->epoch > replay->highest_epoch)
			replay->highest_epoch = segment->epoch;
		state->all += 2 * segment->file_bytes;
	}
	free(numbers);
	if (result == ERROR_OK)
		find_limits(state);
	return result;
}

/* ---- the log's beginning ---- */

/* base: of the last checkpoint that ends in the segment; 0: none does. */
static enum error find_checkpoint(struct replay_state *state, uint32_t index, uint64_t *base)
{
	*base = 0;
	enum error error = replay_read(state, &state->replay->segments[index]);
	if (error != ERROR_OK)
		return error == ERROR_NOT_FOUND ? ERROR_OK : error;
	struct segment_walk walk = segment_walk(&state->file);
	/* At the end of the log a checkpoint behind a commit that is not whole was not synced either: it counts for
	 * nothing, and the epoch before does. */
	bool is_last = state->limits[index] == UINT64_MAX;
	while (walk.number < state->limits[index]) {
		if (segment_walk_next(&walk) != STORE_COMMIT_GOOD) {
			if (!state->hooks.go_on || !segment_walk_find(&walk, state->limits[index], is_last))
				break;
			continue;
		}
		struct store_section_header section;
		struct slice records;
		size_t offset = 0;
		bool bad;
		while (store_section_next(walk.payload, &offset, &section, &records, &bad))
			if (section.shard == STORE_SECTION_CHECKPOINT)
				*base = (uint64_t)section.wall_s;
	}
	return ERROR_OK;
}

/* NULL: there is none of this number. */
static const struct replay_segment *segment_of(const struct replay *replay, uint64_t number)
{
	for (uint32_t i = 0; i < replay->segment_count; i++)
		if (replay->segments[i].number == number)
			return &replay->segments[i];
	return NULL;
}

static void give_roles(struct replay *replay)
{
	for (uint32_t i = 0; i < replay->segment_count; i++) {
		struct replay_segment *segment = &replay->segments[i];
		if (segment->epoch != 0 && segment->epoch > replay->epoch)
			segment->role = REPLAY_LATER;
		else if (segment->epoch == replay->epoch && segment->number >= replay->base_segment &&
			 replay->epoch != 0)
			segment->role = REPLAY_LOG;
	}
}

enum error replay_find_base(struct replay_state *state)
{
	struct replay *replay = state->replay;
	uint64_t base = 0;
	for (uint32_t i = replay->segment_count; base == 0 && i-- > 0;) {
		const struct replay_segment *segment = &replay->segments[i];
		if (segment->epoch == 0)
			continue;
		enum error error = find_checkpoint(state, i, &base);
		if (error != ERROR_OK)
			return error;
		replay_progress(state, segment->file_bytes);
		if (base == 0)
			continue;
		const struct replay_segment *first = segment_of(replay, base);
		replay->epoch = segment->epoch;
		replay->base_segment = (uint32_t)base;
		if (base > segment->number || first == NULL || first->epoch != segment->epoch) {
			error = replay_damage(state, segment->number,
					      "its checkpoint begins in segment %" PRIu64 ", which is missing", base);
			if (error != ERROR_OK)
				return error;
		}
	}
	give_roles(replay);
	return ERROR_OK;
}
