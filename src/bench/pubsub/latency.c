#include "bench/pubsub/latency.h"

#include "bench/options/options.h"
#include "bench/pubsub/latency_options.h"
#include "bench/pubsub/latency_report.h"
#include "bench/pubsub/pubsub.h"
#include "bench/report/progress.h"

#include <stdio.h>

/* Fills in the report. Returns false if it could not run, and says why on stderr. */
static bool latency_run(struct latency_options *options, struct pubsub_report *report)
{
	struct neighbours neighbours;
	report->target_count = options->beside.count;
	options->round.neighbours = &neighbours;
	bool good = beside_open(&options->beside, &options->transport, report->targets, &neighbours) &&
		    pubsub_run_rounds(&options->round, options->beside.rounds, report);
	options->round.neighbours = NULL;
	beside_close(&options->beside, report->targets, &neighbours);
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
	if (latency_run(&options, report)) {
		progress_end();
		if (latency_report_print(report, options.beside.neighbours, options.json) &&
		    pubsub_report_is_clean(report))
			status = BENCH_EXIT_OK;
	}
	progress_end();
	pubsub_report_free(report);
	return status;
}
