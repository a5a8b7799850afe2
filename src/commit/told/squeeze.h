/* Leaves out of a buffer what has become needless before it was written. Pure.
 *
 * The buffer is a piece of one shard's journal, whole turns, and it will be applied as a whole or not at all. What is
 * left has the same effect on any model that the journal's contract allows (store/model/model.h), also on one that does
 * not know the objects named, because its checkpoint tells of them later. Where that is not certain a record stays.
 *
 * - An entry that is queued and ended (`done`, `dropped`) in the buffer leaves nothing. If it was sent, the session's
 *   flow has given a packet identifier: the last one of each session stays, as STORE_NUMBERED.
 * - One that is queued and handed on leaves nothing where its message is left out: the promise that it makes ends with
 *   the message.
 * - A message that is kept and forgotten in the buffer, and that no record which stays needs, leaves nothing. At QoS 2
 *   nobody has it then: a client that got it, and acknowledged, was sent it after the commit (deliver/queue.c). It may
 *   have been sent at QoS 1, or dropped.
 * - Entries of one message that stay and stand next to each other become one STORE_QUEUED_RUN: a message for a million
 *   sessions that are offline takes some kilobytes, not a record each.
 * - An entry that was queued and released, and not done: it stays, but does not need its message any more, and is
 * queued without it.
 *
 * What stays, and why:
 * - `received` and `completed`: either ends what is known of receivers, on any shard. And both are never in one buffer,
 *   as PUBREC waits for the first.
 * - Everything that a checkpoint tells again (STORE_FLAG_AGAIN), and messages told again: what they replace lies
 *   outside the buffer. But the body of such a message is left out where it lies in the log already (struct
 *   squeeze_places): KEPT becomes KEPT_AT.
 * - Sessions and what they have, also where the session ends in the buffer: that is rare, and other shards' buffers
 *   may speak of the same client id.
 *
 * Names that are used again within a buffer: each introduction begins another object, and the events after it are that
 * object's. `moved` carries an entry to another name. */
#ifndef COMMIT_TOLD_SQUEEZE_H
#define COMMIT_TOLD_SQUEEZE_H

#include "base/error.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* From a name to a place in a table, from 1; 0: none. */
struct squeeze_map {
	uint64_t *slots; /* name and place; 0: free */
	uint32_t mask;   /* of the slots in use now */
	uint32_t used;
	uint32_t capacity;
};

/* Where bodies lie that are in the log already. */
struct squeeze_places {
	void *context;
	/* Of a message that was kept before this buffer. False: it is not known, or its body is to be written anew. */
	bool (*find)(void *context, uint32_t message, uint32_t *segment, uint32_t *offset);
};

/* Memory that is used again and again. All zeros at first. */
struct squeeze {
	const struct squeeze_places *places; /* for the next run, set by the caller; NULL: all bodies are written */
	struct squeeze_mark *marks;          /* of each record */
	struct squeeze_chain *chains;
	struct squeeze_message *messages;
	struct squeeze_body *bodies; /* of the buffer squeezed last */
	uint8_t *run;                /* the body of a STORE_QUEUED_RUN */
	uint32_t mark_capacity, chain_capacity, message_capacity, body_capacity, run_capacity;
	uint32_t mark_count, chain_count, message_count, body_count;
	struct squeeze_map entries, names, sessions;
};

/* In the order of the records that stay: a message whose body lies at `offset` of the result, or one forgotten. */
struct squeeze_body {
	uint32_t message;
	uint32_t offset;
	uint32_t bytes; /* of the record; 0: forgotten */
};

struct squeezed {
	size_t bytes;
	size_t bytes_placed; /* that were saved by KEPT_AT in place of KEPT */
	uint32_t records_before;
	uint32_t records;
	/* Nothing but STORE_NUMBERED is left. No answer to a client depends on it: it matters only for what is sent
	 * later on, so it may wait for the next commit that has something else. */
	bool only_numbered;
};

void squeeze_fini(struct squeeze *squeeze);
/* to: room for records.size bytes. ERROR_NO_MEMORY; ERROR_SYSTEM: these are no records. */
enum error squeeze_run(struct squeeze *squeeze, struct slice records, uint8_t *to, struct squeezed *result);

#endif
