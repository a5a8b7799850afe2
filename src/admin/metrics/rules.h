/* Metrics of the rules that send messages to Redis Streams, a sample for each rule. Admin thread. */
#ifndef ADMIN_METRICS_RULES_H
#define ADMIN_METRICS_RULES_H

#include "admin/metrics/exposition.h"
#include "relay/stream/stream_status.h"

enum rule_metric {
	RULE_METRIC_ENTRIES,
	RULE_METRIC_BYTES,
	RULE_METRIC_RETRIES,
	RULE_METRIC_DEAD,
	RULE_METRIC_BACKLOG,
	RULE_METRIC_BACKLOG_BYTES,
	RULE_METRIC_REFUSED,
	RULE_METRIC_OLDEST,
	RULE_METRIC_STATE,
	/* Of the servers that they send to. */
	RULE_METRIC_NODES,
	RULE_METRIC_REDIRECTS,
	RULE_METRIC_MAP_AGE,
};

/* Samples of the family that was begun. */
void rules_metric_write(struct exposition *exposition, const struct stream_status *status, enum rule_metric metric);

#endif
