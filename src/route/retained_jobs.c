#include "route/retained_jobs.h"
#include "base/layout_root.h"

#include "deliver/queue.h"
#include "memory/notes.h"
#include "state/extension.h"
#include "state/shard.h"
#include "topics/index/index.h"
#include "topics/retained.h"

/* Messages in the client's queue above which its jobs wait. */
#define QUEUED_MAX 32u
/* Nodes that all jobs together visit in a turn. */
#define VISITS_PER_TURN 4096u
/* What a step costs besides its visits, counted in visits: for the filter's text and the lock, and for each message. */
#define STEP_VISITS 8u
#define MESSAGE_VISITS 8u
#define FILTER_BYTES_MAX UINT16_MAX
/* Units of work to free a job: it is taken out of a table and lists, and is not in the cache. */
#define DROP_UNITS 2u
_Static_assert(RETAINED_VISITS_MAX <= VISITS_PER_TURN, "a turn has room for a whole step");

struct retained_job {
	struct table_node node; /* its hash is the subscription's index */
	uint32_t next;          /* in its queue */
	uint32_t previous;
	uint32_t queue;
	struct retained_walk walk;
	uint16_t generation; /* of the subscription: shows whether it has ended */
	uint16_t walks;      /* walks that the client asked for and that are not over */
};
_Static_assert(sizeof(struct retained_job) == 28, "a client may have one for each of thousands of subscriptions");
LAYOUT_ROOT(retained_job);

struct retained_queue {
	struct table_node node; /* its hash is the client's index */
	uint32_t first;         /* jobs: never empty between two calls */
	uint32_t last;
	uint32_t ready_next;
	uint32_t ready_previous;
	bool ready; /* in the list of queues that can go on */
};
_Static_assert(sizeof(struct retained_queue) == 28, "a session may have one: part of the memory contract");
LAYOUT_ROOT(retained_queue);

/* ---- making ---- */

/* What there is beside pools and tables. */
struct retained_jobs_note {
	uint32_t ready_first;
	uint32_t ready_last;
};
LAYOUT_ROOT(retained_jobs_note);

static enum error retained_jobs_find_note(struct retained_jobs *jobs, const struct arena *arena)
{
	struct retained_jobs_note note;
	if (!arena_get_exact(arena, "retained jobs", &note, sizeof(note)) || note.ready_first > jobs->queues.touched ||
	    note.ready_last > jobs->queues.touched)
		return ERROR_NOT_FOUND;
	jobs->ready_first = note.ready_first;
	jobs->ready_last = note.ready_last;
	return ERROR_OK;
}

enum error retained_jobs_open(struct retained_jobs *jobs, struct arena *arena, uint32_t clients, uint32_t subscriptions)
{
	*jobs = (struct retained_jobs){0};
	enum error error = pool_open_in(&jobs->jobs, arena, "jobs", sizeof(struct retained_job), subscriptions);
	if (error == ERROR_OK)
		error = pool_open_in(&jobs->queues, arena, "job queues", sizeof(struct retained_queue), clients);
	if (error == ERROR_OK)
		error = table_open_in(&jobs->by_subscription, arena, "jobs by sub", &jobs->jobs,
				      offsetof(struct retained_job, node), subscriptions);
	if (error == ERROR_OK)
		error = table_open_in(&jobs->by_client, arena, "jobs by client", &jobs->queues,
				      offsetof(struct retained_queue, node), clients);
	return error == ERROR_OK && arena_is_adopted(arena) ? retained_jobs_find_note(jobs, arena) : error;
}

enum error retained_jobs_save(const struct retained_jobs *jobs, const struct arena *arena)
{
	struct retained_jobs_note note = {jobs->ready_first, jobs->ready_last};
	enum error error = arena_put(arena, "retained jobs", &note, sizeof(note));
	if (error == ERROR_OK)
		error = pool_save(&jobs->jobs, arena);
	if (error == ERROR_OK)
		error = pool_save(&jobs->queues, arena);
	if (error == ERROR_OK)
		error = table_save(&jobs->by_subscription, arena);
	return error == ERROR_OK ? table_save(&jobs->by_client, arena) : error;
}

