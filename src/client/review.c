#include "client/review.h"

#include "base/log.h"
#include "client/presence.h"
#include "mqtt/field/topic.h"
#include "state/extension.h"
#include "state/principal.h"
#include "state/shard.h"
#include "topics/index/index.h"

/* In one turn. A client costs two cache lines, a subscription a walk over the rules. */
/* Clients that a round names in the log. */
#define EXAMPLES_PER_ROUND 3u
#define LOOKS_PER_TURN 2048u
#define CHECKS_PER_TURN 256u
/* The longest filter, with the name of its group in front. */
#define FILTER_BYTES_MAX (UINT16_MAX + 1u)
_Static_assert(FILTER_BYTES_MAX <= IO_SCRATCH_BYTES / 2, "a filter's text fits into scratch");

void review_all(struct shard *shard)
{
	/* A round that is under way is not restarted, so that it ends however often this is called. */
	if (shard->guard.review.next != 0)
		shard->guard.review.again = true;
	else
		shard->guard.review.next = 1;
}

/* Messages that wait for the client may have come by a right that it has lost, and are checked when they are sent. */
static void mark_narrowed(struct shard *shard, struct client *client)
{
	const struct extension *extension = extension_of(shard, client);
	client->session.is_narrowed = extension != NULL && extension->flow.unsent != 0;
}

void review_client(struct shard *shard, struct client_ref ref)
{
	struct review *review = &shard->guard.review;
	mark_narrowed(shard, shard_client(shard, ref));
	for (uint32_t i = 0; i < review->asked_count; i++)
		if (client_ref_equal(review->asked[i], ref))
			return;
	CHECK_LE(review->asked_count, REVIEW_ASKED_MAX);
	if (review->asked_count == REVIEW_ASKED_MAX)
		review_all(shard);
	else
		review->asked[review->asked_count++] = ref;
}

bool review_waits(const struct shard *shard)
{
	const struct review *review = &shard->guard.review;
	return !client_ref_is_none(review->client) || review->next != 0 || review->asked_count != 0;
}

/* The filter itself; for a shared subscription, the part behind the share name [4.8.2]. */
static struct slice topics_of(struct slice filter)
{
	struct slice group;
	struct slice topics = filter;
	enum error fault;
	mqtt_filter_share(filter, &group, &topics, &fault);
	return topics;
}

static void note_ended(struct shard *shard, struct client_ref ref, struct slice filter)
{
	struct client *client = shard_client(shard, ref);
	mark_narrowed(shard, client);
	COUNT(&shard->counters, subscriptions_revoked);
	presence_unsubscribed(shard, client, filter, ERROR_SUBSCRIBE_DENIED);
}

static void log_ended(const struct shard *shard, const struct client *client, uint32_t count)
{
	if (!log_enabled(LOG_INFO) || client->session.id == 0)
		return;
	struct slice id = registry_id(&shard->sessions.registry, &client->session);
	log_write(LOG_INFO, "client \"%.*s\": subscriptions ended because it no longer has the right to them: %u",
		  (int)id.size, (const char *)id.data, count);
}

void review_refused(struct shard *shard, struct client_ref ref, struct slice filter)
{
	struct client *client = shard_client(shard, ref);
	struct subscription_ref ended =
		subscriptions_remove(&shard->sessions.subscriptions, &client->session, ref, filter);
	if (subscription_ref_is_none(ended))
		return;
	note_ended(shard, ref, filter);
	log_ended(shard, client, 1);
}

/* A round may end subscriptions of very many sessions: a few are named, and log_round() says how many there were. */
static void log_reviewed(struct shard *shard)
{
	struct review *review = &shard->guard.review;
	bool in_round = review->next != 0;
	if (!in_round || review->round_clients < EXAMPLES_PER_ROUND)
		log_ended(shard, shard_client(shard, review->client), review->ended);
	if (!in_round)
		return;
	review->round_clients++;
	review->round_ended += review->ended;
}

static void log_round(struct shard *shard)
{
	struct review *review = &shard->guard.review;
	if (review->round_clients > EXAMPLES_PER_ROUND)
		log_write(LOG_INFO,
			  "shard %u: %llu subscriptions of %u clients ended because they no longer have the right to "
			  "them",
			  shard->env.number, (unsigned long long)review->round_ended, review->round_clients);
	review->round_clients = 0;
	review->round_ended = 0;
}

/* None: no client waits. No client waits for more than a round. */
static struct client_ref next_client(struct shard *shard)
{
	struct review *review = &shard->guard.review;
	if (review->next > shard->mem.clients.touched) {
		log_round(shard);
		review->next = review->again ? 1 : 0;
		review->again = false;
	}
	if (review->next != 0)
		return (struct client_ref){review->next++};
	return review->asked_count != 0 ? review->asked[--review->asked_count] : client_ref_none();
}

/* Begins with the next client that has something to check. False: there is none, or the turn has done its share. */
static bool take_client(struct shard *shard, uint32_t *looks)
{
	while (*looks < LOOKS_PER_TURN) {
		struct client_ref ref = next_client(shard);
		if (client_ref_is_none(ref))
			return false;
		(*looks)++;
		const struct client *client = shard_client(shard, ref);
		if (client->session.id == 0 || principal_ref_is_none(client->principal) ||
		    subscription_ref_is_none(client->session.subscription))
			continue;
		shard->guard.review.client = ref;
		shard->guard.review.ended = 0;
		subscriptions_review_begin(&shard->sessions.subscriptions, &client->session);
		return true;
	}
	return false;
}

static void review_look_at(struct shard *shard, struct subscription_ref subscription, uint8_t *text)
{
	struct review *review = &shard->guard.review;
	CHECK(!client_ref_is_none(review->client));
	struct client *client = shard_client(shard, review->client);
	uint32_t node = subscriptions_node(&shard->sessions.subscriptions, subscription);
	struct slice filter = slice_of(text, index_filter_text(shard->env.index, node, text, FILTER_BYTES_MAX));
	CHECK(filter.size != 0);
	if (principal_may_subscribe(shard, client, topics_of(filter)))
		return;
	subscriptions_end(&shard->sessions.subscriptions, &client->session, subscription);
	note_ended(shard, review->client, filter);
	review->ended++;
}

void review_some(struct shard *shard)
{
	struct review *review = &shard->guard.review;
	if (!review_waits(shard))
		return;
	uint8_t *text = io_scratch(&shard->mem.io, FILTER_BYTES_MAX);
	if (text == NULL)
		return;
	uint32_t looks = 0;
	/* Its session has ended meanwhile, and its subscriptions end with it. */
	if (!client_ref_is_none(review->client) && shard_client(shard, review->client)->session.id == 0)
		review->client = client_ref_none();
	for (uint32_t checks = 0; checks < CHECKS_PER_TURN;) {
		if (client_ref_is_none(review->client) && !take_client(shard, &looks))
			return;
		struct subscription_ref subscription = subscriptions_review_next(&shard->sessions.subscriptions);
		if (!subscription_ref_is_none(subscription)) {
			review_look_at(shard, subscription, text);
			checks++;
			continue;
		}
		if (review->ended != 0)
			log_reviewed(shard);
		review->client = client_ref_none();
	}
}
