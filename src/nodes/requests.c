#include "nodes/requests.h"

#include "base/check.h"
#include "base/clock.h"
#include "nodes/thread/peer.h"
#include "runtime/nodes/node_mail.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KIND_QUESTION (MESSAGE_ADMIN + 0u) /* number, the question */
#define KIND_ANSWER (MESSAGE_ADMIN + 1u)   /* number, status, the body */

/* Questions of this node that wait for answers. */
#define ASKS_MAX 16u

/* A question that waits. Owned by the thread that asks; the nodes thread sees it under the lock. */
struct ask {
	uint64_t number;
	struct slice question;
	const char *node; /* NULL: all */
	struct nodes_answers *answers;
	uint8_t slots[NODES_MAX]; /* of answers->items */
	uint32_t due;             /* answers that are to come */
	bool sent;
};

struct requests {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct ask *asks[ASKS_MAX];
	uint64_t numbers;
	bool runs;
	struct node_port *port;
	struct nodes_answerer answerer;
	struct node_peer *const *peers; /* the nodes thread's, as what follows */
	_Atomic uint64_t unanswered;
};

/* What the asking and the answering thread send to the nodes thread. */
struct note {
	struct nodes_asked asked;
	uint16_t status;
};

struct answer_head {
	uint64_t number;
	uint16_t status;
} __attribute__((packed));

struct requests *requests_new(void)
{
	pthread_condattr_t attributes;
	struct requests *requests = calloc(1, sizeof(*requests));
	if (requests == NULL)
		return NULL;
	CHECK(pthread_mutex_init(&requests->lock, NULL) == 0);
	CHECK(pthread_condattr_init(&attributes) == 0);
	CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
	CHECK(pthread_cond_init(&requests->changed, &attributes) == 0);
	pthread_condattr_destroy(&attributes);
	return requests;
}

void requests_free(struct requests *requests)
{
	if (requests == NULL)
		return;
	pthread_cond_destroy(&requests->changed);
	pthread_mutex_destroy(&requests->lock);
	free(requests);
}

/* ---- other threads ---- */

static struct ask **requests_free_place(struct requests *requests)
{
	for (uint32_t i = 0; i < ASKS_MAX; i++) {
		if (requests->asks[i] == NULL)
			return &requests->asks[i];
	}
	return NULL;
}

static void await_answers(struct requests *requests, const struct ask *ask, uint32_t timeout_ms)
{
	uint64_t until_ns = clock_now_ns() + (uint64_t)timeout_ms * 1000000u;
	struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000u), .tv_nsec = (long)(until_ns % 1000000000u)};
	while (requests->runs && (!ask->sent || ask->due != 0)) {
		if (pthread_cond_timedwait(&requests->changed, &requests->lock, &until) == ETIMEDOUT)
			return;
	}
}

bool requests_ask(struct requests *requests, const char *node, struct slice question, uint32_t timeout_ms,
		  struct nodes_answers *answers)
{
	struct ask ask = {.question = question, .node = node, .answers = answers};
	memset(answers, 0, sizeof(*answers));
	struct node_mail *mail = node_mail_new(KIND_QUESTION, 0);
	if (mail == NULL || question.size > NODES_QUESTION_BYTES_MAX) {
		node_mail_free(mail);
		return false;
	}
	pthread_mutex_lock(&requests->lock);
	struct ask **place = requests->runs ? requests_free_place(requests) : NULL;
	if (place == NULL) {
		node_mail_free(mail);
		pthread_mutex_unlock(&requests->lock);
		return false;
	}
	ask.number = ++requests->numbers;
	*place = &ask;
	node_port_send(requests->port, 0, mail);
	node_port_wake(requests->port);
	await_answers(requests, &ask, timeout_ms);
	*place = NULL;
	pthread_mutex_unlock(&requests->lock);
	return answers->count != 0;
}

void nodes_answers_free(struct nodes_answers *answers)
{
	for (uint32_t i = 0; i < answers->count; i++)
		free(answers->items[i].body);
	answers->count = 0;
}

