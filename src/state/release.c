#include "state/release.h"

#include "session/aliases.h"
#include "session/packet_ids.h"
#include "state/account.h"
#include "state/extension.h"
#include "state/shard.h"

static void give_block(struct shard *shard, struct client *client)
{
	CHECK(!client->session.journaled); /* the flow's mark would be lost, and the session's would stay */
	extension_give(&shard->mem.slab, client->extension, sizeof(struct extension));
	client->extension = extension_ref_none();
}

void extension_trim(struct shard *shard, struct client *client)
{
	account_trim(shard, client);
	const struct extension *extension = extension_of(shard, client);
	if (extension != NULL && !client->bounded && !client->session.journaled && extension->flow.last == 0 &&
	    extension->expiry_s == 0 && message_ref_is_none(extension->will) && extension->received == 0 &&
	    account_ref_is_none(extension->account) && extension->aliases_in == 0 && extension->aliases_out == 0 &&
	    extension->alias_max == 0 && extension->receive_max == UINT16_MAX)
		give_block(shard, client);
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
	CHECK(message_ref_is_none(extension->will));
	CHECK(extension->flow.last == 0);
	extension_end_connection(shard, client);
	account_drop(shard, client);
	flow_clear(&extension->flow, &shard->mem.flows, 0);
	packet_ids_clear(&shard->mem.slab, &extension->received);
	give_block(shard, client);
}
