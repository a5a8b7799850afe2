/* Ends live sessions that were revoked. A client id is looked up in the registry. Tokens and users go into a set, and a
 * sweep over all clients, some in each turn, looks for members of it. What is revoked during a sweep waits for the next
 * one. Owned by the shard's thread. */
#ifndef LIFECYCLE_REVOKE_H
#define LIFECYCLE_REVOKE_H

#include <stdbool.h>
#include <stdint.h>

struct shard;

struct revoke;

/* Continues until the share of the turn's work is spent. */
void revoke_some(struct shard *shard);
/* Whether there is more to do. */
bool revoke_has_work(const struct shard *shard);
void revoke_fini(struct revoke *revoke);

#endif
