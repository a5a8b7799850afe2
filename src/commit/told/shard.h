/* What the store has of each shard. The shard's thread tells and asks, the writer and the reader answer. Each side's
 * fields lie on cache lines of its own. */
#ifndef COMMIT_TOLD_SHARD_H
#define COMMIT_TOLD_SHARD_H

#include "commit/told/buffers.h"
#include "commit/told/connected.h"
#include "commit/told/sleeper.h"
#include "store/store.h"

struct store_shard {
	/* The shard's. */
	uint16_t number;
	bool again; /* a checkpoint is told */
	uint32_t checkpoint_begun;
	struct sleeper *writer;      /* to be woken at the end of a turn */
	struct store_common *common; /* of all shards */
	struct store_load *answered; /* of store_loaded(), first asked first */
	struct buffers buffers;
	struct connected connected;

	/* The writer's: read by all shards. */
	_Alignas(64) _Atomic uint64_t safe; /* all commits up to this one are */
	_Atomic uint64_t written_bytes;     /* of what was told: it is in the log, or was squeezed out */

	/* The shard's: read by the writer. */
	_Alignas(64) _Atomic bool awaits;
	_Atomic(struct store_load *) asked;  /* for the reader, newest first */
	_Atomic(struct store_load *) loaded; /* by the reader, newest first */

	uint64_t hurried; /* the main thread's: told when store_hurry() was called */
};

/* What shards look at in common, and change rarely. */
struct store_common {
	struct store_shard *shards;
	uint16_t shard_count;
	uint64_t buffer_bytes_max;
	_Atomic uint32_t full;       /* bits of enum store_full_reason; 0: not full */
	_Atomic uint32_t checkpoint; /* that is wanted; 0: none */
	_Atomic bool hurries;        /* what a checkpoint tells waits (store_hurry()) */
	struct sleeper reader;
};

enum store_full_reason {
	STORE_FULL_DEVICE = 1,  /* no room on the device, or it is broken */
	STORE_FULL_BUFFERS = 2, /* the writer is too far behind */
	STORE_FULL_MEMORY = 4,
};

#endif
