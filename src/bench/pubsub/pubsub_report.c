#include "bench/pubsub/pubsub_report.h"

#include "bench/report/report.h"
#include "bench/report/table.h"

#include "base/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define OTHERS_PERCENT_QUIET 10.0

_Static_assert(PUBSUB_ROUNDS_MAX <= LOAD_ROUNDS_MAX, "the rounds that load_results_summarize() takes");
_Static_assert(PUBSUB_PATTERNS == LOAD_SHARED + 1, "a name for each pattern");

#define COLUMNS 11u

static const struct table TABLE = {
	.name_width = 12,
	.unknown = "n/a",
	.column_count = COLUMNS,
	.columns = {{"delivered/s", 12, 0},
		    {"p50 us", 10, 1},
		    {"p99 us", 10, 1},
		    {"p99.9 us", 10, 1},
		    {"max us", 10, 1},
		    {"CPU us/m", 9, 2},
		    {"x floor", 8, 2},
		    {"lost", 6, TABLE_PLAIN},
		    {"disorder", 8, TABLE_PLAIN},
		    {"doubled", 8, TABLE_PLAIN},
		    {"unacked", 8, TABLE_PLAIN}},
};

const char *pubsub_pattern_name(enum load_pattern pattern)
{
	CHECK(pattern < PUBSUB_PATTERNS);
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

static void pubsub_print_heading(const struct pubsub_report *report)
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
	table_print_titles(&TABLE, "");
}

static void print_line(const char *name, const struct load_result *summary, double ratio)
{
	const struct load_figures *figures = &summary->figures;
	const struct load_totals *totals = &summary->totals;
	const double values[] = {figures->delivered_per_s,
				 figures->p50_us,
				 figures->p99_us,
				 figures->p999_us,
				 figures->max_us,
				 figures->server_cpu_us,
				 ratio,
				 (double)totals->missing,
				 (double)totals->reordered,
				 (double)totals->doubled,
				 (double)totals->unacknowledged};
	_Static_assert(sizeof(values) / sizeof(values[0]) == COLUMNS, "one value for each column");
	table_print_row(&TABLE, name, values, summary->stalled ? "  stalled" : "");
}

static void add_figures(struct report *report, const char *name, const char *transport,
			const struct load_result *summary, double ratio, uint8_t version)
{
	const struct load_figures *figures = &summary->figures;
	const struct load_totals *totals = &summary->totals;
	char reasons[REPORT_TEXT_BYTES];
	losses_describe(&totals->losses, version, reasons, sizeof(reasons));
	report_text(report, name, "transport", transport, NULL);
	report_values(report, name,
		      (struct report_value[]){{"delivered_per_s", figures->delivered_per_s, 0},
					      {"latency_p50_us", figures->p50_us, 1},
					      {"latency_p99_us", figures->p99_us, 1},
					      {"latency_p999_us", figures->p999_us, 1},
					      {"latency_max_us", figures->max_us, 1},
					      {"cpu_us_per_message", figures->server_cpu_us, 3},
					      {"bench_cpu_us_per_message", figures->client_cpu_us, 3},
					      {"other_cpu_percent_max", figures->other_cpu_percent, 1},
					      {"floor_ratio", ratio, 3},
					      {"received", (double)totals->received, 0},
					      {"lost", (double)totals->missing, 0},
					      {"out_of_order", (double)totals->reordered, 0},
					      {"doubled", (double)totals->doubled, 0},
					      {"unacknowledged", (double)totals->unacknowledged, 0},
					      {"member_least", totals->spread.least, 0},
					      {"member_most", totals->spread.most, 0},
					      {"member_deviation_percent", totals->spread.deviation_percent, 2},
					      {"foreign", (double)totals->foreign, 0},
					      {"clients_lost", (double)losses_total(&totals->losses), 0},
					      {NULL, 0, 0}});
	report_text(report, name, "clients_lost_reasons", reasons, NULL);
	report_number(report, name, "stalled", summary->stalled, 0, NULL, "");
}

