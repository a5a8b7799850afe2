#include "admin/metrics/hooks.h"

#include "base/check.h"

#include <stdio.h>

#define HOOK_LABELS_BYTES_MAX (ITEM_NAME_BYTES_MAX + 48u)

static uint64_t hook_count(const struct hook_status *hook, enum hook_metric metric)
{
	switch (metric) {
	case HOOK_METRIC_EVENTS:
		return hook->counts.delivered;
	case HOOK_METRIC_BYTES:
		return hook->counts.bytes;
	case HOOK_METRIC_REQUESTS:
		return hook->counts.requests;
	case HOOK_METRIC_DEAD:
		return hook->counts.dead;
	case HOOK_METRIC_BACKLOG:
		return hook->backlog_messages;
	case HOOK_METRIC_BACKLOG_BYTES:
		return hook->backlog_bytes;
	case HOOK_METRIC_REFUSED:
		return hook->refused;
	case HOOK_METRIC_ANSWERED:
		return hook->counts.answered;
	case HOOK_METRIC_TOOK:
	case HOOK_METRIC_OLDEST:
	case HOOK_METRIC_FAILURES:
	case HOOK_METRIC_STATE:
		break;
	}
	CHECK(false);
	return 0;
}

static void write_hook_states(struct exposition *exposition, const struct hook_status *hook)
{
	char labels[HOOK_LABELS_BYTES_MAX];
	for (int state = HOOK_STARTING; state <= HOOK_WAITING; state++) {
		snprintf(labels, sizeof(labels), "hook=\"%s\",state=\"%s\"", hook->name,
			 hook_state_name((enum hook_state)state));
		exposition_count(exposition, labels, hook->state == (enum hook_state)state);
	}
}

static void write_hook_failures(struct exposition *exposition, const struct hook_status *hook)
{
	char labels[HOOK_LABELS_BYTES_MAX];
	for (int kind = 0; kind < HOOK_FAILURE_COUNT; kind++) {
		snprintf(labels, sizeof(labels), "hook=\"%s\",kind=\"%s\"", hook->name,
			 hook_failure_name((enum hook_failure)kind));
		exposition_count(exposition, labels, hook->counts.failures[kind]);
	}
}

void hooks_metric_write(struct exposition *exposition, const struct hooks_status *status, enum hook_metric metric)
{
	char labels[HOOK_LABELS_BYTES_MAX];
	CHECK_LE(status->count, HOOKS_MAX);
	for (uint32_t i = 0; i < status->count; i++) {
		const struct hook_status *hook = &status->hooks[i];
		snprintf(labels, sizeof(labels), "hook=\"%s\"", hook->name);
		if (metric == HOOK_METRIC_STATE)
			write_hook_states(exposition, hook);
		else if (metric == HOOK_METRIC_FAILURES)
			write_hook_failures(exposition, hook);
		else if (metric == HOOK_METRIC_OLDEST)
			exposition_number(exposition, labels, hook->oldest_s);
		else if (metric == HOOK_METRIC_TOOK)
			exposition_number(exposition, labels, (double)hook->counts.took_us / 1e6);
		else
			exposition_count(exposition, labels, hook_count(hook, metric));
	}
}
