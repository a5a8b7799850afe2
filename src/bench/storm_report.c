#include "bench/storm_report.h"

#include "bench/report.h"

#include <math.h>
#include <stdio.h>

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

static double rate_of(const struct load_figures *figures)
{
	return figures->measured_s > 0 ? figures->delivered / figures->measured_s : (double)NAN;
}

static double per_second(uint64_t count, double seconds)
{
	return seconds > 0 ? (double)count / seconds : (double)NAN;
}

static void add_interval(struct report *report, const char *name, const struct load_figures *figures)
{
	report_number(report, name, "s", figures->measured_s, 2, NULL, "");
	report_number(report, name, "delivered_per_s", rate_of(figures), 0, NULL, "");
	report_number(report, name, "latency_p50_us", figures->p50_us, 1, NULL, "");
	report_number(report, name, "latency_p99_us", figures->p99_us, 1, NULL, "");
	report_number(report, name, "latency_p999_us", figures->p999_us, 1, NULL, "");
	report_number(report, name, "latency_max_us", figures->max_us, 1, NULL, "");
	report_number(report, name, "cpu_us_per_message", figures->server_cpu_us, 3, NULL, "");
	report_number(report, name, "server_cpu_percent", figures->server_cpu_percent, 1, NULL, "");
	report_number(report, name, "bench_cpu_percent", figures->client_cpu_percent, 1, NULL, "");
	report_number(report, name, "other_cpu_percent", figures->other_cpu_percent, 1, NULL, "");
}

static void add_load(struct report *report, const struct storm_load *load)
{
	const struct load_plan *established = &load->established.load;
	report_number(report, NULL, "established", established->clients, 0, NULL, "");
	report_number(report, NULL, "publishers", established->publishers, 0, NULL, "");
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
static void add_storm(struct report *report, const struct storm_load *load, const struct storm_result *result)
{
	char reasons[REPORT_TEXT_BYTES];
	losses_describe(&result->losses, load->established.version, reasons, sizeof(reasons));
	report_number(report, NULL, "attempts_per_s", per_second(result->attempts, result->storm_s), 0, "attempts",
		      "/s");
	report_number(report, NULL, "sign_ins_per_s", per_second(result->signed_in, result->storm_s), 0, "sign-ins",
		      "/s");
	report_number(report, NULL, "sign_in_p50_us", result->sign_in_p50_us, 1, "  p50 from connect to answer", "us");
	report_number(report, NULL, "sign_in_p99_us", result->sign_in_p99_us, 1, "  p99", "us");
	report_number(report, NULL, "sign_in_p999_us", result->sign_in_p999_us, 1, "  p99.9", "us");
	report_number(report, NULL, "sign_in_max_us", result->sign_in_max_us, 1, "  max", "us");
	for (uint32_t i = 0; i < STORM_ENDS; i++) {
		bool is_worth_a_line = result->ends[i] > 0 || i == STORM_SIGNED_IN;
		report_number(report, NULL, ENDS[i].key, (double)result->ends[i], 0,
			      is_worth_a_line ? ENDS[i].words : NULL, "");
	}
	report_number(report, NULL, "stay_lost", (double)result->stay_lost, 0,
		      result->stay_lost > 0 ? "stayed, and were ended by the server" : NULL, "");
	report_text(report, NULL, "end_reasons", reasons, reasons[0] != '\0' ? "  why" : NULL);
}

static void add_established(struct report *report, const struct storm_load *load, const struct storm_result *result)
{
	const struct load_totals *totals = &result->totals;
	uint64_t clients_lost = losses_total(&totals->losses);
	char reasons[REPORT_TEXT_BYTES];
	losses_describe(&totals->losses, load->established.version, reasons, sizeof(reasons));
	report_number(report, NULL, "lost", (double)totals->missing, 0, "established: messages lost", "");
	report_number(report, NULL, "out_of_order", (double)totals->reordered, 0, "established: out of order", "");
	report_number(report, NULL, "doubled", (double)totals->doubled, 0, "established: doubled", "");
	report_number(report, NULL, "unacknowledged", (double)totals->unacknowledged, 0, "established: unacknowledged",
		      "");
	report_number(report, NULL, "clients_lost", (double)clients_lost, 0, "established: clients lost", "");
	report_text(report, NULL, "clients_lost_reasons", reasons, clients_lost > 0 ? "  why" : NULL);
	report_number(report, NULL, "stalled", result->stalled, 0, result->stalled ? "established: stalled" : NULL, "");
}

static void print_interval(const char *name, const struct load_figures *figures)
{
	char cells[7][32];
	printf("%-14s %12s %10s %10s %10s %10s %12s %12s\n", name, report_grouped(rate_of(figures), 0, cells[0]),
	       report_grouped(figures->p50_us, 1, cells[1]), report_grouped(figures->p99_us, 1, cells[2]),
	       report_grouped(figures->p999_us, 1, cells[3]), report_grouped(figures->max_us, 1, cells[4]),
	       report_grouped(figures->server_cpu_percent, 1, cells[5]),
	       report_grouped(figures->client_cpu_percent, 1, cells[6]));
}

static void print_table(const struct storm_load *load, const struct storm_result *result)
{
	const struct load_plan *established = &load->established.load;
	const struct load_figures *quiet = &result->figures[STORM_BEFORE];
	const struct load_figures *storm = &result->figures[STORM_DURING];
	char cells[6][32];
	printf("%u established clients, %u publishers, one-to-one, %u bytes, QoS %u, protocol level %u; %u s each\n\n",
	       established->clients, established->publishers, established->size, (unsigned int)established->qos,
	       (unsigned int)load->established.version, load->established.duration_s);
	printf("%-14s %12s %10s %10s %10s %10s %12s %12s\n", "", "delivered/s", "p50 us", "p99 us", "p99.9 us",
	       "max us", "server CPU %", "bench CPU %");
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

static void add_ratios(struct report *report, const struct storm_result *result)
{
	const struct load_figures *quiet = &result->figures[STORM_BEFORE];
	const struct load_figures *storm = &result->figures[STORM_DURING];
	report_number(report, NULL, "ratio_p50", storm->p50_us / quiet->p50_us, 3, NULL, "");
	report_number(report, NULL, "ratio_p99", storm->p99_us / quiet->p99_us, 3, NULL, "");
	report_number(report, NULL, "ratio_p999", storm->p999_us / quiet->p999_us, 3, NULL, "");
	report_number(report, NULL, "ratio_max", storm->max_us / quiet->max_us, 3, NULL, "");
}

bool storm_report_print(const struct storm_load *load, const struct storm_result *result, bool json)
{
	struct report *report = report_new();
	if (report == NULL)
		return false;
	if (!json)
		print_table(load, result);
	add_load(report, load);
	for (uint32_t i = 0; i < LOAD_INTERVALS; i++)
		add_interval(report, INTERVALS[i], &result->figures[i]);
	add_ratios(report, result);
	add_storm(report, load, result);
	if (load->established.load.clients > 0)
		add_established(report, load, result);
	report_print(report, json);
	report_free(report);
	return true;
}

bool storm_report_is_clean(const struct storm_load *load, const struct storm_result *result)
{
	const struct load_totals *totals = &result->totals;
	return totals->missing == 0 && totals->reordered == 0 &&
	       (totals->doubled == 0 || load->established.load.qos == 1) && totals->unacknowledged == 0 &&
	       losses_total(&totals->losses) == 0 && !result->stalled;
}
