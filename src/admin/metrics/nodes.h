/* Metrics of a cluster as this node sees it (nodes/nodes_status.h). Nothing where the gateway is in none. Admin thread.
 */
#ifndef ADMIN_METRICS_NODES_H
#define ADMIN_METRICS_NODES_H

#include "admin/metrics/metric.h"

/* The metrics in the order in which they are exposed; NULL: there are no more. */
const struct metric *node_metric(size_t number);

#endif
