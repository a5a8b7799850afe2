/* Metrics of the hooks that post messages to HTTP endpoints, a sample for each hook. Admin thread. */
#ifndef ADMIN_METRICS_HOOKS_H
#define ADMIN_METRICS_HOOKS_H

#include "admin/metrics/exposition.h"
#include "relay/hook/hook_status.h"

enum hook_metric {
	HOOK_METRIC_EVENTS,
	HOOK_METRIC_BYTES,
	HOOK_METRIC_REQUESTS,
	HOOK_METRIC_DEAD,
	HOOK_METRIC_BACKLOG,
	HOOK_METRIC_BACKLOG_BYTES,
	HOOK_METRIC_REFUSED,
	HOOK_METRIC_ANSWERED,
	HOOK_METRIC_TOOK,
	HOOK_METRIC_OLDEST,
	HOOK_METRIC_FAILURES,
	HOOK_METRIC_STATE,
};

/* Samples of the family that was begun. */
void hooks_metric_write(struct exposition *exposition, const struct hooks_status *status, enum hook_metric metric);

#endif
