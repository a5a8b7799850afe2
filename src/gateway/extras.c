#include "gateway/extras.h"

#include "gateway/shard.h"
#include "session/aliases.h"
#include "session/packet_ids.h"

struct extras *extras_of(const struct shard *shard, const struct client *client)
{
	return client->extras != 0 ? slab_at(&shard->slab, client->extras) : NULL;
}

bool extras_take_packet(const struct shard *shard, const struct client *client, size_t bytes)
{
	return !client->bounded || bytes <= extras_of(shard, client)->packet_bytes_max;
}

struct extras *extras_need(struct shard *shard, struct client *client)
{
	if (client->extras != 0)
		return slab_at(&shard->slab, client->extras);
	client->extras = slab_take(&shard->slab, sizeof(struct extras));
	if (client->extras == 0)
		return NULL;
	struct extras *extras = slab_at(&shard->slab, client->extras);
	*extras = (struct extras){.receive_max = UINT16_MAX};
	return extras;
}

static void give_block(struct shard *shard, struct client *client)
{
	slab_give(&shard->slab, client->extras, sizeof(struct extras));
	client->extras = 0;
}

void extras_trim(struct shard *shard, struct client *client)
{
	account_trim(shard, client);
	const struct extras *extras = extras_of(shard, client);
	if (extras != NULL && !client->bounded && extras->flow.last == 0 && extras->expiry_s == 0 &&
	    extras->will == 0 && extras->received == 0 && extras->account == 0 && extras->aliases_in == 0 &&
	    extras->aliases_out == 0 && extras->alias_max == 0 && extras->receive_max == UINT16_MAX)
		give_block(shard, client);
}

void extras_leave_offline(struct extras *extras)
{
	extras->aliases_in = 0;
	extras->packet_bytes_max = 0;
}

void extras_end_connection(struct shard *shard, struct client *client)
{
	struct extras *extras = extras_of(shard, client);
	if (extras == NULL)
		return;
	aliases_clear(&shard->slab, &extras->aliases_in);
	aliases_clear(&shard->slab, &extras->aliases_out);
	account_end_connection(shard, client);
	client->bounded = 0;
	extras->alias_max = 0;
	extras->receive_max = UINT16_MAX;
}

void extras_drop(struct shard *shard, struct client *client)
{
	struct extras *extras = extras_of(shard, client);
	if (extras == NULL)
		return;
	CHECK(extras->will == 0);
	CHECK(extras->flow.last == 0);
	extras_end_connection(shard, client);
	account_drop(shard, client);
	flow_clear(&extras->flow, &shard->flows, 0);
	packet_ids_clear(&shard->slab, &extras->received);
	give_block(shard, client);
}
