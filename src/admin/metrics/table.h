/* Metrics of the table of connected clients in Redis; none where there is no table. Admin thread. */
#ifndef ADMIN_METRICS_TABLE_H
#define ADMIN_METRICS_TABLE_H

#include "admin/metrics/exposition.h"
#include "relay/table/table_status.h"

enum table_metric {
	TABLE_METRIC_STATE,
	TABLE_METRIC_CLIENTS,
	TABLE_METRIC_EVENTS,
	TABLE_METRIC_LISTINGS,
	TABLE_METRIC_RENEWED,
};

/* Samples of the family that was begun. */
void table_metric_write(struct exposition *exposition, const struct table_status *table, enum table_metric metric);

#endif