void requests_set_answerer(struct requests *requests, const struct nodes_answerer *answerer)
{
	pthread_mutex_lock(&requests->lock);
	requests->answerer = *answerer;
	pthread_mutex_unlock(&requests->lock);
}

void requests_answer(struct requests *requests, const struct nodes_asked *asked, uint16_t status, struct slice body)
{
	struct note note = {.asked = *asked, .status = status};
	if (body.size > NODES_ANSWER_BYTES_MAX)
		return;
	struct node_mail *mail = node_mail_new(KIND_ANSWER, (uint32_t)(sizeof(note) + body.size));
	if (mail == NULL)
		return;
	memcpy(mail->body, &note, sizeof(note));
	if (body.size != 0)
		memcpy(mail->body + sizeof(note), body.data, body.size);
	pthread_mutex_lock(&requests->lock);
	if (requests->runs) {
		node_port_send(requests->port, 0, mail);
		node_port_wake(requests->port);
	} else {
		node_mail_free(mail);
	}
	pthread_mutex_unlock(&requests->lock);
}

/* ---- the nodes thread ---- */

void requests_begin(struct requests *requests, struct node_peer *const *peers, struct node_port *port)
{
	pthread_mutex_lock(&requests->lock);
	requests->peers = peers;
	requests->port = port;
	requests->runs = true;
	pthread_mutex_unlock(&requests->lock);
}

void requests_end(struct requests *requests)
{
	pthread_mutex_lock(&requests->lock);
	requests->runs = false;
	pthread_cond_broadcast(&requests->changed);
	pthread_mutex_unlock(&requests->lock);
}

/* Under the lock. */
static void send_question(struct requests *requests, struct ask *ask)
{
	struct nodes_answers *answers = ask->answers;
	for (uint8_t i = 0; i < NODES_MAX; i++) {
		struct node_peer *peer = requests->peers[i];
		if (peer == NULL || !peer_is_reachable(peer) ||
		    (ask->node != NULL && strcmp(peer->name, ask->node) != 0))
			continue;
		struct nodes_answer *answer = &answers->items[answers->count];
		memcpy(answer->node, peer->name, sizeof(answer->node));
		ask->slots[answers->count++] = i;
		if (peer_send(peer, KIND_QUESTION, slice_of(&ask->number, sizeof(ask->number)), ask->question))
			ask->due++;
	}
	ask->sent = true;
}

static void send_questions(struct requests *requests)
{
	pthread_mutex_lock(&requests->lock);
	for (uint32_t i = 0; i < ASKS_MAX; i++) {
		if (requests->asks[i] != NULL && !requests->asks[i]->sent)
			send_question(requests, requests->asks[i]);
	}
	pthread_cond_broadcast(&requests->changed);
	pthread_mutex_unlock(&requests->lock);
}

static void requests_send_answer(struct requests *requests, const struct node_mail *mail)
{
	struct note note;
	CHECK(mail->bytes >= sizeof(note));
	memcpy(&note, mail->body, sizeof(note));
	struct node_peer *peer = requests->peers[note.asked.slot];
	const struct answer_head head = {.number = note.asked.number, .status = note.status};
	struct slice body = slice_of(mail->body + sizeof(note), mail->bytes - sizeof(note));
	if (peer == NULL || peer->incarnation != note.asked.incarnation || !peer_is_reachable(peer) ||
	    !peer_send(peer, KIND_ANSWER, slice_of(&head, sizeof(head)), body))
		atomic_fetch_add(&requests->unanswered, 1);
}

static void requests_mail(void *context, struct node_mail *mail)
{
	struct requests *requests = context;
	if (mail->kind == KIND_QUESTION)
		send_questions(requests);
	else
		requests_send_answer(requests, mail);
	node_mail_free(mail);
}

