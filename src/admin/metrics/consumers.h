/* Metrics of the consumers that read Redis Streams, a sample for each consumer. Admin thread. */
#ifndef ADMIN_METRICS_CONSUMERS_H
#define ADMIN_METRICS_CONSUMERS_H

#include "admin/metrics/exposition.h"
#include "relay/consumer/consumer_status.h"

enum consumer_metric {
	CONSUMER_METRIC_PUBLISHED,
	CONSUMER_METRIC_BYTES,
	CONSUMER_METRIC_COMMANDS,
	CONSUMER_METRIC_EXPIRED,
	CONSUMER_METRIC_DEAD,
	CONSUMER_METRIC_CLAIMED,
	CONSUMER_METRIC_AGAIN,
	CONSUMER_METRIC_RETRIES,
	CONSUMER_METRIC_LAG,
	CONSUMER_METRIC_PENDING,
	CONSUMER_METRIC_DELAY,
	CONSUMER_METRIC_STATE,
};

/* Samples of the family that was begun. */
void consumers_metric_write(struct exposition *exposition, const struct consumers_status *status,
			    enum consumer_metric metric);

#endif
