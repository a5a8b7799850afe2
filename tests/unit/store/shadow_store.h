/* A store as a test knows it: sessions, queues, wills and retained messages in plain arrays, changed at random, and
 * each change told to a log. It shares no code with the model that is tested. Small enough to be copied. One thread. */
#ifndef UNIT_STORE_SHADOW_STORE_H
#define UNIT_STORE_SHADOW_STORE_H

#include "log_scene.h"

#define SHADOW_SHARDS 3u
#define SHADOW_SESSIONS 5u /* a shard */
#define SHADOW_SUBSCRIPTIONS 4u
#define SHADOW_ENTRIES 8u
#define SHADOW_MESSAGES 12u /* a shard */
#define SHADOW_PACKET_IDS 6u
#define SHADOW_TOPICS 6u
#define SHADOW_PROMISES 8u

struct shadow_message {
	bool used;
	uint32_t name;
	uint32_t payload; /* unique */
	int64_t expires_at_s;
	uint32_t told_in; /* the checkpoint that told it last */
	struct {
		bool is_will;
		uint32_t filter; /* of a shared subscription */
	} promises[SHADOW_PROMISES];
	uint32_t promise_count;
};

struct shadow_subscription {
	uint32_t name;
	uint32_t filter; /* unique; shared where it is odd */
	uint32_t identifier;
	uint32_t options;
	uint32_t owed;
};

struct shadow_entry {
	uint32_t name;
	uint32_t message; /* place in the shard's messages, from 1; 0: released */
	uint32_t filter;  /* of its shared subscription; 0: none */
	bool has_subscription;
	uint16_t packet_id;
	bool released;
	uint8_t flags;
	uint32_t identifier;
};

struct shadow_session {
	bool used;
	uint32_t name;
	uint32_t client; /* unique */
	bool connected;
	uint16_t generation;
	uint32_t expiry_s;
	int64_t ends_at_s;
	bool has_principal;
	uint32_t user;
	uint32_t will; /* place of its message, from 1 */
	uint32_t will_delay_s;
	struct shadow_subscription subscriptions[SHADOW_SUBSCRIPTIONS];
	uint32_t subscription_count;
	struct shadow_entry queue[SHADOW_ENTRIES];
	uint32_t queue_count;
	uint16_t packet_id;
	bool received[SHADOW_PACKET_IDS];
};

struct shadow_store {
	struct shadow_session sessions[SHADOW_SHARDS][SHADOW_SESSIONS];
	struct shadow_message messages[SHADOW_SHARDS][SHADOW_MESSAGES];
	struct {
		uint32_t payload; /* 0: none */
		uint64_t number;
	} retained[SHADOW_TOPICS];
	uint64_t retained_number;
	uint32_t last_name; /* names, payloads and filters are numbered through */
};

struct shadow {
	struct shadow_store store;
	struct log_scene *log;
	uint64_t random;
	uint32_t checkpoint; /* its number */
	bool in_checkpoint;  /* nothing is promised meanwhile: it would not be told again */
};

uint32_t shadow_random(struct shadow *shadow, uint32_t below);
/* Something happens, on any shard. */
void shadow_step(struct shadow *shadow);
/* All that is promised has been passed on: a checkpoint does not tell it. */
void shadow_keep_promises(struct shadow *shadow);
/* Tells one session again, or the retained messages of one topic. */
void shadow_retell_session(struct shadow *shadow, uint32_t shard, uint32_t place);
void shadow_retell_topic(struct shadow *shadow, uint32_t topic);
/* The process starts again: all names are others. */
void shadow_restart(struct shadow *shadow);

/* What there is, as sorted lines of text; the caller frees them. */
char *shadow_lines(const struct shadow_store *store);
char *shadow_model_lines(const struct model *model, struct log_scene *log);

#endif
