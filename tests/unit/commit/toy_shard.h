/* A shard that does nothing but tell its journal: random sessions, messages and acknowledgements that keep the contract
 * of session/journal.h, with names that are soon used again. Everything but what it tells again is told to a second
 * listener too, whose buffers nobody squeezes. */
#ifndef COMMIT_TOY_SHARD_H
#define COMMIT_TOY_SHARD_H

#include "commit/told/shard.h"

#define TOY_SESSIONS 8u
#define TOY_ENTRIES 64u
#define TOY_MESSAGES 48u
#define TOY_SUBSCRIPTIONS 16u
#define TOY_TOPICS 4u

struct toy_message {
	uint32_t references; /* 0: free */
	uint32_t body;       /* in its packet */
	uint8_t qos;
	bool absent; /* its body is in the store alone */
	uint64_t kept_in;
	uint32_t told_in_checkpoint;
};

struct toy_entry {
	uint32_t session; /* 0: free */
	uint32_t message; /* 0: released */
	uint32_t next;
	uint32_t subscription; /* 0: it has ended, or is not shared */
	uint16_t packet_id;
	uint8_t qos;
	bool shared;
	bool released;
};

struct toy_session {
	bool open;
	bool connected;
	char client_id[24];
	uint32_t first, last; /* of its queue */
	uint32_t unsent;      /* the first entry without an identifier */
	uint32_t will;
	uint16_t packet_id;
	uint16_t generation;
	bool received[8];
	uint32_t principal; /* 0: none */
	uint32_t expiry_s;
	int64_t ends_at_s, will_at_s; /* not connected */
};

struct toy_subscription {
	uint32_t session;
	uint32_t filter;
};

/* Of all shards. */
struct toy_retained {
	uint64_t number; /* of the last change */
	struct {
		uint32_t body; /* 0: none */
		uint64_t number;
	} topics[TOY_TOPICS];
};

struct toy_shard {
	struct store_shard *store;
	struct store_shard *plain; /* is told what is told for the first time */
	unsigned seed;
	uint32_t serial;
	struct toy_retained *retained;
	bool loose; /* publishers of QoS 2 are told of, and `received` is left to chance */
	struct toy_session sessions[TOY_SESSIONS + 1];
	struct toy_entry entries[TOY_ENTRIES + 1];
	struct toy_message messages[TOY_MESSAGES + 1];
	struct toy_subscription subscriptions[TOY_SUBSCRIPTIONS + 1];
	uint32_t promised[4]; /* messages */
	int64_t wall_s;
	uint32_t checkpoint; /* that is told */
	uint32_t checkpoint_next;
};

void toy_shard_init(struct toy_shard *toy, struct store_shard *store, struct store_shard *plain, unsigned seed,
		    struct toy_retained *retained);
/* A turn with some events; may tell nothing. */
void toy_shard_turn(struct toy_shard *toy, unsigned events);
/* Tells one more object of the checkpoint that is wanted, in a turn of its own. */
void toy_shard_checkpoint(struct toy_shard *toy);
/* Lets bodies of messages that are safe go. */
void toy_shard_let_go(struct toy_shard *toy);

#define TOY_PACKET_MAX 400u
/* The packet with this body; its size. */
struct publication toy_packet(uint32_t body, uint8_t qos, uint8_t packet[TOY_PACKET_MAX]);
/* The other way; 0: it is none. */
uint32_t toy_body(const uint8_t *packet, const struct publication *publication);

#endif
