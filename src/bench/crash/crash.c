#include "bench/crash/crash.h"

#include "bench/crash/crash_run.h"
#include "bench/options/options.h"
#include "bench/report/progress.h"
#include "bench/report/report.h"
#include "bench/report/table.h"
#include "bench/target/scratch_store.h"

#include "base/check.h"
#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS 12u

static const struct table TABLE = {
	.name_width = 0,
	.unknown = "-",
	.column_count = COLUMNS,
	.columns = {{"round", 6, TABLE_PLAIN},
		    {"load ms", 9, 0},
		    {"acked", 9, 0},
		    {"open", 6, TABLE_PLAIN},
		    {"start ms", 9, 0},
		    {"settle ms", 10, 0},
		    {"arrived", 10, 0},
		    {"repeated", 9, TABLE_PLAIN},
		    {"missing", 8, TABLE_PLAIN},
		    {"doubled", 8, TABLE_PLAIN},
		    {"disorder", 9, TABLE_PLAIN},
		    {"reused", 7, TABLE_PLAIN}},
};

static void print_round(const struct crash_round *round)
{
	const double values[] = {round->number,
				 round->load_ms,
				 (double)round->acknowledged,
				 (double)round->open,
				 round->start_ms,
				 round->settle_ms,
				 (double)round->arrived,
				 (double)round->repeated,
				 (double)(round->faults[LEDGER_MISSING] + round->retained_lost),
				 (double)round->faults[LEDGER_DOUBLED],
				 (double)(round->faults[LEDGER_REORDERED] + round->faults[LEDGER_LATE]),
				 (double)round->reused};
	_Static_assert(sizeof(values) / sizeof(values[0]) == COLUMNS, "one value for each column");
	table_print_row(&TABLE, "", values, round->early ? "  killed twice" : "");
	fflush(stdout);
}

/* Of one time of all rounds; percent 50 and 100. */
static double middle(const struct crash_run *run, size_t offset, bool largest)
{
	double *values = calloc(run->round_count + 1, sizeof(*values));
	if (values == NULL || run->round_count == 0) {
		free(values);
		return (double)NAN;
	}
	for (uint32_t i = 0; i < run->round_count; i++)
		memcpy(&values[i], (const char *)&run->rounds[i] + offset, sizeof(double));
	double result = largest ? report_largest(values, run->round_count) : report_median(values, run->round_count);
	free(values);
	return result;
}

static void crash_add_times(struct report *report, const struct crash_run *run)
{
	static const struct {
		const char *key;
		const char *median;
		const char *largest;
		size_t offset;
	} times[] = {
		{"stop_ms", "from the signal to the end, median", "  largest", offsetof(struct crash_round, stop_ms)},
		{"start_ms", "from exec to accepting, median", "  largest", offsetof(struct crash_round, start_ms)},
		{"settle_ms", "from then until all had arrived, median", "  largest",
		 offsetof(struct crash_round, settle_ms)},
	};
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		report_number(report, NULL, times[i].key, middle(run, times[i].offset, false), 1, times[i].median,
			      "ms");
		report_number(report, times[i].key, "largest", middle(run, times[i].offset, true), 1, times[i].largest,
			      "ms");
	}
}

