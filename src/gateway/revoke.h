/* Ends the live sessions that revocations are about. A client id is looked up; tokens and users are put into a set, and
 * one sweep over all clients looks for any of them, some clients in each turn. What is revoked meanwhile is for the
 * next sweep. Owned by the shard's thread. */
#ifndef GATEWAY_REVOKE_H
#define GATEWAY_REVOKE_H

#include <stdbool.h>
#include <stdint.h>

struct shard;

struct revoke {
	uint64_t *hashes; /* on the heap while there are some: slots, of which half are free (0) */
	uint32_t slots;   /* a power of two, 0: none */
	uint32_t count;   /* hashes in them */
	uint32_t next;    /* client that the sweep looks at next; 0: it has not begun */
};

/* Goes on for its share of a turn's work. */
void revoke_some(struct shard *shard);
/* Whether there is more to do. */
bool revoke_has_work(const struct shard *shard);
void revoke_fini(struct revoke *revoke);

#endif
