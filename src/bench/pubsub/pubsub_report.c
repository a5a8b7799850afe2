#include "bench/pubsub/pubsub_report.h"

#include "bench/report/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define OTHERS_PERCENT_QUIET 10.0

/* Medians and sums of one target's rounds. */
struct summary {
	double rate;
	double p50_us;
	double p99_us;
	double p999_us;
	double max_us; /* the largest of all rounds */
	double server_cpu_us;
	double client_cpu_us;
	double other_cpu_percent;  /* the largest of all rounds */
	struct load_totals totals; /* of all rounds; the spread is the worst */
	uint64_t clients_lost;
	bool stalled;
};

const char *pubsub_pattern_name(enum load_pattern pattern)
{
	static const char *const names[PUBSUB_PATTERNS] = {
		[LOAD_ONE_TO_ONE] = "one-to-one",
		[LOAD_FAN_OUT] = "fan-out",
		[LOAD_FAN_IN] = "fan-in",
		[LOAD_SHARED] = "shared",
	};
	return names[pattern];
}

struct pubsub_report *pubsub_report_new(const struct load_round *round)
{
	struct pubsub_report *report = calloc(1, sizeof(*report));
	if (report == NULL)
		return NULL;
	report->round = round;
	for (uint32_t i = 0; i < PUBSUB_TARGETS_MAX; i++) {
		report->results[i] = calloc(PUBSUB_ROUNDS_MAX, sizeof(*report->results[i]));
		if (report->results[i] == NULL) {
			pubsub_report_free(report);
			return NULL;
		}
	}
	return report;
}

void pubsub_report_free(struct pubsub_report *report)
{
	for (uint32_t i = 0; i < PUBSUB_TARGETS_MAX; i++)
		free(report->results[i]);
	free(report);
}

static double rate_of(const struct load_figures *figures)
{
	return figures->measured_s > 0 ? figures->delivered / figures->measured_s : (double)NAN;
}

static void summarize(const struct load_result *results, uint32_t rounds, struct summary *out)
{
	double values[6][PUBSUB_ROUNDS_MAX];
	*out = (struct summary){
		.max_us = (double)NAN, .other_cpu_percent = (double)NAN, .totals = {.spread = spread_none()}};
	for (uint32_t i = 0; i < rounds; i++) {
		const struct load_figures *figures = &results[i].figures;
		values[0][i] = rate_of(figures);
		values[1][i] = figures->p50_us;
		values[2][i] = figures->p99_us;
		values[3][i] = figures->p999_us;
		values[4][i] = figures->server_cpu_us;
		values[5][i] = figures->client_cpu_us;
		if (!(figures->max_us <= out->max_us))
			out->max_us = figures->max_us;
		if (!(figures->other_cpu_percent <= out->other_cpu_percent))
			out->other_cpu_percent = figures->other_cpu_percent;
		out->stalled = out->stalled || results[i].stalled;
		load_totals_add(&out->totals, &results[i].totals);
	}
	out->clients_lost = losses_total(&out->totals.losses);
	out->rate = report_median(values[0], rounds);
	out->p50_us = report_median(values[1], rounds);
	out->p99_us = report_median(values[2], rounds);
	out->p999_us = report_median(values[3], rounds);
	out->server_cpu_us = report_median(values[4], rounds);
	out->client_cpu_us = report_median(values[5], rounds);
}

static void print_heading(const struct pubsub_report *report)
{
	const struct load_plan *load = &report->round->load;
	printf("%s: %u clients, %u publishers, window %u, burst %u, %u bytes, QoS %u, protocol level %u; ",
	       pubsub_pattern_name(load->pattern), load->clients, load->publishers, load->window, load->burst,
	       load->size, (unsigned int)load->qos, (unsigned int)report->round->version);
	if (load->pattern == LOAD_SHARED)
		printf("%u members; ", load->members);
	if (report->round->messages > 0)
		printf("%u rounds of %llu messages\n\n", report->rounds, (unsigned long long)report->round->messages);
	else
		printf("%u rounds of %u s\n\n", report->rounds, report->round->duration_s);
	printf("%-12s %12s %10s %10s %10s %10s %9s %8s %6s %8s %8s %8s\n", "", "delivered/s", "p50 us", "p99 us",
	       "p99.9 us", "max us", "CPU us/m", "x floor", "lost", "disorder", "doubled", "unacked");
}

