/* What the rest of the machine does while something is measured. Main thread. */
#ifndef DOCTOR_BUSY_H
#define DOCTOR_BUSY_H

#include "base/slice.h"
#include "doctor/child.h"

/* Processor time of all but this process and the child since some moment in the past, in ns; in steps of 10 ms. Only
 * differences mean something. 0 where it cannot be read. */
uint64_t busy_elsewhere_ns(const struct child *child);

/* The same of all, from the text of /proc/stat and the ticks in a second. Pure. */
uint64_t busy_parse(struct slice text, uint32_t ticks);

#endif
