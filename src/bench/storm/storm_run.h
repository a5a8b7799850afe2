/* One run of `bench storm`: the established clients exchange messages in a closed loop, and are measured before, during
 * and after a storm of connections. Blocks for the whole run. Main thread. */
#ifndef BENCH_STORM_RUN_H
#define BENCH_STORM_RUN_H

#include "bench/load/load_driver.h"
#include "bench/storm/storm_worker.h"

enum storm_interval { STORM_BEFORE, STORM_DURING, STORM_AFTER };

struct storm_load {
	struct load_round established; /* duration_s is that of each interval */
	const char *client_prefix;     /* of the storm */
	const struct credentials *credentials;
	struct source_range from; /* source addresses of the storm, if from.hosts is not 0 */
	uint32_t rate;            /* attempts a second, 0: as fast as can be */
	uint32_t threads;         /* of the storm; the figures below are shared out to them */
	uint32_t in_progress_max;
	uint32_t syn_timeout_ms;
	uint32_t stay;
	uint32_t nice;
	bool subscribe;
};

/* Figures are NAN where they are not known. */
struct storm_result {
	struct load_figures figures[LOAD_INTERVALS]; /* by enum storm_interval */
	struct load_totals totals;                   /* of the established */
	bool stalled;                                /* the established clients received nothing for some seconds */
	double storm_s;
	uint64_t attempts;   /* in this time */
	uint64_t signed_in;  /* in this time */
	uint64_t handshakes; /* of TLS in this time */
	uint64_t resumed;    /* of these */
	/* of all attempts, including those that ended shortly afterwards */
	uint64_t ends[STORM_ENDS];
	uint64_t stay_lost;
	struct losses losses;
	struct carriage carriage; /* of all attempts */
	double sign_in_p50_us;
	double sign_in_p99_us;
	double sign_in_p999_us;
	double sign_in_max_us;
};

/* Returns false if it could not run, and says why on stderr. */
bool storm_run(const struct storm_load *load, const struct target *target, struct storm_result *result);

#endif
