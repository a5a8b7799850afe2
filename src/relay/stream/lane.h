/* A rule at work: its session, the entries that were read and not sent yet, and those that Redis is to confirm. Entries
 * leave in the order in which their messages came; the next batch goes when the one before is settled. Owned by the
 * relay's thread. */
#ifndef RELAY_STREAM_LANE_H
#define RELAY_STREAM_LANE_H

#include "relay/entry/entry_batch.h"
#include "relay/session/copies.h"
#include "relay/session/pause.h"
#include "relay/session/session_link.h"
#include "relay/stream/stream_status.h"

struct lane {
	const struct rule *rule;
	struct session_link session;
	struct entry_batch gathered; /* read, and to be sent after those in flight */
	struct entry_batch flying;   /* sent, or to be sent again */
	struct entry_batch spare;    /* empty */
	struct copies copies;
	bool is_at_redis;   /* answers for what is in flight are due */
	struct pause pause; /* of what is in flight, before it is sent again */
	struct rule_counts counts;
	char refusal[BATCH_REASON_BYTES_MAX]; /* of what is at Redis: the first that it gave; "": none */
	char reason[BATCH_REASON_BYTES_MAX];  /* likewise, why entries are dead */
	char fault[STATUS_FAULT_BYTES];       /* the last one, in words */
	uint64_t fault_ms;                    /* when, on the monotonic clock */
	bool is_waiting;                      /* Redis has refused what is in flight */
};

void lane_init(struct lane *lane, const struct rule *rule);
void lane_fini(struct lane *lane);

/* Whether it has room for messages that its session has sent. */
bool lane_may_read(const struct lane *lane);
/* Reads what there is room for. wall_ms: since 1970. false: the session's connection is lost. */
bool lane_read(struct lane *lane, uint64_t wall_ms);

/* Whether there is something to send to Redis, somebody to tell of it, and its time has come. */
bool lane_is_ready(const struct lane *lane, uint64_t now_ms);
/* When that time comes; UINT64_MAX: there is nothing to send. */
uint64_t lane_retry_ms(const struct lane *lane);
/* Appends the transaction to out; its answers are due from now on. */
void lane_launch(struct lane *lane, struct bytes *out);
/* Answers came, or the connection is lost: fault says so then, else it is "". Acknowledges what Redis has, and keeps
 * the rest. */
void lane_settle(struct lane *lane, const char *fault, uint64_t now_ms);

/* Notes what went wrong. Logged where it is new. */
void lane_note(struct lane *lane, const char *fault, uint64_t now_ms);

/* All but what the gateway alone knows: the backlog is what the lane holds of it. wall_ms: since 1970. */
void lane_status(const struct lane *lane, bool redis_connected, uint64_t now_ms, uint64_t wall_ms,
		 struct rule_status *status);

#endif
