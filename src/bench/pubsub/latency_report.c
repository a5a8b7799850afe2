#include "bench/pubsub/latency_report.h"

#include "bench/report/report.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define OTHERS_PERCENT_QUIET 5.0
#define COLUMNS 6u
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

static const struct column {
	size_t offset; /* of the double in struct percentiles */
	const char *key;
	const char *title;
} COLUMN[COLUMNS] = {
	{offsetof(struct percentiles, p50_us), "p50", "p50"},
	{offsetof(struct percentiles, p90_us), "p90", "p90"},
	{offsetof(struct percentiles, p99_us), "p99", "p99"},
	{offsetof(struct percentiles, p999_us), "p999", "p99.9"},
	{offsetof(struct percentiles, p9999_us), "p9999", "p99.99"},
	{offsetof(struct percentiles, max_us), "max", "max"},
};

static double figure_of(const struct load_timing *timing, const struct part *part, const struct column *column)
{
	double value;
	memcpy(&value, (const char *)timing + part->offset + column->offset, sizeof(value));
	return value;
}

static void set_figure(struct load_timing *timing, const struct part *part, const struct column *column, double value)
{
	memcpy((char *)timing + part->offset + column->offset, &value, sizeof(value));
}

static void summarize_timing(const struct load_result *results, uint32_t rounds, struct load_timing *out)
{
	double values[PUBSUB_ROUNDS_MAX];
	for (size_t p = 0; p < PART_COUNT; p++) {
		for (uint32_t c = 0; c < COLUMNS; c++) {
			for (uint32_t i = 0; i < rounds; i++)
				values[i] = figure_of(&results[i].timing, &PARTS[p], &COLUMN[c]);
			bool is_max = COLUMN[c].offset == offsetof(struct percentiles, max_us);
			set_figure(out, &PARTS[p], &COLUMN[c],
				   is_max ? report_largest(values, rounds) : report_median(values, rounds));
		}
	}
}

void latency_summarize(const struct load_result *results, uint32_t rounds, struct latency_summary *out)
{
	double values[5][PUBSUB_ROUNDS_MAX];
	*out = (struct latency_summary){0};
	summarize_timing(results, rounds, &out->timing);
	for (uint32_t i = 0; i < rounds; i++) {
		const struct load_figures *figures = &results[i].figures;
		out->messages += figures->delivered;
		values[0][i] = figures->server_cpu_us;
		values[1][i] = figures->server_cpu_percent;
		values[2][i] = figures->client_cpu_percent;
		values[3][i] = figures->neighbour_cpu_percent;
		values[4][i] = figures->other_cpu_percent;
	}
	out->server_cpu_us = report_median(values[0], rounds);
	out->server_cpu_percent = report_median(values[1], rounds);
	out->bench_cpu_percent = report_median(values[2], rounds);
	out->neighbour_cpu_percent = report_median(values[3], rounds);
	out->other_cpu_percent_max = report_largest(values[4], rounds);
}

bool latency_is_the_benchs(const struct load_timing *timing)
{
	return timing->passage.p999_us < timing->latency.p999_us / 2;
}

static void print_heading(const struct pubsub_report *report, uint32_t neighbours)
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

static void print_cells(const char *name, const double *values, int decimals)
{
	char cell[32];
	printf("%-*s", NAME_COLUMN, name);
	for (uint32_t c = 0; c < COLUMNS; c++)
		printf(" %10s", report_grouped(values[c], decimals, cell));
	putchar('\n');
}

static void ratios(const struct latency_summary *first, const struct latency_summary *other, const struct part *part,
		   double *out)
{
	for (uint32_t c = 0; c < COLUMNS; c++)
		out[c] = figure_of(&first->timing, part, &COLUMN[c]) / figure_of(&other->timing, part, &COLUMN[c]);
}

/* The bench's own lateness is nobody's merit: no ratios of it. */
static bool has_ratios(size_t part)
{
	return part < 2;
}

static void print_part(const struct pubsub_report *report, const struct latency_summary *summaries, size_t part)
{
	double values[COLUMNS];
	char name[2 * TARGET_NAME_BYTES + 4];
	bool known = false;
	for (uint32_t i = 0; i < report->target_count; i++)
		known = known || !isnan(figure_of(&summaries[i].timing, &PARTS[part], &COLUMN[0]));
	if (!known)
		return;
	printf("\n%s\n", PARTS[part].title);
	for (uint32_t i = 0; i < report->target_count; i++) {
		for (uint32_t c = 0; c < COLUMNS; c++)
			values[c] = figure_of(&summaries[i].timing, &PARTS[part], &COLUMN[c]);
		print_cells(report->targets[i].name, values, 1);
	}
	for (uint32_t i = 1; i < report->target_count && has_ratios(part); i++) {
		snprintf(name, sizeof(name), "%s / %s", report->targets[0].name, report->targets[i].name);
		ratios(&summaries[0], &summaries[i], &PARTS[part], values);
		print_cells(name, values, 2);
	}
}

