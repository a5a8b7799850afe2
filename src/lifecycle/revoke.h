/* Ends the live sessions that revocations are about. A client id is looked up; tokens and users are put into a set, and
 * one sweep over all clients looks for any of them, some clients in each turn. What is revoked meanwhile is for the
 * next sweep. Owned by the shard's thread. */
#ifndef LIFECYCLE_REVOKE_H
#define LIFECYCLE_REVOKE_H

#include <stdbool.h>
#include <stdint.h>

struct shard;

struct revoke;

/* Goes on for its share of a turn's work. */
void revoke_some(struct shard *shard);
/* Whether there is more to do. */
bool revoke_has_work(const struct shard *shard);
void revoke_fini(struct revoke *revoke);

#endif
