/* Where the body of each kept message lies in the log: 16 bytes a message. The writer keeps it, by what it has written;
 * the reader looks places up for the shards.
 *
 * The table is in BODIES_PARTS parts by the hash of the name, each of which grows on its own, so that no commit waits
 * for the whole to be copied. The writer changes it under the lock, once a commit; it reads without.
 *
 * It may lie in an arena, where the next program finds it: with many messages there is no time to copy it. */
#ifndef COMMIT_LOG_BODIES_H
#define COMMIT_LOG_BODIES_H

#include "base/error.h"
#include "memory/slab.h"
#include "store/model/model.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define BODIES_PARTS 512u

struct body {
	uint32_t message; /* 0: free */
	uint32_t segment;
	uint32_t offset; /* of its KEPT record, in the segment's file */
	uint32_t bytes;  /* of that record */
};

struct bodies_part {
	uint32_t slots; /* a block of the shard's slab; 0: none yet */
	uint32_t mask;
	uint32_t used;
};

struct bodies_shard {
	struct slab slab;
	struct bodies_part parts[BODIES_PARTS];
};

struct bodies {
	pthread_mutex_t lock;
	struct bodies_shard *shards;
	struct arena *arena;
	uint16_t shard_count;
};

/* arena: NULL: it ends with the program. In one that was adopted it finds what commit_bodies_save() left;
 * ERROR_NOT_FOUND: that is not there, or contradicts itself. */
enum error commit_bodies_init(struct bodies *bodies, uint16_t shard_count, struct arena *arena);
void commit_bodies_fini(struct bodies *bodies);
/* Notes what lies beside the slabs. No thread of the store runs. */
enum error commit_bodies_save(const struct bodies *bodies);

/* The writer, or before it runs the thread that restores the shard. Returns the body that was there under this name;
 * all zeros: none. */
struct body bodies_set(struct bodies *bodies, uint16_t shard, struct body body);
struct body bodies_remove(struct bodies *bodies, uint16_t shard, uint32_t message);
/* The writer, or under the lock. False: not known. */
bool bodies_find(const struct bodies *bodies, uint16_t shard, uint32_t message, struct body *body);

#endif
