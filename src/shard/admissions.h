/* Clients whom the gates have let in, on their way into a shard. By the shard's thread. */
#ifndef SHARD_ADMISSIONS_H
#define SHARD_ADMISSIONS_H

#include <stdbool.h>

struct shard;

/* Takes some of them in, for their share of the turn's work. What a connection that is taken over had to say, and a
 * session's queue, may make one admission as long as many. A client that comes, leaves a will and goes is let in no
 * faster than wills are sent. False when none is left. */
bool admissions_take(struct shard *shard);
/* Whether some of the last batch are left. */
bool admissions_wait(const struct shard *shard);
void admissions_fini(struct shard *shard);

#endif
