#include "doctor/redis/deployment.h"

#include "base/check.h"
#include "redis/redis_slots.h"
#include "redis/redis_words.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* With fewer the loss of one leaves no majority that could choose a new master. */
#define SENTINELS_LEAST 3u

static bool deployment_fail(const char *why)
{
	fprintf(stderr, "roost doctor: --redis: %s\n", why); /* the URL may hold a password */
	return false;
}

static void warn_of_deployment(struct deployment *deployment, bool bad, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void warn_of_deployment(struct deployment *deployment, bool bad, const char *format, ...)
{
	va_list arguments;
	deployment->good = deployment->good && !bad;
	if (deployment->warning_count == DEPLOYMENT_WARNINGS_MAX)
		return;
	va_start(arguments, format);
	vsnprintf(deployment->warnings[deployment->warning_count++], REDIS_LINE_BYTES, format, arguments);
	va_end(arguments);
}

/* ---- servers ---- */

static struct deployment_server *add_redis_server(struct deployment *deployment, const struct redis_place *place)
{
	for (uint32_t i = 0; i < deployment->server_count; i++) {
		if (redis_place_equal(&deployment->servers[i].place, place))
			return &deployment->servers[i];
	}
	if (deployment->server_count == DEPLOYMENT_SERVERS_MAX)
		return NULL;
	struct deployment_server *server = &deployment->servers[deployment->server_count++];
	*server = (struct deployment_server){.place = *place};
	return server;
}

static void look_at_server(struct deployment *deployment, struct deployment_server *server,
			   const struct redis_login *login)
{
	redisContext *context = redis_dial_up(&server->place, login, server->fault);
	if (context != NULL) {
		server->looked = redis_look(&server->verdict, context, server->fault);
		redisFree(context);
	}
	if (server->looked)
		redis_judge(&server->verdict, deployment->kind);
	deployment->good = deployment->good && server->looked && server->verdict.good;
}

/* ---- a cluster ---- */

static void list_redis_masters(struct deployment *deployment, const struct redis_slots *map)
{
	for (uint32_t slot = 0; slot < REDIS_SLOTS; slot++) {
		uint16_t node = map->node_of[slot];
		if (node != REDIS_NO_NODE && (slot == 0 || node != map->node_of[slot - 1]))
			add_redis_server(deployment, &map->nodes[node]);
	}
}

static bool read_cluster(struct deployment *deployment, redisContext *context, const struct redis_place *asked,
			 char fault[REDIS_LINE_BYTES])
{
	const char *why;
	bool good = false;
	struct redis_slots *map = malloc(sizeof(*map));
	redisReply *info = redis_ask(context, fault, "CLUSTER INFO");
	redisReply *slots = info != NULL ? redis_ask(context, fault, "CLUSTER SLOTS") : NULL;
	if (slots != NULL && map != NULL) {
		good = redis_slots_read(map, slots, asked, &why) || redis_fault(fault, why);
		redis_read_info(info->type == REDIS_REPLY_STRING ? info->str : "", "cluster_state", deployment->state);
	}
	if (good) {
		deployment->slots_covered = map->covered;
		list_redis_masters(deployment, map);
	}
	if (slots != NULL)
		freeReplyObject(slots);
	if (info != NULL)
		freeReplyObject(info);
	free(map);
	return good;
}

static void judge_cluster(struct deployment *deployment)
{
	char place[REDIS_PLACE_BYTES];
	if (strcmp(deployment->state, "ok") != 0)
		warn_of_deployment(deployment, true, "the cluster's state is %s: it takes no entries, or not all",
				   deployment->state[0] != '\0' ? deployment->state : "not known");
	if (deployment->slots_covered < REDIS_SLOTS)
		warn_of_deployment(deployment, true, "%u of %u slots have no master: streams there wait",
				   REDIS_SLOTS - deployment->slots_covered, REDIS_SLOTS);
	for (uint32_t i = 0; i < deployment->server_count; i++) {
		if (deployment->servers[i].looked && deployment->servers[i].verdict.replicas == 0)
			warn_of_deployment(
				deployment, true,
				"%.100s has no replica: its streams wait until it comes back, and are lost with it",
				redis_place_text(&deployment->servers[i].place, place));
	}
}

static bool look_at_cluster(struct deployment *deployment, const struct redis_url *url)
{
	char fault[REDIS_LINE_BYTES] = "";
	char place[REDIS_PLACE_BYTES];
	bool good = false;
	for (uint32_t i = 0; i < url->seed_count && !good; i++) {
		redisContext *context = redis_dial_up(&url->seeds[i], &url->login, fault);
		if (context != NULL) {
			good = read_cluster(deployment, context, &url->seeds[i], fault);
			redisFree(context);
		}
		if (!good)
			warn_of_deployment(deployment, false, "node %.80s of the URL: %.120s",
					   redis_place_text(&url->seeds[i], place), fault);
	}
	if (!good)
		return deployment_fail(fault);
	for (uint32_t i = 0; i < deployment->server_count; i++)
		look_at_server(deployment, &deployment->servers[i], &url->login);
	judge_cluster(deployment);
	return true;
}

/* ---- Sentinels ---- */

/* The value behind a name in [name, value, ...]; "": there is none. */
static const char *sentinel_value(const redisReply *reply, const char *name)
{
	for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i + 1 < reply->elements; i += 2) {
		if (reply->element[i]->type == REDIS_REPLY_STRING && strcmp(reply->element[i]->str, name) == 0 &&
		    reply->element[i + 1]->type == REDIS_REPLY_STRING)
			return reply->element[i + 1]->str;
	}
	return "";
}

