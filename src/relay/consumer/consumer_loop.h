/* A consumer's thread: it reads entries of its stream, publishes the messages that they are, or carries out what they
 * command, in their order, and says that they are done when the gateway has them safe. One batch at a time: the next is
 * read when all of this one is done, so that entries are never carried out before those in front of them, and what a
 * crash leaves is one batch. */
#ifndef RELAY_CONSUMER_CONSUMER_LOOP_H
#define RELAY_CONSUMER_CONSUMER_LOOP_H

#include "reactor/pause.h"
#include "relay/consumer/consumer_group.h"
#include "relay/consumer/consumer_status.h"
#include "relay/consumer/incoming.h"
#include "relay/session/session_thread.h"

enum entry_fate {
	ENTRY_WAITS,      /* -> SENT, DONE, UNREADABLE */
	ENTRY_SENT,       /* the gateway is to say that it has it -> DONE, REFUSED */
	ENTRY_DONE,       /* or nothing was to be done, or it is among the dead letters */
	ENTRY_UNREADABLE, /* it is no message and no command -> DONE */
	ENTRY_REFUSED,    /* the gateway does not take it -> DONE */
};

struct consumer_entry {
	const redisReply *reply; /* its id, and its fields or nil */
	uint32_t bytes;          /* of topic and payload */
	uint8_t fate;            /* enum entry_fate */
	uint8_t reason;          /* of REFUSED: the gateway's */
};

struct consumer_loop {
	struct session_thread thread;
	/* Set before the thread starts. */
	const struct consumer *consumer;
	struct incoming_limits limits;
	/* Shared with whoever shows it. */
	pthread_mutex_t *lock;
	struct consumer_status *status;
	/* The thread's own. */
	struct session_link session;
	struct consumer_group group;
	struct incoming incoming;
	struct incoming_field *fields; /* of the entry that is being read */
	size_t field_room;
	redisReply *answer; /* that has the batch; NULL: there is none */
	struct consumer_entry *entries;
	uint32_t count;
	enum group_source source;
	uint32_t sent; /* entries that are SENT */
	const redisReply **done_ids;
	struct consumer_counts counts;
	struct pause pause;
	bool is_waiting; /* it is to be tried again */
	bool own_is_empty;
	uint64_t claim_ms; /* when what others have left is looked at next */
	uint64_t look_ms;  /* when what waits is looked at next */
	bool has_lag;
	uint64_t lag;
	uint64_t pending;
	double delay_s;
	char fault[CONSUMER_FAULT_BYTES];
	uint64_t fault_ms;
	uint64_t logged_ms; /* when one was logged last */
};

/* All but the connections and what is shared. member: of the group. target must outlive it. NULL: memory is short. */
struct consumer_loop *consumer_loop_new(const struct consumer *consumer, const char *member,
					const struct redis_target *target);
/* The thread has ended, or never began. */
void consumer_loop_free(struct consumer_loop *loop);

/* The thread's main function; argument is the loop. */
void *consumer_loop_main(void *argument);

#endif
