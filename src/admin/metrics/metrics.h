/* The gateway's figures for Prometheus. What threads count is in the table of gateway/counters.h; all else is in the
 * one of metrics.c. Both together are the exposition and its documentation. */
#ifndef ADMIN_METRICS_METRICS_H
#define ADMIN_METRICS_METRICS_H

#include "admin/metrics/exposition.h"
#include "admin/metrics/snapshot.h"

/* All families, into an exposition that was begun. */
void metrics_write(struct exposition *exposition, const struct snapshot *snapshot);
/* docs/METRICS.md. */
void metrics_document(FILE *out);

#endif
