#include "bench/latency.h"

#include "bench/latency_options.h"
#include "bench/latency_report.h"
#include "bench/options.h"
#include "bench/progress.h"
#include "bench/pubsub.h"

#include <stdio.h>

/* All are open for the whole run: one that waits for its turn does next to nothing, and starts are not measured. */
static bool open_brokers(const struct latency_options *options, struct pubsub_report *report)
{
	for (uint32_t i = 0; i < options->broker_count; i++) {
		struct target *target = &report->targets[report->target_count++];
		if (!broker_open(&options->brokers[i], i == 0 ? (pid_t)options->server_pid : 0, target))
			return false;
	}
	return true;
}

/* Fills in the report. False: it could not run; says why on stderr. */
static bool run(struct latency_options *options, struct pubsub_report *report)
{
	struct neighbours neighbours;
	if (!open_brokers(options, report))
		return false;
	options->round.neighbours = &neighbours;
	bool good = neighbours_start(&neighbours, options->neighbours) &&
		    pubsub_run_rounds(&options->round, options->rounds, report);
	neighbours_stop(&neighbours);
	return good && report->rounds > 0;
}

int latency_main(int argc, char **argv)
{
	struct latency_options options;
	int status;
	if (!latency_options_parse(argc, argv, &options, &status))
		return status;
	struct pubsub_report *report = pubsub_report_new(&options.round);
	if (report == NULL)
		return BENCH_EXIT_FAILED;
	progress_catch_signals();
	status = BENCH_EXIT_FAILED;
	if (run(&options, report)) {
		progress_end();
		if (latency_report_print(report, options.neighbours, options.json) && pubsub_report_is_clean(report))
			status = BENCH_EXIT_OK;
	}
	progress_end();
	for (uint32_t i = 0; i < report->target_count; i++)
		target_close(&report->targets[i]);
	pubsub_report_free(report);
	return status;
}
