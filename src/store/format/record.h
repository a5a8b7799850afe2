/* The records of the store: what the journal tells (session/journal.h), as bytes. They are the same in a shard's buffer
 * and on disk. Pure; any thread.
 *
 * A record is its kind, one byte, and that kind's fields in the order of enum store_field. Numbers are varints of seven
 * bits, lowest first; a time is 0 for STORE_NEVER_S, and otherwise 1 more than its zigzag-encoded seconds; a text is
 * its length and its bytes. Which fields a kind has is the table in record.c, and part of the format: a change needs
 * another STORE_FORMAT (store/format/segment.h).
 *
 * Names. A record names objects as the journal does: by the shard's references. They are good within one section's
 * shard and one epoch (store/format/segment.h). */
#ifndef STORE_RECORD_H
#define STORE_RECORD_H

#include "base/error.h"
#include "base/slice.h"
#include "topics/publication.h"

#include <stdbool.h>
#include <stdint.h>

/* In the file: the numbers never change. */
enum store_kind {
	STORE_DEAD = 0, /* no record: zeros behind the last one */
	STORE_OPENED = 1,
	STORE_CONNECTED = 2,
	STORE_PRINCIPAL = 3,
	STORE_LEFT = 4,
	STORE_ENDED = 5,
	STORE_SUBSCRIBED = 6,
	STORE_UNSUBSCRIBED = 7,
	STORE_OWED = 8,
	STORE_WILL_SET = 9,
	STORE_WILL_PUBLISHED = 10,
	STORE_WILL_DROPPED = 11,
	STORE_KEPT = 12,
	STORE_KEPT_AT = 13, /* a message whose body is elsewhere in the store: in `segment` at `offset` */
	STORE_FORGOTTEN = 14,
	STORE_QUEUED = 15,
	STORE_SENT = 16,
	STORE_RELEASED = 17,
	STORE_DONE = 18,
	STORE_DROPPED = 19,
	STORE_HANDED_ON = 20,
	STORE_MOVED = 21,
	STORE_NUMBERED = 22, /* the packet identifier that a session's flow gave last */
	STORE_RECEIVED = 23,
	STORE_RECEIVED_FROM = 24, /* a receiver has a message at QoS 2; its publisher is on any shard */
	STORE_COMPLETED = 25,
	STORE_RETAINED = 26,
	STORE_RETAINED_GONE = 27,
	/* One message queued for `count` sessions, the first of them `session` under the name `entry`; `body` has the
	 * others (struct store_run). It means what so many QUEUED mean, of which none has a subscription. */
	STORE_QUEUED_RUN = 28,
	/* The same as RETAINED and RETAINED_GONE, of a node of a cluster: with the change's stamp. An empty text of the
	 * latter: two times (topics/retained_changes.h). */
	STORE_RETAINED_STAMPED = 29,
	STORE_RETAINED_CLEARED = 30,
	STORE_KIND_COUNT,
};

/* Bits of `flags`. */
#define STORE_FLAG_QOS 0x03u       /* of an entry: what it is sent with; of a message: what it came with */
#define STORE_FLAG_RETAIN 0x04u    /* of an entry; of a message: as it came */
#define STORE_FLAG_SHARED 0x08u    /* entry: came through a shared subscription; RECEIVED_FROM: the group has it */
#define STORE_FLAG_IS_5 0x10u      /* message: its packet is encoded as in version 5 */
#define STORE_FLAG_IS_BRIDGE 0x20u /* CONNECTED */
#define STORE_FLAG_USES_AUTH 0x40u /* PRINCIPAL */
#define STORE_FLAG_HAS_RULES 0x80u /* PRINCIPAL: `body` holds the token's rules, which may be empty */
/* A checkpoint tells it again. OPENED: what was known of the session is replaced. QUEUED: see store/model/model.h. */
#define STORE_FLAG_AGAIN 0x100u

/* The value of DEADLINE_NEVER_S (store/deadline.h). */
#define STORE_NEVER_S INT64_MAX

