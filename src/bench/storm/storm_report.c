#include "bench/storm/storm_report.h"

#include "bench/report/report.h"
#include "bench/report/table.h"

#include "base/check.h"

#include <math.h>
#include <stdio.h>

#define OTHERS_PERCENT_QUIET 5.0
#define INTERVAL_COLUMNS 8u
#define RATIOS 6u
#define COMPARED_COLUMNS 5u
/* The column that is a ratio itself. */
#define COMPARED_RATIO 2u

_Static_assert(RATIOS <= INTERVAL_COLUMNS && COMPARED_RATIO < COMPARED_COLUMNS, "parts of the tables");

/* The key for programs and the words for people. */
static const struct {
	const char *key;
	const char *words;
} INTERVALS[LOAD_INTERVALS] = {
	[STORM_BEFORE] = {"quiet", "quiet"},
	[STORM_DURING] = {"storm", "storm"},
	[STORM_AFTER] = {"quiet_again", "quiet again"},
};

static const struct table INTERVAL_TABLE = {
	.name_width = 14,
	.unknown = "n/a",
	.column_count = INTERVAL_COLUMNS,
	.columns = {{"delivered/s", 12, 0},
		    {"p50 us", 10, 1},
		    {"p99 us", 10, 1},
		    {"p99.9 us", 10, 1},
		    {"max us", 10, 1},
		    {"server CPU %", 12, 1},
		    {"bench CPU %", 12, 1},
		    {"others' CPU %", 13, 1}},
};

static const struct table COMPARED_TABLE = {
	.name_width = 32,
	.unknown = "n/a",
	.column_count = COMPARED_COLUMNS,
	.columns = {{"quiet p99.9 us", 14, 1},
		    {"storm p99.9 us", 14, 1},
		    {"storm / quiet", 14, 2},
		    {"storm max us", 14, 1},
		    {"sign-ins/s", 14, 0}},
};

/* What became of attempts: the key for programs and the words for people. */
static const struct {
	const char *key;
	const char *words;
} ENDS[STORM_ENDS] = {
	[STORM_SIGNED_IN] = {"end_signed_in", "attempts: signed in"},
	[STORM_RESET] = {"end_reset", "attempts: reset before CONNACK"},
	[STORM_CLOSED] = {"end_closed", "attempts: closed without CONNACK"},
	[STORM_CONNACK] = {"end_connack", "attempts: refused by CONNACK"},
	[STORM_CARRIAGE] = {"end_transport", "attempts: no TLS or WebSocket"},
	[STORM_UNOPENED] = {"end_unopened", "attempts: no TCP connection"},
	[STORM_UNHEARD] = {"end_unheard", "attempts: no answer to SYN"},
	[STORM_NO_ANSWER] = {"end_no_answer", "attempts: no answer when the storm was over"},
	[STORM_OTHER] = {"end_other", "attempts: ended otherwise"},
};

/* Prefix of the figures for programs: the broker's name if there are several, or NULL. */
static const char *prefix_of(const struct storm_report *report, uint32_t broker)
{
	CHECK(broker < report->beside->count);
	return report->beside->count > 1 ? report->beside->brokers[broker].name : NULL;
}

static double per_second(uint64_t count, double seconds)
{
	return seconds > 0 ? (double)count / seconds : (double)NAN;
}

static void add_interval(struct report *report, const char *prefix, const char *interval,
			 const struct load_figures *figures)
{
	char name[REPORT_KEY_BYTES];
	snprintf(name, sizeof(name), "%s%s%s", prefix != NULL ? prefix : "", prefix != NULL ? "_" : "", interval);
	report_values(report, name,
		      (struct report_value[]){{"s", figures->measured_s, 2},
					      {"delivered_per_s", figures->delivered_per_s, 0},
					      {"latency_p50_us", figures->p50_us, 1},
					      {"latency_p99_us", figures->p99_us, 1},
					      {"latency_p999_us", figures->p999_us, 1},
					      {"latency_max_us", figures->max_us, 1},
					      {"cpu_us_per_message", figures->server_cpu_us, 3},
					      {"server_cpu_percent", figures->server_cpu_percent, 1},
					      {"bench_cpu_percent", figures->client_cpu_percent, 1},
					      {"neighbour_cpu_percent", figures->neighbour_cpu_percent, 1},
					      {"other_cpu_percent", figures->other_cpu_percent, 1},
					      {NULL, 0, 0}});
}

static void storm_add_load(struct report *report, const struct storm_load *load)
{
	const struct load_plan *established = &load->established.load;
	report_values(report, NULL,
		      (struct report_value[]){
			      {"established", established->clients, 0},
			      {"publishers", established->publishers, 0},
			      {"established_rate", established->rate > 0 ? established->rate : (double)NAN, 0},
			      {"size", established->size, 0},
			      {"qos", established->qos, 0},
			      {"version", load->established.version, 0},
			      {"threads", load->threads, 0},
			      {"in_progress", load->in_progress_max, 0},
			      {"syn_timeout_ms", load->syn_timeout_ms, 0},
			      {"stay", load->stay, 0},
			      {"rate", load->rate > 0 ? load->rate : (double)NAN, 0},
			      {"tokens", load->credentials != NULL, 0},
			      {"subscribe", load->subscribe, 0},
			      {"from_addresses", load->from.hosts > 0 ? load->from.hosts : (double)NAN, 0},
			      {NULL, 0, 0}});
}

