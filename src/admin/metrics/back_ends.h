/* The metrics of back ends (rules, the table of who is online, consumers, hooks, bridges) and of other nodes. Any
 * thread. */
#ifndef ADMIN_METRICS_BACK_ENDS_H
#define ADMIN_METRICS_BACK_ENDS_H

#include "admin/metrics/metric.h"

/* NULL: there are no more. */
const struct metric *back_end_metric(size_t number);
/* How many there are. */
size_t back_end_metric_count(void);
/* Metrics of a cluster as this node sees it (nodes/thread/nodes_status.h); none where the gateway is in none. The same.
 */
const struct metric *node_metric(size_t number);

#endif
