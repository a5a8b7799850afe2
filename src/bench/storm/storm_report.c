#include "bench/storm/storm_report.h"

#include "bench/report/report.h"

#include <math.h>
#include <stdio.h>

#define OTHERS_PERCENT_QUIET 5.0

static const char *const INTERVALS[LOAD_INTERVALS] = {
	[STORM_BEFORE] = "quiet",
	[STORM_DURING] = "storm",
	[STORM_AFTER] = "quiet_again",
};

/* What became of attempts: the key for programs, and the words for people. */
static const struct {
	const char *key;
	const char *words;
} ENDS[STORM_ENDS] = {
	[STORM_SIGNED_IN] = {"end_signed_in", "attempts: signed in"},
	[STORM_RESET] = {"end_reset", "attempts: reset before CONNACK"},
	[STORM_CLOSED] = {"end_closed", "attempts: closed without CONNACK"},
	[STORM_CONNACK] = {"end_connack", "attempts: refused by CONNACK"},
	[STORM_UNOPENED] = {"end_unopened", "attempts: no TCP connection"},
	[STORM_UNHEARD] = {"end_unheard", "attempts: no answer to SYN"},
	[STORM_NO_ANSWER] = {"end_no_answer", "attempts: no answer when the storm was over"},
	[STORM_OTHER] = {"end_other", "attempts: ended otherwise"},
};

/* A figure for programs has the broker's name in front where there are several. NULL: there is one. */
static const char *prefix_of(const struct storm_report *report, uint32_t broker)
{
	return report->beside->count > 1 ? report->beside->brokers[broker].name : NULL;
}

static double rate_of(const struct load_figures *figures)
{
	return figures->measured_s > 0 ? figures->delivered / figures->measured_s : (double)NAN;
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
	report_number(report, name, "s", figures->measured_s, 2, NULL, "");
	report_number(report, name, "delivered_per_s", rate_of(figures), 0, NULL, "");
	report_number(report, name, "latency_p50_us", figures->p50_us, 1, NULL, "");
	report_number(report, name, "latency_p99_us", figures->p99_us, 1, NULL, "");
	report_number(report, name, "latency_p999_us", figures->p999_us, 1, NULL, "");
	report_number(report, name, "latency_max_us", figures->max_us, 1, NULL, "");
	report_number(report, name, "cpu_us_per_message", figures->server_cpu_us, 3, NULL, "");
	report_number(report, name, "server_cpu_percent", figures->server_cpu_percent, 1, NULL, "");
	report_number(report, name, "bench_cpu_percent", figures->client_cpu_percent, 1, NULL, "");
	report_number(report, name, "neighbour_cpu_percent", figures->neighbour_cpu_percent, 1, NULL, "");
	report_number(report, name, "other_cpu_percent", figures->other_cpu_percent, 1, NULL, "");
}

static void add_load(struct report *report, const struct storm_load *load)
{
	const struct load_plan *established = &load->established.load;
	report_number(report, NULL, "established", established->clients, 0, NULL, "");
	report_number(report, NULL, "publishers", established->publishers, 0, NULL, "");
	report_number(report, NULL, "established_rate", established->rate > 0 ? established->rate : (double)NAN, 0,
		      NULL, "");
	report_number(report, NULL, "size", established->size, 0, NULL, "");
	report_number(report, NULL, "qos", established->qos, 0, NULL, "");
	report_number(report, NULL, "version", load->established.version, 0, NULL, "");
	report_number(report, NULL, "threads", load->threads, 0, NULL, "");
	report_number(report, NULL, "in_progress", load->in_progress_max, 0, NULL, "");
	report_number(report, NULL, "syn_timeout_ms", load->syn_timeout_ms, 0, NULL, "");
	report_number(report, NULL, "stay", load->stay, 0, NULL, "");
	report_number(report, NULL, "rate", load->rate > 0 ? load->rate : (double)NAN, 0, NULL, "");
	report_number(report, NULL, "tokens", load->credentials != NULL, 0, NULL, "");
	report_number(report, NULL, "subscribe", load->subscribe, 0, NULL, "");
	report_number(report, NULL, "from_addresses", load->from.hosts > 0 ? load->from.hosts : (double)NAN, 0, NULL,
		      "");
}

