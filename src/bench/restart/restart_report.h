/* What the restarts of a run's steps have shown. Main thread. */
#ifndef BENCH_RESTART_REPORT_H
#define BENCH_RESTART_REPORT_H

#include "bench/scenario/step.h"

#include <jansson.h>

/* On stdout, for each step with a restart; nothing without. */
void restart_print(const struct scenario *scenario, const struct step *steps, uint32_t count);
/* Null without a restart. */
json_t *restart_json(const struct step *step);

#endif
