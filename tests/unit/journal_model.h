/* A journal that listens to a scene's shards and keeps, from events alone, what a replay would have to give: sessions
 * with subscriptions, queues, wills, identifiers and times, and the retained messages. It holds the events to their
 * contract (session/journal.h) as they come, and can be compared with the shards at any moment between two turns. One
 * thread. */
#ifndef TESTS_UNIT_JOURNAL_MODEL_H
#define TESTS_UNIT_JOURNAL_MODEL_H

#include "session/journal.h"

#include <stddef.h>

struct shard;
struct recorded_session;
struct recorded_subscription;
struct recorded_entry;
struct recorded_message;
struct recorded_retained;

/* An event's number, by its name. */
#define JOURNAL_EVENT(name) (offsetof(struct journal_events, name) / sizeof(void (*)(void)))
#define JOURNAL_EVENTS (sizeof(struct journal_events) / sizeof(void (*)(void)))

/* What one shard has told. Arrays are by name, but for messages, whose names do not lie so dense. */
struct journal_record {
	struct journal_model *model;
	const struct shard *shard;
	struct recorded_session *sessions;
	uint32_t session_places;
	uint32_t session_count;
	struct recorded_subscription *subscriptions;
	uint32_t subscription_places;
	uint32_t subscription_count;
	struct recorded_entry *entries;
	uint32_t entry_places;
	uint32_t entry_count;
	struct recorded_message *messages;
	size_t message_count;
	size_t message_places;
	int64_t wall_s; /* of the batch, and of the last one */
	uint64_t batches;
	uint64_t events;
	uint64_t seen[JOURNAL_EVENTS]; /* of each kind, by JOURNAL_EVENT() */
	bool has_begun;
};

struct journal_model {
	struct journal_record *records;
	uint32_t count;
	/* Of all shards; one that was taken away stands here without a message. */
	struct recorded_retained *retained;
	size_t retained_count;
	size_t retained_places;
};

extern const struct journal_events JOURNAL_MODEL_EVENTS;

/* records: one a shard, each the context of its shard's journal. */
void journal_model_init(struct journal_model *model, struct journal_record *records, uint32_t count);
/* The shard whose journal it is, before its first event. It begins without sessions. */
void journal_record_begin(struct journal_model *model, uint32_t number, const struct shard *shard);
/* The tree of retained messages is new and empty. */
void journal_model_forget_retained(struct journal_model *model);
void journal_model_fini(struct journal_model *model);

/* That all shards have what they told of. Between two turns. */
void journal_model_check(const struct journal_model *model);
/* And that nothing is left of any session or message. */
void journal_model_check_empty(const struct journal_model *model);

#endif
