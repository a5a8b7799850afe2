#include "lifecycle/will.h"

#include "access/admission.h"
#include "base/log.h"
#include "lifecycle/stored/durable.h"
#include "mqtt/decode.h"
#include "route/routing.h"
#include "state/extension.h"
#include "state/principal.h"
#include "state/shard.h"

#include <stdlib.h>

bool will_is_due(enum error reason)
{
	/* A server that stops or is drained ends its clients, and they go on elsewhere or later. */
	return reason != ERROR_CLOSED_BY_CLIENT && reason != ERROR_SERVER_STOPPING && reason != ERROR_DRAINED &&
	       reason != ERROR_USE_ANOTHER_SERVER && reason != ERROR_SERVER_MOVED;
}

enum error will_make(struct shard *shard, const struct admission *admission, struct message_ref *made)
{
	struct slice will = admission_will(admission);
	*made = message_ref_none();
	if (will.size == 0)
		return ERROR_OK;
	struct mqtt_header header;
	struct mqtt_publish publish;
	uint8_t version = admission->version;
	/* The gate encoded these bytes from a CONNECT that it had checked. */
	CHECK(mqtt_header_decode(will.data, will.size, &header) == ERROR_OK);
	CHECK(mqtt_publish_decode(slice_of(will.data + header.header_bytes, header.body_bytes), header.flags, version,
				  false, &publish) == ERROR_OK);
	struct publication publication = publication_of(&publish, version, will.size, header.header_bytes, 0);
	*made = messages_new(&shard->mem.messages, &publication, will.data);
	return !message_ref_is_none(*made) ? ERROR_OK : ERROR_NO_MEMORY;
}

void will_forget(struct shard *shard, const struct client *client)
{
	struct extension *extension = extension_of(shard, client);
	if (extension == NULL || message_ref_is_none(extension->will))
		return;
	durable_will_dropped(shard, client);
	messages_put(&shard->mem.messages, extension->will);
	extension->will = message_ref_none();
}

/* Whether the client may still publish its will. It may have lost the permission since CONNECT. */
static bool may_publish_will(struct shard *shard, const struct client *client, const struct message *will)
{
	struct slice topic = publication_parts(&will->publication, message_packet(&shard->mem.messages, will)).topic;
	if (principal_may_publish(shard, client, topic))
		return true;
	COUNT(&shard->counters, wills_denied);
	log_write(LOG_INFO, "a will on \"%.*s\" is not published: its client lost the permission for this topic",
		  (int)topic.size, (const char *)topic.data);
	return false;
}

struct message_ref will_take(struct shard *shard, const struct client *client)
{
	struct extension *extension = extension_of(shard, client);
	struct message_ref will = extension != NULL ? extension->will : message_ref_none();
	if (message_ref_is_none(will))
		return will;
	if (!may_publish_will(shard, client, message_at(&shard->mem.messages, will))) {
		will_forget(shard, client);
		return message_ref_none();
	}
	durable_will_published(shard, client);
	extension->will = message_ref_none();
	return will;
}

void will_publish(struct shard *shard, struct message_ref will, struct client_ref client, struct origin *origin)
{
	if (message_ref_is_none(will)) {
		free(origin);
		return;
	}
	/* Its expiry begins to run now [3.1.3.2.4]. Until now it counted from 0. */
	struct publication *publication = &message_at(&shard->mem.messages, will)->publication;
	if (publication->expires_s != 0 && publication->expires_s < UINT32_MAX - shard->loop.now_s)
		publication->expires_s += shard->loop.now_s;
	COUNT(&shard->counters, wills_sent);
	routing_publish(shard, will, client, origin);
}
