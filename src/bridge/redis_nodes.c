#include "bridge/redis_nodes.h"

#include "base/check.h"
#include "redis/redis_words.h"

#include <stdio.h>
#include <stdlib.h>

struct redis_nodes {
	const struct redis_target *target;
	struct redis_slots slots;                              /* of a cluster */
	struct redis_connection *connections[REDIS_NODES_MAX]; /* by the node's number; NULL: none was needed yet */
	uint16_t masters[REDIS_NODES_MAX];
	uint32_t master_count;
	uint16_t asked; /* the node that an ASK has named, for the next redis_nodes_link(); REDIS_NO_NODE: none */
	char fault[REDIS_FAULT_BYTES];
	bool tls_failed;
	_Atomic bool given_up;
};

static bool is_cluster(const struct redis_nodes *nodes)
{
	return nodes->target->url.kind == REDIS_CLUSTER;
}

/* ---- the list ---- */

static bool nodes_fail(struct redis_nodes *nodes, const struct redis_connection *connection, const char *why)
{
	char place[REDIS_PLACE_BYTES] = "";
	bool is_named = connection != NULL && is_cluster(nodes) && connection->place.host[0] != '\0';
	if (is_named)
		redis_place_text(&connection->place, place);
	snprintf(nodes->fault, sizeof(nodes->fault), "%.80s%s%.160s", place, is_named ? ": " : "", why);
	nodes->tls_failed = connection != NULL && connection->link.tls_failed;
	return false;
}

static void drop_connections(struct redis_nodes *nodes)
{
	for (uint32_t i = 0; i < REDIS_NODES_MAX; i++) {
		if (nodes->connections[i] == NULL)
			continue;
		redis_connection_fini(nodes->connections[i]);
		free(nodes->connections[i]);
		nodes->connections[i] = NULL;
	}
}

static struct redis_connection *connection_new(struct redis_nodes *nodes)
{
	struct redis_connection *connection = calloc(1, sizeof(*connection));
	if (connection != NULL && redis_connection_init(connection, nodes->target)) {
		connection->given_up = &nodes->given_up;
		return connection;
	}
	free(connection);
	nodes_fail(nodes, NULL, "out of memory");
	return NULL;
}

/* Connections of nodes that are still there go to their new numbers; the others are closed. */
static void renumber_connections(struct redis_nodes *nodes, struct redis_connection *old[REDIS_NODES_MAX])
{
	for (uint32_t i = 0; i < REDIS_NODES_MAX; i++) {
		struct redis_connection *connection = old[i];
		if (connection == NULL)
			continue;
		uint16_t node = redis_slots_node(&nodes->slots, &connection->place);
		if (node != REDIS_NO_NODE && redis_slots_has(&nodes->slots, node) && nodes->connections[node] == NULL) {
			nodes->connections[node] = connection;
			continue;
		}
		redis_connection_fini(connection);
		free(connection);
	}
}

static void list_masters(struct redis_nodes *nodes)
{
	nodes->master_count = 0;
	for (uint32_t i = 0; i < nodes->slots.node_count; i++) {
		if (redis_slots_has(&nodes->slots, (uint16_t)i))
			nodes->masters[nodes->master_count++] = (uint16_t)i;
	}
}

static bool is_still_master(struct redis_nodes *nodes, struct redis_connection *scout)
{
	struct redis_connection *master = nodes->connections[0];
	struct redis_place place;
	if (master == NULL || !redis_connection_is_open(master))
		return true;
	if (!redis_connection_find_master(scout, &place))
		return nodes_fail(nodes, scout, scout->link.fault);
	if (redis_place_equal(&place, &master->place))
		return true;
	redis_connection_close(master);
	return nodes_fail(nodes, NULL, "the Sentinels name another master");
}

static bool learn_cluster(struct redis_nodes *nodes, struct redis_connection *scout)
{
	struct redis_connection *old[REDIS_NODES_MAX];
	if (!redis_connection_read_slots(scout, &nodes->slots)) {
		snprintf(nodes->fault, sizeof(nodes->fault), "%s", scout->link.fault);
		nodes->tls_failed = scout->link.tls_failed;
		return false;
	}
	memcpy(old, nodes->connections, sizeof(old));
	memset(nodes->connections, 0, sizeof(nodes->connections));
	renumber_connections(nodes, old);
	list_masters(nodes);
	return true;
}