/* Walks that are not over still hold nodes of the tree. The tree is freed after the shards, with all its nodes. */
void retained_jobs_close(struct retained_jobs *jobs)
{
	table_close(&jobs->by_subscription);
	table_close(&jobs->by_client);
	pool_close(&jobs->jobs);
	pool_close(&jobs->queues);
}

static struct retained_job *job_at(const struct retained_jobs *jobs, uint32_t job)
{
	return pool_at(&jobs->jobs, job);
}

static struct retained_queue *queue_at(const struct retained_jobs *jobs, uint32_t queue)
{
	return pool_at(&jobs->queues, queue);
}

/* A queue's hash is its client's index. */
static struct client_ref client_of(const struct retained_queue *queue)
{
	return (struct client_ref){queue->node.hash};
}

/* ---- queues that can go on ---- */

static void ready_push(struct retained_jobs *jobs, uint32_t index)
{
	struct retained_queue *queue = queue_at(jobs, index);
	if (queue->ready)
		return;
	queue->ready = true;
	queue->ready_next = 0;
	queue->ready_previous = jobs->ready_last;
	if (jobs->ready_last != 0)
		queue_at(jobs, jobs->ready_last)->ready_next = index;
	else
		jobs->ready_first = index;
	jobs->ready_last = index;
}

static void ready_remove(struct retained_jobs *jobs, uint32_t index)
{
	struct retained_queue *queue = queue_at(jobs, index);
	if (!queue->ready)
		return;
	queue->ready = false;
	CHECK(queue->ready_previous != 0 || jobs->ready_first == index);
	CHECK(queue->ready_next != 0 || jobs->ready_last == index);
	if (queue->ready_previous != 0)
		queue_at(jobs, queue->ready_previous)->ready_next = queue->ready_next;
	else
		jobs->ready_first = queue->ready_next;
	if (queue->ready_next != 0)
		queue_at(jobs, queue->ready_next)->ready_previous = queue->ready_previous;
	else
		jobs->ready_last = queue->ready_previous;
}

/* Whether the client has taken what was queued for it. */
static bool can_go_on(const struct shard *shard, const struct client *client)
{
	const struct extension *extension = extension_of(shard, client);
	return client_is_connected(client) && client->conn.backlog == 0 &&
	       (extension == NULL || extension->flow.queued < QUEUED_MAX);
}

void retained_jobs_wake(struct shard *shard, struct client_ref client)
{
	const struct client *owner = shard_client(shard, client);
	if (owner->session.owed && can_go_on(shard, owner))
		ready_push(&shard->sessions.retained_jobs,
			   table_first(&shard->sessions.retained_jobs.by_client, client.index));
}

/* ---- a queue's jobs ---- */

static void queue_append(struct retained_jobs *jobs, uint32_t index, uint32_t job_index)
{
	struct retained_queue *queue = queue_at(jobs, index);
	struct retained_job *job = job_at(jobs, job_index);
	job->queue = index;
	job->next = 0;
	job->previous = queue->last;
	if (queue->last != 0)
		job_at(jobs, queue->last)->next = job_index;
	else
		queue->first = job_index;
	queue->last = job_index;
}

static void queue_unlink(struct retained_jobs *jobs, uint32_t job_index)
{
	const struct retained_job *job = job_at(jobs, job_index);
	struct retained_queue *queue = queue_at(jobs, job->queue);
	CHECK(job->previous != 0 || queue->first == job_index);
	CHECK(job->next != 0 || queue->last == job_index);
	if (job->previous != 0)
		job_at(jobs, job->previous)->next = job->next;
	else
		queue->first = job->next;
	if (job->next != 0)
		job_at(jobs, job->next)->previous = job->previous;
	else
		queue->last = job->previous;
}

/* The client's queue, which is made if there is none; 0: no memory. */
static uint32_t queue_need(struct shard *shard, struct client_ref client)
{
	struct retained_jobs *jobs = &shard->sessions.retained_jobs;
	if (shard_client(shard, client)->session.owed)
		return table_first(&jobs->by_client, client.index);
	uint32_t index = pool_take(&jobs->queues);
	if (index == 0)
		return 0;
	*queue_at(jobs, index) = (struct retained_queue){0};
	table_insert(&jobs->by_client, index, client.index);
	shard_client(shard, client)->session.owed = 1;
	return index;
}

