/* How the rules are doing, as the admin side shows it. Copied under a lock; any thread. */
#ifndef RELAY_STREAM_STATUS_H
#define RELAY_STREAM_STATUS_H

#include "relay/entry/rule.h"

#define STATUS_FAULT_BYTES 256u

enum rule_state {
	RULE_STARTING, /* its session or the connection to Redis is not there yet */
	RULE_WORKING,
	RULE_WAITING, /* Redis is away, or does not take entries now: the fault says why */
};

/* What is counted since the process began, or its program was replaced. */
struct rule_counts {
	uint64_t entries; /* that Redis has confirmed */
	uint64_t bytes;   /* of their topics and payloads */
	uint64_t retries; /* of a batch: it was sent again, or is to be */
	uint64_t dead;    /* messages that went to RULE_DEAD_STREAM */
};

struct rule_status {
	char name[ITEM_NAME_BYTES_MAX];
	char stream[RULE_STREAM_BYTES_MAX];
	uint8_t qos;
	enum rule_state state;
	struct rule_counts counts;
	/* Messages that the rule has taken and Redis has not confirmed. */
	uint64_t backlog_messages;
	uint64_t backlog_bytes;
	uint64_t refused; /* messages that were not taken because the backlog was full */
	double oldest_s;  /* since the oldest of them arrived; 0: there is none */
	double fault_age_s;
	char fault[STATUS_FAULT_BYTES]; /* the last one, in words; "": there was none */
};

struct stream_status {
	uint32_t count;
	bool redis_connected;
	struct rule_status rules[RULES_MAX];
};

const char *rule_state_name(enum rule_state state);

#endif
