/* What a shard knows of who may do what: the rules as they are now, decisions by them, and what was taken away and is
 * not carried out everywhere yet. By the shard's thread. */
#ifndef STATE_GUARD_H
#define STATE_GUARD_H

#include "auth/acl_cache.h"
#include "auth/acl_pool.h"
#include "auth/sign_in.h"

/* Rights that were taken (client/review.h). */
/* Clients that wait to be looked at alone; beyond that everyone is. */
#define REVIEW_ASKED_MAX 64u

struct review {
	uint32_t asked[REVIEW_ASKED_MAX]; /* clients whose token allows something else than before */
	uint32_t asked_count;
	uint32_t next;   /* of a round over all clients, 0: there is none */
	bool again;      /* and one more round behind it */
	uint32_t client; /* whose subscriptions are looked at (subscriptions_review_next()), 0: nobody's */
	uint32_t ended;  /* of them so far */
};

/* Revocations of live sessions (lifecycle/revoke.h). */
struct revoke {
	uint64_t *hashes; /* on the heap while there are some: slots, of which half are free (0) */
	uint32_t slots;   /* a power of two, 0: none */
	uint32_t count;   /* hashes in them */
	uint32_t next;    /* client that the sweep looks at next; 0: it has not begun */
};

struct shard_guard {
	struct acl *acl; /* a reference to the rule file's rules */
	struct acl_cache acl_cache;
	struct acl_pool token_rules;
	struct sign_in sign_in;  /* for AUTH */
	uint32_t access_version; /* of the snapshots above */
	struct revoke revoke;
	struct review review;
};

#endif