enum store_field {
	STORE_FIELD_SESSION,
	STORE_FIELD_ENTRY,
	STORE_FIELD_ENTRY_TO,
	STORE_FIELD_MESSAGE,
	STORE_FIELD_SUBSCRIPTION,
	STORE_FIELD_FLAGS,
	STORE_FIELD_PACKET_ID,
	STORE_FIELD_IDENTIFIER, /* Subscription Identifier */
	STORE_FIELD_COUNT_OF,   /* OWED: walks; SUBSCRIBED: options; QUEUED_RUN: sessions */
	STORE_FIELD_EXPIRY_S,   /* UINT32_MAX: never */
	STORE_FIELD_DELAY_S,
	STORE_FIELD_ENDS_AT_S, /* times: seconds of the wall clock, above INT64_MIN; STORE_NEVER_S */
	STORE_FIELD_WILL_AT_S,
	STORE_FIELD_EXPIRES_AT_S,
	STORE_FIELD_TOKEN_HASH, /* eight bytes */
	STORE_FIELD_USER_HASH,  /* eight bytes */
	STORE_FIELD_NUMBER,     /* RETAINED: of the change */
	STORE_FIELD_STAMP_TIME, /* eight bytes */
	STORE_FIELD_STAMP_NODE, /* eight bytes */
	STORE_FIELD_SEGMENT,
	STORE_FIELD_OFFSET,
	STORE_FIELD_PUBLISHER, /* session of the publisher, 0: none; PUBLISHER_SHARD and _GENERATION belong to it */
	STORE_FIELD_PUBLISHER_SHARD,
	STORE_FIELD_PUBLISHER_GENERATION,
	STORE_FIELD_TOPIC_BYTES, /* struct publication's */
	STORE_FIELD_HEADER_BYTES,
	STORE_FIELD_PACKET_BYTES, /* KEPT_AT: of the body that is elsewhere */
	STORE_FIELD_CHECKSUM,     /* KEPT: four bytes, the low half of XXH3 of the body, which encoding computes */
	STORE_FIELD_TEXT, /* client id, filter, topic or user; RECEIVED_FROM: of the receiver; of RETAINED it is in the
			   * packet, where decoding finds it
			   */
	STORE_FIELD_BODY, /* packet, rules, or a run's names */
	STORE_FIELD_LIMIT,
};

/* One record. Only the fields of its kind have a meaning; the others are 0. */
struct store_record {
	enum store_kind kind;
	uint32_t session;
	uint32_t entry;
	uint32_t entry_to;
	uint32_t message;
	uint32_t subscription;
	uint32_t flags;
	uint32_t packet_id;
	uint32_t identifier;
	uint32_t count;
	uint32_t expiry_s;
	uint32_t delay_s;
	int64_t ends_at_s;
	int64_t will_at_s;
	int64_t expires_at_s;
	uint64_t token_hash;
	uint64_t user_hash;
	uint64_t number;
	uint64_t stamp_time;
	uint64_t stamp_node;
	uint32_t segment;
	uint32_t offset; /* of the record KEPT, from the beginning of its segment's file */
	uint32_t publisher;
	uint32_t publisher_shard;
	uint32_t publisher_generation;
	uint32_t topic_bytes;
	uint32_t header_bytes;
	uint32_t packet_bytes;
	uint32_t checksum; /* as it was read; encoding computes its own */
	struct slice text;
	struct slice body;
};

/* RETAINED, with a stamp or without; and RETAINED_GONE or its like. */
static inline bool store_kind_is_retained(enum store_kind kind)
{
	return kind == STORE_RETAINED || kind == STORE_RETAINED_STAMPED;
}
static inline bool store_kind_is_retained_gone(enum store_kind kind)
{
	return kind == STORE_RETAINED_GONE || kind == STORE_RETAINED_CLEARED;
}

/* The most that a record takes beside its text and its body. */
#define STORE_RECORD_HEAD_BYTES_MAX 176u

