#include "client/rate.h"

#include "state/account.h"
#include "state/client_state.h"
#include "state/shard.h"

#define BURST_US 1000000u
_Static_assert(UINT64_C(1000000) * (MQTT_HEADER_BYTES_MAX + MQTT_BODY_BYTES_MAX) <= UINT64_MAX / 1000,
	       "a packet's cost at one byte per second does not come near an overflow");

static uint64_t cost_us(uint64_t units, uint32_t a_second)
{
	return a_second != 0 ? units * 1000000 / a_second : 0;
}

static uint64_t later(uint64_t moment, uint64_t now_us)
{
	return moment > now_us ? moment : now_us;
}

bool rate_allows(const struct shard *shard, const struct client *client, uint64_t *wait_ms)
{
	const struct account *account = account_of(shard, client);
	const struct settings *settings = shard->env.settings;
	if (account == NULL || (settings->client_messages_a_second == 0 && settings->client_bytes_a_second == 0))
		return true;
	uint64_t now_us = shard->loop.now_ms * 1000;
	uint64_t until_us = later(account->messages_until_us, account->bytes_until_us);
	if (until_us < now_us + BURST_US)
		return true;
	*wait_ms = (until_us - now_us - BURST_US) / 1000 + 1;
	return false;
}

void rate_count(struct shard *shard, struct client *client, size_t bytes)
{
	const struct settings *settings = shard->env.settings;
	if ((settings->client_messages_a_second == 0 && settings->client_bytes_a_second == 0) ||
	    client_is_internal(client))
		return;
	struct account *account = account_need(shard, client);
	if (account == NULL)
		return; /* without memory there is hardly any traffic to limit */
	uint64_t now_us = shard->loop.now_ms * 1000;
	account->messages_until_us =
		later(account->messages_until_us, now_us) + cost_us(1, settings->client_messages_a_second);
	account->bytes_until_us =
		later(account->bytes_until_us, now_us) + cost_us(bytes, settings->client_bytes_a_second);
}
