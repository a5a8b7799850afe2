/* How the rules are doing, as the admin side shows it. Copied under a lock; any thread. */
#ifndef RELAY_STREAM_STATUS_H
#define RELAY_STREAM_STATUS_H

#include "redis/redis_url.h"
#include "relay/entry/rule.h"

#define STATUS_FAULT_BYTES 256u
/* Servers that are shown; of those beyond nothing is. */
#define STATUS_NODES_MAX 64u

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

/* One of the servers that rules send to. */
struct redis_node_status {
	char address[REDIS_PLACE_BYTES];
	bool connected;
	bool has_slots;                 /* of a cluster; of others it is true */
	char fault[STATUS_FAULT_BYTES]; /* why it is not connected; "": it is, or was not tried yet */
};

struct redis_status {
	enum redis_kind kind;
	bool connected;         /* to all masters */
	uint64_t redirects;     /* that a cluster gave and that were followed */
	uint32_t slots_covered; /* of a cluster, by what it says */
	double map_s;           /* since the slots were learned; 0: they were not, or it is no cluster */
	uint32_t node_count;
	struct redis_node_status nodes[STATUS_NODES_MAX];
};

struct stream_status {
	uint32_t count;
	struct redis_status redis;
	struct rule_status rules[RULES_MAX];
};

const char *rule_state_name(enum rule_state state);

#endif
