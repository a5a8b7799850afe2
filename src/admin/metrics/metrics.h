/* The gateway's metrics for Prometheus. The table in runtime/counters.h describes what threads count, the one in
 * metrics.c everything else. Exposition and documentation are both made from the two. */
#ifndef ADMIN_METRICS_METRICS_H
#define ADMIN_METRICS_METRICS_H

#include "admin/metrics/exposition.h"
#include "admin/metrics/snapshot.h"

/* Writes all families. exposition_begin() was called. */
void metrics_write(struct exposition *exposition, const struct snapshot *snapshot);
/* Writes docs/METRICS.md. */
void metrics_document(FILE *out);

#endif
