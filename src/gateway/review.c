#include "gateway/review.h"

#include "base/log.h"
#include "gateway/presence.h"
#include "gateway/principal.h"
#include "gateway/shard.h"
#include "mqtt/field/topic.h"

/* In a turn: clients cost two cache lines each, subscriptions a walk over the rules. */
#define LOOKS_A_TURN 2048u
#define CHECKS_A_TURN 256u
/* The longest filter, with the name of its group in front. */
#define FILTER_BYTES_MAX (UINT16_MAX + 1u)

void review_all(struct shard *shard)
{
	/* A round that goes on is not begun anew, so that it ends however often this is called. */
	if (shard->review.next != 0)
		shard->review.again = true;
	else
		shard->review.next = 1;
}

/* What waits for the client may have come by a right that it had; with nothing that waits nothing is to be looked at.
 */
static void narrow(struct shard *shard, struct client *client)
{
	const struct extras *extras = extras_of(shard, client);
	client->session.is_narrowed = extras != NULL && extras->flow.unsent != 0;
}

void review_client(struct shard *shard, uint32_t index)
{
	struct review *review = &shard->review;
	narrow(shard, shard_client(shard, index));
	for (uint32_t i = 0; i < review->asked_count; i++)
		if (review->asked[i] == index)
			return;
	if (review->asked_count == REVIEW_ASKED_MAX)
		review_all(shard);
	else
		review->asked[review->asked_count++] = index;
}

bool review_waits(const struct shard *shard)
{
	const struct review *review = &shard->review;
	return review->client != 0 || review->next != 0 || review->asked_count != 0;
}

/* The filter's topics: of a shared subscription what stands behind its name [4.8.2]. */
static struct slice topics_of(struct slice filter)
{
	struct slice group;
	struct slice topics = filter;
	enum error fault;
	mqtt_filter_share(filter, &group, &topics, &fault);
	return topics;
}

bool review_may_send(struct shard *shard, const struct client *client, struct slice topic)
{
	return principal_may_subscribe(shard, client, topic);
}

static void note_ended(struct shard *shard, uint32_t index, struct slice filter)
{
	struct client *client = shard_client(shard, index);
	narrow(shard, client);
	COUNT(&shard->counters, subscriptions_revoked);
	presence_unsubscribed(shard, client, filter, ERROR_SUBSCRIBE_DENIED);
}

static void log_ended(const struct shard *shard, const struct client *client, uint32_t count)
{
	if (!log_enabled(LOG_INFO) || client->session.id == 0)
		return;
	struct slice id = registry_id(&shard->registry, &client->session);
	log_write(LOG_INFO, "client \"%.*s\": subscriptions ended because it may not have them any more: %u",
		  (int)id.size, (const char *)id.data, count);
}

void review_refused(struct shard *shard, uint32_t index, struct slice filter)
{
	struct client *client = shard_client(shard, index);
	uint32_t ended = subscriptions_remove(&shard->subscriptions, &client->session, index, filter);
	if (ended == 0)
		return;
	note_ended(shard, index, filter);
	log_ended(shard, client, 1);
}

/* 0: there is none. Nobody waits for more than a round. */
static uint32_t next_client(struct shard *shard)
{
	struct review *review = &shard->review;
	if (review->next > shard->clients.touched) {
		review->next = review->again ? 1 : 0;
		review->again = false;
	}
	if (review->next != 0)
		return review->next++;
	return review->asked_count != 0 ? review->asked[--review->asked_count] : 0;
}

/* Takes up the next client that has something to look at. False: there is none, or this turn has looked at enough. */
static bool take_client(struct shard *shard, uint32_t *looks)
{
	while (*looks < LOOKS_A_TURN) {
		uint32_t index = next_client(shard);
		if (index == 0)
			return false;
		(*looks)++;
		const struct client *client = shard_client(shard, index);
		if (client->session.id == 0 || client->principal == 0 || client->session.subscription == 0)
			continue;
		shard->review.client = index;
		shard->review.ended = 0;
		subscriptions_review_begin(&shard->subscriptions, &client->session);
		return true;
	}
	return false;
}

static void look_at(struct shard *shard, uint32_t subscription, uint8_t *text)
{
	struct review *review = &shard->review;
	struct client *client = shard_client(shard, review->client);
	uint32_t node = subscriptions_node(&shard->subscriptions, subscription);
	struct slice filter = slice_of(text, index_filter_text(shard->index, node, text, FILTER_BYTES_MAX));
	CHECK(filter.size != 0);
	if (principal_may_subscribe(shard, client, topics_of(filter)))
		return;
	subscriptions_end(&shard->subscriptions, &client->session, subscription);
	note_ended(shard, review->client, filter);
	review->ended++;
}

void review_some(struct shard *shard)
{
	struct review *review = &shard->review;
	if (!review_waits(shard))
		return;
	uint8_t *text = io_scratch(&shard->io, FILTER_BYTES_MAX);
	if (text == NULL)
		return;
	uint32_t looks = 0;
	/* Its session has ended since: what is left of that goes by itself. */
	if (review->client != 0 && shard_client(shard, review->client)->session.id == 0)
		review->client = 0;
	for (uint32_t checks = 0; checks < CHECKS_A_TURN;) {
		if (review->client == 0 && !take_client(shard, &looks))
			return;
		uint32_t subscription = subscriptions_review_next(&shard->subscriptions);
		if (subscription != 0) {
			look_at(shard, subscription, text);
			checks++;
			continue;
		}
		if (review->ended != 0)
			log_ended(shard, shard_client(shard, review->client), review->ended);
		review->client = 0;
	}
}
