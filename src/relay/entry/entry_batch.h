/* Entries on their way to Redis: for each message a command XADD, in Redis' protocol, that goes out between MULTI and
 * EXEC and stays here until Redis has confirmed it. A transaction keeps the order: where Redis is full, read-only or
 * still loading it takes none of them, rather than those behind the first that it refused.
 *
 * What Redis will never take (a key of another type) goes to a stream of its own, RULE_DEAD_STREAM, with what Redis
 * said, and is then done. Pure: no sockets, no clock. Owned by one thread. */
#ifndef RELAY_ENTRY_ENTRY_BATCH_H
#define RELAY_ENTRY_ENTRY_BATCH_H

#include "relay/entry/bytes.h"
#include "relay/entry/message.h"
#include "relay/entry/rule.h"

#define RULE_DEAD_STREAM "roost:dead"
/* A batch takes no more when it has so many entries or bytes; the last one may be larger. */
#define BATCH_ENTRIES_MAX 16384u
#define BATCH_BYTES_MAX ((size_t)4 << 20)
#define BATCH_REASON_BYTES_MAX 256u
/* What a dead letter has more than the entry that it was, at most. */
#define BATCH_DEAD_BYTES_MAX 1024u
#define BATCH_NOT_ASKED UINT16_MAX

enum batch_fate {
	BATCH_WAITS,   /* Redis has not said anything of it -> QUEUED, DONE, REFUSED */
	BATCH_QUEUED,  /* it is part of a transaction -> DONE, DEAD, REFUSED */
	BATCH_DONE,    /* Redis has it */
	BATCH_REFUSED, /* to be sent again */
	BATCH_DEAD,    /* never to be sent again */
};

struct batch_entry {
	size_t command_at; /* in the batch's bytes */
	size_t command_bytes;
	size_t fields_at;   /* within the command, to its end */
	uint32_t stream_at; /* within the command: the word with the stream's name; of dead letters not set */
	uint32_t stream_bytes;
	uint32_t field_words;
	uint32_t message_bytes; /* topic and payload */
	uint64_t time_ms;       /* of arrival; 0: not known */
	uint16_t packet_id;     /* 0: nothing is to be acknowledged */
	uint8_t fate;           /* enum batch_fate */
	uint8_t redirects; /* how often a cluster has sent it on since somebody has taken it or refused it otherwise */
	bool is_dead_letter;
	uint16_t asked; /* it goes to the node of this number, behind ASKING; BATCH_NOT_ASKED: to its slot's */
};

struct entry_batch {
	struct bytes commands;
	struct batch_entry *entries;
	uint32_t count;
	uint32_t capacity;
	struct bytes scratch; /* for what has to be complete before its size is known */
};

void entry_batch_free(struct entry_batch *batch);
/* Forgets all entries, and keeps memory for as many as usual. */
void entry_batch_clear(struct entry_batch *batch);
static inline bool entry_batch_is_full(const struct entry_batch *batch)
{
	return batch->count >= BATCH_ENTRIES_MAX || batch->commands.size >= BATCH_BYTES_MAX;
}

/* Adds the entry of a message, or a dead letter where its stream has no name. now_ms: since 1970, for the rule's
 * max_age_s. false: memory is short, and nothing was added. */
bool entry_batch_add(struct entry_batch *batch, const struct rule *rule, const struct relay_message *message,
		     uint16_t packet_id, uint64_t now_ms);

/* The name of the stream that an entry goes to: its key. */
struct slice entry_batch_stream(const struct entry_batch *batch, uint32_t entry);

/* Appends a transaction of these entries: MULTI, the commands, EXEC. Redis answers with count + 2 answers. Forgets what
 * was said of the entries before. */
void entry_batch_write(struct entry_batch *batch, uint32_t first, uint32_t count, struct bytes *out);
/* Appends the command of this entry alone, likewise: one answer. */
void entry_batch_write_alone(struct entry_batch *batch, uint32_t entry, struct bytes *out);

/* Adds a copy of an entry of another batch, which goes to its slot's node then. false: memory is short, and nothing was
 * added. */
bool entry_batch_copy(struct entry_batch *batch, const struct entry_batch *from, uint32_t entry);
/* Adds copies of all entries of another batch. false: memory is short, and nothing was added. */
bool entry_batch_append(struct entry_batch *batch, const struct entry_batch *from);
/* Makes room for so many more. false: memory is short. */
bool entry_batch_reserve(struct entry_batch *batch, uint32_t entries, size_t bytes);
/* Forgets the entries behind the first `count`. */
void entry_batch_truncate(struct entry_batch *batch, uint32_t count);

/* What Redis says of an entry when the command comes: it is QUEUED; or it is carried out, where there is no
 * transaction; or REFUSED. */
void entry_batch_heard(struct entry_batch *batch, uint32_t entry, enum batch_fate fate);
/* What EXEC says of an entry that was queued. error: "" for none; else in Redis' words. */
void entry_batch_executed(struct entry_batch *batch, uint32_t entry, const char *error);
/* Whether the error goes away by itself or by what an operator does to Redis, so that it is worth waiting. */
bool entry_batch_error_is_passing(const char *error);

/* After the last answer, or when the connection is lost: *rest, which is empty, gets what is to be sent next, in the
 * same order: refused entries, those without an answer, and dead letters for those that are dead. reason: of each
 * dead one. done() is called for each that Redis has. Afterwards batch is empty. false: memory is short; all stays as
 * it was, and done() was not called. */
bool entry_batch_settle(struct entry_batch *batch, const struct rule *rule, const char *reason,
			struct entry_batch *rest, void (*done)(void *context, const struct batch_entry *entry),
			void *context);

#endif