static void print_line(const char *name, const struct summary *summary, double ratio)
{
	const struct load_totals *totals = &summary->totals;
	char cells[7][32];
	printf("%-12s %12s %10s %10s %10s %10s %9s %8s %6llu %8llu %8llu %8llu%s\n", name,
	       report_grouped(summary->rate, 0, cells[0]), report_grouped(summary->p50_us, 1, cells[1]),
	       report_grouped(summary->p99_us, 1, cells[2]), report_grouped(summary->p999_us, 1, cells[3]),
	       report_grouped(summary->max_us, 1, cells[4]), report_grouped(summary->server_cpu_us, 2, cells[5]),
	       report_grouped(ratio, 2, cells[6]), (unsigned long long)totals->missing,
	       (unsigned long long)totals->reordered, (unsigned long long)totals->doubled,
	       (unsigned long long)totals->unacknowledged, summary->stalled ? "  stalled" : "");
}

static void add_figures(struct report *report, const char *name, const struct summary *summary, double ratio,
			uint8_t version)
{
	const struct load_totals *totals = &summary->totals;
	char reasons[REPORT_TEXT_BYTES];
	losses_describe(&totals->losses, version, reasons, sizeof(reasons));
	report_number(report, name, "delivered_per_s", summary->rate, 0, NULL, "");
	report_number(report, name, "latency_p50_us", summary->p50_us, 1, NULL, "");
	report_number(report, name, "latency_p99_us", summary->p99_us, 1, NULL, "");
	report_number(report, name, "latency_p999_us", summary->p999_us, 1, NULL, "");
	report_number(report, name, "latency_max_us", summary->max_us, 1, NULL, "");
	report_number(report, name, "cpu_us_per_message", summary->server_cpu_us, 3, NULL, "");
	report_number(report, name, "bench_cpu_us_per_message", summary->client_cpu_us, 3, NULL, "");
	report_number(report, name, "other_cpu_percent_max", summary->other_cpu_percent, 1, NULL, "");
	report_number(report, name, "floor_ratio", ratio, 3, NULL, "");
	report_number(report, name, "received", (double)totals->received, 0, NULL, "");
	report_number(report, name, "lost", (double)totals->missing, 0, NULL, "");
	report_number(report, name, "out_of_order", (double)totals->reordered, 0, NULL, "");
	report_number(report, name, "doubled", (double)totals->doubled, 0, NULL, "");
	report_number(report, name, "unacknowledged", (double)totals->unacknowledged, 0, NULL, "");
	report_number(report, name, "member_least", totals->spread.least, 0, NULL, "");
	report_number(report, name, "member_most", totals->spread.most, 0, NULL, "");
	report_number(report, name, "member_deviation_percent", totals->spread.deviation_percent, 2, NULL, "");
	report_number(report, name, "foreign", (double)totals->foreign, 0, NULL, "");
	report_number(report, name, "clients_lost", (double)summary->clients_lost, 0, NULL, "");
	report_text(report, name, "clients_lost_reasons", reasons, NULL);
	report_number(report, name, "stalled", summary->stalled, 0, NULL, "");
}

static void add_load(struct report *report, const struct pubsub_report *pubsub)
{
	const struct load_plan *load = &pubsub->round->load;
	report_text(report, NULL, "pattern", pubsub_pattern_name(load->pattern), NULL);
	report_number(report, NULL, "clients", load->clients, 0, NULL, "");
	report_number(report, NULL, "publishers", load->publishers, 0, NULL, "");
	report_number(report, NULL, "members", load->pattern == LOAD_SHARED ? load->members : (double)NAN, 0, NULL, "");
	report_number(report, NULL, "window", load->window, 0, NULL, "");
	report_number(report, NULL, "burst", load->burst, 0, NULL, "");
	report_number(report, NULL, "size", load->size, 0, NULL, "");
	report_number(report, NULL, "qos", load->qos, 0, NULL, "");
	report_number(report, NULL, "version", pubsub->round->version, 0, NULL, "");
	report_number(report, NULL, "threads", pubsub->round->threads, 0, NULL, "");
	report_number(report, NULL, "rounds", pubsub->rounds, 0, NULL, "");
}

