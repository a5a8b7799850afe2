#include "bridge/redis_connection.h"

#include "base/check.h"
#include "redis/redis_words.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

bool redis_connection_init(struct redis_connection *connection, const struct redis_target *target)
{
	*connection = (struct redis_connection){.target = target};
	streams_init(&connection->streams);
	return !target->tls.on || tls_streams_open(&connection->tls, &connection->streams, NULL) == ERROR_OK;
}

void redis_connection_fini(struct redis_connection *connection)
{
	redis_connection_close(connection);
	if (connection->target->tls.on)
		tls_streams_close(&connection->tls);
}

void redis_connection_close(struct redis_connection *connection)
{
	redis_link_close(&connection->link);
	tls_context_put(&connection->context);
}

/* ---- opening ---- */

static bool read_context(struct redis_connection *connection)
{
	char fault[TLS_FAULT_BYTES_MAX];
	CHECK(connection->context == NULL);
	connection->link.tls_failed = false;
	if (!connection->target->tls.on)
		return true;
	connection->context = redis_tls_read(&connection->target->tls, fault);
	connection->link.tls_failed = connection->context == NULL;
	return connection->context != NULL || redis_link_fail(&connection->link, "%.*s", REDIS_FAULT_BYTES - 1, fault);
}

static bool open_at(struct redis_connection *connection, const struct redis_place *place,
		    const struct redis_login *login, uint32_t database)
{
	if (!read_context(connection))
		return false;
	const struct redis_way way = {
		.place = place,
		.login = login,
		.database = database,
		.streams = &connection->streams,
		.tls = connection->context,
		.tls_name = connection->target->tls.name,
	};
	if (redis_link_open(&connection->link, &way))
		return true;
	redis_connection_close(connection);
	return false;
}

bool redis_connection_open(struct redis_connection *connection, const struct redis_place *place)
{
	const struct redis_url *url = &connection->target->url;
	connection->place = *place;
	return open_at(connection, place, &url->login, url->database);
}

/* ---- Sentinels ---- */

/* Puts in front of a fault which server it is of. Returns false. */
static bool name_fault(struct redis_connection *connection, const char *what, const struct redis_place *place)
{
	char fault[REDIS_FAULT_BYTES];
	char text[REDIS_PLACE_BYTES];
	snprintf(fault, sizeof(fault), "%.80s %.80s: %.80s", what, redis_place_text(place, text),
		 connection->link.fault);
	return redis_link_fail(&connection->link, "%s", fault);
}

/* Sentinels without TLS beside a Redis with it are not known: both are the URL's. */
static bool read_master(struct redis_connection *connection, struct redis_place *master)
{
	struct redis_link *link = &connection->link;
	const char *words[] = {"SENTINEL", "get-master-addr-by-name", connection->target->url.master};
	const char *why;
	redisReply *reply = NULL;
	bool good = redis_link_append(link, 3, words, NULL) && redis_link_send(link) && redis_link_await(link, &reply);
	if (good && reply->type == REDIS_REPLY_ERROR)
		good = redis_link_refused(link, reply);
	else if (good && !redis_master_read(reply, master, &why))
		good = redis_link_fail(link, "%s", why);
	if (reply != NULL)
		freeReplyObject(reply);
	return good;
}

static bool subscribe_to_switches(struct redis_connection *connection)
{
	redisReply *reply = redis_link_ask(&connection->link, REDIS_REPLY_ARRAY, 2,
					   (const char *[]){"SUBSCRIBE", REDIS_SWITCH_CHANNEL});
	if (reply != NULL)
		freeReplyObject(reply);
	return reply != NULL;
}

/* watch: leaves the connection open, with a subscription. A Sentinel without TLS beside a Redis with it, or the other
 * way round, is not known: both are as the URL says. */
static bool ask_sentinel(struct redis_connection *connection, const struct redis_place *sentinel, bool watch,
			 struct redis_place *master)
{
	bool good = open_at(connection, sentinel, &connection->target->url.sentinel_login, 0);
	bool is_known = good && read_master(connection, master);
	if (is_known && watch && subscribe_to_switches(connection))
		return true;
	redis_connection_close(connection);
	return (is_known && !watch) || name_fault(connection, "Sentinel", sentinel);
}

static bool goes_on(const struct redis_connection *connection)
{
	return connection->given_up == NULL || !atomic_load(connection->given_up);
}

