#include "admin/api/handlers.h"

#include "base/check.h"
#include "mqtt/field/protocol.h"

#include <stdlib.h>
#include <string.h>

/* ---- faults ---- */

/* What went wrong last, which may have words from outside in it, cut anywhere; "": nothing has. What is not UTF-8 would
 * be no JSON, and nothing would be shown of the item at all. */
static json_t *json_of_fault(const char *fault)
{
	json_t *json = fault[0] != '\0' ? json_string(fault) : json_null();
	char *ascii = json == NULL ? strdup(fault) : NULL;
	if (ascii == NULL)
		return json;
	for (char *at = ascii; *at != '\0'; at++)
		*at = *at >= ' ' && *at <= '~' ? *at : '?';
	json = json_string(ascii);
	free(ascii);
	return json;
}

/* ---- rules ---- */

static json_t *json_of_rule(const struct rule_status *rule)
{
	bool has_fault = rule->fault[0] != '\0';
	return json_pack("{s:s, s:s, s:i, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:o, s:o}", "name", rule->name,
			 "stream", rule->stream, "qos", rule->qos, "state", rule_state_name(rule->state), "entries",
			 (json_int_t)rule->counts.entries, "entry_bytes", (json_int_t)rule->counts.bytes, "retries",
			 (json_int_t)rule->counts.retries, "dead_letters", (json_int_t)rule->counts.dead,
			 "backlog_messages", (json_int_t)rule->backlog_messages, "backlog_bytes",
			 (json_int_t)rule->backlog_bytes, "refused_messages", (json_int_t)rule->refused,
			 "oldest_seconds", rule->oldest_s, "last_error", json_of_fault(rule->fault),
			 "last_error_seconds", has_fault ? json_real(rule->fault_age_s) : json_null());
}

static json_t *json_of_redis(const struct redis_status *redis)
{
	static const char *const KINDS[] = {
		[REDIS_SINGLE] = "single", [REDIS_CLUSTER] = "cluster", [REDIS_SENTINEL] = "sentinel"};
	json_t *nodes = json_array();
	for (uint32_t i = 0; i < redis->node_count; i++) {
		const struct redis_node_status *node = &redis->nodes[i];
		json_array_append_new(nodes, json_pack("{s:s, s:b, s:b, s:o}", "address", node->address, "connected",
						       node->connected, "has_slots", node->has_slots, "last_error",
						       json_of_fault(node->fault)));
	}
	return json_pack("{s:s, s:b, s:I, s:I, s:f, s:o}", "kind", KINDS[redis->kind], "connected", redis->connected,
			 "redirects", (json_int_t)redis->redirects, "slots_covered", (json_int_t)redis->slots_covered,
			 "map_seconds", redis->map_s, "nodes", nodes);
}

void serve_rules(struct request *request)
{
	const struct admin_hooks *hooks = &request->api->hooks;
	struct stream_status status = {0};
	json_t *rules = json_array();
	if (hooks->rules != NULL)
		hooks->rules(hooks->context, &status);
	CHECK_LE(status.count, RULES_MAX);
	for (uint32_t i = 0; i < status.count; i++)
		json_array_append_new(rules, json_of_rule(&status.rules[i]));
	request_answer(request, HTTP_OK,
		       json_pack("{s:b, s:o, s:o}", "redis_connected", status.redis.connected, "redis",
				 json_of_redis(&status.redis), "rules", rules));
}

void serve_presence_table(struct request *request)
{
	const struct admin_hooks *hooks = &request->api->hooks;
	struct table_status table = {.is_on = false};
	if (hooks->presence_table != NULL)
		hooks->presence_table(hooks->context, &table);
	bool has_fault = table.fault[0] != '\0';
	request_answer(request, HTTP_OK,
		       json_pack("{s:s, s:s?, s:I, s:I, s:I, s:f, s:o, s:o}", "state",
				 table.is_on ? table_state_name(table.state) : "off", "key",
				 table.is_on ? table.key : NULL, "clients", (json_int_t)table.clients, "events",
				 (json_int_t)table.events, "listings", (json_int_t)table.listings, "renewed_seconds",
				 table.renewed_s, "last_error", json_of_fault(table.fault), "last_error_seconds",
				 has_fault ? json_real(table.fault_age_s) : json_null()));
}

/* ---- consumers ---- */

static json_t *json_of_consumer(const struct consumer_status *consumer)
{
	bool has_fault = consumer->fault[0] != '\0';
	const struct consumer_counts *counts = &consumer->counts;
	return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:f, s:o, s:o}",
			 "name", consumer->name, "stream", consumer->stream, "group", consumer->group, "state",
			 consumer_state_name(consumer->state), "published", (json_int_t)counts->published,
			 "published_bytes", (json_int_t)counts->bytes, "commands", (json_int_t)counts->commands,
			 "expired", (json_int_t)counts->expired, "dead_letters", (json_int_t)counts->dead, "claimed",
			 (json_int_t)counts->claimed, "read_again", (json_int_t)counts->again, "retries",
			 (json_int_t)counts->retries, "lag",
			 consumer->has_lag ? json_integer((json_int_t)consumer->lag) : json_null(), "pending",
			 (json_int_t)consumer->pending, "delay_seconds", consumer->delay_s, "last_error",
			 json_of_fault(consumer->fault), "last_error_seconds",
			 has_fault ? json_real(consumer->fault_age_s) : json_null());
}

