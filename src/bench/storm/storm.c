#include "bench/storm/storm.h"

#include "bench/options/options.h"
#include "bench/report/progress.h"
#include "bench/storm/storm_options.h"
#include "bench/storm/storm_report.h"

#include <stdio.h>
#include <stdlib.h>

/* The kernel takes an IPv4 source address for an IPv4 target only. */
static bool suits_source(const struct storm_load *load, const struct target *target)
{
	if (load->from.hosts == 0 || target->address.storage.ss_family == AF_INET)
		return true;
	fputs("roost bench storm: --from is for IPv4, and the target is not\n", stderr);
	return false;
}

/* Runs against each in turn, round by round, so that whatever else happens on the machine hits all of them alike. */
static bool run_rounds(const struct storm_options *options, const struct target *targets, struct storm_report *report)
{
	for (uint32_t round = 0; round < options->beside.rounds; round++) {
		for (uint32_t i = 0; i < options->beside.count; i++) {
			struct storm_result *result = &report->results[round * BESIDE_BROKERS_MAX + i];
			if (!suits_source(&options->load, &targets[i]) ||
			    !storm_run(&options->load, &targets[i], result))
				return false;
			if (progress_interrupted() && (options->beside.count > 1 || round > 0))
				return true;
		}
		report->rounds = round + 1;
		if (progress_interrupted())
			return true;
	}
	return true;
}

static int run_all_rounds(struct storm_options *options)
{
	struct target targets[BESIDE_BROKERS_MAX];
	struct neighbours neighbours;
	struct storm_report report = {.load = &options->load, .beside = &options->beside};
	int status = BENCH_EXIT_FAILED;
	report.results = calloc((size_t)options->beside.rounds * BESIDE_BROKERS_MAX, sizeof(*report.results));
	if (report.results == NULL)
		return BENCH_EXIT_FAILED;
	options->load.established.neighbours = &neighbours;
	bool good = beside_open(&options->beside, &options->transport, targets, &neighbours) &&
		    run_rounds(options, targets, &report);
	options->load.established.neighbours = NULL;
	beside_close(&options->beside, targets, &neighbours);
	progress_end();
	if (good && report.rounds > 0 && storm_report_print(&report, options->json) && storm_report_is_clean(&report))
		status = BENCH_EXIT_OK;
	free(report.results);
	return status;
}

int storm_main(int argc, char **argv)
{
	struct storm_options options;
	int status;
	if (!storm_options_parse(argc, argv, &options, &status))
		return status;
	struct credentials credentials = {.user_name = options.user_name};
	if (options.token_path != NULL || options.secret_path != NULL)
		options.load.credentials = options.load.established.credentials = &credentials;
	progress_catch_signals();
	status = BENCH_EXIT_FAILED;
	if (credentials_open(&credentials, "storm", options.token_path, options.secret_path, options.token_claims))
		status = run_all_rounds(&options);
	progress_end();
	credentials_close(&credentials);
	return status;
}
