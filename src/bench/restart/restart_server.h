/* The server of a scenario with a restart: started for the run, ended by a signal and started again in each step. Main
 * thread; blocks. */
#ifndef BENCH_RESTART_SERVER_H
#define BENCH_RESTART_SERVER_H

#include "bench/scenario/step.h"
#include "bench/target/child.h"
#include "bench/target/scratch_store.h"
#include "bench/target/target.h"

struct restart_server {
	const struct scenario_restart *spec;
	struct child child;
	struct scratch_store scratch;
	bool has_scratch;
};

/* Starts it and waits until it accepts connections. On failure says why on stderr and returns false. Close it in either
 * case. */
bool restart_server_open(struct restart_server *server, const struct scenario_restart *spec, struct target *target);
/* Ends it. A directory that was made for the run is removed if `good`, else named on stderr. */
void restart_server_close(struct restart_server *server, bool good);

/* Both return NULL, or what went wrong; static storage, and the server's log on stderr. */
const char *restart_server_stop(struct restart_server *server, struct step_restart *restart);
const char *restart_server_start(struct restart_server *server, struct step_restart *restart);

#endif