/* An upper bound of the record's size. */
static inline size_t store_record_bytes_max(const struct store_record *record)
{
	return STORE_RECORD_HEAD_BYTES_MAX + record->text.size + record->body.size;
}

/* Writes the record; returns its size. There is room for store_record_bytes_max(). */
size_t store_record_encode(const struct store_record *record, uint8_t *to);
/* Reads the record at the beginning of `bytes`; text and body point into them. Returns its size; 0: these bytes are no
 * record: an unknown kind, a number out of range, or cut short. */
size_t store_record_decode(struct slice bytes, struct store_record *record);
/* Whether the body of a record KEPT is the one that was written. A commit's checksum covers it as well; this one is for
 * those who read a record by its place, without the commit around it. */
bool store_record_is_intact(const struct store_record *record);
/* A record's fields, for those who show them. */
enum store_type {
	STORE_TYPE_NUMBER,
	STORE_TYPE_TIME, /* time_s, STORE_NEVER_S */
	STORE_TYPE_HASH, /* number */
	STORE_TYPE_TEXT,
	STORE_TYPE_BODY,
};
struct store_field_value {
	enum store_field field;
	enum store_type type;
	const char *name; /* static */
	uint64_t number;
	int64_t time_s;
	struct slice bytes; /* of _TEXT and _BODY: the record's */
};
/* The next field; *next: 0 at first. False: there is no more. */
bool store_record_field(const struct store_record *record, uint32_t *next, struct store_field_value *value);
/* "queued session 12 entry 7 ...", for people; at most `size` bytes with the final 0. */
void store_record_format(const struct store_record *record, char *text, size_t size);
const char *store_kind_name(enum store_kind kind);

/* A varint, as in a record. `to` has room for ten bytes. */
uint8_t *store_varint_put(uint8_t *to, uint64_t value);
/* NULL: there is none before `end`. */
const uint8_t *store_varint_get(const uint8_t *at, const uint8_t *end, uint64_t *value);

/* ---- runs: one message for many sessions (record_run.c) ---- */

/* So that a record of a few bytes does not stand for more work than that. */
#define STORE_RUN_COUNT_MAX 16384u
/* An upper bound of what one more record adds to a run's body. */
#define STORE_RUN_ELEMENT_BYTES_MAX 16u

/* A run that is made from QUEUED records, or taken apart into them. */
struct store_run {
	struct store_record first;
	uint32_t session; /* of the last one added, or the next one read */
	uint32_t entry;
	uint32_t count; /* added, or left to read */
	uint32_t times; /* that the steps repeat */
	int64_t session_step;
	int64_t entry_step;
	struct slice rest; /* of the body */
};

static inline bool store_run_may_have(const struct store_record *queued)
{
	return queued->subscription == 0 && (queued->flags & ~(STORE_FLAG_QOS | STORE_FLAG_RETAIN)) == 0 &&
	       queued->session != 0 && queued->entry != 0;
}

void store_run_begin(struct store_run *run, const struct store_record *queued);
bool store_run_takes(const struct store_run *run, const struct store_record *queued);
/* One that it takes. Writes to the body's end `to`; returns how many bytes. */
size_t store_run_add(struct store_run *run, const struct store_record *queued, uint8_t *to);
/* It has at least two. Writes the rest of the body; then run->first is the record but for its body. */
size_t store_run_end(struct store_run *run, uint8_t *to);

/* A record that was decoded. */
void store_run_open(struct store_run *run, const struct store_record *record);
/* False: there is no more. */
bool store_run_next(struct store_run *run, struct store_record *queued);
/* For decoding: whether the body has as many names as `count` says, all of them good. */
bool store_run_is_sound(const struct store_record *record);

/* A message's publication, from a KEPT, KEPT_AT or RETAINED record; expires_s is 0. */
struct publication store_record_publication(const struct store_record *record);
/* The other way: sets topic_bytes, header_bytes, packet_bytes and flags. */
void store_record_set_publication(struct store_record *record, const struct publication *publication);

#endif
