/* `roost doctor --plan`: measures, predicts, and says which resource is used up first. Main thread. */
#ifndef DOCTOR_PLAN_H
#define DOCTOR_PLAN_H

#include "doctor/options.h"
#include "doctor/verdict.h"

/* Returns the exit status. verdict: of this machine, for the number wished. */
int plan_run(const struct doctor_options *options, const struct verdict *verdict);

#endif