/* For people these lines stand below the table. */
static void add_storm(struct report *report, const char *prefix, const struct storm_load *load,
		      const struct storm_result *result)
{
	char reasons[REPORT_TEXT_BYTES];
	losses_describe(&result->losses, load->established.version, reasons, sizeof(reasons));
	report_number(report, prefix, "attempts_per_s", per_second(result->attempts, result->storm_s), 0, "attempts",
		      "/s");
	report_number(report, prefix, "sign_ins_per_s", per_second(result->signed_in, result->storm_s), 0, "sign-ins",
		      "/s");
	report_number(report, prefix, "sign_in_p50_us", result->sign_in_p50_us, 1, "  p50 from connect to answer",
		      "us");
	report_number(report, prefix, "sign_in_p99_us", result->sign_in_p99_us, 1, "  p99", "us");
	report_number(report, prefix, "sign_in_p999_us", result->sign_in_p999_us, 1, "  p99.9", "us");
	report_number(report, prefix, "sign_in_max_us", result->sign_in_max_us, 1, "  max", "us");
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

static void print_interval(const char *name, const struct load_figures *figures)
{
	char cells[8][32];
	printf("%-14s %12s %10s %10s %10s %10s %12s %12s %13s\n", name, report_grouped(rate_of(figures), 0, cells[0]),
	       report_grouped(figures->p50_us, 1, cells[1]), report_grouped(figures->p99_us, 1, cells[2]),
	       report_grouped(figures->p999_us, 1, cells[3]), report_grouped(figures->max_us, 1, cells[4]),
	       report_grouped(figures->server_cpu_percent, 1, cells[5]),
	       report_grouped(figures->client_cpu_percent, 1, cells[6]),
	       report_grouped(figures->other_cpu_percent, 1, cells[7]));
}

static void print_heading(const struct storm_report *report)
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

static void print_table(const struct storm_result *result)
{
	const struct load_figures *quiet = &result->figures[STORM_BEFORE];
	const struct load_figures *storm = &result->figures[STORM_DURING];
	char cells[6][32];
	printf("%-14s %12s %10s %10s %10s %10s %12s %12s %13s\n", "", "delivered/s", "p50 us", "p99 us", "p99.9 us",
	       "max us", "server CPU %", "bench CPU %", "others' CPU %");
	print_interval("quiet", quiet);
	print_interval("storm", storm);
	print_interval("quiet again", &result->figures[STORM_AFTER]);
	printf("%-14s %12s %10s %10s %10s %10s %12s\n\n", "storm / quiet",
	       report_grouped(rate_of(storm) / rate_of(quiet), 2, cells[0]),
	       report_grouped(storm->p50_us / quiet->p50_us, 2, cells[1]),
	       report_grouped(storm->p99_us / quiet->p99_us, 2, cells[2]),
	       report_grouped(storm->p999_us / quiet->p999_us, 2, cells[3]),
	       report_grouped(storm->max_us / quiet->max_us, 2, cells[4]),
	       report_grouped(storm->server_cpu_percent / quiet->server_cpu_percent, 2, cells[5]));
}

static void add_ratios(struct report *report, const char *prefix, const struct storm_result *result)
{
	const struct load_figures *quiet = &result->figures[STORM_BEFORE];
	const struct load_figures *storm = &result->figures[STORM_DURING];
	report_number(report, prefix, "ratio_p50", storm->p50_us / quiet->p50_us, 3, NULL, "");
	report_number(report, prefix, "ratio_p99", storm->p99_us / quiet->p99_us, 3, NULL, "");
	report_number(report, prefix, "ratio_p999", storm->p999_us / quiet->p999_us, 3, NULL, "");
	report_number(report, prefix, "ratio_max", storm->max_us / quiet->max_us, 3, NULL, "");
}

/* What others take makes "quiet" slower, and so the storm's ratio better than it is. */
static void print_others(const char *name, const struct storm_result *result)
{
	static const char *const words[LOAD_INTERVALS] = {
		[STORM_BEFORE] = "quiet",
		[STORM_DURING] = "storm",
		[STORM_AFTER] = "quiet again",
	};
	for (uint32_t i = 0; i < LOAD_INTERVALS; i++) {
		double others = result->figures[i].other_cpu_percent;
		if (others > OTHERS_PERCENT_QUIET)
			printf("%s: the machine was not quiet: others took %.0f %% of a core during \"%s\". Its "
			       "figures, "
			       "and ratios to it, are not worth much.\n",
			       name, others, words[i]);
	}
}

static void print_compared(const struct storm_report *report, const struct storm_result *summaries)
{
	char cells[6][32];
	if (report->beside->count < 2)
		return;
	printf("%-32s %14s %14s %14s %14s %14s\n", "", "quiet p99.9 us", "storm p99.9 us", "storm / quiet",
	       "storm max us", "sign-ins/s");
	for (uint32_t i = 0; i < report->beside->count; i++) {
		const struct load_figures *quiet = &summaries[i].figures[STORM_BEFORE];
		const struct load_figures *storm = &summaries[i].figures[STORM_DURING];
		printf("%-32s %14s %14s %14s %14s %14s\n", report->beside->brokers[i].name,
		       report_grouped(quiet->p999_us, 1, cells[0]), report_grouped(storm->p999_us, 1, cells[1]),
		       report_grouped(storm->p999_us / quiet->p999_us, 2, cells[2]),
		       report_grouped(storm->max_us, 1, cells[3]),
		       report_grouped(per_second(summaries[i].signed_in, summaries[i].storm_s), 0, cells[4]));
	}
	for (uint32_t i = 1; i < report->beside->count; i++) {
		const struct storm_result *first = &summaries[0];
		const struct storm_result *other = &summaries[i];
		char name[2 * TARGET_NAME_BYTES + 4];
		snprintf(name, sizeof(name), "%s / %s", report->beside->brokers[0].name,
			 report->beside->brokers[i].name);
		printf("%-32s %14s %14s %14s %14s %14s\n", name,
		       report_grouped(first->figures[STORM_BEFORE].p999_us / other->figures[STORM_BEFORE].p999_us, 2,
				      cells[0]),
		       report_grouped(first->figures[STORM_DURING].p999_us / other->figures[STORM_DURING].p999_us, 2,
				      cells[1]),
		       "",
		       report_grouped(first->figures[STORM_DURING].max_us / other->figures[STORM_DURING].max_us, 2,
				      cells[3]),
		       report_grouped(per_second(first->signed_in, first->storm_s) /
					      per_second(other->signed_in, other->storm_s),
				      2, cells[4]));
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
		print_table(result);
	for (uint32_t i = 0; i < LOAD_INTERVALS; i++)
		add_interval(report, prefix, INTERVALS[i], &result->figures[i]);
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
	struct storm_result summaries[BESIDE_BROKERS_MAX];
	struct report *report = report_new();
	if (report == NULL)
		return false;
	if (json)
		add_load(report, from->load);
	else
		print_heading(from);
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
	const struct load_totals *totals = &result.totals;
	return totals->missing == 0 && totals->reordered == 0 &&
	       (totals->doubled == 0 || report->load->established.load.qos == 1) && totals->unacknowledged == 0 &&
	       losses_total(&totals->losses) == 0 && !result.stalled;
}
