/* Fills the tree of retained messages from what a store holds, with their stamps and tombstones where the gateway is in
 * a cluster (topics/retained_changes.h). At a start, before the shards' threads run. */
#ifndef LIFECYCLE_RESTORE_RETAINED_H
#define LIFECYCLE_RESTORE_RETAINED_H

#include "base/error.h"

#include <stdint.h>

struct model;
struct shard;

/* *count: of messages, which it counts up. Logs why it failed: ERROR_LIMIT, ERROR_NO_MEMORY. */
enum error restore_retained(struct shard *shard, const struct model *model, uint64_t *count);

#endif
