#include "nodes/nodes.h"

#include "access/access.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "nodes/interest/interest.h"
#include "nodes/publish/publishing.h"
#include "nodes/replica/replication.h"
#include "nodes/requests.h"
#include "nodes/retained/retained.h"
#include "nodes/revoked/revocations.h"
#include "nodes/session/sessions.h"
#include "nodes/thread/nodes_thread.h"
#include "reactor/waker.h"
#include "relay/session/session_asker.h"
#include "runtime/nodes/node_filters.h"
#include "runtime/nodes/node_mail.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What could not be started is tried again after so long. */
#define RETRY_MS 10000u
/* A node is forgotten within so many seconds. */
#define FORGET_S_MAX 5

struct nodes {
	struct cluster_settings settings;
	char node[CLUSTER_NAME_BYTES_MAX];
	bool has_store;
	struct requests *requests;
	struct nodes_thread *thread; /* NULL: it does not run */
	uint64_t retry_ms;
	uint32_t access_version;     /* of what was compared with other nodes last */
	const struct settings *seen; /* likewise; only to see whether they are others now */
	pthread_mutex_t lock;        /* of `thread`, for other threads */
};

_Static_assert(sizeof(((struct settings *)0)->node) <= CLUSTER_NAME_BYTES_MAX, "a node's name fits");
_Static_assert(NODE_NAME_BYTES_MAX < CLUSTER_NAME_BYTES_MAX, "a peer's name fits");

struct nodes *nodes_new(const struct settings *settings)
{
	struct nodes *nodes = calloc(1, sizeof(*nodes));
	if (nodes == NULL)
		return NULL;
	nodes->settings = settings->cluster;
	memcpy(nodes->node, settings->node, sizeof(settings->node));
	nodes->has_store = settings->store.directory[0] != '\0';
	nodes->requests = requests_new();
	CHECK(pthread_mutex_init(&nodes->lock, NULL) == 0);
	if (nodes->requests != NULL)
		return nodes;
	nodes_free(nodes);
	return NULL;
}

void nodes_free(struct nodes *nodes)
{
	if (nodes == NULL)
		return;
	CHECK(nodes->thread == NULL);
	requests_free(nodes->requests);
	pthread_mutex_destroy(&nodes->lock);
	free(nodes);
}

/* ---- the thread ---- */

static void free_thread(struct nodes_thread *thread)
{
	sessions_service_free(thread->sessions);
	replication_free(thread->replication);
	revocations_service_stop(thread->revocations);
	retained_service_free(thread->retained);
	publishing_free(thread->publishing);
	interest_free(thread->interest);
	sem_destroy(&thread->begun);
	sem_destroy(&thread->left);
	sem_destroy(&thread->forgotten);
	session_asker_free(thread->asker);
	pthread_mutex_destroy(&thread->lock);
	free(thread);
}

/* What should be alike on all nodes has changed, or may have. */
static void agree_anew(struct nodes_thread *thread, const struct settings *settings)
{
	struct agreement now[AGREEMENTS];
	agreement_of(settings, now);
	pthread_mutex_lock(&thread->lock);
	for (uint32_t i = 0; i < AGREEMENTS; i++)
		thread->has_agreed_anew |= now[i].hash != thread->agreements[i].hash;
	memcpy(thread->agreements, now, sizeof(now));
	pthread_mutex_unlock(&thread->lock);
}

/* A retained message that comes as a message is the tree's affair first. */
static bool retain(void *context, const struct publication *publication, const uint8_t *packet, struct stamp stamp,
		   uint64_t ticket)
{
	return retained_service_take(context, publication, packet, stamp, ticket);
}

