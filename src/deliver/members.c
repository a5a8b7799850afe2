#include "deliver/members.h"

#include "state/account.h"
#include "state/shard.h"
#include "subscriptions/subscriber_lists.h"

_Static_assert(ACCOUNT_BUSY_MAX <= UINT8_MAX, "busy_count has 8 bits");

void members_queued(struct shard *shard, struct client *client, struct subscription_ref subscription)
{
	struct account *account = client_is_connected(client) ? account_need(shard, client) : NULL;
	/* A member with more such subscriptions than are remembered is passed over in these only. Its queue is bounded
	 * all the same. */
	if (account == NULL || account->busy_count == ACCOUNT_BUSY_MAX)
		return;
	for (uint32_t i = 0; i < account->busy_count; i++) {
		if (subscription_ref_equal(account->busy[i], subscription))
			return;
	}
	account->busy[account->busy_count++] = subscription;
	subscriptions_set_busy(&shard->sessions.subscriptions, subscription, true);
}

static void clear_busy(struct shard *shard, const struct client *client, struct account *account)
{
	CHECK_LE(account->busy_count, ACCOUNT_BUSY_MAX);
	struct client_ref ref = shard_client_ref(shard, client);
	for (uint32_t i = 0; i < account->busy_count; i++) {
		/* The subscription may have ended, and its place may belong to another client. */
		if (subscriptions_of_client(&shard->sessions.subscriptions, account->busy[i], ref) != NULL)
			subscriptions_set_busy(&shard->sessions.subscriptions, account->busy[i], false);
	}
	account->busy_count = 0;
}

void members_sent(struct shard *shard, struct client *client, const struct flow *flow)
{
	struct account *account = account_of(shard, client);
	if (account != NULL && account->busy_count != 0 && flow->unsent == 0)
		clear_busy(shard, client, account);
}

void members_end(struct shard *shard, struct client *client)
{
	struct account *account = account_of(shard, client);
	if (account != NULL && account->busy_count != 0)
		clear_busy(shard, client, account);
}
