/* A writer on a simulated disk, with toy shards that tell it things; and what must be had again of that. No threads:
 * the test calls each step. */
#ifndef COMMIT_WRITER_SCENE_H
#define COMMIT_WRITER_SCENE_H

#include "commit/store_state.h"
#include "memory/notes.h"
#include "sim_disk.h"
#include "toy_shard.h"

#define SCENE_SHARDS 2u
#define SCENE_COMMITS 4000u
#define SCENE_STEPS 4000u

/* What outlives the program that the store is of, anew with each restart. */
struct scene_memory {
	struct memory_root root; /* of the first program since the restart: it has the descriptors */
	struct memory_root next; /* of the present one; block NULL: that is the first */
	struct notes notes, next_notes;
	struct arena arena;
};

/* What one turn told for the first time. */
struct scene_turn {
	uint64_t number; /* of the shard's buffer */
	uint8_t *bytes;
	size_t size;
};

/* What the store must hold, as text, of the last cut: most cuts share it with the one before. */
struct scene_expected {
	uint64_t commit;
	uint64_t safe[SCENE_SHARDS];
	uint32_t promise_count; /* how far the scene was */
	char *text;             /* NULL: not known */
};

struct scene {
	struct scene_expected *expected;
	struct sim_disk *sim;
	struct store *store; /* without threads */
	struct scene_memory *memory;
	struct store_common plain_common;
	struct store_shard *shards; /* the store's */
	struct store_shard *plain;
	struct toy_retained retained;
	struct toy_shard toys[SCENE_SHARDS];
	struct sleeper sleeper;
	uint64_t now_ns;
	unsigned seed;
	uint64_t epoch;
	struct scene_turn turns[SCENE_SHARDS][SCENE_STEPS];
	uint32_t turn_count[SCENE_SHARDS];
	/* Of each commit: up to which of its buffers each shard is in it. */
	uint64_t taken[SCENE_COMMITS][SCENE_SHARDS];
	uint64_t commit_count;
	/* After each step: how long the trace was, and what was promised. */
	struct {
		size_t traced;
		uint64_t safe[SCENE_SHARDS];
	} promises[SCENE_STEPS];
	uint32_t promise_count;
};

struct scene *scene_new(unsigned seed, enum store_durability durability, uint64_t segment_bytes,
			uint64_t checkpoint_bytes);
void scene_free(struct scene *scene);
/* A turn of one shard. */
void scene_turn(struct scene *scene, uint32_t shard, unsigned events);
/* All shards go on with the checkpoint that is wanted, one object each. */
void scene_checkpoint(struct scene *scene);
/* Until the checkpoint that is wanted is written, or `most` steps. */
void scene_checkpoint_all(struct scene *scene, unsigned most);
uint64_t scene_step(struct scene *scene);
/* The gateway stops and starts: an epoch of its own, and all bodies are in the store alone. Buffers go on counting. */
void scene_restart(struct scene *scene);
/* The program is replaced: what was told is written, and the next one goes on. */
void scene_upgrade(struct scene *scene);
/* Some of all that, by chance. */
void scene_play(struct scene *scene, unsigned steps);
uint64_t scene_safe(const struct scene *scene, uint32_t shard);
/* The power fails after so many operations: what was promised then must be there, and no part of a turn alone. Returns
 * the text of what is there; malloc()ed. */
char *scene_recover(const struct scene *scene, size_t count, enum sim_unsynced unsynced, unsigned *seed);
/* What is on this disk is what was told up to its last commit, and has what was promised. */
void scene_check_disk(const struct scene *scene, struct sim_disk *disk, const uint64_t safe[SCENE_SHARDS]);
void scene_check_cut(const struct scene *scene, size_t count, enum sim_unsynced unsynced, unsigned *seed);
/* The same after every third operation so far, with none, all and some of what was not synced; seeds that follow one
 * another begin at different ones. */
void scene_check_cuts(const struct scene *scene, unsigned seed);
/* The time that the log has noted last. */
int64_t scene_wall(const struct scene *scene);

#endif
