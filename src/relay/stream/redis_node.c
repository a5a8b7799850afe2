#include "relay/stream/redis_node.h"

#include "base/check.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Of what an empty output keeps. */
#define KEEP_BYTES ((size_t)4 << 20)

_Static_assert(2 * BATCH_ENTRIES_MAX < REDIS_ANSWER_ELEMENTS_MAX, "the answer to EXEC is within the link's limits");

struct redis_node *redis_node_new(const struct redis_target *target, const struct redis_place *place,
				  const struct redis_node_owner *owner, int done_fd, uint64_t now_ms)
{
	struct redis_node *node = calloc(1, sizeof(*node));
	if (node == NULL || !redis_connection_init(&node->connection, target)) {
		free(node);
		return NULL;
	}
	node->target = target;
	node->owner = owner;
	node->used_ms = now_ms;
	node->dial.kind = place != NULL ? REDIS_DIAL_PLACE : REDIS_DIAL_MASTER;
	node->dial.connection = &node->connection;
	node->dial.done_fd = done_fd;
	if (place != NULL)
		node->place = node->connection.place = *place;
	pause_clear(&node->pause);
	return node;
}

static void disconnect(struct redis_node *node)
{
	redis_connection_close(&node->connection);
	node->connected = node->is_left = node->is_blocked = false;
	node->hear_ms = 0;
	bytes_clear(&node->out, KEEP_BYTES);
}

void redis_node_free(struct redis_node *node)
{
	if (node == NULL)
		return;
	redis_dial_give_up(&node->dial);
	disconnect(node);
	bytes_free(&node->out);
	redis_connection_fini(&node->connection);
	free(node);
}

const char *redis_node_text(const struct redis_node *node, char text[REDIS_PLACE_BYTES])
{
	if (node->target->url.kind == REDIS_CLUSTER)
		return redis_place_text(&node->place, text);
	if (node->target->url.kind == REDIS_SENTINEL)
		return node->target->url.master;
	return node->target->url.seeds[0].host;
}

/* ---- connecting ---- */

/* Logs it once, and again if the reason changes. */
static void note_redis_lost(struct redis_node *node)
{
	char text[REDIS_PLACE_BYTES];
	snprintf(node->fault, sizeof(node->fault), "%s", node->connection.link.fault);
	if (strcmp(node->told, node->fault) != 0)
		log_write(LOG_WARNING, "rules: redis: %s: %s; trying again", redis_node_text(node, text), node->fault);
	snprintf(node->told, sizeof(node->told), "%s", node->fault);
	node->connection.link.fault[0] = '\0';
}

/* The connection is lost; what it owed is sent again. */
static void lose(struct redis_node *node, uint64_t now_ms)
{
	note_redis_lost(node);
	disconnect(node);
	pause_begin(&node->pause, now_ms);
	while (redis_node_owes(node)) {
		struct flight *flight = node->owed[node->owed_first++];
		node->owner->landed(node->owner->context, flight, node->fault, now_ms);
	}
	node->owed_first = node->owed_end = 0;
}

static void end_dial(struct redis_node *node, uint64_t now_ms)
{
	char text[REDIS_PLACE_BYTES];
	if (!redis_dial_end(&node->dial)) {
		lose(node, now_ms);
		return;
	}
	node->connected = true;
	if (node->told[0] == '\0')
		log_write(LOG_INFO, "rules: connected to redis: %s", redis_node_text(node, text));
}

void redis_node_tend(struct redis_node *node, uint64_t now_ms)
{
	if (redis_dial_is_over(&node->dial))
		end_dial(node, now_ms);
	if (node->connected) {
		if (!redis_node_owes(node) || now_ms < node->heard_ms + REDIS_NODE_ANSWER_MS)
			return;
		redis_link_fail(&node->connection.link, "no answer in %u ms", REDIS_NODE_ANSWER_MS);
		lose(node, now_ms);
	} else if (!node->dial.is_running && now_ms >= node->pause.until_ms && !redis_dial_begin(&node->dial)) {
		lose(node, now_ms);
	}
}

void redis_node_leave(struct redis_node *node, const struct redis_place *master, uint64_t now_ms)
{
	if (!node->connected || redis_place_equal(&node->connection.place, master))
		return;
	redis_link_fail(&node->connection.link, "the Sentinels have named another master");
	lose(node, now_ms);
}

uint64_t redis_node_due_ms(const struct redis_node *node)
{
	if (node->dial.is_running)
		return UINT64_MAX; /* it wakes the thread */
	if (!node->connected)
		return node->pause.until_ms;
	uint64_t due_ms = redis_node_owes(node) ? node->heard_ms + REDIS_NODE_ANSWER_MS : UINT64_MAX;
	return node->hear_ms != 0 && node->hear_ms < due_ms ? node->hear_ms : due_ms;
}

/* ---- sending ---- */

