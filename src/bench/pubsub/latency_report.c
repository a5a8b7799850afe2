#include "bench/pubsub/latency_report.h"

#include "bench/report/report.h"
#include "bench/report/table.h"

#include "base/check.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define OTHERS_PERCENT_QUIET 5.0
#define COLUMNS 6u
#define COST_COLUMNS 9u
#define NAME_COLUMN 32

/* The parts of a latency. */
static const struct part {
	size_t offset; /* of struct percentiles in struct load_timing */
	const char *key;
	const char *title;
} PARTS[] = {
	{offsetof(struct load_timing, latency), "latency", "latency: from when a message was due until it was read"},
	{offsetof(struct load_timing, passage), "passage",
	 "of it, from send() until it was at the subscriber's socket"},
	{offsetof(struct load_timing, late), "send_late", "of it, the bench was late to send"},
	{offsetof(struct load_timing, read), "read_late", "of it, the bench was late to read"},
};

#define PART_COUNT (sizeof(PARTS) / sizeof(PARTS[0]))

_Static_assert(PART_COUNT * sizeof(struct percentiles) == sizeof(struct load_timing),
	       "every part of a timing is shown");
_Static_assert(COLUMNS * sizeof(double) == sizeof(struct percentiles), "every percentile is shown");

static const struct column {
	size_t offset; /* of the double in struct percentiles */
	const char *key;
} COLUMN[COLUMNS] = {
	{offsetof(struct percentiles, p50_us), "p50"},     {offsetof(struct percentiles, p90_us), "p90"},
	{offsetof(struct percentiles, p99_us), "p99"},     {offsetof(struct percentiles, p999_us), "p999"},
	{offsetof(struct percentiles, p9999_us), "p9999"}, {offsetof(struct percentiles, max_us), "max"},
};

static const struct table LATENCY_TABLE = {
	.name_width = NAME_COLUMN,
	.unknown = "n/a",
	.column_count = COLUMNS,
	.columns =
		{{"p50", 10, 1}, {"p90", 10, 1}, {"p99", 10, 1}, {"p99.9", 10, 1}, {"p99.99", 10, 1}, {"max", 10, 1}},
};

static const struct table COST_TABLE = {
	.name_width = NAME_COLUMN,
	.unknown = "n/a",
	.column_count = COST_COLUMNS,
	.columns = {{"messages", 10, 0},
		    {"CPU us/m", 10, 1},
		    {"server %", 10, 1},
		    {"bench %", 10, 1},
		    {"neighb. %", 10, 1},
		    {"others %", 10, 1},
		    {"lost", 6, TABLE_PLAIN},
		    {"disorder", 8, TABLE_PLAIN},
		    {"doubled", 8, TABLE_PLAIN}},
};

static double figure_of(const struct load_timing *timing, const struct part *part, const struct column *column)
{
	double value;
	memcpy(&value, (const char *)timing + part->offset + column->offset, sizeof(value));
	return value;
}

void latency_summarize(const struct load_result *results, uint32_t rounds, struct latency_summary *out)
{
	*out = (struct latency_summary){0};
	load_results_summarize(results, rounds, &out->middle);
	for (uint32_t i = 0; i < rounds; i++)
		out->messages += results[i].figures.delivered;
}

bool latency_is_the_benchs(const struct load_timing *timing)
{
	return timing->passage.p999_us < timing->latency.p999_us / 2;
}

static void latency_print_heading(const struct pubsub_report *report, uint32_t neighbours)
{
	const struct load_plan *load = &report->round->load;
	printf("%u clients, %u publishers, one-to-one, %u bytes, QoS %u, protocol level %u; ", load->clients,
	       load->publishers, load->size, (unsigned int)load->qos, (unsigned int)report->round->version);
	if (load->rate > 0)
		printf("%u messages/s; ", load->rate);
	else
		printf("closed loop, window %u; ", load->window);
	printf("%u %s of %u s; ", report->rounds, report->rounds == 1 ? "round" : "rounds", report->round->duration_s);
	printf("%u busy %s\n", neighbours, neighbours == 1 ? "neighbour" : "neighbours");
}

