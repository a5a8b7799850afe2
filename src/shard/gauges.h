/* Copies what a shard's parts count for themselves into the shard's counters, where the metrics read it. By the shard's
 * thread. */
#ifndef SHARD_GAUGES_H
#define SHARD_GAUGES_H

struct shard;

/* Once a turn. */
void gauges_publish(struct shard *shard);

#endif
