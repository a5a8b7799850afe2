#include "gateway/rate.h"

#include "gateway/shard.h"

#define BURST_US 1000000u

/* Moments are microseconds in 32 bits, which come round in 71 minutes. They are never more than a burst and one message
 * ahead of now, so what seems to be further ahead is long past. */
static uint32_t ahead_us(uint32_t moment, uint32_t now_us)
{
	uint32_t distance = moment - now_us;
	return distance <= 2 * BURST_US ? distance : 0;
}

static uint32_t cost_us(uint64_t units, uint32_t a_second)
{
	uint64_t cost = a_second != 0 ? units * 1000000 / a_second : 0;
	return cost < BURST_US ? (uint32_t)cost : BURST_US;
}

bool rate_allows(const struct shard *shard, const struct client *client, uint32_t *wait_ms)
{
	const struct extras *extras = extras_of(shard, client);
	const struct settings *settings = shard->settings;
	if (extras == NULL || (settings->client_messages_a_second == 0 && settings->client_bytes_a_second == 0))
		return true;
	uint32_t now_us = (uint32_t)(shard->now_ms * 1000);
	uint32_t messages_us = ahead_us(extras->messages_until_us, now_us);
	uint32_t bytes_us = ahead_us(extras->bytes_until_us, now_us);
	uint32_t most_us = messages_us > bytes_us ? messages_us : bytes_us;
	if (most_us < BURST_US)
		return true;
	*wait_ms = (most_us - BURST_US) / 1000 + 1;
	return false;
}

void rate_count(struct shard *shard, struct client *client, size_t bytes)
{
	const struct settings *settings = shard->settings;
	if (settings->client_messages_a_second == 0 && settings->client_bytes_a_second == 0)
		return;
	struct extras *extras = extras_need(shard, client);
	if (extras == NULL)
		return; /* without memory there is no traffic to speak of */
	uint32_t now_us = (uint32_t)(shard->now_ms * 1000);
	extras->messages_until_us =
		now_us + ahead_us(extras->messages_until_us, now_us) + cost_us(1, settings->client_messages_a_second);
	extras->bytes_until_us =
		now_us + ahead_us(extras->bytes_until_us, now_us) + cost_us(bytes, settings->client_bytes_a_second);
}
