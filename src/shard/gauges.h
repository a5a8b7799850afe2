/* What a shard's parts have counted for themselves, as the metrics show it. By the shard's thread. */
#ifndef SHARD_GAUGES_H
#define SHARD_GAUGES_H

struct shard;

/* Once a turn. */
void gauges_publish(struct shard *shard);

#endif
