/* One durable run against a broker that runs: its phases and what was measured in them. Main thread; blocks. */
#ifndef BENCH_DURABLE_RUN_H
#define BENCH_DURABLE_RUN_H

#include "bench/durable/durable_options.h"
#include "bench/target/cpu_use.h"
#include "bench/target/target.h"

#include "device/device.h"
#include "device/sync_probe.h"

/* What was counted at a moment. */
struct durable_sample {
	struct cpu_sample cpu;
	struct ledger_sums sums;
	struct io_stat disk; /* with options->disk */
};

struct durable_run {
	const struct durable_options *options;
	const struct target *target;
	struct engine engine;
	struct device device;        /* with options->disk */
	struct sync_times sync;      /* of 4 KiB, before and after the load */
	uint32_t offline;            /* subscribers */
	struct durable_sample begun; /* before the first message */
	struct durable_sample from;  /* the measured time */
	struct durable_sample to;
	struct durable_sample returned; /* the offline ones come back */
	struct durable_sample drained;
	double dropped; /* by the server, in the run, as its metrics say; NAN: not known */
};

/* Returns false if it could not be made; says why on stderr. Close it in either case. The run is large. */
bool durable_run_make(struct durable_run *run, const struct durable_options *options, const struct target *target);
void durable_run_close(struct durable_run *run);

/* Reads what the server says that it dropped: the sum of roost_messages_dropped_total. NAN where it does not say. */
double durable_read_dropped(const struct url *admin);
/* The sum in the text of the metrics; NAN if there is no such metric. Pure. */
double durable_sum_dropped(const char *metrics);

#endif
