/* The gateway's metrics for Prometheus. The table in runtime/counters.h describes what threads count, those in
 * metrics.c and back_ends.c everything else. Exposition and documentation are both made from them. */
#ifndef ADMIN_METRICS_METRICS_H
#define ADMIN_METRICS_METRICS_H

#include "admin/metrics/exposition.h"
#include "admin/snapshot/snapshot.h"

/* Writes all families. exposition_begin() was called. */
void metrics_write(struct exposition *exposition, const struct snapshot *snapshot);
/* Writes docs/METRICS.md. */
void metrics_document(FILE *out);

#endif
