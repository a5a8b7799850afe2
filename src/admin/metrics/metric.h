/* A row of a table of metrics. */
#ifndef ADMIN_METRICS_METRIC_H
#define ADMIN_METRICS_METRIC_H

#include "admin/metrics/exposition.h"
#include "admin/snapshot/snapshot.h"

#define PREFIX "roost_"

/* A family that does not come from the threads' counters. */
struct metric {
	const char *name; /* in full */
	enum metric_kind kind;
	const char *labels; /* the labels' names, for the documentation */
	const char *help;
	void (*write)(struct exposition *exposition, const struct snapshot *snapshot, size_t at);
	size_t at; /* passed to write(): a counter or a field's offset, or 0 */
};

#endif
