#include "gateway/retained_jobs.h"

#include "gateway/deliver.h"
#include "gateway/shard.h"

#include <stdlib.h>

/* Messages that a job queues for its client before those are on their way. */
#define QUEUED_MAX 32u
/* Nodes that all jobs together visit in a turn. */
#define VISITS_A_TURN 4096u

struct retained_job {
	struct retained_job *next;
	struct retained_walk walk;
	uint32_t client;
	uint32_t connection;   /* the client's, by its generation */
	uint32_t subscription; /* on this shard */
	uint16_t generation;   /* of the subscription */
	uint8_t ask;           /* which time it asks */
	uint32_t filter_bytes;
	uint8_t filter[];
};

/* NULL: the job's connection has ended, or its subscription has. */
static const struct subscription *subscription_of(const struct shard *shard, const struct retained_job *job)
{
	const struct client *client = shard_client(shard, job->client);
	if (client->conn.generation != job->connection || !client_is_connected(client))
		return NULL;
	const struct subscription *subscription =
		subscriptions_of_client(&shard->subscriptions, job->subscription, job->client);
	return subscription != NULL && subscription->generation == job->generation ? subscription : NULL;
}

void retained_jobs_add(struct shard *shard, uint32_t client, uint32_t index, struct slice filter)
{
	uint8_t ask = subscriptions_ask(&shard->subscriptions, index);
	if (retained_is_empty(shard->retained))
		return;
	struct retained_job *job = malloc(sizeof(*job) + filter.size);
	if (job == NULL) {
		COUNT(&shard->counters, messages_dropped_memory);
		return;
	}
	*job = (struct retained_job){
		.client = client,
		.connection = shard_client(shard, client)->conn.generation,
		.subscription = index,
		.generation = subscriptions_of_client(&shard->subscriptions, index, client)->generation,
		.ask = ask,
		.filter_bytes = (uint32_t)filter.size,
	};
	memcpy(job->filter, filter.data, filter.size);
	/* In the order in which they were asked for. */
	*shard->retained_jobs_end = job;
	shard->retained_jobs_end = &job->next;
}

/* Its client has taken what was queued for it. */
static bool can_go_on(const struct shard *shard, const struct retained_job *job)
{
	const struct client *client = shard_client(shard, job->client);
	const struct extras *extras = extras_of(shard, client);
	return client->conn.backlog == 0 && (extras == NULL || extras->flow.queued < QUEUED_MAX);
}

/* There is nothing to go on for. Who asks again and takes nothing has one job a subscription, not one a time. */
static bool is_over(const struct shard *shard, const struct retained_job *job)
{
	const struct subscription *subscription = subscription_of(shard, job);
	return subscription == NULL || (subscription->asks != job->ask && !can_go_on(shard, job));
}

struct step {
	struct shard *shard;
	const struct retained_job *job;
	const struct subscription *subscription;
};

static bool queue_message(void *context, const struct publication *publication, const uint8_t *packet)
{
	const struct step *step = context;
	if (!can_go_on(step->shard, step->job))
		return false;
	uint8_t qos = step->subscription->options & SUBSCRIPTION_QOS_MASK;
	deliver_retained(step->shard, step->job->client, publication, packet, qos, step->subscription->identifier);
	return true;
}

/* True when the job is over. */
static bool run(struct shard *shard, struct retained_job *job, uint32_t *visits)
{
	if (is_over(shard, job)) {
		retained_walk_end(shard->retained, &job->walk);
		return true;
	}
	if (!can_go_on(shard, job))
		return false;
	struct step step = {shard, job, subscription_of(shard, job)};
	uint32_t most = *visits < RETAINED_VISITS_MAX ? *visits : RETAINED_VISITS_MAX;
	uint32_t left = most;
	bool over = retained_walk_step(shard->retained, &job->walk, slice_of(job->filter, job->filter_bytes),
				       shard->now_s, &left, queue_message, &step);
	*visits -= most - left;
	deliver_queued(shard, job->client);
	return over;
}

void retained_jobs_run(struct shard *shard)
{
	uint32_t visits = VISITS_A_TURN;
	struct retained_job **link = &shard->retained_jobs;
	while (*link != NULL && visits != 0) {
		struct retained_job *job = *link;
		if (!run(shard, job, &visits)) {
			link = &job->next;
			continue;
		}
		*link = job->next;
		if (job->next == NULL)
			shard->retained_jobs_end = link;
		free(job);
	}
}

bool retained_jobs_ready(const struct shard *shard)
{
	for (const struct retained_job *job = shard->retained_jobs; job != NULL; job = job->next) {
		if (is_over(shard, job) || can_go_on(shard, job))
			return true;
	}
	return false;
}

void retained_jobs_fini(struct shard *shard)
{
	while (shard->retained_jobs != NULL) {
		struct retained_job *job = shard->retained_jobs;
		shard->retained_jobs = job->next;
		retained_walk_end(shard->retained, &job->walk);
		free(job);
	}
}