static void print_costs(const struct pubsub_report *report, const struct latency_summary *summaries)
{
	char cells[6][32];
	printf("\n%-*s %10s %10s %10s %10s %10s %10s %6s %8s %8s\n", NAME_COLUMN, "", "messages", "CPU us/m",
	       "server %", "bench %", "neighb. %", "others %", "lost", "disorder", "doubled");
	for (uint32_t i = 0; i < report->target_count; i++) {
		const struct latency_summary *summary = &summaries[i];
		struct load_totals sum = {.spread = spread_none()};
		bool stalled = false;
		for (uint32_t r = 0; r < report->rounds; r++) {
			load_totals_add(&sum, &report->results[i][r].totals);
			stalled = stalled || report->results[i][r].stalled;
		}
		printf("%-*s %10s %10s %10s %10s %10s %10s %6llu %8llu %8llu%s\n", NAME_COLUMN, report->targets[i].name,
		       report_grouped(summary->messages, 0, cells[0]),
		       report_grouped(summary->server_cpu_us, 1, cells[1]),
		       report_grouped(summary->server_cpu_percent, 1, cells[2]),
		       report_grouped(summary->bench_cpu_percent, 1, cells[3]),
		       report_grouped(summary->neighbour_cpu_percent, 1, cells[4]),
		       report_grouped(summary->other_cpu_percent_max, 1, cells[5]), (unsigned long long)sum.missing,
		       (unsigned long long)sum.reordered, (unsigned long long)sum.doubled, stalled ? "  stalled" : "");
	}
}

/* Whether the medians stand for the rounds. */
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

static void print_warnings(const struct pubsub_report *report, const struct latency_summary *summaries)
{
	for (uint32_t i = 0; i < report->target_count; i++) {
		const struct latency_summary *summary = &summaries[i];
		if (summary->other_cpu_percent_max > OTHERS_PERCENT_QUIET)
			printf("\nThe machine was not quiet: beside %s others took %.0f %% of a core in one round. Run "
			       "it "
			       "again.\n",
			       report->targets[i].name, summary->other_cpu_percent_max);
		if (latency_is_the_benchs(&summary->timing))
			printf("\n%s: more than half of the p99.9 is the bench's own lateness: compare the time from "
			       "send() to the socket.\n",
			       report->targets[i].name);
	}
}

static void print_people(const struct pubsub_report *report, const struct latency_summary *summaries,
			 uint32_t neighbours)
{
	print_heading(report, neighbours);
	printf("\n%-*s", NAME_COLUMN, report->rounds > 1 ? "us, medians of the rounds" : "us");
	for (uint32_t c = 0; c < COLUMNS; c++)
		printf(" %10s", COLUMN[c].title);
	putchar('\n');
	for (size_t part = 0; part < PART_COUNT; part++)
		print_part(report, summaries, part);
	print_costs(report, summaries);
	print_rounds(report);
	print_warnings(report, summaries);
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
	const struct latency_summary *summary = &summaries[target];
	const char *name = from->targets[target].name;
	double values[COLUMNS];
	for (size_t p = 0; p < PART_COUNT; p++) {
		for (uint32_t c = 0; c < COLUMNS; c++)
			values[c] = figure_of(&summary->timing, &PARTS[p], &COLUMN[c]);
		add_percentiles(report, name, PARTS[p].key, "_us", values, 1);
		if (target == 0 || !has_ratios(p))
			continue;
		ratios(&summaries[0], summary, &PARTS[p], values);
		add_percentiles(report, name, p == 0 ? "ratio" : "pass_ratio", "", values, 3);
	}
	report_number(report, name, "messages", summary->messages, 0, NULL, "");
	report_number(report, name, "cpu_us_per_message", summary->server_cpu_us, 3, NULL, "");
	report_number(report, name, "server_cpu_percent", summary->server_cpu_percent, 1, NULL, "");
	report_number(report, name, "bench_cpu_percent", summary->bench_cpu_percent, 1, NULL, "");
	report_number(report, name, "neighbour_cpu_percent", summary->neighbour_cpu_percent, 1, NULL, "");
	report_number(report, name, "other_cpu_percent_max", summary->other_cpu_percent_max, 1, NULL, "");
	report_number(report, name, "is_the_benchs", latency_is_the_benchs(&summary->timing), 0, NULL, "");
}

static void add_load(struct report *report, const struct pubsub_report *from, uint32_t neighbours)
{
	const struct load_plan *load = &from->round->load;
	report_number(report, NULL, "clients", load->clients, 0, NULL, "");
	report_number(report, NULL, "publishers", load->publishers, 0, NULL, "");
	report_number(report, NULL, "rate", load->rate > 0 ? load->rate : (double)NAN, 0, NULL, "");
	report_number(report, NULL, "window", load->window, 0, NULL, "");
	report_number(report, NULL, "size", load->size, 0, NULL, "");
	report_number(report, NULL, "qos", load->qos, 0, NULL, "");
	report_number(report, NULL, "version", from->round->version, 0, NULL, "");
	report_number(report, NULL, "duration_s", from->round->duration_s, 0, NULL, "");
	report_number(report, NULL, "rounds", from->rounds, 0, NULL, "");
	report_number(report, NULL, "neighbours", neighbours, 0, NULL, "");
}

bool latency_report_print(const struct pubsub_report *from, uint32_t neighbours, bool json)
{
	struct latency_summary summaries[PUBSUB_TARGETS_MAX];
	struct report *report = report_new();
	if (report == NULL)
		return false;
	for (uint32_t i = 0; i < from->target_count; i++)
		latency_summarize(from->results[i], from->rounds, &summaries[i]);
	if (json) {
		add_load(report, from, neighbours);
		for (uint32_t i = 0; i < from->target_count; i++)
			add_broker(report, from, i, summaries);
		report_print(report, true);
	} else {
		print_people(from, summaries, neighbours);
	}
	report_free(report);
	return true;
}
