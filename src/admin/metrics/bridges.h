/* Metrics of the bridges to other MQTT brokers, a sample for each bridge. Admin thread. */
#ifndef ADMIN_METRICS_BRIDGES_H
#define ADMIN_METRICS_BRIDGES_H

#include "admin/metrics/exposition.h"
#include "relay/bridging/bridge_status.h"

enum bridge_metric {
	BRIDGE_METRIC_SENT,
	BRIDGE_METRIC_SENT_BYTES,
	BRIDGE_METRIC_RECEIVED,
	BRIDGE_METRIC_RECEIVED_BYTES,
	BRIDGE_METRIC_DEAD,
	BRIDGE_METRIC_REFUSED,
	BRIDGE_METRIC_LOOPED,
	BRIDGE_METRIC_CONNECTIONS,
	BRIDGE_METRIC_RETRIES,
	BRIDGE_METRIC_BACKLOG,
	BRIDGE_METRIC_BACKLOG_BYTES,
	BRIDGE_METRIC_DROPPED,
	BRIDGE_METRIC_STATE,
};

/* Samples of the family that was begun. */
void bridges_metric_write(struct exposition *exposition, const struct bridges_status *status,
			  enum bridge_metric metric);

#endif