/* For people these lines go below the table. */
static void add_storm(struct report *report, const char *prefix, const struct storm_load *load,
		      const struct storm_result *result)
{
	char reasons[REPORT_TEXT_BYTES];
	losses_describe(&result->losses, load->established.version, reasons, sizeof(reasons));
	report_number(report, prefix, "attempts_per_s", per_second(result->attempts, result->storm_s), 0, "attempts",
		      "/s");
	report_number(report, prefix, "sign_ins_per_s", per_second(result->signed_in, result->storm_s), 0, "sign-ins",
		      "/s");
	if (result->carriage.handshakes > 0)
		report_number(report, prefix, "storm_handshakes_per_s", per_second(result->handshakes, result->storm_s),
			      0, "TLS handshakes in the storm", "/s");
	report_number(report, prefix, "sign_in_p50_us", result->sign_in_p50_us, 1, "  p50 from connect to answer",
		      "us");
	report_number(report, prefix, "sign_in_p99_us", result->sign_in_p99_us, 1, "  p99", "us");
	report_number(report, prefix, "sign_in_p999_us", result->sign_in_p999_us, 1, "  p99.9", "us");
	report_number(report, prefix, "sign_in_max_us", result->sign_in_max_us, 1, "  max", "us");
	/* Over all attempts: those in progress when the storm ended count, too, so there is no rate. */
	carriage_report(report, prefix, &result->carriage, 0);
	for (uint32_t i = 0; i < STORM_ENDS; i++) {
		bool is_worth_a_line = result->ends[i] > 0 || i == STORM_SIGNED_IN;
		report_number(report, prefix, ENDS[i].key, (double)result->ends[i], 0,
			      is_worth_a_line ? ENDS[i].words : NULL, "");
	}
	report_number(report, prefix, "stay_lost", (double)result->stay_lost, 0,
		      result->stay_lost > 0 ? "stayed, and were ended by the server" : NULL, "");
	report_text(report, prefix, "end_reasons", reasons, reasons[0] != '\0' ? "  why" : NULL);
}

static void add_established(struct report *report, const char *prefix, const struct storm_load *load,
			    const struct storm_result *result)
{
	const struct load_totals *totals = &result->totals;
	uint64_t clients_lost = losses_total(&totals->losses);
	char reasons[REPORT_TEXT_BYTES];
	losses_describe(&totals->losses, load->established.version, reasons, sizeof(reasons));
	report_number(report, prefix, "lost", (double)totals->missing, 0, "established: messages lost", "");
	report_number(report, prefix, "out_of_order", (double)totals->reordered, 0, "established: out of order", "");
	report_number(report, prefix, "doubled", (double)totals->doubled, 0, "established: doubled", "");
	report_number(report, prefix, "unacknowledged", (double)totals->unacknowledged, 0,
		      "established: unacknowledged", "");
	report_number(report, prefix, "clients_lost", (double)clients_lost, 0, "established: clients lost", "");
	report_text(report, prefix, "clients_lost_reasons", reasons, clients_lost > 0 ? "  why" : NULL);
	report_number(report, prefix, "stalled", result->stalled, 0, result->stalled ? "established: stalled" : NULL,
		      "");
}

/* An interval's figures in the order of INTERVAL_TABLE. The first RATIOS of them are compared between storm and quiet.
 */
struct interval_row {
	double values[INTERVAL_COLUMNS];
};

static struct interval_row row_of(const struct load_figures *figures)
{
	return (struct interval_row){{figures->delivered_per_s, figures->p50_us, figures->p99_us, figures->p999_us,
				      figures->max_us, figures->server_cpu_percent, figures->client_cpu_percent,
				      figures->other_cpu_percent}};
}

static void storm_print_heading(const struct storm_report *report)
{
	const struct storm_load *load = report->load;
	const struct load_plan *established = &load->established.load;
	printf("%u established clients, %u publishers, one-to-one, %u bytes, QoS %u, protocol level %u; %u s each",
	       established->clients, established->publishers, established->size, (unsigned int)established->qos,
	       (unsigned int)load->established.version, load->established.duration_s);
	if (established->rate > 0)
		printf("; %u messages/s", established->rate);
	if (report->rounds > 1)
		printf("; medians of %u rounds", report->rounds);
	if (report->beside->neighbours > 0)
		printf("; busy neighbours: %u", report->beside->neighbours);
	puts("\n");
}

