/* Admissions: clients that the gates have let in and handed to this shard. By the shard's thread. */
#ifndef SHARD_ADMISSIONS_H
#define SHARD_ADMISSIONS_H

#include <stdbool.h>

struct shard;

/* Admits clients until the share of the turn's work is spent. One admission may cost as much as many, for it reads what
 * is left on the older connection and sends the session's queue. Stops while the shard's own messages pile up, so that
 * clients that connect, leave a will and go come in no faster than their wills are sent. False: none is left. */
bool admissions_take(struct shard *shard);
/* Whether the batch that was received last has some left. */
bool admissions_wait(const struct shard *shard);
/* Frees what is left of the batch. */
void admissions_fini(struct shard *shard);

#endif
