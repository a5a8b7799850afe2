/* What a node and its replica say to each other: the bytes of their messages (MESSAGE_REPLICATION of
 * cluster/wire/message.h). Pure; any thread.
 *
 *     node                          replica
 *     OFFER    who, which store  →
 *                                ←  HELD     how far it is with that store's log; or REFUSED
 *     BYTES    of a segment      →
 *     GONE     a segment         →
 *     MARK     the position      →
 *                                ←  SAFE     up to this position all is on its device
 *                                ←  REFUSED  it does not go on; the offer is over
 *     RELEASED                   →           the copy is not needed any more
 *
 *     ASK      which store       →           before it is taken over, or of a node that comes back; to each
 *                                ←  ANSWER   whether that has a copy, and has taken its sessions over
 *     TAKEN                      →           a replica has taken a node's sessions over; to all
 *
 * A node that makes another offer counts `stream` up; what belongs to an older one is passed over. Positions are those
 * of commit/log/trail.h, and are good within one stream. Numbers are little-endian, and stand side by side in the order
 * of the members below. A message that is longer or shorter than that is not of this protocol. */
#ifndef CLUSTER_REPLICATION_H
#define CLUSTER_REPLICATION_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

#define REPLICATION_VERSION 1u

enum replication_kind {
	REPLICATION_OFFER = 0x80,
	REPLICATION_HELD = 0x81,
	REPLICATION_BYTES = 0x82,
	REPLICATION_GONE = 0x83,
	REPLICATION_MARK = 0x84,
	REPLICATION_SAFE = 0x85,
	REPLICATION_REFUSED = 0x86,
	REPLICATION_RELEASED = 0x87,
	REPLICATION_ASK = 0x88,
	REPLICATION_ANSWER = 0x89,
	REPLICATION_TAKEN = 0x8a,
};

#define REPLICATION_ID_BYTES 16u
#define REPLICATION_WORDS_MAX 200u
#define REPLICATION_SEGMENTS_MAX 65536u

struct replication_offer {
	uint32_t version;
	uint32_t stream;
	uint8_t store_id[REPLICATION_ID_BYTES];
	uint8_t store_key[REPLICATION_ID_BYTES]; /* by which its sessions know their tokens */
	uint32_t knows_taken; /* 1: the node knows that its sessions were taken over by the one it asks */
};

/* One segment of which a replica has something. */
struct replication_segment {
	uint32_t number;
	uint64_t bytes;
	uint64_t next_commit;
	uint64_t header_checksum;
};
/* The head; REPLICATION_SEGMENT_BYTES for each segment follow. */
struct replication_held {
	uint32_t stream;
	uint32_t count;
};

/* The head; the bytes follow. GONE and MARK are the same without bytes. */
struct replication_bytes {
	uint32_t stream;
	uint32_t segment; /* MARK: 0 */
	uint64_t offset;
	uint64_t position;
};

struct replication_safe {
	uint32_t stream;
	uint64_t position;
	uint64_t pieces;      /* messages that it has taken of this stream: they are the sender's no more */
	uint64_t last_commit; /* for people */
	uint64_t bytes;       /* of the whole copy, likewise */
};

enum replication_refusal {
	REPLICATION_REFUSES = 1,  /* something is wrong, and the words say what */
	REPLICATION_HAS_NO_STORE, /* nor will it */
	REPLICATION_TAKES_OVER,   /* it is about to take over, or has, what it holds of this store; epoch and commit
				   * say up to where */
	REPLICATION_IS_OTHER_VERSION,
	REPLICATION_REFUSAL_LIMIT,
};
/* The head; words follow, at most REPLICATION_WORDS_MAX. */
struct replication_refused {
	uint32_t stream;
	uint32_t reason; /* enum replication_refusal */
	uint64_t epoch;
	uint64_t commit;
};

/* The head; the name of the node that the store is of follows. */
struct replication_ask {
	uint32_t number; /* of the question; the answer has it too */
	uint8_t store_id[REPLICATION_ID_BYTES];
};

enum replication_copy {
	REPLICATION_NO_COPY = 0,
	REPLICATION_HOLDS = 1,
	REPLICATION_HAS_TAKEN = 2, /* the sessions are its own, or others' by now: those of the store are stale */
	REPLICATION_SEES_NODE = 3, /* the node is not gone: whoever asks does not hear it */
	REPLICATION_COPY_LIMIT,
};
struct replication_answer {
	uint32_t number;
	uint32_t copy; /* enum replication_copy */
	uint64_t epoch;
	uint64_t commit; /* the last that it has */
};

/* The head; the node's name follows. */
struct replication_taken {
	uint8_t store_id[REPLICATION_ID_BYTES];
	uint64_t epoch;
	uint64_t commit;
	uint64_t sessions;
};

#define REPLICATION_OFFER_BYTES 44u
#define REPLICATION_HELD_BYTES 8u
#define REPLICATION_SEGMENT_BYTES 28u
#define REPLICATION_BYTES_BYTES 24u
#define REPLICATION_SAFE_BYTES 36u
#define REPLICATION_REFUSED_BYTES 24u
#define REPLICATION_ASK_BYTES 20u
#define REPLICATION_ANSWER_BYTES 24u
#define REPLICATION_TAKEN_BYTES 40u

void replication_put_offer(const struct replication_offer *offer, uint8_t to[REPLICATION_OFFER_BYTES]);
void replication_put_held(const struct replication_held *held, uint8_t to[REPLICATION_HELD_BYTES]);
void replication_put_segment(const struct replication_segment *segment, uint8_t to[REPLICATION_SEGMENT_BYTES]);
void replication_put_bytes(const struct replication_bytes *bytes, uint8_t to[REPLICATION_BYTES_BYTES]);
void replication_put_safe(const struct replication_safe *safe, uint8_t to[REPLICATION_SAFE_BYTES]);
void replication_put_refused(const struct replication_refused *refused, uint8_t to[REPLICATION_REFUSED_BYTES]);
void replication_put_ask(const struct replication_ask *ask, uint8_t to[REPLICATION_ASK_BYTES]);
void replication_put_answer(const struct replication_answer *answer, uint8_t to[REPLICATION_ANSWER_BYTES]);
void replication_put_taken(const struct replication_taken *taken, uint8_t to[REPLICATION_TAKEN_BYTES]);

/* False: these bytes are no such message. Slices point into the body. */
bool replication_get_offer(struct slice body, struct replication_offer *offer);
bool replication_get_held(struct slice body, struct replication_held *held);
/* The segment of this place, below held->count. False: it is out of order, or no segment can be so. */
bool replication_get_segment(struct slice body, uint32_t place, struct replication_segment *segment);
bool replication_get_bytes(struct slice body, struct replication_bytes *head, struct slice *bytes);
bool replication_get_safe(struct slice body, struct replication_safe *safe);
bool replication_get_refused(struct slice body, struct replication_refused *refused, struct slice *words);
bool replication_get_ask(struct slice body, struct replication_ask *ask, struct slice *name);
bool replication_get_answer(struct slice body, struct replication_answer *answer);
bool replication_get_taken(struct slice body, struct replication_taken *taken, struct slice *name);

#endif
