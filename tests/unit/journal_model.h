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
struct recorded_claim;

/* An event's number, by its name. */
#define JOURNAL_EVENT(name) (offsetof(struct journal_events, name) / sizeof(void (*)(void)))
#define JOURNAL_EVENTS (sizeof(struct journal_events) / sizeof(void (*)(void)))

/* A message whose packet is in the store alone, from a restart on. */
struct recorded_body;

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
	int64_t wall_s;   /* of the batch, and of the last one */
	uint64_t batches; /* each is a commit of its own */
	uint64_t safe;    /* batches that are: set by the test, with JOURNAL_MODEL_SAFETY */
	bool awaits;      /* is to be woken when more is safe */
	uint64_t events;
	uint64_t seen[JOURNAL_EVENTS]; /* of each kind, by JOURNAL_EVENT() */
	bool has_begun;
	bool is_again;                 /* what comes is told once more */
	struct journal_record *second; /* is told the same; or NULL */
	/* A checkpoint, by number: wanted, and begun or ended last. */
	uint32_t wanted;
	uint32_t begun;
	uint32_t ended;
	bool has_no_room;
	struct recorded_body *bodies;
	uint32_t body_count;
	struct recorded_claim *claims; /* of publishers on any shard */
	uint32_t claim_count;
};

struct journal_model {
	struct journal_record *records;
	uint32_t count;
	/* Of all shards; one that was taken away stands here without a message. */
	struct recorded_retained *retained;
	size_t retained_count;
	size_t retained_places;
	/* It began in the middle: what it was not told of means nothing, until all shards have ended a checkpoint. */
	bool is_partial;
	struct journal_model *second;
};

extern const struct journal_events JOURNAL_MODEL_EVENTS;
extern const struct journal_checkpoints JOURNAL_MODEL_CHECKPOINTS;
/* What is told becomes safe when a test says so. */
extern const struct journal_safety JOURNAL_MODEL_SAFETY;

/* records: one a shard, each the context of its shard's journal. */
void journal_model_init(struct journal_model *model, struct journal_record *records, uint32_t count);
/* The shard whose journal it is, before its first event. It begins without sessions. */
void journal_record_begin(struct journal_model *model, uint32_t number, const struct shard *shard);
/* The tree of retained messages is new and empty. */
void journal_model_forget_retained(struct journal_model *model);
void journal_model_fini(struct journal_model *model);

/* All shards are to tell all once more. second: a model with as many records, which knows nothing but what comes from
 * here on, and has to be the same in the end; NULL: this one is new itself, and is as the shards are from then on. */
void journal_model_want_checkpoint(struct journal_model *model, struct journal_model *second);
/* Whether all shards have ended it. */
bool journal_model_has_checkpoint(const struct journal_model *model);
/* The shard restored a message without its packet, which is copied. */
void journal_record_place(struct journal_record *record, struct message_ref message, struct slice packet);
/* The packet of a message that the shard told of or that was placed; data NULL: neither. */
struct slice journal_record_packet(const struct journal_record *record, struct message_ref message);

/* All batches that are whole are safe now. */
void journal_model_commit(const struct journal_model *model);

/* That all shards have what they told of, and that the second model is the same once it is whole. Between two turns. */
void journal_model_check(const struct journal_model *model);
/* And that nothing is left of any session or message. */
void journal_model_check_empty(const struct journal_model *model);

#endif
