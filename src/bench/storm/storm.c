#include "bench/storm/storm.h"

#include "bench/options/options.h"
#include "bench/report/progress.h"
#include "bench/storm/storm_options.h"
#include "bench/storm/storm_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* False: says on stderr what is wrong with the file. */
static bool open_credentials(struct storm_options *options, struct credentials *credentials)
{
	const char *path = options->token_path != NULL ? options->token_path : options->secret_path;
	const char *fault;
	*credentials = (struct credentials){.user_name = options->user_name};
	if (path == NULL)
		return true;
	if (options->token_path != NULL)
		fault = credentials_open_tokens(credentials, path);
	else
		fault = credentials_open_secret(credentials, path, options->token_claims, (uint64_t)time(NULL));
	if (fault != NULL) {
		fprintf(stderr, "roost bench storm: %s %s\n", path, fault);
		return false;
	}
	options->load.credentials = options->load.established.credentials = credentials;
	return true;
}

/* The kernel takes an IPv4 source address for an IPv4 target only. */
static bool suits_source(const struct storm_load *load, const struct target *target)
{
	if (load->from.hosts == 0 || target->address.storage.ss_family == AF_INET)
		return true;
	fputs("roost bench storm: --from is for IPv4, and the target is not\n", stderr);
	return false;
}

/* Round by round against each in turn, so that what else happens on the machine hits all alike. */
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

static int run(struct storm_options *options)
{
	struct target targets[BESIDE_BROKERS_MAX];
	struct neighbours neighbours;
	struct storm_report report = {.load = &options->load, .beside = &options->beside};
	int status = BENCH_EXIT_FAILED;
	report.results = calloc((size_t)options->beside.rounds * BESIDE_BROKERS_MAX, sizeof(*report.results));
	if (report.results == NULL)
		return BENCH_EXIT_FAILED;
	options->load.established.neighbours = &neighbours;
	bool good = beside_open(&options->beside, targets, &neighbours) && run_rounds(options, targets, &report);
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
	struct credentials credentials;
	int status;
	if (!storm_options_parse(argc, argv, &options, &status))
		return status;
	progress_catch_signals();
	status = open_credentials(&options, &credentials) ? run(&options) : BENCH_EXIT_FAILED;
	progress_end();
	credentials_close(&credentials);
	return status;
}