static void crash_report(struct report *report, const struct crash_run *run, uint64_t seed, double took_s)
{
	const struct ledger_sums *sums = &run->engine.ledger.sums;
	uint32_t early = 0;
	for (uint32_t i = 0; i < run->round_count; i++)
		early += run->rounds[i].early;
	report_number(report, NULL, "rounds", run->round_count, 0, "rounds", "");
	report_number(report, NULL, "killed_twice", early, 0, "  of these, killed again while it started", "");
	uint32_t upgrades = run->upgrades;
	if (run->child.pid > 0)
		upgrades += child_log_count(&run->child, "upgraded from ");
	if (run->options->upgrade_percent != 0)
		report_number(report, NULL, "upgrades", upgrades, 0, "  times that a program was replaced", "");
	report_number(report, NULL, "seconds", took_s, 1, "in", "s");
	report_number(report, NULL, "acknowledged", (double)sums->acknowledged, 0, "messages acknowledged", "");
	report_number(report, NULL, "arrived", (double)sums->arrived, 0, "arrived, in all streams", "");
	report_number(report, NULL, "repeated", (double)sums->repeated, 0, "  again at QoS 1, which is allowed", "");
	report_number(report, NULL, "refused", (double)run->engine.refused, 0, "messages refused", "");
	report_number(report, NULL, "missing", (double)sums->faults[LEDGER_MISSING], 0, "acknowledged and missing", "");
	report_number(report, NULL, "retained_lost", (double)run->retained_lost, 0, "retained messages lost", "");
	report_number(report, NULL, "doubled", (double)sums->faults[LEDGER_DOUBLED], 0, "doubled at QoS 0 or 2", "");
	report_number(report, NULL, "out_of_order", (double)sums->faults[LEDGER_REORDERED], 0, "out of order", "");
	report_number(report, NULL, "late", (double)sums->faults[LEDGER_LATE], 0, "late, after they were given up", "");
	report_number(report, NULL, "identifiers_reused", (double)run->engine.faults.identifiers_reused, 0,
		      "identifiers used again before PUBREL", "");
	report_number(report, NULL, "sessions_lost", (double)run->engine.faults.sessions_lost, 0,
		      "sessions not resumed", "");
	crash_add_times(report, run);
	/* A double would not hold it. */
	char text[24];
	snprintf(text, sizeof(text), "%llu", (unsigned long long)seed);
	report_text(report, NULL, "seed", text, "seed");
}

/* Returns whether all rounds were made, and were clean. */
static bool make_rounds(struct crash_run *run)
{
	const struct crash_options *options = run->options;
	if (!options->json)
		table_print_titles(&TABLE, "");
	while (run->round_count < options->rounds && !progress_interrupted()) {
		if (!crash_run_round(run))
			break;
		if (!options->json)
			print_round(&run->rounds[run->round_count - 1]);
		if (!crash_run_is_clean(run) && !options->keep_going)
			break;
	}
	return run->round_count == options->rounds && crash_run_is_clean(run);
}

static bool crash_against(struct crash_run *run, const struct crash_options *options, const char *store)
{
	uint64_t began_ns = clock_now_ns();
	uint64_t seed = options->seed != 0 ? options->seed : began_ns | 1u;
	struct report *report = report_new();
	bool good = report != NULL && crash_run_open(run, options, store, seed) && make_rounds(run);
	if (report != NULL && run->round_count > 0) {
		crash_report(report, run, seed, (double)(clock_now_ns() - began_ns) / 1e9);
		if (!options->json)
			putchar('\n');
		report_print(report, options->json);
		if (!options->json)
			engine_print_faults(&run->engine);
	}
	report_free(report);
	if (run->fault != NULL)
		fprintf(stderr, "roost bench crash: round %u: %s\n", run->round_count + 1, run->fault);
	crash_run_close(run);
	return good;
}

int crash_main(int argc, char **argv)
{
	struct crash_options options;
	int status;
	struct scratch_store scratch;
	char prefix[32];
	char topics[32];
	if (!crash_options_parse(argc, argv, &options, &status))
		return status;
	struct crash_run *run = calloc(1, sizeof(*run));
	if (run == NULL || (options.store == NULL && !scratch_store_make(&scratch))) {
		if (run == NULL)
			fputs("roost bench: out of memory\n", stderr);
		free(run);
		return BENCH_EXIT_FAILED;
	}
	const char *store = options.store != NULL ? options.store : scratch.path;
	/* Sessions and retained messages of an earlier run in the same store are not in the way. */
	unsigned int mark = (unsigned int)(clock_now_ns() / 1000u);
	snprintf(prefix, sizeof(prefix), "crash-%x-", mark);
	snprintf(topics, sizeof(topics), "crash/%x/", mark);
	options.plan.client_prefix = prefix;
	options.plan.cast.topic_prefix = topics;
	progress_catch_signals();
	bool good = crash_against(run, &options, store);
	if (options.store == NULL && good)
		scratch_store_remove(&scratch);
	else if (options.store == NULL)
		fprintf(stderr, "roost bench crash: the store is kept: %s\n", store);
	free(run);
	return good ? BENCH_EXIT_OK : BENCH_EXIT_FAILED;
}
