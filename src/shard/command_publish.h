/* The command that publishes messages from the API, as the gateway's own. By the shard's thread. */
#ifndef SHARD_COMMAND_PUBLISH_H
#define SHARD_COMMAND_PUBLISH_H

#include "base/error.h"
#include "topics/publication.h"

struct shard;

/* Limits of one command: messages, and bytes of their packets together (a single message may be larger). The asker
 * keeps to them, since the shard does not interrupt a command. */
#define COMMAND_MESSAGES_MAX 64u
#define COMMAND_MESSAGE_BYTES_MAX (256u << 10)

struct command_message {
	struct publication publication; /* expires_s: as if the message were received at second 0 */
	const uint8_t *packet;
};

struct command_publish {
	const struct command_message *messages;
	uint32_t count;
	uint32_t published; /* reply: how many of them were published, from the first */
};

/* ERROR_MORE: a shard's mailbox is full; the caller may try the rest again. ERROR_NO_MEMORY; ERROR_STORE_FULL: the
 * next message would have to be kept. */
enum error command_publish(struct shard *shard, struct command_publish *publish);

#endif