static void ratios(const struct latency_summary *first, const struct latency_summary *other, const struct part *part,
		   double *out)
{
	for (uint32_t c = 0; c < COLUMNS; c++)
		out[c] = figure_of(&first->middle.timing, part, &COLUMN[c]) /
			 figure_of(&other->middle.timing, part, &COLUMN[c]);
}

/* No broker is to blame for the bench's own lateness, so it has no ratios. */
static bool has_ratios(size_t part)
{
	return part < 2;
}

static void print_part(const struct pubsub_report *report, const struct latency_summary *summaries, size_t part)
{
	CHECK(part < PART_COUNT);
	double values[COLUMNS];
	char name[2 * TARGET_NAME_BYTES + 4];
	bool known = false;
	for (uint32_t i = 0; i < report->target_count; i++)
		known = known || !isnan(figure_of(&summaries[i].middle.timing, &PARTS[part], &COLUMN[0]));
	if (!known)
		return;
	printf("\n%s\n", PARTS[part].title);
	for (uint32_t i = 0; i < report->target_count; i++) {
		for (uint32_t c = 0; c < COLUMNS; c++)
			values[c] = figure_of(&summaries[i].middle.timing, &PARTS[part], &COLUMN[c]);
		table_print_row(&LATENCY_TABLE, report->targets[i].name, values, "");
	}
	for (uint32_t i = 1; i < report->target_count && has_ratios(part); i++) {
		snprintf(name, sizeof(name), "%s / %s", report->targets[0].name, report->targets[i].name);
		ratios(&summaries[0], &summaries[i], &PARTS[part], values);
		table_print_ratios(&LATENCY_TABLE, name, values, COLUMNS, TABLE_NO_BLANK);
	}
}

static void print_costs(const struct pubsub_report *report, const struct latency_summary *summaries)
{
	putchar('\n');
	table_print_titles(&COST_TABLE, "");
	for (uint32_t i = 0; i < report->target_count; i++) {
		const struct load_figures *figures = &summaries[i].middle.figures;
		const struct load_totals *totals = &summaries[i].middle.totals;
		const double values[] = {
			summaries[i].messages,       figures->server_cpu_us,         figures->server_cpu_percent,
			figures->client_cpu_percent, figures->neighbour_cpu_percent, figures->other_cpu_percent,
			(double)totals->missing,     (double)totals->reordered,      (double)totals->doubled};
		_Static_assert(sizeof(values) / sizeof(values[0]) == COST_COLUMNS, "one value for each column");
		table_print_row(&COST_TABLE, report->targets[i].name, values,
				summaries[i].middle.stalled ? "  stalled" : "");
	}
}

/* Lets the reader judge whether the medians are representative. */
static void print_rounds(const struct pubsub_report *report)
{
	char cell[32];
	if (report->rounds < 2)
		return;
	puts("\np99.9 of the latency, round by round");
	for (uint32_t i = 0; i < report->target_count; i++) {
		printf("%-*s", NAME_COLUMN, report->targets[i].name);
		for (uint32_t r = 0; r < report->rounds; r++)
			printf(" %10s", report_grouped(report->results[i][r].timing.latency.p999_us, 1, cell));
		putchar('\n');
	}
}

static void latency_print_warnings(const struct pubsub_report *report, const struct latency_summary *summaries)
{
	for (uint32_t i = 0; i < report->target_count; i++) {
		const struct latency_summary *summary = &summaries[i];
		if (summary->middle.figures.other_cpu_percent > OTHERS_PERCENT_QUIET)
			printf("\nThe machine was not quiet: beside %s others took %.0f %% of a core in one round. Run "
			       "it again.\n",
			       report->targets[i].name, summary->middle.figures.other_cpu_percent);
		if (latency_is_the_benchs(&summary->middle.timing))
			printf("\n%s: more than half of the p99.9 is the bench's own lateness: compare the time from "
			       "send() to the socket.\n",
			       report->targets[i].name);
	}
}

