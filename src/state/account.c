#include "state/account.h"
#include "base/layout_root.h"

#include "base/log.h"
#include "state/extension.h"
#include "state/shard.h"

LAYOUT_ROOT(account);

/* A shard logs lost messages at most once in this time. */
#define LOSS_LOG_S 10u

struct account *account_of(const struct shard *shard, const struct client *client)
{
	const struct extension *extension = extension_of(shard, client);
	return extension != NULL && !account_ref_is_none(extension->account)
		       ? account_at(&shard->mem.slab, extension->account)
		       : NULL;
}

struct account *account_need(struct shard *shard, struct client *client)
{
	struct extension *extension = extension_need(shard, client);
	if (extension == NULL)
		return NULL;
	if (!account_ref_is_none(extension->account))
		return account_at(&shard->mem.slab, extension->account);
	extension->account = account_take(&shard->mem.slab, sizeof(struct account));
	if (account_ref_is_none(extension->account))
		return NULL;
	struct account *account = account_at(&shard->mem.slab, extension->account);
	*account = (struct account){0};
	return account;
}

void account_drop(struct shard *shard, struct client *client)
{
	struct extension *extension = extension_of(shard, client);
	CHECK(extension != NULL);
	const struct account *account = account_of(shard, client);
	if (account == NULL)
		return;
	CHECK(!account->congested); /* the list of congested clients would lead to a freed block */
	account_give(&shard->mem.slab, extension->account, sizeof(struct account));
	extension->account = account_ref_none();
}

void account_end_connection(struct shard *shard, struct client *client)
{
	struct account *account = account_of(shard, client);
	if (account == NULL)
		return;
	CHECK(!account->congested);
	if (account->dropped == 0)
		account_drop(shard, client);
	else
		*account = (struct account){.dropped = account->dropped,
					    .denied_until_s = account->denied_until_s,
					    .stuck = account->stuck};
}

void account_trim(struct shard *shard, struct client *client)
{
	const struct account *account = account_of(shard, client);
	uint64_t now_us = shard->loop.now_ms * 1000;
	if (account != NULL && account->messages_until_us <= now_us && account->bytes_until_us <= now_us &&
	    account->dropped == 0 && !account->stuck && account->denied_until_s <= shard->loop.now_s &&
	    account->awaited_count == 0 && account->busy_count == 0 && !account->congested)
		account_drop(shard, client);
}

static void log_loss(struct shard *shard, const struct client *client, uint64_t dropped)
{
	if (shard->loop.now_s < shard->routing.loss_log_next_s || client->session.id == 0)
		return;
	shard->routing.loss_log_next_s = shard->loop.now_s + LOSS_LOG_S;
	struct slice id = registry_id(&shard->sessions.registry, &client->session);
	log_write(LOG_WARNING, "client \"%.*s\" does not take its messages: %llu were dropped so far", (int)id.size,
		  (const char *)id.data, (unsigned long long)dropped);
}

void account_lost(struct shard *shard, struct client *client)
{
	COUNT(&shard->counters, messages_dropped_queue_full);
	struct account *account = account_need(shard, client);
	if (account != NULL)
		log_loss(shard, client, ++account->dropped);
}
