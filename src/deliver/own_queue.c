#include "deliver/own_queue.h"

#include "session/session.h"
#include "state/shard.h"

const struct own_queue *own_queue_of(const struct shard *shard, const struct client *client)
{
	const struct settings *settings = shard->env.settings;
	if (settings->own_queue_count == 0)
		return NULL;
	struct slice id = registry_id(&shard->sessions.registry, &client->session);
	if (!session_id_is_internal(id))
		return NULL;
	CHECK_LE(settings->own_queue_count, SETTINGS_OWN_QUEUES_MAX);
	for (uint32_t i = 0; i < settings->own_queue_count; i++) {
		if (slice_equal(slice_string(settings->own_queues[i].client_id), id))
			return &settings->own_queues[i];
	}
	return NULL;
}

struct queue_limits own_queue_limits(const struct shard *shard, const struct own_queue *own)
{
	struct queue_limits limits = outgoing_queue_limits(shard, true);
	if (own->messages_max != 0)
		limits.messages = own->messages_max;
	if (own->bytes_max != 0)
		limits.bytes = own->bytes_max;
	return limits;
}
