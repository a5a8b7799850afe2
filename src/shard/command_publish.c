#include "shard/command_publish.h"

#include "route/routing.h"
#include "state/shard.h"

static enum error publish_one(struct shard *shard, const struct command_message *message)
{
	struct publication publication = message->publication;
	if (publication.expires_s != 0 && publication.expires_s < UINT32_MAX - shard->loop.now_s)
		publication.expires_s += shard->loop.now_s;
	struct message_ref kept = messages_new(&shard->mem.messages, &publication, message->packet);
	if (message_ref_is_none(kept))
		return ERROR_NO_MEMORY;
	routing_publish(shard, kept, client_ref_none(), NULL);
	COUNT(&shard->counters, messages_from_api);
	return ERROR_OK;
}

/* Whether the message needs room in a store that has none, as with those of clients (client/publish.c). */
static bool command_must_keep(const struct shard *shard, const struct command_message *message)
{
	const struct publication *publication = &message->publication;
	bool retains = publication->retain && publication_parts(publication, message->packet).payload.size != 0;
	return (publication->qos != 0 || retains) && shard_store_is_full(shard);
}

enum error command_publish(struct shard *shard, struct command_publish *publish)
{
	CHECK_LE(publish->count, COMMAND_MESSAGES_MAX);
	for (publish->published = 0; publish->published < publish->count; publish->published++) {
		/* An earlier message waits for room in a mailbox: tell the caller to slow down. */
		enum error error = routing_waits_for_room(shard) ? ERROR_MORE : ERROR_OK;
		if (error == ERROR_OK && command_must_keep(shard, &publish->messages[publish->published]))
			error = ERROR_STORE_FULL;
		if (error == ERROR_OK)
			error = publish_one(shard, &publish->messages[publish->published]);
		if (error != ERROR_OK)
			return error;
	}
	return ERROR_OK;
}