static void read_watched(struct deployment *deployment, const redisReply *reply)
{
	uint32_t sentinels = (uint32_t)strtoul(sentinel_value(reply, "num-other-sentinels"), NULL, 10) + 1;
	const char *flags = sentinel_value(reply, "flags");
	if (sentinels > deployment->sentinels)
		deployment->sentinels = sentinels;
	deployment->quorum = (uint32_t)strtoul(sentinel_value(reply, "quorum"), NULL, 10);
	if (strstr(flags, "down") != NULL)
		warn_of_deployment(deployment, true, "a Sentinel finds that the master is down (%.60s)", flags);
	if (strcmp(sentinel_value(reply, "num-slaves"), "0") == 0)
		warn_of_deployment(deployment, true, "it has no replica that could take over");
}

static bool look_at_sentinel(struct deployment *deployment, const struct redis_url *url,
			     const struct redis_place *place, char fault[REDIS_LINE_BYTES])
{
	struct redis_place master;
	const char *why;
	char text[REDIS_PLACE_BYTES];
	bool good = false;
	redisContext *context = redis_dial_up(place, &url->sentinel_login, fault);
	redisReply *address =
		context != NULL ? redis_ask(context, fault, "SENTINEL get-master-addr-by-name %s", url->master) : NULL;
	if (address != NULL)
		good = redis_master_read(address, &master, &why) || redis_fault(fault, why);
	redisReply *watched = good ? redis_ask(context, fault, "SENTINEL MASTER %s", url->master) : NULL;
	good = watched != NULL;
	if (good && add_redis_server(deployment, &master) != &deployment->servers[0])
		warn_of_deployment(deployment, true, "Sentinels do not agree on who is the master");
	if (good && deployment->sentinels == 0)
		read_watched(deployment, watched);
	redisReply *quorum = good ? redis_ask(context, fault, "SENTINEL CKQUORUM %s", url->master) : NULL;
	if (good && quorum == NULL)
		warn_of_deployment(deployment, true, "Sentinel %.80s: %.150s", redis_place_text(place, text), fault);
	if (quorum != NULL)
		freeReplyObject(quorum);
	if (watched != NULL)
		freeReplyObject(watched);
	if (address != NULL)
		freeReplyObject(address);
	if (context != NULL)
		redisFree(context);
	return good;
}

static bool look_at_sentinels(struct deployment *deployment, const struct redis_url *url)
{
	char fault[REDIS_LINE_BYTES] = "";
	char place[REDIS_PLACE_BYTES];
	bool any = false;
	for (uint32_t i = 0; i < url->seed_count; i++) {
		if (look_at_sentinel(deployment, url, &url->seeds[i], fault))
			any = true;
		else
			warn_of_deployment(deployment, false, "Sentinel %.80s: %.150s",
					   redis_place_text(&url->seeds[i], place), fault);
	}
	if (!any)
		return deployment_fail(fault);
	if (deployment->sentinels < SENTINELS_LEAST)
		warn_of_deployment(
			deployment, true,
			"%u Sentinels watch it: where one is lost there is no majority to choose a new master; "
			"3 are the least",
			deployment->sentinels);
	for (uint32_t i = 0; i < deployment->server_count; i++)
		look_at_server(deployment, &deployment->servers[i], &url->login);
	return true;
}