static void pubsub_add_load(struct report *report, const struct pubsub_report *pubsub)
{
	const struct load_plan *load = &pubsub->round->load;
	report_text(report, NULL, "pattern", pubsub_pattern_name(load->pattern), NULL);
	report_values(
		report, NULL,
		(struct report_value[]){{"clients", load->clients, 0},
					{"publishers", load->publishers, 0},
					{"members", load->pattern == LOAD_SHARED ? load->members : (double)NAN, 0},
					{"window", load->window, 0},
					{"burst", load->burst, 0},
					{"size", load->size, 0},
					{"qos", load->qos, 0},
					{"version", pubsub->round->version, 0},
					{"threads", pubsub->round->threads, 0},
					{"rounds", pubsub->rounds, 0},
					{NULL, 0, 0}});
}

static void print_losses(const char *name, const struct load_result *summary, uint8_t version)
{
	uint64_t lost = losses_total(&summary->totals.losses);
	char reasons[REPORT_TEXT_BYTES];
	if (lost == 0 && summary->totals.foreign == 0)
		return;
	losses_describe(&summary->totals.losses, version, reasons, sizeof(reasons));
	printf("%s: clients lost: %llu %s; messages not ours, or at another QoS: %llu\n", name,
	       (unsigned long long)lost, reasons, (unsigned long long)summary->totals.foreign);
}

/* What the floor costs if half of the work is done on the bench's own processor; NAN if that was not measured. */
static double floor_mean_us(const struct pubsub_report *pubsub, const struct load_result *summaries)
{
	CHECK(!pubsub->has_floor_near || pubsub->target_count > 2);
	if (!pubsub->has_floor_near)
		return (double)NAN;
	return (summaries[1].figures.server_cpu_us + summaries[2].figures.server_cpu_us) / 2;
}

static void print_floor_note(const struct pubsub_report *pubsub, const struct load_result *summaries)
{
	double mean = floor_mean_us(pubsub, summaries);
	if (isnan(mean))
		return;
	printf("\n\"floor\" ran on another processor than the bench, \"floor-near\" on the same, where a message costs "
	       "less.\n"
	       "A server with a thread on each compares with the mean of the two, %.2f us: server / mean = %.2f\n",
	       mean, summaries[0].figures.server_cpu_us / mean);
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

/* Other processes evict caches and displace threads, which makes the figures worthless. */
static void warn_of_others(const struct load_result *summaries, uint32_t count)
{
	double most = 0;
	for (uint32_t i = 0; i < count; i++) {
		if (summaries[i].figures.other_cpu_percent > most)
			most = summaries[i].figures.other_cpu_percent;
	}
	if (most > OTHERS_PERCENT_QUIET)
		printf("\nThe machine was not quiet: in one round other processes took %.0f %% of a core. Run it "
		       "again.\n",
		       most);
}

static void print_notes(const struct pubsub_report *pubsub, const struct load_result *summaries)
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
	struct load_result summaries[PUBSUB_TARGETS_MAX] = {0};
	struct report *report = report_new();
	if (report == NULL)
		return;
	if (json)
		pubsub_add_load(report, pubsub);
	else
		pubsub_print_heading(pubsub);
	for (uint32_t i = 0; i < pubsub->target_count; i++)
		load_results_summarize(pubsub->results[i], pubsub->rounds, &summaries[i]);
	for (uint32_t i = 0; i < pubsub->target_count; i++) {
		double floor = pubsub->has_floor ? summaries[1].figures.server_cpu_us : (double)NAN;
		double ratio = summaries[i].figures.server_cpu_us / floor;
		const char *name = pubsub->targets[i].name;
		if (json)
			add_figures(report, name, url_scheme_name(pubsub->targets[i].url.scheme), &summaries[i], ratio,
				    pubsub->round->version);
		else
			print_line(name, &summaries[i], ratio);
	}
	if (json) {
		double mean = floor_mean_us(pubsub, summaries);
		report_number(report, NULL, "server_floor_mean_ratio", summaries[0].figures.server_cpu_us / mean, 3,
			      NULL, "");
		report_print(report, true);
	} else {
		print_notes(pubsub, summaries);
	}
	report_free(report);
}

bool pubsub_report_is_clean(const struct pubsub_report *report)
{
	struct load_result server;
	load_results_summarize(report->results[0], report->rounds, &server);
	return load_totals_are_clean(&server.totals, report->round->load.qos) && !server.stalled;
}
