/* What happens by the clock: deadlines of clients and sessions, expiry of retained messages, $SYS. By the shard's
 * thread. */
#ifndef SHARD_TIMERS_H
#define SHARD_TIMERS_H

struct shard;

/* Visits the deadlines that are due, until the share of the turn's work is spent. Shard 0 also takes away retained
 * messages that have expired, and publishes $SYS. */
void timers_run(struct shard *shard);

#endif