static void print_intervals(const struct storm_result *result)
{
	double ratios[RATIOS];
	struct interval_row rows[LOAD_INTERVALS];
	table_print_titles(&INTERVAL_TABLE, "");
	for (uint32_t i = 0; i < LOAD_INTERVALS; i++) {
		rows[i] = row_of(&result->figures[i]);
		table_print_row(&INTERVAL_TABLE, INTERVALS[i].words, rows[i].values, "");
	}
	for (uint32_t i = 0; i < RATIOS; i++)
		ratios[i] = rows[STORM_DURING].values[i] / rows[STORM_BEFORE].values[i];
	table_print_ratios(&INTERVAL_TABLE, "storm / quiet", ratios, RATIOS, TABLE_NO_BLANK);
	putchar('\n');
}

static void add_ratios(struct report *report, const char *prefix, const struct storm_result *result)
{
	const struct load_figures *quiet = &result->figures[STORM_BEFORE];
	const struct load_figures *storm = &result->figures[STORM_DURING];
	report_values(report, prefix,
		      (struct report_value[]){{"ratio_p50", storm->p50_us / quiet->p50_us, 3},
					      {"ratio_p99", storm->p99_us / quiet->p99_us, 3},
					      {"ratio_p999", storm->p999_us / quiet->p999_us, 3},
					      {"ratio_max", storm->max_us / quiet->max_us, 3},
					      {NULL, 0, 0}});
}

/* Other processes slow down "quiet", which makes the storm's ratio look better than it is. */
static void print_others(const char *name, const struct storm_result *result)
{
	for (uint32_t i = 0; i < LOAD_INTERVALS; i++) {
		double others = result->figures[i].other_cpu_percent;
		if (others > OTHERS_PERCENT_QUIET)
			printf("%s: the machine was not quiet: others took %.0f %% of a core during \"%s\". Its "
			       "figures, and ratios to it, are not worth much.\n",
			       name, others, INTERVALS[i].words);
	}
}

/* A broker's figures, in the order of COMPARED_TABLE. */
static void compared_row(const struct storm_result *result, double *out)
{
	const struct load_figures *quiet = &result->figures[STORM_BEFORE];
	const struct load_figures *storm = &result->figures[STORM_DURING];
	out[0] = quiet->p999_us;
	out[1] = storm->p999_us;
	out[COMPARED_RATIO] = storm->p999_us / quiet->p999_us;
	out[3] = storm->max_us;
	out[4] = per_second(result->signed_in, result->storm_s);
}

static void print_compared(const struct storm_report *report, const struct storm_result *summaries)
{
	double rows[BESIDE_BROKERS_MAX][COMPARED_COLUMNS];
	double ratios[COMPARED_COLUMNS];
	char name[2 * TARGET_NAME_BYTES + 4];
	if (report->beside->count < 2)
		return;
	table_print_titles(&COMPARED_TABLE, "");
	for (uint32_t i = 0; i < report->beside->count; i++) {
		compared_row(&summaries[i], rows[i]);
		table_print_row(&COMPARED_TABLE, report->beside->brokers[i].name, rows[i], "");
	}
	for (uint32_t i = 1; i < report->beside->count; i++) {
		for (uint32_t c = 0; c < COMPARED_COLUMNS; c++)
			ratios[c] = rows[0][c] / rows[i][c];
		snprintf(name, sizeof(name), "%s / %s", report->beside->brokers[0].name,
			 report->beside->brokers[i].name);
		table_print_ratios(&COMPARED_TABLE, name, ratios, COMPARED_COLUMNS, COMPARED_RATIO);
	}
	putchar('\n');
}

static void print_broker(const struct storm_report *from, uint32_t broker, const struct storm_result *result, bool json,
			 struct report *report)
{
	const char *prefix = prefix_of(from, broker);
	if (!json && prefix != NULL)
		printf("%s\n\n", prefix);
	if (!json)
		print_intervals(result);
	for (uint32_t i = 0; i < LOAD_INTERVALS; i++)
		add_interval(report, prefix, INTERVALS[i].key, &result->figures[i]);
	add_ratios(report, prefix, result);
	add_storm(report, prefix, from->load, result);
	if (from->load->established.load.clients > 0)
		add_established(report, prefix, from->load, result);
	if (json)
		return;
	report_print(report, false);
	putchar('\n');
	report->count = 0;
}

bool storm_report_print(const struct storm_report *from, bool json)
{
	CHECK(from->rounds > 0);
	struct storm_result summaries[BESIDE_BROKERS_MAX];
	struct report *report = report_new();
	if (report == NULL)
		return false;
	if (json)
		storm_add_load(report, from->load);
	else
		storm_print_heading(from);
	for (uint32_t i = 0; i < from->beside->count; i++) {
		storm_summarize(from, i, &summaries[i]);
		print_broker(from, i, &summaries[i], json, report);
	}
	if (json) {
		report_print(report, true);
	} else {
		print_compared(from, summaries);
		for (uint32_t i = 0; i < from->beside->count; i++)
			print_others(from->beside->brokers[i].name, &summaries[i]);
	}
	report_free(report);
	return true;
}

bool storm_report_is_clean(const struct storm_report *report)
{
	struct storm_result result;
	storm_summarize(report, 0, &result);
	return load_totals_are_clean(&result.totals, report->load->established.load.qos) && !result.stalled;
}