void serve_consumers(struct request *request)
{
	const struct admin_hooks *hooks = &request->api->hooks;
	struct consumers_status status = {0};
	json_t *consumers = json_array();
	if (hooks->consumers != NULL)
		hooks->consumers(hooks->context, &status);
	CHECK_LE(status.count, CONSUMERS_MAX);
	for (uint32_t i = 0; i < status.count; i++)
		json_array_append_new(consumers, json_of_consumer(&status.consumers[i]));
	request_answer(request, HTTP_OK, json_pack("{s:o}", "consumers", consumers));
}

/* ---- hooks ---- */

static json_t *json_of_failures(const struct hook_counts *counts)
{
	json_t *failures = json_object();
	for (int i = 0; i < HOOK_FAILURE_COUNT; i++)
		json_object_set_new(failures, hook_failure_name((enum hook_failure)i),
				    json_integer((json_int_t)counts->failures[i]));
	return failures;
}

static json_t *json_of_hook(const struct hook_status *hook)
{
	const struct hook_counts *counts = &hook->counts;
	bool has_fault = hook->fault[0] != '\0';
	double mean_s = counts->answered != 0 ? (double)counts->took_us / 1e6 / (double)counts->answered : 0;
	return json_pack("{s:s, s:s, s:i, s:s, s:I, s:I, s:I, s:o, s:I, s:I, s:I, s:I, s:f, s:f, s:o, s:o}", "name",
			 hook->name, "url", hook->url, "qos", hook->qos, "state", hook_state_name(hook->state),
			 "events", (json_int_t)counts->delivered, "event_bytes", (json_int_t)counts->bytes, "requests",
			 (json_int_t)counts->requests, "failures", json_of_failures(counts), "dead_letters",
			 (json_int_t)counts->dead, "backlog_messages", (json_int_t)hook->backlog_messages,
			 "backlog_bytes", (json_int_t)hook->backlog_bytes, "refused_messages",
			 (json_int_t)hook->refused, "request_seconds", mean_s, "oldest_seconds", hook->oldest_s,
			 "last_error", json_of_fault(hook->fault), "last_error_seconds",
			 has_fault ? json_real(hook->fault_age_s) : json_null());
}

void serve_hooks(struct request *request)
{
	const struct admin_hooks *callbacks = &request->api->hooks;
	struct hooks_status *status = calloc(1, sizeof(*status));
	json_t *hooks = json_array();
	if (status != NULL && callbacks->hooks != NULL)
		callbacks->hooks(callbacks->context, status);
	for (uint32_t i = 0; status != NULL && i < status->count; i++)
		json_array_append_new(hooks, json_of_hook(&status->hooks[i]));
	free(status);
	request_answer(request, HTTP_OK, json_pack("{s:o}", "hooks", hooks));
}

/* ---- bridges ---- */

static const char *words_of_version(uint8_t version)
{
	if (version == 0)
		return NULL;
	return version == MQTT_VERSION_5 ? "5" : "3.1.1";
}

static json_t *json_of_bridge(const struct bridge_status *bridge)
{
	const struct bridge_counts *counts = &bridge->counts;
	bool has_fault = bridge->fault[0] != '\0', is_connected = bridge->version != 0;
	return json_pack("{s:s, s:s, s:s, s:s?, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, "
			 "s:o}",
			 "name", bridge->name, "url", bridge->url, "state", bridge_state_name(bridge->state), "version",
			 words_of_version(bridge->version), "sent", (json_int_t)counts->sent, "sent_bytes",
			 (json_int_t)counts->sent_bytes, "received", (json_int_t)counts->received, "received_bytes",
			 (json_int_t)counts->received_bytes, "dead_letters", (json_int_t)counts->dead,
			 "refused_messages", (json_int_t)counts->refused, "looped", (json_int_t)counts->looped,
			 "connections", (json_int_t)counts->connections, "retries", (json_int_t)counts->retries,
			 "backlog_messages", (json_int_t)bridge->backlog_messages, "backlog_bytes",
			 (json_int_t)bridge->backlog_bytes, "dropped_messages", (json_int_t)bridge->dropped,
			 "connected_seconds", is_connected ? json_real(bridge->connected_s) : json_null(), "last_error",
			 json_of_fault(bridge->fault), "last_error_seconds",
			 has_fault ? json_real(bridge->fault_age_s) : json_null());
}

void serve_bridges(struct request *request)
{
	const struct admin_hooks *hooks = &request->api->hooks;
	struct bridges_status status = {0};
	json_t *bridges = json_array();
	if (hooks->bridges != NULL)
		hooks->bridges(hooks->context, &status);
	CHECK_LE(status.count, MQTT_BRIDGES_MAX);
	for (uint32_t i = 0; i < status.count; i++)
		json_array_append_new(bridges, json_of_bridge(&status.bridges[i]));
	request_answer(request, HTTP_OK, json_pack("{s:o}", "bridges", bridges));
}
