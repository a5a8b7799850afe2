/* Buffers of records, on their way from a shard to the writer and back. No locks: neither ever waits for the other.
 *
 * Between two turns the shard's open buffer lies in `open`, where the shard takes it for its next turn and the writer
 * takes it for a commit: whoever exchanges the pointer first has it. If the writer finds nothing there, the shard may
 * be in a turn, so the writer asks for it: the turn's end puts the buffer into the list `ready` instead. A shard that
 * is always busy thus delays the writer by one turn, not for ever. A buffer of BUFFER_CLOSE_BYTES goes there too, so
 * that a writer that is stuck finds pieces that fit into commits.
 *
 * Memory. An event that was told must not be lost, and the shard's callback cannot fail. So:
 * - a buffer is a region: it grows in place, and pages are touched as they are used;
 * - each shard has a spare one, which is used where no other can be had;
 * - a turn begins with BUFFER_HEADROOM_BYTES that are usable already.
 * Where the spare one is in use, or the headroom could not be had, `short_of_memory` is set: the store says that it is
 * full, and nothing new comes in. If even then an event finds no room, the process ends with a broken promise: what was
 * not safe was not acknowledged either. */
#ifndef COMMIT_TOLD_BUFFERS_H
#define COMMIT_TOLD_BUFFERS_H

#include "memory/region.h"

#include <stdatomic.h>
#include <stdbool.h>

#define BUFFER_CLOSE_BYTES ((size_t)4 << 20)
#define BUFFER_HEADROOM_BYTES ((size_t)1 << 20)
/* The payload of a commit, which the largest turn fits into, is counted in 32 bits. */
#define BUFFER_BYTES_MAX ((size_t)UINT32_MAX - (1u << 20))

struct buffer {
	struct buffer *next;
	uint64_t number;   /* of the shard's commits, from 1 */
	int64_t wall_s;    /* when its last turn began */
	uint64_t since_ns; /* when its first turn began */
	struct region region;
	size_t size;
	uint64_t again_bytes;      /* of a checkpoint */
	uint32_t records;          /* in it */
	uint32_t kept_at;          /* of them STORE_KEPT_AT: their places are to be filled in */
	uint32_t checkpoint_ended; /* the checkpoint whose last event is in it; 0: none */
};

struct buffers {
	/* The shard's own. */
	struct buffer *current; /* of this turn; NULL: between turns */
	struct buffer *mine;    /* empty ones */
	struct buffer *spare;
	uint64_t number; /* given last */
	uint64_t told_bytes;

	_Alignas(64) _Atomic(struct buffer *) open;
	_Atomic(struct buffer *) ready; /* newest first */
	_Atomic(struct buffer *) freed;
	_Atomic bool asked;
	_Atomic bool short_of_memory;
	_Atomic uint64_t told_bytes_seen; /* told_bytes at the end of the last turn */
	_Atomic uint64_t open_number;     /* of the newest buffer, and when its first turn began */
	_Atomic uint64_t open_since_ns;
};

enum error buffers_init(struct buffers *buffers);
/* Frees all, those too that nobody took. */
void buffers_fini(struct buffers *buffers);

/* ---- the shard ---- */

/* A turn begins: sets `current`. */
void buffers_begin(struct buffers *buffers, int64_t wall_s);
/* Room for so many bytes behind those of the current buffer. */
uint8_t *buffers_room(struct buffers *buffers, size_t bytes);
void buffers_end(struct buffers *buffers);

/* ---- the writer ---- */

/* Whether buffers_take() would find something. */
bool buffers_waiting(const struct buffers *buffers);
/* All that can be had, in the order of their numbers; NULL: nothing. */
struct buffer *buffers_take(struct buffers *buffers);
/* An empty one goes back to the shard, or is freed where it has enough. */
void buffers_give(struct buffers *buffers, struct buffer *buffer);

#endif
