/* What the gateway tells about itself on $SYS topics: retained messages with the usual names, published again at an
 * interval. By the thread of shard 0. */
#ifndef SHARD_SYS_TOPICS_H
#define SHARD_SYS_TOPICS_H

struct shard;

/* Publishes all of them when the interval has passed since the last time. */
void sys_topics_publish(struct shard *shard);

#endif
