/* Where a shard's objects are: all of them are found by an index or a reference, none by a pointer that outlives the
 * call. By the shard's thread. */
#ifndef STATE_MEMORY_H
#define STATE_MEMORY_H

#include "memory/pool.h"
#include "memory/slab.h"
#include "net/io.h"
#include "session/flow.h"
#include "session/messages.h"

struct shard_memory {
	struct pool clients;
	struct slab slab;         /* what varies in length, or exists only at times */
	struct io io;             /* scratch, and output that waits */
	struct messages messages; /* kept by sessions */
	struct flow_store flows;  /* which session keeps which */
};

#endif
