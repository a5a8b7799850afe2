#include "state/extension.h"

#include "session/aliases.h"
#include "session/packet_ids.h"
#include "state/account.h"
#include "state/shard.h"

struct extension *extension_of(const struct shard *shard, const struct client *client)
{
	return client->extension != 0 ? slab_at(&shard->mem.slab, client->extension) : NULL;
}

bool extension_take_packet(const struct shard *shard, const struct client *client, size_t bytes)
{
	return !client->bounded || bytes <= extension_of(shard, client)->packet_bytes_max;
}

struct extension *extension_need(struct shard *shard, struct client *client)
{
	if (client->extension != 0)
		return slab_at(&shard->mem.slab, client->extension);
	client->extension = slab_take(&shard->mem.slab, sizeof(struct extension));
	if (client->extension == 0)
		return NULL;
	struct extension *extension = slab_at(&shard->mem.slab, client->extension);
	*extension = (struct extension){.receive_max = UINT16_MAX};
	return extension;
}

static void give_block(struct shard *shard, struct client *client)
{
	slab_give(&shard->mem.slab, client->extension, sizeof(struct extension));
	client->extension = 0;
}

void extension_trim(struct shard *shard, struct client *client)
{
	account_trim(shard, client);
	const struct extension *extension = extension_of(shard, client);
	if (extension != NULL && !client->bounded && extension->flow.last == 0 && extension->expiry_s == 0 &&
	    extension->will == 0 && extension->received == 0 && extension->account == 0 && extension->aliases_in == 0 &&
	    extension->aliases_out == 0 && extension->alias_max == 0 && extension->receive_max == UINT16_MAX)
		give_block(shard, client);
}

void extension_leave_offline(struct extension *extension)
{
	extension->aliases_in = 0;
	extension->packet_bytes_max = 0;
}

void extension_end_connection(struct shard *shard, struct client *client)
{
	struct extension *extension = extension_of(shard, client);
	if (extension == NULL)
		return;
	aliases_clear(&shard->mem.slab, &extension->aliases_in);
	aliases_clear(&shard->mem.slab, &extension->aliases_out);
	account_end_connection(shard, client);
	client->bounded = 0;
	extension->alias_max = 0;
	extension->receive_max = UINT16_MAX;
}

void extension_drop(struct shard *shard, struct client *client)
{
	struct extension *extension = extension_of(shard, client);
	if (extension == NULL)
		return;
	CHECK(extension->will == 0);
	CHECK(extension->flow.last == 0);
	extension_end_connection(shard, client);
	account_drop(shard, client);
	flow_clear(&extension->flow, &shard->mem.flows, 0);
	packet_ids_clear(&shard->mem.slab, &extension->received);
	give_block(shard, client);
}
