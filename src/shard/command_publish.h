/* The command to publish messages of nobody's, through a shard's own routing. By the shard's thread. */
#ifndef SHARD_COMMAND_PUBLISH_H
#define SHARD_COMMAND_PUBLISH_H

#include "base/error.h"
#include "topics/publication.h"

struct shard;

/* Messages of one command, and bytes of their packets together (one may be larger): what a shard does in one go. */
#define COMMAND_MESSAGES_MAX 64u
#define COMMAND_MESSAGE_BYTES_MAX (256u << 10)

struct command_message {
	struct publication publication; /* expires_s: as if it were received at second 0 */
	const uint8_t *packet;
};

struct command_publish {
	const struct command_message *messages;
	uint32_t count;
	uint32_t published; /* answered: the first so many were */
};

/* ERROR_MORE: an inbox is full, the rest may be tried again; ERROR_NO_MEMORY. */
enum error command_publish(struct shard *shard, struct command_publish *publish);

#endif
