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
	bool is_will;  /* a session's, not published yet */
	bool promised; /* published or handed on */
};

struct recorded_retained {
	uint64_t number;
	uint8_t *topic;
	uint32_t topic_bytes;
	uint8_t *packet; /* NULL: it was taken away */
	struct publication publication;
	int64_t expires_at_s;
};

struct recorded_session *recorded_session(const struct journal_record *record, struct client_ref ref);
struct recorded_entry *recorded_entry(const struct journal_record *record, uint32_t name);

#endif
