/* One run of `bench hold` against one target: connect, wait until the server is idle, hold, disconnect; with the cost
 * to the target and the kernel. Blocks for the whole run. Main thread. */
#ifndef BENCH_HOLD_RUN_H
#define BENCH_HOLD_RUN_H

#include "bench/client/credentials.h"
#include "bench/client/pool.h"
#include "bench/measure/histogram.h"
#include "bench/target/target.h"

struct hold_load {
	const struct credentials *credentials; /* NULL: none */
	const char *client_prefix;
	const char *topic_prefix;
	uint32_t clients;
	uint32_t rate; /* a second, 0: as fast as can be */
	uint32_t hold_s;
	uint32_t threads;    /* 0: as few as the descriptor tables need */
	uint32_t connecting; /* threads that connect at the same time */
	uint32_t in_progress_max;
	int cpu; /* its threads are pinned to it, or CPU_ANY */
	uint16_t keepalive_s;
	uint8_t version;
	bool pipeline;
	bool time_pings;
};

/* Figures are NAN where they are not known. */
struct hold_result {
	uint32_t threads;
	uint32_t connected; /* signed in and subscribed when connecting was over */
	uint32_t held;      /* of these, still there at the end */
	double connect_s;
	double held_s;
	double leave_s;
	double server_cpu_connect_s;
	double server_cpu_idle_percent; /* of one core */
	double server_resident_bytes_before;
	double server_resident_bytes_after;
	double kernel_slab_bytes_before;
	double kernel_slab_bytes_after;
	struct carriage carriage; /* up to the last client's SUBACK */
	double stream_bytes;      /* of all clients at this end, above their sockets */
	struct losses losses;
	uint64_t pings;              /* timed, and answered */
	struct percentiles pings_us; /* from PINGREQ to PINGRESP, while they were held */
};

/* label names the run in the progress line and must be static. Returns false if it could not run at all, and says why
 * on stderr. */
bool hold_run(const struct hold_load *load, const struct target *target, const char *label, struct hold_result *result);

#endif
