/* How busy the rest of the machine is while something is measured. Main thread. */
#ifndef DOCTOR_PLAN_BUSY_H
#define DOCTOR_PLAN_BUSY_H

#include "base/slice.h"
#include "doctor/plan/test_server.h"

/* Processor time in ns of all processes but this one and the test server, since some moment in the past, in steps of
 * 10 ms. Only differences have a meaning. 0 where it cannot be read. */
uint64_t busy_elsewhere_ns(const struct test_server *server);

/* The same of all processes, from the text of /proc/stat and the number of ticks in a second. Pure. */
uint64_t busy_parse(struct slice text, uint32_t ticks);

#endif