static void queue_free(struct shard *shard, uint32_t index)
{
	struct retained_jobs *jobs = &shard->sessions.retained_jobs;
	struct session *session = &shard_client(shard, client_of(queue_at(jobs, index)))->session;
	CHECK(session->owed);
	session->owed = 0;
	ready_remove(jobs, index);
	table_remove(&jobs->by_client, index);
	pool_give(&jobs->queues, index);
}

/* Frees the queue, too, with its last job. */
static void retained_job_free(struct shard *shard, uint32_t index)
{
	struct retained_jobs *jobs = &shard->sessions.retained_jobs;
	struct retained_job *job = job_at(jobs, index);
	uint32_t queue = job->queue;
	if (job->walk.node != 0)
		retained_walk_end(shard->env.retained, &job->walk);
	queue_unlink(jobs, index);
	table_remove(&jobs->by_subscription, index);
	pool_give(&jobs->jobs, index);
	if (queue_at(jobs, queue)->first == 0)
		queue_free(shard, queue);
}

/* NULL: the job's subscription has ended. */
static const struct subscription *retained_job_subscription_of(const struct shard *shard,
							       const struct retained_job *job)
{
	struct client_ref client = client_of(queue_at(&shard->sessions.retained_jobs, job->queue));
	const struct subscription *subscription = subscriptions_of_client(
		&shard->sessions.subscriptions, (struct subscription_ref){job->node.hash}, client);
	return subscription != NULL && subscription->generation == job->generation ? subscription : NULL;
}

static bool retained_job_new(struct shard *shard, struct client_ref client, struct subscription_ref subscription)
{
	struct retained_jobs *jobs = &shard->sessions.retained_jobs;
	const struct subscription *made = subscriptions_of_client(&shard->sessions.subscriptions, subscription, client);
	CHECK(made != NULL && (made->options & SUBSCRIPTION_SHARED) == 0);
	uint32_t index = pool_take(&jobs->jobs);
	if (index == 0)
		return false;
	uint32_t queue = queue_need(shard, client);
	if (queue == 0) {
		pool_give(&jobs->jobs, index);
		return false;
	}
	*job_at(jobs, index) = (struct retained_job){
		.generation = made->generation,
		.walks = 1,
	};
	table_insert(&jobs->by_subscription, index, subscription.index);
	queue_append(jobs, queue, index);
	return true;
}

uint32_t retained_jobs_walks(const struct shard *shard, struct client_ref client, struct subscription_ref subscription)
{
	const struct retained_jobs *jobs = &shard->sessions.retained_jobs;
	uint32_t index = table_first(&jobs->by_subscription, subscription.index);
	if (index == 0)
		return 0;
	/* The job may be of a subscription that was in this place before. */
	const struct retained_job *job = job_at(jobs, index);
	bool owed = client_ref_equal(client_of(queue_at(jobs, job->queue)), client) &&
		    retained_job_subscription_of(shard, job) != NULL;
	return owed ? job->walks : 0;
}

static void retained_job_tell(struct shard *shard, struct client_ref client, struct subscription_ref subscription,
			      uint32_t walks)
{
	struct journal *journal = &shard->sessions.journal;
	if (shard_client(shard, client)->session.journaled)
		journal_tell(journal)->owed(journal->context, client, subscription, walks);
}

enum error retained_jobs_add(struct shard *shard, struct client_ref client, struct subscription_ref subscription)
{
	struct retained_jobs *jobs = &shard->sessions.retained_jobs;
	if (retained_is_empty(shard->env.retained))
		return ERROR_OK;
	uint32_t index = table_first(&jobs->by_subscription, subscription.index);
	if (index != 0 && retained_job_subscription_of(shard, job_at(jobs, index)) == NULL) {
		retained_job_free(shard, index); /* it was for an earlier subscription in this place */
		index = 0;
	}
	if (index != 0 && job_at(jobs, index)->walks < UINT16_MAX)
		job_at(jobs, index)->walks++;
	else if (index == 0 && !retained_job_new(shard, client, subscription))
		return ERROR_NO_MEMORY;
	retained_job_tell(shard, client, subscription, retained_jobs_walks(shard, client, subscription));
	retained_jobs_wake(shard, client);
	return ERROR_OK;
}