bool redis_nodes_refresh(struct redis_nodes *nodes)
{
	if (nodes->target->url.kind == REDIS_SINGLE)
		return true;
	struct redis_connection *scout = connection_new(nodes);
	if (scout == NULL)
		return false;
	bool good = is_cluster(nodes) ? learn_cluster(nodes, scout) : is_still_master(nodes, scout);
	redis_connection_fini(scout);
	free(scout);
	return good;
}

struct redis_nodes *redis_nodes_new(const struct redis_target *target)
{
	struct redis_nodes *nodes = calloc(1, sizeof(*nodes));
	if (nodes == NULL)
		return NULL;
	nodes->target = target;
	nodes->asked = REDIS_NO_NODE;
	redis_slots_init(&nodes->slots);
	nodes->master_count = is_cluster(nodes) ? 0 : 1;
	return nodes;
}

void redis_nodes_give_up(struct redis_nodes *nodes)
{
	atomic_store(&nodes->given_up, true);
}

void redis_nodes_free(struct redis_nodes *nodes)
{
	if (nodes == NULL)
		return;
	drop_connections(nodes);
	free(nodes);
}

/* What was known of a cluster stays, since its nodes are asked first. */
void redis_nodes_close(struct redis_nodes *nodes)
{
	drop_connections(nodes);
	nodes->master_count = is_cluster(nodes) ? 0 : 1;
	nodes->asked = REDIS_NO_NODE;
}

const char *redis_nodes_fault(const struct redis_nodes *nodes)
{
	return nodes->fault;
}

bool redis_nodes_tls_failed(const struct redis_nodes *nodes)
{
	return nodes->tls_failed;
}

/* ---- connections ---- */

static struct redis_link *node_link(struct redis_nodes *nodes, uint16_t node)
{
	struct redis_connection **place = &nodes->connections[node];
	if (*place == NULL)
		*place = connection_new(nodes);
	if (*place == NULL)
		return NULL;
	if (redis_connection_is_open(*place) && (*place)->link.fault[0] != '\0')
		redis_connection_close(*place);
	if (redis_connection_is_open(*place))
		return &(*place)->link;
	(*place)->link.fault[0] = '\0';
	bool good = is_cluster(nodes) ? redis_connection_open(*place, &nodes->slots.nodes[node])
				      : redis_connection_open_master(*place);
	if (!good)
		nodes_fail(nodes, *place, (*place)->link.fault);
	return good ? &(*place)->link : NULL;
}

/* Of a broken link. */
static bool lose_link(struct redis_nodes *nodes, struct redis_link *link)
{
	for (uint32_t i = 0; i < REDIS_NODES_MAX; i++) {
		struct redis_connection *connection = nodes->connections[i];
		if (connection == NULL || &connection->link != link)
			continue;
		if (link->fault[0] != '\0')
			nodes_fail(nodes, connection, link->fault);
		redis_connection_close(connection);
	}
	return false;
}

void redis_nodes_lose(struct redis_nodes *nodes, struct redis_link *link)
{
	lose_link(nodes, link);
}

uint32_t redis_nodes_count(const struct redis_nodes *nodes)
{
	return nodes->master_count;
}

const struct redis_place *redis_nodes_place(const struct redis_nodes *nodes, uint32_t number)
{
	CHECK(is_cluster(nodes) && number < nodes->master_count);
	return &nodes->slots.nodes[nodes->masters[number]];
}

struct redis_link *redis_nodes_at(struct redis_nodes *nodes, uint32_t number)
{
	CHECK_LT(number, nodes->master_count);
	return node_link(nodes, is_cluster(nodes) ? nodes->masters[number] : 0);
}

bool redis_nodes_ping(struct redis_nodes *nodes)
{
	for (uint32_t i = 0; i < REDIS_NODES_MAX; i++) {
		struct redis_connection *connection = nodes->connections[i];
		if (connection != NULL && redis_connection_is_open(connection) && !redis_link_ping(&connection->link))
			return lose_link(nodes, &connection->link);
	}
	return true;
}

