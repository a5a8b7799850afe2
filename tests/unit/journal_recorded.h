/* What a journal model keeps (journal_model.h): for it and for the check of it alone. */
#ifndef TESTS_UNIT_JOURNAL_RECORDED_H
#define TESTS_UNIT_JOURNAL_RECORDED_H

#include "journal_model.h"

/* Seconds of the monotonic clock, from what was told on the wall clock. */
#define RECORDED_NEVER_S INT64_MAX

struct recorded_session {
	bool open;
	bool connected;
	bool is_bridge;
	bool has_principal;
	bool has_will;
	uint8_t *id;
	uint32_t id_bytes;
	uint32_t expiry_s;
	int64_t ends_at_s;
	int64_t will_at_s;
	struct journal_will will;
	struct journal_principal principal; /* its slices point to copies */
	int64_t expires_at_s;
	uint32_t first; /* entries */
	uint32_t last;
	uint32_t entries;
	uint32_t subscriptions;
	uint16_t generations; /* of earlier connections that are its own, before that one */
	uint16_t generation;  /* of its connection */
	bool has_generation;
	uint16_t packet_id; /* sent last */
	uint16_t *received;
	uint32_t received_count;
};

struct recorded_subscription {
	struct client_ref session; /* none: it is not there */
	uint8_t *filter;
	uint32_t filter_bytes;
	uint32_t identifier;
	uint32_t walks;
	uint8_t options;
};

struct recorded_entry {
	struct client_ref session; /* none: it is not there */
	struct journal_entry told;
	uint32_t next;
	uint32_t previous;
	uint16_t packet_id;
	bool released;
};

struct recorded_message {
	struct message_ref name;
	struct publication publication;
	uint8_t *packet;
	int64_t expires_at_s;
	uint32_t entries;
	struct journal_publisher publisher;
	bool is_will;    /* a session's, not published yet */
	bool promised;   /* published or handed on */
	uint8_t *filter; /* of the shared subscription, if it was handed on */
	uint32_t filter_bytes;
};

/* A receiver has a message that its publisher may send again. */
struct recorded_claim {
	struct journal_publisher publisher;
	uint16_t packet_id;
	bool is_group;
	struct client_ref session; /* on the record's shard; none: `receiver` says who it is */
	uint8_t *receiver;
	uint32_t receiver_bytes;
};

struct recorded_body {
	struct message_ref name;
	uint8_t *packet;
	size_t bytes;
};

struct recorded_retained {
	uint64_t number;
	uint8_t *topic;
	uint32_t topic_bytes;
	uint8_t *packet; /* NULL: it was taken away */
	struct publication publication;
	int64_t expires_at_s;
};

/* On the heap, and out of reach of a sweep of refused memory. */
uint8_t *recorded_copy(struct slice bytes);
/* One model's own; JOURNAL_MODEL_EVENTS tells both. */
extern const struct journal_events RECORDED_EVENTS;
void recorded_keep(struct journal_record *record, struct message_ref name, const struct journal_message *told,
		   const uint8_t *packet);

/* Of what the record's shard told: who has the claim's message, while the publisher's session lasts. False: the claim
 * means nothing, or nothing any more. */
bool recorded_claim_holds(const struct journal_record *record, const struct recorded_claim *claim,
			  struct slice *receiver);

/* That both say the same of this shard. The second one began in the middle. */
void recorded_compare(const struct journal_record *record, const struct journal_record *second);
void recorded_compare_retained(const struct journal_model *model, const struct journal_model *second);

struct recorded_message *recorded_message(const struct journal_record *record, struct message_ref name);
struct recorded_session *recorded_session(const struct journal_record *record, struct client_ref ref);
struct recorded_entry *recorded_entry(const struct journal_record *record, uint32_t name);

#endif
