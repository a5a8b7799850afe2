/* What the writer's parts have in common: commit/gather.h makes commits, commit/checkpoints.h begins and ends
 * checkpoints, commit/writer.h writes, syncs and says what is safe. The writer's thread alone, but for `stops`, `rest`,
 * `hurries` and the sleeper. */
#ifndef COMMIT_WRITER_STATE_H
#define COMMIT_WRITER_STATE_H

#include "commit/confirms.h"
#include "commit/figures.h"
#include "commit/log/bodies.h"
#include "commit/log/tail.h"
#include "commit/rest.h"
#include "commit/told/shard.h"

#define WRITER_RETRY_NS 1000000000u
/* So much that is written and not synced may lie in memory (STORE_PERIODIC). */
#define WRITER_TAIL_BYTES_MAX ((size_t)32 << 20)
/* How often the time is noted while sessions are connected and nothing happens. */
#define WRITER_HEARTBEAT_NS (STORE_HEARTBEAT_S * (uint64_t)1000000000u)
/* STORE_NUMBERED that wait for a commit that has something else (struct squeezed). */
#define WRITER_CARRY_BYTES_MAX ((size_t)64 << 10)

/* What the writer has of a shard. */
struct writer_shard {
	struct buffer *pending; /* taken, and in no commit yet; oldest first */
	struct buffer *pending_last;
	uint64_t taken;       /* the number of the last buffer that is in a commit, or left nothing to write */
	uint64_t taken_bytes; /* of these buffers as they were told */
	uint32_t checkpoint_ended;
	uint64_t barrier;       /* a checkpoint begins once the buffer of this number is taken */
	bool in_tail;           /* some of it is in a commit that is not safe */
	uint64_t tail_since_ns; /* when the oldest of that was told; 0: nothing is */
	uint8_t *carry;
	size_t carry_bytes;
	uint32_t carry_records;
	int64_t wall_s;       /* of the last buffer */
	bool has_told_bodies; /* in the commit that is being made */
	struct confirms confirms;
};

struct writer {
	struct store_common *common;
	const struct store_settings *settings;
	struct waker *const *wakers;
	struct figures *figures;
	struct segments segments;
	struct bodies *bodies;
	struct squeeze squeeze;
	struct tail tail;
	struct writer_shard *shards;
	struct region resolved; /* a buffer's records with the places of bodies filled in */
	struct sleeper sleeper;
	struct sleeper retry; /* while it waits to try again, shards need not wake it */
	_Atomic bool stops;
	_Atomic bool hurries; /* commits are synced as they come, and no checkpoint begins (store_hurry()) */
	struct rest rest;

	enum store_state state;
	bool failed;        /* the tail has to be written again, to a new segment */
	bool spare_failed;  /* the next segment could not be made ready */
	bool memory_failed; /* a buffer waits for memory */
	bool broken;        /* an error since it last worked was not about room */
	uint64_t retry_at_ns;
	uint64_t sync_due_ns; /* STORE_PERIODIC */
	uint64_t now_ns;      /* of this step */
	int64_t wall_s;       /* that a shard told last, and when it was taken */
	uint64_t wall_at_ns;
	uint64_t written_at_ns; /* when the last commit was written */
	uint64_t confirmed;     /* of the trail, as it was looked at last */
	uint32_t settled;       /* commits of the tail whose bodies have their places */
	bool must_sync;         /* the tail ends a checkpoint, or the log */
	bool epoch_is_safe;     /* its first checkpoint is */

	uint32_t checkpoint;        /* the number of the last that was wanted */
	bool checkpoint_runs;       /* its section is in no commit yet */
	bool checkpoint_is_written; /* it is in one that is not synced yet */
	bool checkpoint_soon;
	bool checkpoint_waits; /* for the shards to end what was told before (writer_shard.barrier) */
	uint8_t *gone; /* records RETAINED_GONE and its like that were committed while it waited; told again at its end
			*/
	size_t gone_bytes, gone_room;
	uint32_t base_segment; /* of the last that was wanted */
	uint32_t safe_base;    /* of the last that is complete and synced; 0: none in this epoch */
	uint64_t written_bytes;
	uint64_t written_before_checkpoint; /* written_bytes when the last one began */
	uint64_t again_bytes;               /* of all checkpoints, as written */
	uint64_t again_before_checkpoint;
	uint64_t checkpoint_again_bytes; /* that the last complete one wrote */
};

#endif
