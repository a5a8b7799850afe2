#include "admin/metrics/rules.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>

#define NODE_LABELS_BYTES_MAX (REDIS_PLACE_BYTES + 16u)
#define RULE_LABELS_BYTES_MAX (ITEM_NAME_BYTES_MAX + 40u)

static uint64_t rule_count(const struct rule_status *rule, enum rule_metric metric)
{
	switch (metric) {
	case RULE_METRIC_ENTRIES:
		return rule->counts.entries;
	case RULE_METRIC_BYTES:
		return rule->counts.bytes;
	case RULE_METRIC_RETRIES:
		return rule->counts.retries;
	case RULE_METRIC_DEAD:
		return rule->counts.dead;
	case RULE_METRIC_BACKLOG:
		return rule->backlog_messages;
	case RULE_METRIC_BACKLOG_BYTES:
		return rule->backlog_bytes;
	case RULE_METRIC_REFUSED:
		return rule->refused;
	case RULE_METRIC_OLDEST:
	case RULE_METRIC_STATE:
	case RULE_METRIC_NODES:
	case RULE_METRIC_REDIRECTS:
	case RULE_METRIC_MAP_AGE:
		break;
	}
	CHECK(false);
	return 0;
}

static void write_states(struct exposition *exposition, const struct rule_status *rule)
{
	char labels[RULE_LABELS_BYTES_MAX];
	for (int state = RULE_STARTING; state <= RULE_WAITING; state++) {
		snprintf(labels, sizeof(labels), "rule=\"%s\",state=\"%s\"", rule->name,
			 rule_state_name((enum rule_state)state));
		exposition_count(exposition, labels, rule->state == (enum rule_state)state);
	}
}

static void write_nodes(struct exposition *exposition, const struct redis_status *redis)
{
	char labels[NODE_LABELS_BYTES_MAX];
	CHECK_LE(redis->node_count, STATUS_NODES_MAX);
	for (uint32_t i = 0; i < redis->node_count; i++) {
		const struct redis_node_status *node = &redis->nodes[i];
		char address[REDIS_PLACE_BYTES];
		snprintf(address, sizeof(address), "%s", node->address);
		/* It comes from a URL, or from a cluster. */
		for (char *at = address; (at = strpbrk(at, "\"\\\n")) != NULL; at++)
			*at = '_';
		snprintf(labels, sizeof(labels), "node=\"%s\"", address);
		exposition_count(exposition, labels, node->connected);
	}
}

/* Returns whether the metric is one of the servers'. */
static bool write_redis(struct exposition *exposition, const struct redis_status *redis, enum rule_metric metric)
{
	if (metric == RULE_METRIC_NODES)
		write_nodes(exposition, redis);
	else if (metric == RULE_METRIC_REDIRECTS)
		exposition_count(exposition, "", redis->redirects);
	else if (metric == RULE_METRIC_MAP_AGE)
		exposition_number(exposition, "", redis->map_s);
	else
		return false;
	return true;
}

void rules_metric_write(struct exposition *exposition, const struct stream_status *status, enum rule_metric metric)
{
	char labels[RULE_LABELS_BYTES_MAX];
	CHECK_LE(status->count, RULES_MAX);
	if (write_redis(exposition, &status->redis, metric))
		return;
	for (uint32_t i = 0; i < status->count; i++) {
		const struct rule_status *rule = &status->rules[i];
		snprintf(labels, sizeof(labels), "rule=\"%s\"", rule->name);
		if (metric == RULE_METRIC_STATE)
			write_states(exposition, rule);
		else if (metric == RULE_METRIC_OLDEST)
			exposition_number(exposition, labels, rule->oldest_s);
		else
			exposition_count(exposition, labels, rule_count(rule, metric));
	}
}
