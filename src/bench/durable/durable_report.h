/* What a durable run has shown. Main thread. */
#ifndef BENCH_DURABLE_REPORT_H
#define BENCH_DURABLE_REPORT_H

#include "bench/durable/durable_run.h"

/* On stdout. */
void durable_report_print(const struct durable_run *run, bool json);

#endif
