/* `roost bench pubsub`: closed-loop messages through a broker. Main thread. */
#ifndef BENCH_PUBSUB_H
#define BENCH_PUBSUB_H

#include "bench/pubsub/pubsub_report.h"

/* argv[0] is "pubsub". Returns enum bench_exit. */
int pubsub_main(int argc, char **argv);

/* Runs so many rounds against each of the report's targets in turn, and fills in their results. Blocks until they are
 * over or the bench is interrupted. Returns false if one could not run, and says why on stderr. */
bool pubsub_run_rounds(const struct load_round *load, uint32_t rounds, struct pubsub_report *report);

#endif
