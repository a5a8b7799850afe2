/* The main thread's view of a scenario against one target. It connects all clients; then, step by step, it lets
 * messages flow, measures, drains and judges, until a step misses an objective. Calls block. Main thread. */
#ifndef BENCH_RUN_DRIVER_H
#define BENCH_RUN_DRIVER_H

#include "bench/client/carriage.h"
#include "bench/client/credentials.h"
#include "bench/client/losses.h"
#include "bench/restart/restart_server.h"
#include "bench/scenario/step.h"
#include "bench/target/target.h"

#define RUN_FAULT_BYTES 512u
#define RUN_DRAIN_MS 20000u

struct run_result {
	char target[TARGET_NAME_BYTES];
	uint32_t clients;   /* in the scenario */
	uint32_t connected; /* at the beginning of the first step */
	double connect_s;
	double memory_bytes; /* the server's memory a client at rest, above that before the run; NAN: not known */
	uint32_t step_count;
	struct step steps[SCENARIO_STEPS_MAX];
	struct losses losses; /* of clients */
	struct carriage carriage;
	bool died; /* the server was gone before the end */
	bool interrupted;
	char fault[RUN_FAULT_BYTES]; /* why it ended early; "": it did not */
};

struct run_order {
	const struct scenario *scenario;
	const struct credentials *credentials[SCENARIO_GROUPS_MAX]; /* NULL each: none */
	const struct target *targets[SCENARIO_GROUPS_MAX];          /* of groups with a URL of their own, else NULL */
	uint32_t steps_max;                                         /* number of steps to run at most */
	struct restart_server *server;                              /* NULL: it is not restarted */
	bool judge;        /* stop at the first step that misses an objective */
	uint32_t quiet_ms; /* struct quiet */
	uint32_t drain_ms; /* after a step, what is due in it may still be sent for this long */
};

/* What was measured is in *result in any case. Returns false if not all could be measured; result->fault says why. */
bool run_against(const struct run_order *order, const struct target *target, struct run_result *result);

#endif