/* Peers are told of filters before they are sent messages. */
static bool make_services(struct nodes_thread *thread)
{
	const struct revocations_parts revocations = {
		.access = gateway_access(thread->gateway),
		.port = thread->parts.nodes,
		.peers = thread->peers,
		.cluster = slice_string(thread->settings->name),
		.node = slice_string(thread->node),
	};
	const struct retained_parts retained = {
		.retained = thread->parts.retained,
		.port = thread->parts.nodes,
		.peers = thread->peers,
		.shard_count = thread->parts.shard_count,
		.has_store = thread->has_store,
	};
	thread->retained = retained_service_new(&retained);
	thread->revocations = revocations_service_start(&revocations);
	thread->interest = interest_new(&thread->parts);
	thread->publishing = thread->interest != NULL ? publishing_new(thread, thread->interest) : NULL;
	thread->replication = replication_make(thread);
	if (thread->retained == NULL || thread->revocations == NULL || thread->publishing == NULL ||
	    thread->replication == NULL)
		return false;
	thread->sessions = sessions_service_new(thread);
	if (thread->sessions == NULL)
		return false;
	publishing_set_retain(thread->publishing, retain, thread->retained);
	retained_service_tells(thread->retained, publishing_retained_is_safe, thread->publishing);
	nodes_add_service(thread, &INTEREST_SERVICE, thread->interest);
	nodes_add_service(thread, &PUBLISHING_SERVICE, thread->publishing);
	nodes_add_service(thread, &RETAINED_SERVICE, thread->retained);
	nodes_add_service(thread, &REVOCATIONS_SERVICE, thread->revocations);
	nodes_add_service(thread, &SESSIONS_SERVICE, thread->sessions);
	nodes_add_service(thread, &REPLICATION_SERVICE, thread->replication);
	return true;
}

static struct nodes_thread *make_thread(struct nodes *nodes, struct gateway *gateway)
{
	struct nodes_thread *thread = calloc(1, sizeof(*thread));
	if (thread == NULL)
		return NULL;
	thread->gateway = gateway;
	thread->parts = gateway_parts(gateway);
	thread->settings = &nodes->settings;
	thread->node = nodes->node;
	thread->has_store = nodes->has_store;
	thread->requests = nodes->requests;
	CHECK(thread->parts.nodes != NULL);
	CHECK(pthread_mutex_init(&thread->lock, NULL) == 0);
	CHECK(sem_init(&thread->begun, 0, 0) == 0);
	CHECK(sem_init(&thread->left, 0, 0) == 0);
	CHECK(sem_init(&thread->forgotten, 0, 0) == 0);
	thread->asker = session_asker_new(gateway);
	agree_anew(thread, gateway_settings(gateway));
	nodes->access_version = access_version(gateway_access(gateway));
	nodes->seen = gateway_settings(gateway);
	nodes_add_service(thread, &REQUESTS_SERVICE, nodes->requests);
	if (thread->asker != NULL && make_services(thread))
		return thread;
	free_thread(thread);
	return NULL;
}

static bool run_thread(struct nodes_thread *thread)
{
	if (pthread_create(&thread->thread, NULL, nodes_main, thread) != 0)
		return false;
	while (sem_wait(&thread->begun) != 0)
		continue;
	if (!atomic_load(&thread->failed))
		return true;
	pthread_join(thread->thread, NULL);
	return false;
}

static void set_thread(struct nodes *nodes, struct nodes_thread *thread)
{
	pthread_mutex_lock(&nodes->lock);
	nodes->thread = thread;
	pthread_mutex_unlock(&nodes->lock);
}

void nodes_start(struct nodes *nodes, struct gateway *gateway)
{
	if (nodes == NULL)
		return;
	nodes_stop(nodes); /* one that rests, or has left */
	if (gateway_parts(gateway).nodes == NULL)
		return; /* the gateway has said why */
	struct nodes_thread *thread = make_thread(nodes, gateway);
	if (thread != NULL && run_thread(thread)) {
		set_thread(nodes, thread);
		return;
	}
	if (thread != NULL)
		free_thread(thread);
	atomic_store(&gateway_parts(gateway).nodes->filters->held, false);
	log_write(LOG_ERROR, "cluster: the nodes thread does not start; this node serves alone, and tries again");
	nodes->retry_ms = clock_now_ms() + RETRY_MS;
}

void nodes_rest(struct nodes *nodes)
{
	if (nodes == NULL || nodes->thread == NULL)
		return;
	atomic_store(&nodes->thread->resting, true);
	waker_wake(&nodes->thread->parts.nodes->waker);
}

void nodes_leave(struct nodes *nodes)
{
	if (nodes == NULL || nodes->thread == NULL)
		return;
	atomic_store(&nodes->thread->stopping, true);
	waker_wake(&nodes->thread->parts.nodes->waker);
	while (sem_wait(&nodes->thread->left) != 0)
		continue;
}

