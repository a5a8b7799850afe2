/* A PUBLISH on its way to another node: a head, and behind it the packet as its publisher sent it, with its topic and
 * without flags that are for one connection. Pure; any thread. */
#ifndef CLUSTER_PUBLISH_MESSAGE_H
#define CLUSTER_PUBLISH_MESSAGE_H

#include "base/slice.h"
#include "cluster/common/stamp.h"

#include <stdbool.h>
#include <stdint.h>

/* Shared subscriptions that one message may name; a message for more goes as several. */
#define PUBLISH_GROUPS_MAX 255u
#define PUBLISH_HEAD_BYTES_MAX (1u + 1u + 1u + 8u + 4u + 16u + 24u + PUBLISH_GROUPS_MAX * 6u)

/* A shared subscription, by the receiver's name for it. */
struct publish_group {
	uint32_t name;
	uint16_t generation;
};

struct publish_message {
	struct slice packet;
	bool is_5;      /* it is encoded as in version 5 */
	bool is_plain;  /* for all subscribers that are not members of a shared subscription */
	bool has_stamp; /* it is retained, or clears a retained message */
	bool is_copy;   /* it may have come before: see `run` and `number` */
	bool has_expiry;
	uint32_t expires_s; /* in so many seconds */
	uint32_t publisher; /* its place on its shard; 0: the sender itself */
	uint16_t shard;
	uint16_t generation; /* of its connection */
	struct stamp stamp;
	uint64_t run;    /* of a copy: the receiver's incarnation to which it was sent before, */
	uint64_t sender; /* the sender's then, */
	uint64_t number; /* and its number on the link of the two */
	uint32_t group_count;
	struct publish_group groups[PUBLISH_GROUPS_MAX];
};

/* Writes the head, and returns its size. */
size_t publish_message_head(const struct publish_message *message, uint8_t head[PUBLISH_HEAD_BYTES_MAX]);
/* The packet points into the body. False: it is no such message. What the packet says is not looked at. */
bool publish_message_read(struct slice body, struct publish_message *message);

#endif
