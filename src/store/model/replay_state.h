/* A replay while it runs, shared by its source files and nobody else. */
#ifndef STORE_REPLAY_STATE_H
#define STORE_REPLAY_STATE_H

#include "store/model/replay.h"

struct replay_state {
	const struct disk *disk;
	const struct store_identity *identity;
	struct replay_hooks hooks;
	struct model *model; /* NULL: none is wanted */
	struct replay *replay;
	/* By segment: the lowest commit that a later one begins with. What is not below it was replaced. UINT64_MAX:
	 * there is no later one. */
	uint64_t *limits;
	struct segment_file file;
	uint64_t done; /* progress */
	uint64_t all;
};

/* Notes the damage. ERROR_OK: go on behind it. */
enum error replay_damage(struct replay_state *state, uint32_t segment, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void replay_progress(struct replay_state *state, uint64_t done);
/* Reads a segment that has a header. ERROR_NOT_FOUND: it cannot be read, and the replay goes on. */
enum error replay_read(struct replay_state *state, const struct replay_segment *segment);

/* Finds the segments, and reads their headers (replay_base.c). */
enum error replay_find_segments(struct replay_state *state);
/* Finds the log's beginning, and gives each segment its role. */
enum error replay_find_base(struct replay_state *state);

#endif
