#include "deliver/members.h"

#include "state/account.h"
#include "state/shard.h"
#include "subscriptions/subscriber_lists.h"

void members_queued(struct shard *shard, struct client *client, struct subscription_ref subscription)
{
	struct account *account = client_is_connected(client) ? account_need(shard, client) : NULL;
	/* One with more of them than are remembered is only passed over in these; its queue is bounded all the same. */
	if (account == NULL || account->busy_count == ACCOUNT_BUSY_MAX)
		return;
	for (uint32_t i = 0; i < account->busy_count; i++) {
		if (subscription_ref_equal(account->busy[i], subscription))
			return;
	}
	account->busy[account->busy_count++] = subscription;
	subscriptions_set_busy(&shard->sessions.subscriptions, subscription, true);
}

static void set_free(struct shard *shard, const struct client *client, struct account *account)
{
	struct client_ref ref = shard_client_ref(shard, client);
	for (uint32_t i = 0; i < account->busy_count; i++) {
		/* It may have ended, and its place may be another's. */
		if (subscriptions_of_client(&shard->sessions.subscriptions, account->busy[i], ref) != NULL)
			subscriptions_set_busy(&shard->sessions.subscriptions, account->busy[i], false);
	}
	account->busy_count = 0;
}

void members_sent(struct shard *shard, struct client *client, const struct flow *flow)
{
	struct account *account = account_of(shard, client);
	if (account != NULL && account->busy_count != 0 && flow->unsent == 0)
		set_free(shard, client, account);
}

void members_end(struct shard *shard, struct client *client)
{
	struct account *account = account_of(shard, client);
	if (account != NULL && account->busy_count != 0)
		set_free(shard, client, account);
}
