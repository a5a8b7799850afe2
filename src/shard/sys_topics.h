/* The gateway's figures on $SYS topics [4.7.2]: retained messages under the names that other brokers use, published at
 * an interval. By the thread of shard 0. */
#ifndef SHARD_SYS_TOPICS_H
#define SHARD_SYS_TOPICS_H

struct shard;

/* Publishes all topics if the interval has passed. Does nothing where $SYS is off. */
void sys_topics_publish(struct shard *shard);

#endif