void nodes_stop(struct nodes *nodes)
{
	if (nodes == NULL)
		return;
	nodes->retry_ms = UINT64_MAX;
	struct nodes_thread *thread = nodes->thread;
	if (thread == NULL)
		return;
	atomic_store(&thread->stopping, true);
	waker_wake(&thread->parts.nodes->waker);
	pthread_join(thread->thread, NULL);
	set_thread(nodes, NULL);
	free_thread(thread);
}

void nodes_tend(struct nodes *nodes, struct gateway *gateway)
{
	if (nodes == NULL)
		return;
	if (nodes->thread == NULL && clock_now_ms() >= nodes->retry_ms)
		nodes_start(nodes, gateway);
	uint32_t version = access_version(gateway_access(gateway));
	const struct settings *settings = gateway_settings(gateway);
	if (nodes->thread == NULL || (version == nodes->access_version && settings == nodes->seen))
		return;
	nodes->access_version = version;
	nodes->seen = settings;
	agree_anew(nodes->thread, settings);
}

/* ---- for other threads ---- */

void nodes_status(struct nodes *nodes, struct nodes_status *status)
{
	memset(status, 0, sizeof(*status));
	if (nodes == NULL)
		return;
	pthread_mutex_lock(&nodes->lock);
	if (nodes->thread != NULL) {
		pthread_mutex_lock(&nodes->thread->lock);
		*status = nodes->thread->status;
		pthread_mutex_unlock(&nodes->thread->lock);
	} else {
		status->is_caught_up = status->is_alone = true; /* nobody is there to catch up with */
		snprintf(status->fault, sizeof(status->fault),
			 "this node serves alone: its nodes thread does not run, and the log says why");
	}
	pthread_mutex_unlock(&nodes->lock);
	status->is_on = true;
}

/* Waits for the nodes thread, which does it between two turns. */
static enum error forget(struct nodes_thread *thread, const char *node)
{
	struct timespec until;
	CHECK(clock_gettime(CLOCK_REALTIME, &until) == 0);
	until.tv_sec += FORGET_S_MAX;
	while (sem_trywait(&thread->forgotten) == 0)
		continue; /* of one who did not wait so long */
	pthread_mutex_lock(&thread->lock);
	memcpy(thread->forgets, node, strlen(node) + 1);
	pthread_mutex_unlock(&thread->lock);
	waker_wake(&thread->parts.nodes->waker);
	while (sem_timedwait(&thread->forgotten, &until) != 0) {
		if (errno == ETIMEDOUT)
			return ERROR_TIMEOUT;
	}
	return thread->forgot;
}

enum error nodes_forget(struct nodes *nodes, const char *node, const char **why)
{
	enum error error = ERROR_SERVER_STOPPING;
	if (strlen(node) < CLUSTER_NAME_BYTES_MAX && node[0] != '\0') {
		pthread_mutex_lock(&nodes->lock);
		if (nodes->thread != NULL)
			error = forget(nodes->thread, node);
		pthread_mutex_unlock(&nodes->lock);
	} else {
		error = ERROR_NOT_FOUND;
	}
	*why = error == ERROR_NOT_FOUND ? "there is no such node"
	       : error == ERROR_LIMIT   ? "it is alive: nothing waits for it"
					: error_sentence(error);
	return error;
}

bool nodes_ask(struct nodes *nodes, const char *node, struct slice question, uint32_t timeout_ms,
	       struct nodes_answers *answers)
{
	return requests_ask(nodes->requests, node, question, timeout_ms, answers);
}

void nodes_set_answerer(struct nodes *nodes, const struct nodes_answerer *answerer)
{
	requests_set_answerer(nodes->requests, answerer);
}

void nodes_answer(struct nodes *nodes, const struct nodes_asked *asked, uint16_t status, struct slice body)
{
	requests_answer(nodes->requests, asked, status, body);
}

/* ---- the status ---- */

const char *peer_state_name(enum peer_state state)
{
	static const char *const NAMES[] = {
		[PEER_NONE] = "none",
		[PEER_ALIVE] = "alive",
		[PEER_AWAY] = "away",
		[PEER_LEFT] = "left",
	};
	return NAMES[state];
}

void nodes_status_pack(struct nodes_status *status)
{
	status->peer_count = 0;
	status->is_alone = true;
	for (uint32_t i = 0; i < NODES_MAX; i++) {
		if (status->peers[i].state == PEER_NONE)
			continue;
		if (status->peers[i].state == PEER_ALIVE)
			status->is_alone = false;
		status->peers[status->peer_count++] = status->peers[i];
	}
}
