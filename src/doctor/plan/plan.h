/* `roost doctor --plan`: measures, predicts, and says which resource is used up first. Main thread. */
#ifndef DOCTOR_PLAN_PLAN_H
#define DOCTOR_PLAN_PLAN_H

#include "doctor/limits/verdict.h"
#include "doctor/plan/predict.h"

/* verdict: of this machine, for load->connections. json: prints one object instead of text. True: the load fits. False
 * also where it could not be measured; the reason is on stderr then. */
bool plan_run(const struct load *load, const struct verdict *verdict, bool json);

#endif
