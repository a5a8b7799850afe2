#include "admin/nodes/answerer.h"

#include "admin/api/handlers.h"
#include "admin/api/route_table.h"
#include "base/check.h"
#include "base/log.h"
#include "nodes/nodes.h"
#include "reactor/fdtable.h"
#include "runtime/nodes/node_mail.h"
#include "state/shard.h"

#include <stdlib.h>
#include <string.h>

/* Questions that wait. A node that asks more gets "busy". */
#define QUESTIONS_MAX 64u

struct question {
	struct question *next;
	struct nodes_asked asked;
	size_t bytes;
	uint8_t text[];
};

struct answerer {
	struct api *api;
	struct nodes *nodes;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct question *first;
	struct question **end;
	uint32_t count;
	bool stopping;
};

/* Called by the nodes thread. */
static bool answerer_take_question(void *context, const struct nodes_asked *asked, struct slice text)
{
	struct answerer *answerer = context;
	struct question *question = malloc(sizeof(*question) + text.size);
	if (question == NULL)
		return false;
	*question = (struct question){.asked = *asked, .bytes = text.size};
	memcpy(question->text, text.data, text.size);
	pthread_mutex_lock(&answerer->lock);
	bool takes = answerer->count < QUESTIONS_MAX && !answerer->stopping;
	if (takes) {
		*answerer->end = question;
		answerer->end = &question->next;
		answerer->count++;
		pthread_cond_signal(&answerer->changed);
	}
	pthread_mutex_unlock(&answerer->lock);
	if (!takes)
		free(question);
	return takes;
}

/* What another node may ask: about clients, and nothing else. */
static bool is_for_nodes(const struct route *route)
{
	return route->serve == serve_clients || route->serve == serve_client || route->serve == serve_disconnect ||
	       route->serve == serve_end_session;
}

static void serve_question(struct request *request, struct slice text)
{
	const uint8_t *space = memchr(text.data, ' ', text.size);
	size_t method = space != NULL ? (size_t)(space - text.data) : text.size;
	uint8_t *room = malloc(text.size + 1);
	uint32_t methods;
	const struct route *route = NULL;
	if (room != NULL && space != NULL &&
	    target_parse(&request->target, slice_of(space + 1, text.size - method - 1), room))
		route = route_find(&request->target, method_of(slice_of(text.data, method)), &request->id, &methods);
	if (route == NULL || !is_for_nodes(route))
		request_fail(request, HTTP_NOT_FOUND, "a node is not asked this by others");
	else if (atomic_load(&request->api->starting))
		state_fail_starting(request);
	else
		route->serve(request);
	free(room);
}

static void answerer_answer_question(struct answerer *answerer, const struct question *question)
{
	struct request request = {.api = answerer->api, .from_node = true};
	serve_question(&request, slice_of(question->text, question->bytes));
	nodes_answer(answerer->nodes, &question->asked, (uint16_t)request.status,
		     slice_of((const uint8_t *)request.text, request.text_bytes));
	free(request.owned);
}

/* NULL: it is to stop. */
static struct question *next_question(struct answerer *answerer)
{
	pthread_mutex_lock(&answerer->lock);
	while (answerer->first == NULL && !answerer->stopping)
		pthread_cond_wait(&answerer->changed, &answerer->lock);
	struct question *question = answerer->stopping ? NULL : answerer->first;
	if (question != NULL) {
		answerer->first = question->next;
		answerer->count--;
		if (answerer->first == NULL)
			answerer->end = &answerer->first;
	}
	pthread_mutex_unlock(&answerer->lock);
	return question;
}

/* The table keeps the wakers of shards, to which commands go, and that of the nodes thread. */
static void answerer_detach(const struct answerer *answerer)
{
	struct gateway_parts parts = gateway_parts(answerer->api->gateway);
	if (!parts.private_tables)
		return;
	int *keeps = calloc(parts.shard_count + 1u, sizeof(*keeps));
	CHECK(keeps != NULL);
	for (uint16_t i = 0; i < parts.shard_count; i++)
		keeps[i] = parts.mailboxes[i].waker.fd;
	/* There is none where the cluster has no effect until a restart. */
	if (parts.nodes != NULL)
		keeps[parts.shard_count] = parts.nodes->waker.fd;
	fdtable_detach(keeps, parts.shard_count + (parts.nodes != NULL ? 1u : 0));
	free(keeps);
}

static void *answerer_main(void *argument)
{
	struct answerer *answerer = argument;
	struct question *question;
	answerer_detach(answerer);
	while ((question = next_question(answerer)) != NULL) {
		answerer_answer_question(answerer, question);
		free(question);
	}
	return NULL;
}

struct answerer *answerer_start(struct api *api, struct nodes *nodes)
{
	struct answerer *answerer = calloc(1, sizeof(*answerer));
	if (answerer == NULL)
		return NULL;
	answerer->api = api;
	answerer->nodes = nodes;
	answerer->end = &answerer->first;
	CHECK(pthread_mutex_init(&answerer->lock, NULL) == 0);
	CHECK(pthread_cond_init(&answerer->changed, NULL) == 0);
	if (pthread_create(&answerer->thread, NULL, answerer_main, answerer) != 0) {
		free(answerer);
		return NULL;
	}
	const struct nodes_answerer calls = {.ask = answerer_take_question, .context = answerer};
	nodes_set_answerer(nodes, &calls);
	return answerer;
}

void answerer_stop(struct answerer *answerer)
{
	if (answerer == NULL)
		return;
	const struct nodes_answerer none = {.ask = NULL};
	nodes_set_answerer(answerer->nodes, &none);
	pthread_mutex_lock(&answerer->lock);
	answerer->stopping = true;
	pthread_cond_signal(&answerer->changed);
	pthread_mutex_unlock(&answerer->lock);
	pthread_join(answerer->thread, NULL);
	while (answerer->first != NULL) {
		struct question *next = answerer->first->next;
		free(answerer->first);
		answerer->first = next;
	}
	pthread_cond_destroy(&answerer->changed);
	pthread_mutex_destroy(&answerer->lock);
	free(answerer);
}
