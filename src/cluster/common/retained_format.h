/* What nodes say to each other of retained messages (kinds of MESSAGE_RETAINED, cluster/wire/message.h). A node asks
 * another for what that has and it lacks, in three steps, each a question and an answer; whoever answers keeps nothing
 * between two questions, so nothing has to be cleaned up when either goes.
 *
 *     ASK_DIGEST   round                         DIGEST   round, flags, clock, forgotten, a digest and a count a part
 *     ASK_LIST     round, place, parts           LIST     round, next place, items
 *     ASK_VALUES   round, topics                 VALUES   round, how many of them were dealt with, values
 *
 * Numbers are of a fixed size, lowest byte first. `round` is the asker's, and comes back. A part is RETAINED_PARTS'th
 * of all topics, by the upper bits of the topic's hash. An item is the topic's hash, its stamp and a byte that is 1
 * where it was taken away. A value is its stamp, the seconds that are left of its Message Expiry Interval (0: it has
 * none), the protocol's version in which it is encoded, its length, and the PUBLISH packet.
 *
 * Bytes in, bytes out; any thread. What comes from another node is not trusted: the readers say whether it is sound. */
#ifndef CLUSTER_RETAINED_FORMAT_H
#define CLUSTER_RETAINED_FORMAT_H

#include "base/slice.h"
#include "cluster/common/stamp.h"
#include "cluster/wire/message.h"

enum retained_kind {
	RETAINED_ASK_DIGEST = MESSAGE_RETAINED,
	RETAINED_DIGEST,
	RETAINED_ASK_LIST,
	RETAINED_LIST,
	RETAINED_ASK_VALUES,
	RETAINED_VALUES,
	/* Between the nodes thread and shards (runtime/nodes/node_mail.h): a change that was made, for the journal; and
	 * that it was told. */
	RETAINED_TELL = MESSAGE_RETAINED + 8,
	RETAINED_TOLD,
};

#define RETAINED_PARTS 1024u
/* In one message. */
#define RETAINED_ITEMS_MAX 2048u
#define RETAINED_TOPICS_MAX 256u
/* Values in one message take no more, but for a single one that is larger. */
#define RETAINED_VALUES_BYTES_MAX (256u * 1024u)

#define RETAINED_DIGEST_LACKS 0x01u /* it had no room for something that others have */

#define RETAINED_ROUND_BYTES 4u
#define RETAINED_DIGEST_BYTES (4u + 1u + 8u + 8u + RETAINED_PARTS * (8u + 4u))
#define RETAINED_ASK_LIST_BYTES (4u + 4u + RETAINED_PARTS / 8u)
#define RETAINED_LIST_HEAD_BYTES 8u
#define RETAINED_ITEM_BYTES (8u + STAMP_BYTES + 1u)
#define RETAINED_VALUES_HEAD_BYTES 8u
#define RETAINED_VALUE_HEAD_BYTES (STAMP_BYTES + 4u + 1u + 4u)

struct retained_digest_message {
	uint32_t round;
	bool lacks;
	uint64_t time;
	uint64_t forgotten;
	uint64_t digest[RETAINED_PARTS];
	uint32_t count[RETAINED_PARTS];
};

struct retained_value_message {
	struct stamp stamp;
	uint32_t expires_in_s; /* 0: it does not expire */
	uint8_t version;       /* of MQTT */
	struct slice packet;
};

/* A topic and its stamp, as in a list. */
struct retained_item_message {
	uint64_t topic;
	struct stamp stamp;
	bool is_cleared;
};

/* Each writes the whole body, which has the number of bytes above. */
void retained_digest_write(const struct retained_digest_message *digest, uint8_t *to);
/* parts: a bit each. */
void retained_ask_list_write(uint32_t round, uint32_t place, const uint64_t parts[RETAINED_PARTS / 64], uint8_t *to);

/* Each returns where the next thing goes. */
uint8_t *retained_u32_write(uint8_t *to, uint32_t value);
uint8_t *retained_u64_write(uint8_t *to, uint64_t value);
uint8_t *retained_item_write(uint8_t *to, const struct retained_item_message *item);
/* Without the packet, of whose length it tells. */
uint8_t *retained_value_head_write(uint8_t *to, const struct retained_value_message *value);

/* False: it is not sound. */
bool retained_round_read(struct slice body, uint32_t *round);
bool retained_digest_read(struct slice body, struct retained_digest_message *digest);
bool retained_ask_list_read(struct slice body, uint32_t *round, uint32_t *place, uint64_t parts[RETAINED_PARTS / 64]);
/* count: of the items, which retained_item_read() reads. */
bool retained_list_read(struct slice body, uint32_t *round, uint32_t *next, uint32_t *count);
bool retained_item_read(struct slice body, uint32_t at, struct retained_item_message *item);
/* count: of the topics. */
bool retained_ask_values_read(struct slice body, uint32_t *round, uint32_t *count);
uint64_t retained_asked_topic(struct slice body, uint32_t at);
/* *rest: the values, of which retained_value_read() takes the first. */
bool retained_values_read(struct slice body, uint32_t *round, uint32_t *served, struct slice *rest);
bool retained_value_read(struct slice *rest, struct retained_value_message *value);

#endif
