/* How the consumers are doing, as the admin side shows it. Copied under a lock; any thread. */
#ifndef RELAY_CONSUMER_CONSUMER_STATUS_H
#define RELAY_CONSUMER_CONSUMER_STATUS_H

#include "relay/consumer/consumer.h"

#define CONSUMER_FAULT_BYTES 256u

enum consumer_state {
	CONSUMER_STARTING, /* its client or its connection to Redis is not there yet */
	CONSUMER_WORKING,
	CONSUMER_WAITING, /* Redis is away, or refuses: the fault says why */
};

/* What is counted since the process began, or its program was replaced. */
struct consumer_counts {
	uint64_t published; /* messages that are safe in the gateway, or, at QoS 0, in its hands */
	uint64_t bytes;     /* of their topics and payloads */
	uint64_t commands;  /* that were carried out */
	uint64_t expired;   /* entries whose messages had no time left when they were read */
	uint64_t dead;      /* entries that went to the stream for dead letters */
	uint64_t claimed;   /* entries that another member had held for too long, of those above */
	uint64_t again;     /* entries that had been read before, by this member, of those above */
	uint64_t retries;   /* the connection was lost, or Redis refused: it was tried again, or is to be */
};

struct consumer_status {
	char name[ITEM_NAME_BYTES_MAX];
	char stream[CONSUMER_STREAM_BYTES_MAX];
	char group[CONSUMER_GROUP_BYTES_MAX];
	enum consumer_state state;
	struct consumer_counts counts;
	bool has_lag;
	uint64_t lag;     /* entries that nobody in the group has read yet; of Redis 7 on, and only where it knows */
	uint64_t pending; /* entries that members of the group have read and that are not done */
	double delay_s;   /* between an entry's time, which is Redis', and when it was done: of the last batch */
	double fault_age_s;
	char fault[CONSUMER_FAULT_BYTES]; /* the last one, in words; "": there was none */
};

struct consumers_status {
	uint32_t count;
	struct consumer_status consumers[CONSUMERS_MAX];
};

const char *consumer_state_name(enum consumer_state state);

#endif
