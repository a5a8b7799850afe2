/* `roost bench pubsub`: closed-loop messages through a broker. Main thread. */
#ifndef BENCH_PUBSUB_H
#define BENCH_PUBSUB_H

#include "bench/pubsub/pubsub_report.h"

/* argv[0] is "pubsub". Returns enum bench_exit. */
int pubsub_main(int argc, char **argv);

/* So many rounds against each target of the report in turns, whose results they fill in. False: one could not run; says
 * why on stderr. Blocks until they are over, or the bench is interrupted. */
bool pubsub_run_rounds(const struct load_round *load, uint32_t rounds, struct pubsub_report *report);

#endif