void redis_node_launch(struct redis_node *node, struct flight *flight, uint64_t now_ms)
{
	CHECK(node->connected && node->owed_end - node->owed_first < RULES_MAX);
	if (!redis_node_owes(node))
		node->owed_first = node->owed_end = 0;
	if (node->owed_end == RULES_MAX) {
		node->owed_end -= node->owed_first;
		memmove(node->owed, node->owed + node->owed_first, node->owed_end * sizeof(node->owed[0]));
		node->owed_first = 0;
	}
	flight_write(flight, &node->out);
	node->owed[node->owed_end++] = flight;
	node->heard_ms = node->used_ms = now_ms;
}

void redis_node_flush(struct redis_node *node, uint64_t now_ms)
{
	struct redis_link *link = &node->connection.link;
	size_t sent = 0;
	if (!node->connected || node->out.size == 0)
		return;
	if (node->out.failed) {
		/* It is whole, or not at all. */
		redis_link_fail(link, "%s", error_sentence(ERROR_NO_MEMORY));
		lose(node, now_ms);
		return;
	}
	node->is_blocked = false;
	while (sent < node->out.size && !node->is_blocked) {
		ssize_t taken = stream_send(link->streams, link->stream, node->out.data + sent, node->out.size - sent);
		if (taken > 0) {
			sent += (size_t)taken;
			node->heard_ms = now_ms;
		} else if (errno == EAGAIN) {
			node->is_blocked = true;
		} else if (errno != EINTR) {
			redis_link_fail(link, "%s", strerror(errno));
			lose(node, now_ms);
			return;
		}
	}
	bytes_drop(&node->out, sent);
	if (node->out.size == 0)
		bytes_clear(&node->out, KEEP_BYTES);
}

/* ---- answers ---- */

/* A master that Sentinels have made a replica: another is the master now. */
static bool says_it_is_no_master(const struct redis_node *node, const struct flight *flight)
{
	return node->target->url.kind == REDIS_SENTINEL && strncmp(flight->refusal, "READONLY", 8) == 0;
}

static void land(struct redis_node *node, struct flight *flight, uint64_t now_ms)
{
	node->owed_first++;
	node->is_left = node->is_left || says_it_is_no_master(node, flight);
	node->owner->landed(node->owner->context, flight, "", now_ms);
	/* It works: the next loss is a new one. */
	if (node->told[0] != '\0')
		log_write(LOG_INFO, "rules: redis answers again");
	pause_clear(&node->pause);
	node->told[0] = '\0';
}

/* The next answer. false: it is none that Redis gives. */
static bool hear(struct redis_node *node, const redisReply *reply, uint64_t now_ms)
{
	char fault[FLIGHT_FAULT_BYTES];
	if (!redis_node_owes(node))
		return redis_link_fail(&node->connection.link, "an answer that was not asked for");
	struct flight *flight = node->owed[node->owed_first];
	enum flight_news news = flight_hear(flight, &node->connection.place, reply, fault);
	node->heard_ms = now_ms;
	if (news == FLIGHT_WRONG)
		return redis_link_fail(&node->connection.link, "%s", fault);
	if (news == FLIGHT_PARCEL && flight->is_redirected)
		node->owner->redirected(node->owner->context, flight, now_ms);
	if (news == FLIGHT_PARCEL && flight_is_answered(flight))
		land(node, flight, now_ms);
	return true;
}

/* All that is there. */
static bool hear_all(struct redis_node *node, uint64_t now_ms)
{
	struct redis_link *link = &node->connection.link;
	redisReply *reply;
	do {
		if (!redis_link_receive(link))
			return false;
		for (;;) {
			if (!redis_link_next(link, &reply))
				return false;
			if (reply == NULL)
				break;
			bool good = hear(node, reply, now_ms);
			freeReplyObject(reply);
			if (!good)
				return false;
		}
	} while (link->more);
	return !node->is_left || redis_link_fail(link, "READONLY: it is not the master any more");
}

static bool owes_much(const struct redis_node *node)
{
	return redis_node_owes(node) && flight_owed(node->owed[node->owed_first]) > REDIS_NODE_MUCH;
}

struct pollfd redis_node_poll(const struct redis_node *node)
{
	int events = (node->hear_ms == 0 ? POLLIN : 0) | (node->is_blocked ? POLLOUT : 0);
	return (struct pollfd){.fd = node->connected ? redis_link_fd(&node->connection.link) : -1,
			       .events = (short)events};
}

void redis_node_hear(struct redis_node *node, short events, uint64_t now_ms)
{
	if ((events & POLLOUT) != 0)
		redis_node_flush(node, now_ms);
	if (!node->connected)
		return;
	bool is_due = node->hear_ms != 0 && now_ms >= node->hear_ms;
	if (((events & ~POLLOUT) != 0 || is_due) && !hear_all(node, now_ms)) {
		lose(node, now_ms);
		return;
	}
	if (is_due || node->hear_ms == 0 || !redis_node_owes(node))
		node->hear_ms = owes_much(node) ? now_ms + REDIS_NODE_HEAR_MS : 0;
}
