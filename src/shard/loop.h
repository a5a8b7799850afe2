/* A shard's life: opened and started by the main thread, then a loop of turns on a thread of its own. */
#ifndef SHARD_LOOP_H
#define SHARD_LOOP_H

#include "base/error.h"

#include <stdint.h>

struct shard;

/* Everything but the thread; called by the main thread. */
enum error shard_open(struct shard *shard);
void shard_close(struct shard *shard);
/* Hands on what is kept elsewhere of the settings, which are others. By the shard's thread. */
void shard_take_settings(struct shard *shard);
enum error shard_start(struct shard *shard);
/* Ends the thread: drains the clients until drain_until_ms. Does not wait for it. */
void shard_stop(struct shard *shard, uint64_t drain_until_ms);

#endif