bool retained_jobs_drop(struct shard *shard, struct client_ref client, uint64_t until)
{
	while (shard_client(shard, client)->session.owed) {
		if (turn_work_is_spent(&shard->loop.work, until))
			return false;
		uint32_t queue = table_first(&shard->sessions.retained_jobs.by_client, client.index);
		turn_work_charge(&shard->loop.work, DROP_UNITS);
		retained_job_free(shard, queue_at(&shard->sessions.retained_jobs, queue)->first);
	}
	return true;
}

/* ---- sending ---- */

struct walk_step {
	struct shard *shard;
	struct client_ref client;
	const struct subscription *subscription;
	uint32_t messages;
};

static bool queue_message(void *context, const struct publication *publication, const uint8_t *packet)
{
	struct walk_step *step = context;
	if (!can_go_on(step->shard, shard_client(step->shard, step->client)))
		return false;
	uint8_t qos = step->subscription->options & SUBSCRIPTION_QOS_MASK;
	queue_retained(step->shard, step->client, publication, packet, qos, step->subscription->identifier);
	step->messages++;
	return true;
}

/* True when the walk is over. */
static bool retained_job_walk(struct shard *shard, struct retained_job *job, const struct subscription *subscription,
			      uint32_t *visits)
{
	uint8_t filter[FILTER_BYTES_MAX];
	size_t bytes = index_filter_text(shard->env.index, subscription->node, filter, sizeof(filter));
	CHECK(bytes != 0);
	struct walk_step step = {shard, subscription->client, subscription, 0};
	uint32_t most = *visits < RETAINED_VISITS_MAX ? *visits : RETAINED_VISITS_MAX;
	uint32_t left = most;
	bool over = retained_walk_step(shard->env.retained, &job->walk, slice_of(filter, bytes), shard->loop.now_s,
				       &left, queue_message, &step);
	CHECK_LE(left, most);
	uint32_t spent = most - left + STEP_VISITS + step.messages * MESSAGE_VISITS;
	*visits -= spent < *visits ? spent : *visits;
	turn_work_charge(&shard->loop.work, (uint64_t)spent * WORK_NODE);
	return over;
}

/* Takes a step of the first job of a queue whose client takes more. */
static void run_first(struct shard *shard, uint32_t queue_index, uint32_t *visits)
{
	struct retained_jobs *jobs = &shard->sessions.retained_jobs;
	uint32_t index = queue_at(jobs, queue_index)->first;
	struct retained_job *job = job_at(jobs, index);
	CHECK_GT(*visits, 0);
	CHECK_GT(job->walks, 0);
	const struct subscription *subscription = retained_job_subscription_of(shard, job);
	if (subscription == NULL) {
		--*visits;
		retained_job_free(shard, index);
	} else if (retained_job_walk(shard, job, subscription, visits)) {
		retained_job_tell(shard, subscription->client, (struct subscription_ref){job->node.hash},
				  job->walks - 1u);
		if (job->walks == 1) {
			retained_job_free(shard, index);
		} else {
			job->walks--;
			queue_unlink(jobs, index);
			queue_append(jobs, queue_index, index);
		}
	}
}

void retained_jobs_run(struct shard *shard)
{
	struct retained_jobs *jobs = &shard->sessions.retained_jobs;
	uint32_t visits = VISITS_PER_TURN;
	while (jobs->ready_first != 0 && visits != 0) {
		uint32_t queue = jobs->ready_first;
		struct client_ref client = client_of(queue_at(jobs, queue));
		ready_remove(jobs, queue);
		if (!can_go_on(shard, shard_client(shard, client)))
			continue;
		run_first(shard, queue, &visits);
		queue_send(shard, client);
		retained_jobs_wake(shard, client);
	}
}
