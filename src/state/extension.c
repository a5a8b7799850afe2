#include "state/extension.h"
#include "base/layout_root.h"

#include "state/shard.h"

LAYOUT_ROOT(extension);

struct extension *extension_of(const struct shard *shard, const struct client *client)
{
	return !extension_ref_is_none(client->extension) ? extension_at(&shard->mem.slab, client->extension) : NULL;
}

bool extension_take_packet(const struct shard *shard, const struct client *client, size_t bytes)
{
	return !client->bounded || bytes <= extension_of(shard, client)->packet_bytes_max;
}

struct extension *extension_need(struct shard *shard, struct client *client)
{
	if (!extension_ref_is_none(client->extension))
		return extension_at(&shard->mem.slab, client->extension);
	client->extension = extension_take(&shard->mem.slab, sizeof(struct extension));
	if (extension_ref_is_none(client->extension))
		return NULL;
	CHECK(!client->bounded); /* its Maximum Packet Size would be lost */
	struct extension *extension = extension_at(&shard->mem.slab, client->extension);
	*extension = (struct extension){.receive_max = UINT16_MAX};
	return extension;
}

void extension_leave_offline(struct extension *extension)
{
	extension->aliases_in = 0;
	extension->packet_bytes_max = 0;
}
