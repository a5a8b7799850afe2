/* What comes round by time: deadlines of clients and sessions, retained messages that expire, $SYS. By the shard's
 * thread.
 */
#ifndef SHARD_TIMERS_H
#define SHARD_TIMERS_H

struct shard;

/* Those that are due, for their share of the turn's work. */
void timers_run(struct shard *shard);

#endif
