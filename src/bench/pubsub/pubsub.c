#include "bench/pubsub/pubsub.h"

#include "bench/options/options.h"
#include "bench/pubsub/pubsub_options.h"
#include "bench/report/progress.h"
#include "bench/target/cpu.h"

#include "base/check.h"

#include <stdio.h>

/* The floor runs on a different processor from the bench, as a single-threaded server would, and once more on the same
 * one: a server with a thread on each does part of its work in either place. */
static bool open_floor(struct pubsub_options *options, struct pubsub_report *report)
{
	struct target *floor = &report->targets[report->target_count++];
	report->has_floor = true;
	if (options->has_floor_url)
		return target_open(floor, "floor", &options->floor_url, 0, NULL);
	if (!target_open_floor(floor))
		return false;
	if (options->no_pin || options->round.threads > 1)
		return true;
	cpu_ends(&floor->cpu, &options->round.cpu);
	if (floor->cpu == CPU_ANY)
		return true;
	struct target *near = &report->targets[report->target_count++];
	report->has_floor_near = true;
	*near = *floor;
	near->is_child = false;
	near->cpu = options->round.cpu;
	snprintf(near->name, sizeof(near->name), "floor-near");
	return true;
}

static bool open_targets(struct pubsub_options *options, struct pubsub_report *report)
{
	struct target *targets = report->targets;
	if (!target_open(&targets[report->target_count++], "server", &options->url, (pid_t)options->server_pid,
			 &options->transport))
		return false;
	if (options->floor && !open_floor(options, report))
		return false;
	for (uint32_t i = 0; i < options->also_count; i++) {
		const struct also *also = &options->also[i];
		if (!target_open(&targets[report->target_count++], also->name, &also->url, 0, &options->transport))
			return false;
	}
	return true;
}

/* Runs against each in turn, round by round, so that whatever else happens on the machine hits all of them alike. */
bool pubsub_run_rounds(const struct load_round *load, uint32_t rounds, struct pubsub_report *report)
{
	CHECK(rounds <= PUBSUB_ROUNDS_MAX && report->target_count > 0);
	for (uint32_t round = 0; round < rounds; round++) {
		for (uint32_t i = 0; i < report->target_count; i++) {
			struct target *target = &report->targets[i];
			struct load_result *result = &report->results[i][round];
			if (!load_run(load, target, target->name, result))
				return false;
			if (progress_interrupted())
				return true;
		}
		report->rounds = round + 1;
	}
	return true;
}

int pubsub_main(int argc, char **argv)
{
	struct pubsub_options options;
	int status;
	if (!pubsub_options_parse(argc, argv, &options, &status))
		return status;
	struct pubsub_report *report = pubsub_report_new(&options.round);
	if (report == NULL)
		return BENCH_EXIT_FAILED;
	progress_catch_signals();
	status = BENCH_EXIT_FAILED;
	if (open_targets(&options, report) && pubsub_run_rounds(&options.round, options.rounds, report) &&
	    report->rounds > 0) {
		progress_end();
		pubsub_report_print(report, options.json);
		status = pubsub_report_is_clean(report) ? BENCH_EXIT_OK : BENCH_EXIT_FAILED;
	}
	progress_end();
	for (uint32_t i = 0; i < report->target_count; i++)
		target_close(&report->targets[i]);
	pubsub_report_free(report);
	return status;
}