/* ---- looking ---- */

static bool look_at_single(struct deployment *deployment, const struct redis_url *url)
{
	struct deployment_server *server = add_redis_server(deployment, &url->seeds[0]);
	look_at_server(deployment, server, &url->login);
	return server->looked || deployment_fail(server->fault);
}

struct deployment *deployment_look(const char *text)
{
	struct redis_url url;
	char fault[REDIS_URL_FAULT_BYTES];
	if (!redis_url_parse(text, &url, fault)) {
		deployment_fail(fault);
		return NULL;
	}
	if (url.is_tls) {
		deployment_fail("it is looked at without TLS only: give the URL of the same servers without it");
		return NULL;
	}
	struct deployment *deployment = calloc(1, sizeof(*deployment));
	if (deployment == NULL)
		return NULL;
	deployment->kind = url.kind;
	deployment->good = true;
	bool good = url.kind == REDIS_CLUSTER    ? look_at_cluster(deployment, &url)
		    : url.kind == REDIS_SENTINEL ? look_at_sentinels(deployment, &url)
						 : look_at_single(deployment, &url);
	if (good)
		return deployment;
	free(deployment);
	return NULL;
}

/* ---- showing ---- */

static void show_server(const struct deployment *deployment, const struct deployment_server *server, FILE *out)
{
	char place[REDIS_PLACE_BYTES];
	if (deployment->kind != REDIS_SINGLE)
		fprintf(out, "%s: ", redis_place_text(&server->place, place));
	if (!server->looked) {
		fprintf(out, "%s\n", server->fault);
		return;
	}
	fprintf(out, "Redis %s, %s\n", server->verdict.version, server->verdict.role);
	redis_show(&server->verdict, out);
}

void deployment_show(const struct deployment *deployment, FILE *out)
{
	if (deployment->kind == REDIS_CLUSTER)
		fprintf(out, "Redis Cluster: %u masters, %u of %u slots, state %s\n", deployment->server_count,
			deployment->slots_covered, REDIS_SLOTS, deployment->state);
	else if (deployment->kind == REDIS_SENTINEL)
		fprintf(out, "Redis with Sentinels: %u, of which %u have to find that the master is down\n",
			deployment->sentinels, deployment->quorum);
	for (uint32_t i = 0; i < deployment->warning_count; i++)
		fprintf(out, "  %s\n", deployment->warnings[i]);
	for (uint32_t i = 0; i < deployment->server_count; i++)
		show_server(deployment, &deployment->servers[i], out);
}

static json_t *json_of_server(const struct deployment_server *server)
{
	char place[REDIS_PLACE_BYTES];
	json_t *json =
		server->looked ? redis_json(&server->verdict) : json_pack("{ss sb}", "error", server->fault, "good", 0);
	json_object_set_new(json, "address", json_string(redis_place_text(&server->place, place)));
	return json;
}

json_t *deployment_json(const struct deployment *deployment)
{
	json_t *servers = json_array();
	json_t *warnings = json_array();
	if (deployment->kind == REDIS_SINGLE) {
		json_decref(servers);
		json_decref(warnings);
		return redis_json(&deployment->servers[0].verdict);
	}
	for (uint32_t i = 0; i < deployment->server_count; i++)
		json_array_append_new(servers, json_of_server(&deployment->servers[i]));
	for (uint32_t i = 0; i < deployment->warning_count; i++)
		json_array_append_new(warnings, json_string(deployment->warnings[i]));
	json_t *json = json_pack("{ss sb so so}", "kind", deployment->kind == REDIS_CLUSTER ? "cluster" : "sentinel",
				 "good", deployment->good, "warnings", warnings, "masters", servers);
	if (deployment->kind == REDIS_CLUSTER) {
		json_object_set_new(json, "state", json_string(deployment->state));
		json_object_set_new(json, "slots_covered", json_integer(deployment->slots_covered));
	} else {
		json_object_set_new(json, "sentinels", json_integer(deployment->sentinels));
		json_object_set_new(json, "quorum", json_integer(deployment->quorum));
	}
	return json;
}