static bool requests_take_question(struct requests *requests, struct node_peer *peer, struct slice body)
{
	struct nodes_asked asked = {.incarnation = peer->incarnation, .slot = peer->slot};
	if (body.size < sizeof(asked.number) || body.size > sizeof(asked.number) + NODES_QUESTION_BYTES_MAX)
		return false;
	memcpy(&asked.number, body.data, sizeof(asked.number));
	struct slice question = slice_of(body.data + sizeof(asked.number), body.size - sizeof(asked.number));
	pthread_mutex_lock(&requests->lock); /* or the one who answers might end meanwhile */
	const struct nodes_answerer *answerer = &requests->answerer;
	bool taken = answerer->ask != NULL && answerer->ask(answerer->context, &asked, question);
	pthread_mutex_unlock(&requests->lock);
	if (taken)
		return true;
	const struct answer_head head = {.number = asked.number, .status = 503};
	peer_send(peer, KIND_ANSWER, slice_of(&head, sizeof(head)), slice_of(NULL, 0));
	return true;
}

/* Under the lock. The place that waits for this node's answer; NULL: none does. */
static struct nodes_answer *awaited(const struct ask *ask, uint8_t slot)
{
	for (uint32_t i = 0; i < ask->answers->count; i++) {
		if (ask->slots[i] == slot && ask->answers->items[i].status == 0)
			return &ask->answers->items[i];
	}
	return NULL;
}

/* Under the lock. */
static void requests_give_answer(struct ask *ask, uint8_t slot, const struct answer_head *head, struct slice body)
{
	struct nodes_answer *answer = awaited(ask, slot);
	if (answer == NULL)
		return;
	answer->body = malloc(body.size + 1);
	answer->status = head->status;
	if (answer->body != NULL) {
		if (body.size != 0)
			memcpy(answer->body, body.data, body.size);
		answer->body[body.size] = '\0';
		answer->bytes = body.size;
	}
	ask->due--;
}

/* One that comes too late is nobody's. */
static bool requests_take_answer(struct requests *requests, const struct node_peer *peer, struct slice body)
{
	struct answer_head head;
	if (body.size < sizeof(head) || body.size > sizeof(head) + NODES_ANSWER_BYTES_MAX)
		return false;
	memcpy(&head, body.data, sizeof(head));
	if (head.status < 100 || head.status > 599)
		return false;
	pthread_mutex_lock(&requests->lock);
	for (uint32_t i = 0; i < ASKS_MAX; i++) {
		if (requests->asks[i] != NULL && requests->asks[i]->number == head.number)
			requests_give_answer(requests->asks[i], peer->slot, &head,
					     slice_of(body.data + sizeof(head), body.size - sizeof(head)));
	}
	pthread_cond_broadcast(&requests->changed);
	pthread_mutex_unlock(&requests->lock);
	return true;
}

static bool requests_received(void *context, struct node_peer *peer, uint8_t kind, struct slice body)
{
	struct requests *requests = context;
	switch (kind) {
	case KIND_QUESTION:
		return requests_take_question(requests, peer, body);
	case KIND_ANSWER:
		return requests_take_answer(requests, peer, body);
	default:
		return false;
	}
}

/* Nobody waits for an answer of a node that has gone. */
static void requests_gone(void *context, struct node_peer *peer)
{
	struct requests *requests = context;
	pthread_mutex_lock(&requests->lock);
	for (uint32_t i = 0; i < ASKS_MAX; i++) {
		struct ask *ask = requests->asks[i];
		for (uint32_t j = 0; ask != NULL && ask->sent && j < ask->answers->count; j++) {
			if (ask->slots[j] != peer->slot || ask->answers->items[j].status != 0 || ask->due == 0)
				continue;
			ask->slots[j] = UINT8_MAX;
			ask->due--;
		}
	}
	pthread_cond_broadcast(&requests->changed);
	pthread_mutex_unlock(&requests->lock);
}

const struct node_service REQUESTS_SERVICE = {
	.name = "requests",
	.kind_first = MESSAGE_ADMIN,
	.kind_last = MESSAGE_ADMIN + 15,
	.received = requests_received,
	.away = requests_gone,
	.gone = requests_gone,
	.mail = requests_mail,
};