static bool ask_sentinels(struct redis_connection *connection, bool watch, struct redis_place *master)
{
	const struct redis_url *url = &connection->target->url;
	CHECK(url->kind == REDIS_SENTINEL);
	for (uint32_t i = 0; i < url->seed_count && goes_on(connection); i++) {
		if (ask_sentinel(connection, &url->seeds[i], watch, master))
			return true;
	}
	return false;
}

bool redis_connection_find_master(struct redis_connection *connection, struct redis_place *master)
{
	return ask_sentinels(connection, false, master);
}

bool redis_connection_watch_master(struct redis_connection *connection, struct redis_place *master)
{
	return ask_sentinels(connection, true, master);
}

static bool verify_master(struct redis_connection *connection)
{
	redisReply *reply = redis_link_ask(&connection->link, REDIS_REPLY_ARRAY, 1, (const char *[]){"ROLE"});
	bool good =
		reply != NULL && (redis_role_is_master(reply) ||
				  redis_link_fail(&connection->link, "it is not the master, as Sentinel says it is"));
	if (reply != NULL)
		freeReplyObject(reply);
	if (!good)
		redis_connection_close(connection);
	return good;
}

bool redis_connection_open_master(struct redis_connection *connection)
{
	const struct redis_url *url = &connection->target->url;
	struct redis_place master;
	CHECK(url->kind != REDIS_CLUSTER);
	if (url->kind == REDIS_SINGLE)
		return redis_connection_open(connection, &url->seeds[0]);
	for (uint32_t i = 0; i < url->seed_count && goes_on(connection); i++) {
		if (!ask_sentinel(connection, &url->seeds[i], false, &master))
			continue;
		if (redis_connection_open(connection, &master) && verify_master(connection))
			return true;
		/* Another Sentinel may know of a newer one. */
		name_fault(connection, "master", &master);
	}
	return false;
}

/* ---- a cluster ---- */

static bool read_slots_at(struct redis_connection *connection, const struct redis_place *place,
			  struct redis_slots *slots)
{
	const char *why;
	if (!redis_connection_open(connection, place))
		return name_fault(connection, "node", place);
	redisReply *reply =
		redis_link_ask(&connection->link, REDIS_REPLY_ARRAY, 2, (const char *[]){"CLUSTER", "SLOTS"});
	bool good = reply != NULL &&
		    (redis_slots_read(slots, reply, place, &why) || redis_link_fail(&connection->link, "%s", why));
	if (reply != NULL)
		freeReplyObject(reply);
	redis_connection_close(connection);
	return good || name_fault(connection, "node", place);
}

bool redis_connection_read_slots(struct redis_connection *connection, struct redis_slots *slots)
{
	const struct redis_url *url = &connection->target->url;
	struct redis_slots *fresh = malloc(sizeof(*fresh));
	uint32_t first = slots->node_count != 0 ? randombytes_uniform(slots->node_count) : 0;
	bool good = false;
	CHECK(url->kind == REDIS_CLUSTER && !redis_connection_is_open(connection));
	if (fresh == NULL)
		return redis_link_fail(&connection->link, "out of memory");
	for (uint32_t i = 0; i < slots->node_count && !good && goes_on(connection); i++)
		good = read_slots_at(connection, &slots->nodes[(first + i) % slots->node_count], fresh);
	for (uint32_t i = 0; i < url->seed_count && !good && goes_on(connection); i++)
		good = read_slots_at(connection, &url->seeds[i], fresh);
	if (good)
		*slots = *fresh;
	else if (!goes_on(connection))
		redis_link_fail(&connection->link, "it is given up");
	free(fresh);
	return good;
}

bool redis_connection_open_for(struct redis_connection *connection, struct slice key)
{
	if (connection->target->url.kind != REDIS_CLUSTER)
		return redis_connection_open_master(connection);
	struct redis_slots *slots = malloc(sizeof(*slots));
	if (slots == NULL)
		return redis_link_fail(&connection->link, "out of memory");
	redis_slots_init(slots);
	bool good = redis_connection_read_slots(connection, slots);
	uint16_t node = good ? slots->node_of[redis_key_slot(key)] : (uint16_t)REDIS_NO_NODE;
	if (good && node == REDIS_NO_NODE)
		good = redis_link_fail(&connection->link, "no master of the cluster has the key's slot");
	good = good && redis_connection_open(connection, &slots->nodes[node]);
	free(slots);
	return good;
}