struct redis_link *redis_nodes_link(struct redis_nodes *nodes, struct slice key)
{
	uint16_t node = nodes->asked;
	nodes->asked = REDIS_NO_NODE;
	if (!is_cluster(nodes))
		return node_link(nodes, 0);
	if (nodes->master_count == 0 && !redis_nodes_refresh(nodes))
		return NULL;
	if (node == REDIS_NO_NODE)
		node = nodes->slots.node_of[redis_key_slot(key)];
	if (node == REDIS_NO_NODE) {
		nodes_fail(nodes, NULL, "no master of the cluster has the key's slot");
		nodes->master_count = 0; /* it is learned anew */
		return NULL;
	}
	struct redis_link *link = node_link(nodes, node);
	if (link == NULL)
		nodes->master_count = 0;
	return link;
}

/* ---- redirections ---- */

static bool begins_with_word(struct slice error, const char *word)
{
	size_t size = strlen(word);
	return error.size >= size && memcmp(error.data, word, size) == 0 &&
	       (error.size == size || error.data[size] == ' ');
}

/* A master that is one no more. */
static bool leave_master(struct redis_nodes *nodes, struct slice key, struct slice error, bool *again)
{
	struct redis_link *link = redis_nodes_link(nodes, key);
	if (link == NULL)
		return false;
	*again = nodes->target->url.kind == REDIS_SENTINEL;
	if (!*again)
		return true;
	redis_link_fail(link, "%.*s", (int)(error.size < 120 ? error.size : 120), (const char *)error.data);
	lose_link(nodes, link);
	return true;
}

bool redis_nodes_follow(struct redis_nodes *nodes, struct slice key, struct slice error, bool *again, bool *asking)
{
	struct redis_redirect redirect;
	*again = *asking = false;
	if (begins_with_word(error, "READONLY"))
		return leave_master(nodes, key, error, again);
	if (!is_cluster(nodes))
		return true;
	uint16_t had = nodes->slots.node_of[redis_key_slot(key)];
	const struct redis_place *asked =
		had != REDIS_NO_NODE ? &nodes->slots.nodes[had] : &nodes->target->url.seeds[0];
	if (!redis_redirect_read(error, asked, &redirect))
		return true;
	*again = true;
	*asking = redirect.kind == REDIS_ASK;
	if (!*asking) {
		/* Others may have moved as well; and where nobody tells, this is what is known. */
		redis_nodes_refresh(nodes);
		if (!redis_slots_move(&nodes->slots, redirect.slot, &redirect.place))
			return nodes_fail(nodes, NULL, "the cluster has too many nodes");
		list_masters(nodes);
		return true;
	}
	nodes->asked = redis_slots_node(&nodes->slots, &redirect.place);
	return nodes->asked != REDIS_NO_NODE || nodes_fail(nodes, NULL, "the cluster has too many nodes");
}

static redisReply *ask_link(struct redis_nodes *nodes, struct redis_link *link, bool asking, int count,
			    const char **words, const size_t *sizes)
{
	redisReply *reply = NULL;
	bool good = !asking || redis_link_append(link, 1, (const char *[]){"ASKING"}, NULL);
	good = good && redis_link_append(link, count, words, sizes) && redis_link_send(link);
	if (good && asking) {
		good = redis_link_await(link, &reply);
		freeReplyObject(reply);
		reply = NULL;
	}
	if (good && redis_link_await(link, &reply))
		return reply;
	lose_link(nodes, link);
	return NULL;
}

redisReply *redis_nodes_ask(struct redis_nodes *nodes, struct slice key, int count, const char **words,
			    const size_t *sizes)
{
	bool again = true, asking = false;
	redisReply *reply = NULL;
	for (uint32_t i = 0; again; i++) {
		if (reply != NULL)
			freeReplyObject(reply);
		struct redis_link *link = redis_nodes_link(nodes, key);
		reply = link != NULL ? ask_link(nodes, link, asking, count, words, sizes) : NULL;
		if (reply == NULL || reply->type != REDIS_REPLY_ERROR || i == REDIS_REDIRECTS_MAX)
			return reply;
		if (redis_nodes_follow(nodes, key, slice_of(reply->str, (size_t)reply->len), &again, &asking))
			continue;
		freeReplyObject(reply);
		return NULL;
	}
	return reply;
}
