#include "admin/metrics/rules.h"

#include "base/check.h"

#include <stdio.h>

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

void rules_metric_write(struct exposition *exposition, const struct stream_status *status, enum rule_metric metric)
{
	char labels[RULE_LABELS_BYTES_MAX];
	CHECK_LE(status->count, RULES_MAX);
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
