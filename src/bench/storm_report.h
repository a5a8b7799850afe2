/* What `bench storm` found, for people and programs. Main thread. */
#ifndef BENCH_STORM_REPORT_H
#define BENCH_STORM_REPORT_H

#include "bench/storm_run.h"

/* On stdout. False without memory. */
bool storm_report_print(const struct storm_load *load, const struct storm_result *result, bool json);

/* The established lost no message, no order, no acknowledgement and no client. What became of the storm's own clients
 * is no fault: to be refused may be what they are for. */
bool storm_report_is_clean(const struct storm_load *load, const struct storm_result *result);

#endif