static void print_losses(const char *name, const struct summary *summary, uint8_t version)
{
	char reasons[REPORT_TEXT_BYTES];
	if (summary->clients_lost == 0 && summary->totals.foreign == 0)
		return;
	losses_describe(&summary->totals.losses, version, reasons, sizeof(reasons));
	printf("%s: clients lost: %llu %s; messages not ours, or at another QoS: %llu\n", name,
	       (unsigned long long)summary->clients_lost, reasons, (unsigned long long)summary->totals.foreign);
}

/* What the floor costs where half of the work is done on the bench's own processor; NAN where that was not measured. */
static double floor_mean_us(const struct pubsub_report *pubsub, const struct summary *summaries)
{
	if (!pubsub->has_floor_near)
		return (double)NAN;
	return (summaries[1].server_cpu_us + summaries[2].server_cpu_us) / 2;
}

static void print_floor_note(const struct pubsub_report *pubsub, const struct summary *summaries)
{
	double mean = floor_mean_us(pubsub, summaries);
	if (isnan(mean))
		return;
	printf("\n\"floor\" ran on another processor than the bench, \"floor-near\" on the same, where a message costs "
	       "less.\n"
	       "A server with a thread on each compares with the mean of the two, %.2f us: server / mean = %.2f\n",
	       mean, summaries[0].server_cpu_us / mean);
}

static void print_spread(const char *name, const struct spread *spread)
{
	char cells[2][32];
	if (isnan(spread->deviation_percent))
		return;
	printf("%s: members got %s to %s messages in the least even round, at most %.1f %% off even\n", name,
	       report_grouped(spread->least, 0, cells[0]), report_grouped(spread->most, 0, cells[1]),
	       spread->deviation_percent);
}

/* Others on the machine evict caches and move threads: figures are worth little then. */
static void warn_of_others(const struct summary *summaries, uint32_t count)
{
	double most = 0;
	for (uint32_t i = 0; i < count; i++) {
		if (summaries[i].other_cpu_percent > most)
			most = summaries[i].other_cpu_percent;
	}
	if (most > OTHERS_PERCENT_QUIET)
		printf("\nThe machine was not quiet: in one round other processes took %.0f %% of a core. Run it "
		       "again.\n",
		       most);
}

static void print_notes(const struct pubsub_report *pubsub, const struct summary *summaries)
{
	uint64_t doubled = 0;
	print_floor_note(pubsub, summaries);
	warn_of_others(summaries, pubsub->target_count);
	for (uint32_t i = 0; i < pubsub->target_count; i++) {
		print_spread(pubsub->targets[i].name, &summaries[i].totals.spread);
		print_losses(pubsub->targets[i].name, &summaries[i], pubsub->round->version);
		doubled += summaries[i].totals.doubled;
	}
	if (doubled > 0 && pubsub->round->load.qos == 1)
		puts("At QoS 1 a message may come twice: \"doubled\" is no fault there.");
}

void pubsub_report_print(const struct pubsub_report *pubsub, bool json)
{
	struct summary summaries[PUBSUB_TARGETS_MAX] = {0};
	struct report *report = report_new();
	if (report == NULL)
		return;
	if (json)
		add_load(report, pubsub);
	else
		print_heading(pubsub);
	for (uint32_t i = 0; i < pubsub->target_count; i++)
		summarize(pubsub->results[i], pubsub->rounds, &summaries[i]);
	for (uint32_t i = 0; i < pubsub->target_count; i++) {
		double floor = pubsub->has_floor ? summaries[1].server_cpu_us : (double)NAN;
		double ratio = summaries[i].server_cpu_us / floor;
		const char *name = pubsub->targets[i].name;
		if (json)
			add_figures(report, name, &summaries[i], ratio, pubsub->round->version);
		else
			print_line(name, &summaries[i], ratio);
	}
	if (json) {
		double mean = floor_mean_us(pubsub, summaries);
		report_number(report, NULL, "server_floor_mean_ratio", summaries[0].server_cpu_us / mean, 3, NULL, "");
		report_print(report, true);
	} else {
		print_notes(pubsub, summaries);
	}
	report_free(report);
}

bool pubsub_report_is_clean(const struct pubsub_report *report)
{
	struct summary server;
	summarize(report->results[0], report->rounds, &server);
	const struct load_totals *totals = &server.totals;
	return totals->missing == 0 && totals->reordered == 0 &&
	       (totals->doubled == 0 || report->round->load.qos == 1) && totals->unacknowledged == 0 &&
	       server.clients_lost == 0 && !server.stalled;
}
