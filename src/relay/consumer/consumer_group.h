/* A consumer's commands to Redis: a member of a consumer group reads entries, says that they are done, takes over what
 * other members have left, and puts what cannot be carried out into another stream. Owned by one thread, which blocks
 * on it: for new entries until its waker is woken, for anything else for some seconds at most. */
#ifndef RELAY_CONSUMER_CONSUMER_GROUP_H
#define RELAY_CONSUMER_CONSUMER_GROUP_H

#include "bridge/redis_nodes.h"
#include "reactor/waker.h"
#include "relay/consumer/consumer.h"

#define CONSUMER_MEMBER_BYTES_MAX 128u
/* How long Redis holds a question for new entries. */
#define CONSUMER_BLOCK_MS 2000u
/* An answer that is later than it should be by so much never comes. */
#define CONSUMER_ANSWER_MS 10000u

struct consumer_group {
	const struct consumer *consumer;
	char member[CONSUMER_MEMBER_BYTES_MAX]; /* its name in the group */
	struct redis_nodes *nodes;
	struct waker *waker;
	const _Atomic bool *stopping;
	uint32_t batch;  /* entries that it asks for: fewer than the consumer's, where an answer was too long */
	bool is_stuck;   /* one entry alone is too long an answer */
	char cursor[64]; /* where XAUTOCLAIM goes on */
	bool cannot_claim;
	bool was_there;                /* the group was: what is missing is all that came since */
	bool must_make;                /* the group is to be made, or may be gone */
	char fault[REDIS_FAULT_BYTES]; /* of the last call that failed */
};

enum group_source {
	GROUP_OWN,   /* what it has read before, and not said to be done */
	GROUP_OTHER, /* what other members have held for too long */
	GROUP_NEW,
};

/* target must outlive it. False: memory is short. */
bool consumer_group_init(struct consumer_group *group, const struct consumer *consumer, const char *member,
			 const struct redis_target *target, struct waker *waker, const _Atomic bool *stopping);
/* By the thread that has used it, whose descriptors it closes. May be called twice. */
void consumer_group_fini(struct consumer_group *group);

/* Makes the group, where there is none. False: fault says why not, here and below. */
bool consumer_group_make(struct consumer_group *group);
/* Reads entries. *answer, which is the caller's, has them in *entries, an array of [id, fields or nil]; both are NULL
 * where there are none, or the thread is to stop. */
bool consumer_group_read(struct consumer_group *group, enum group_source source, redisReply **answer,
			 const redisReply **entries);

/* Adds an entry to the stream for dead letters. fields: NULL, or those that it has. reason: in words. */
bool consumer_group_bury(struct consumer_group *group, const redisReply *id, const redisReply *fields,
			 const char *reason);
/* Is_stuck: an entry cannot be read. It goes to the dead letters without its fields, and is done; *buried: it was
 * there.
 */
bool consumer_group_pass_over(struct consumer_group *group, bool *buried);
/* Says of entries, at least one, that they are done, and deletes them where the consumer does that. ids: the entries'.
 */
bool consumer_group_done(struct consumer_group *group, const redisReply *const *ids, uint32_t count);
/* What waits. *has_lag: whether Redis knows *lag. */
bool consumer_group_look(struct consumer_group *group, bool *has_lag, uint64_t *lag, uint64_t *pending);

#endif