static void latency_print_people(const struct pubsub_report *report, const struct latency_summary *summaries,
				 uint32_t neighbours)
{
	latency_print_heading(report, neighbours);
	putchar('\n');
	table_print_titles(&LATENCY_TABLE, report->rounds > 1 ? "us, medians of the rounds" : "us");
	for (size_t part = 0; part < PART_COUNT; part++)
		print_part(report, summaries, part);
	print_costs(report, summaries);
	print_rounds(report);
	latency_print_warnings(report, summaries);
	fflush(stdout);
}

static void add_percentiles(struct report *report, const char *name, const char *part, const char *unit,
			    const double *values, int decimals)
{
	char key[REPORT_KEY_BYTES];
	for (uint32_t c = 0; c < COLUMNS; c++) {
		snprintf(key, sizeof(key), "%.12s_%s%s", part, COLUMN[c].key, unit);
		report_number(report, name, key, values[c], decimals, NULL, "");
	}
}

static void add_broker(struct report *report, const struct pubsub_report *from, uint32_t target,
		       const struct latency_summary *summaries)
{
	CHECK(target < from->target_count);
	const struct latency_summary *summary = &summaries[target];
	const char *name = from->targets[target].name;
	double values[COLUMNS];
	for (size_t p = 0; p < PART_COUNT; p++) {
		for (uint32_t c = 0; c < COLUMNS; c++)
			values[c] = figure_of(&summary->middle.timing, &PARTS[p], &COLUMN[c]);
		add_percentiles(report, name, PARTS[p].key, "_us", values, 1);
		if (target == 0 || !has_ratios(p))
			continue;
		ratios(&summaries[0], summary, &PARTS[p], values);
		add_percentiles(report, name, p == 0 ? "ratio" : "pass_ratio", "", values, 3);
	}
	const struct load_figures *figures = &summary->middle.figures;
	report_values(report, name,
		      (struct report_value[]){{"messages", summary->messages, 0},
					      {"cpu_us_per_message", figures->server_cpu_us, 3},
					      {"server_cpu_percent", figures->server_cpu_percent, 1},
					      {"bench_cpu_percent", figures->client_cpu_percent, 1},
					      {"neighbour_cpu_percent", figures->neighbour_cpu_percent, 1},
					      {"other_cpu_percent_max", figures->other_cpu_percent, 1},
					      {"is_the_benchs", latency_is_the_benchs(&summary->middle.timing), 0},
					      {NULL, 0, 0}});
}

static void latency_add_load(struct report *report, const struct pubsub_report *from, uint32_t neighbours)
{
	const struct load_plan *load = &from->round->load;
	report_values(report, NULL,
		      (struct report_value[]){{"clients", load->clients, 0},
					      {"publishers", load->publishers, 0},
					      {"rate", load->rate > 0 ? load->rate : (double)NAN, 0},
					      {"window", load->window, 0},
					      {"size", load->size, 0},
					      {"qos", load->qos, 0},
					      {"version", from->round->version, 0},
					      {"duration_s", from->round->duration_s, 0},
					      {"rounds", from->rounds, 0},
					      {"neighbours", neighbours, 0},
					      {NULL, 0, 0}});
}

bool latency_report_print(const struct pubsub_report *from, uint32_t neighbours, bool json)
{
	CHECK(from->rounds > 0 && from->target_count > 0);
	struct latency_summary summaries[PUBSUB_TARGETS_MAX];
	struct report *report = report_new();
	if (report == NULL)
		return false;
	for (uint32_t i = 0; i < from->target_count; i++)
		latency_summarize(from->results[i], from->rounds, &summaries[i]);
	if (json) {
		latency_add_load(report, from, neighbours);
		for (uint32_t i = 0; i < from->target_count; i++)
			add_broker(report, from, i, summaries);
		report_print(report, true);
	} else {
		latency_print_people(from, summaries, neighbours);
	}
	report_free(report);
	return true;
}
