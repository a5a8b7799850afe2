#include "bench/run/run_report.h"

#include "bench/report/report.h"
#include "bench/report/table.h"
#include "bench/restart/restart_report.h"

#include "base/check.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>

#define REASON_BYTES 256u
#define STEP_COLUMNS 12u

static const struct table STEP_TABLE = {
	.unknown = "-",
	.column_count = STEP_COLUMNS,
	.columns = {{"load", 9, 0},
		    {"offered/s", 10, 0},
		    {"came/s", 10, 0},
		    {"p50 ms", 8, 2},
		    {"p99 ms", 8, 2},
		    {"p999 ms", 8, 2},
		    {"in flight", 9, 1},
		    {"by Little", 9, 1},
		    {"us/msg", 7, 1},
		    {"x floor", 7, 2},
		    {"cpu %", 7, 0},
		    {"wrong", 7, 0}},
};

uint32_t run_report_knee(const struct run_report *report)
{
	return steps_knee(report->server->steps, report->server->step_count);
}

double run_report_distance(const struct run_report *report, uint32_t step)
{
	if (report->floor == NULL || step >= report->floor->step_count || step >= report->server->step_count)
		return (double)NAN;
	double floor_us = report->floor->steps[step].server_cpu_us;
	return floor_us > 0 ? report->server->steps[step].server_cpu_us / floor_us : (double)NAN;
}

bool run_report_is_good(const struct run_report *report)
{
	return report->server->fault[0] == '\0' && run_report_knee(report) != STEP_NONE;
}

void run_report_verdict(const struct run_report *report, char *out, size_t out_size)
{
	CHECK(out_size > 0);
	const struct run_result *server = report->server;
	uint32_t knee = run_report_knee(report);
	char load[40];
	if (server->step_count == 0) {
		snprintf(out, out_size, "nothing was measured");
		return;
	}
	if (report->scenario->step_count == 0) {
		snprintf(out, out_size, "%s%s",
			 knee != STEP_NONE ? "all objectives held" : "an objective did not hold: ",
			 knee != STEP_NONE ? "" : server->steps[0].breach);
		return;
	}
	if (knee == STEP_NONE) {
		snprintf(out, out_size, "even the first step, load %s, did not hold: %s",
			 report_grouped(server->steps[0].load, 0, load), server->steps[0].breach);
		return;
	}
	report_grouped(server->steps[knee].load, 0, load);
	if (knee + 1 < server->step_count)
		snprintf(out, out_size, "the knee is at load %s; in the next step %s", load,
			 server->steps[knee + 1].breach);
	else
		snprintf(out, out_size, "no knee up to load %s, where %s", load,
			 server->fault[0] != '\0' ? "the run ended early" : "the steps end");
}

void run_report_carriage(const struct run_result *result, char *out, size_t out_size)
{
	const struct carriage *carriage = &result->carriage;
	char cells[3][40];
	CHECK(out_size > 0);
	out[0] = '\0';
	if (carriage->handshakes == 0 && carriage->upgrades == 0)
		return;
	int used = snprintf(out, out_size, "TLS handshakes: %s, %s %% resumed; ",
			    report_grouped((double)carriage->handshakes, 0, cells[0]),
			    report_grouped(carriage_resumed_percent(carriage), 1, cells[1]));
	if (carriage->handshakes == 0)
		used = 0;
	snprintf(out + used, out_size - (size_t)used, "WebSocket upgrades: %s; %s bytes each to open",
		 report_grouped((double)carriage->upgrades, 0, cells[0]),
		 report_grouped(carriage_bytes_each(carriage), 0, cells[2]));
}

/* Prints a dash for NAN. */
static const char *cell(double number, int decimals, char *out)
{
	if (isnan(number)) {
		snprintf(out, 32, "-");
		return out;
	}
	return report_grouped(number, decimals, out);
}

static void print_step(const struct run_report *report, uint32_t index)
{
	CHECK(index < report->server->step_count);
	const struct step *step = &report->server->steps[index];
	const double values[] = {step->load,
				 step->offered,
				 step->delivered,
				 step->p50_ms,
				 step->p99_ms,
				 step->p999_ms,
				 step->in_flight,
				 step_little(step),
				 step->server_cpu_us,
				 run_report_distance(report, index),
				 step->server_cpu_percent,
				 (double)(step->lost + step->doubled + step->reordered + step->foreign)};
	char tail[STEP_FAULT_BYTES + 2];
	_Static_assert(sizeof(values) / sizeof(values[0]) == STEP_COLUMNS, "one value for each column");
	snprintf(tail, sizeof(tail), "  %s", step->breach[0] != '\0' ? step->breach : "held");
	table_print_row(&STEP_TABLE, "", values, tail);
}

static void print_sign_ins(const struct run_result *server)
{
	char cells[3][40];
	for (uint32_t i = 0; i < server->step_count; i++) {
		const struct step *step = &server->steps[i];
		if (step->reconnects == 0)
			continue;
		printf("%9s sign-ins: %s a second, p50 %s ms, p99 %s ms", cell(step->load, 0, (char[40]){0}),
		       cell(step->sign_ins, 0, cells[0]), cell(step->sign_in_p50_ms, 2, cells[1]),
		       cell(step->sign_in_p99_ms, 2, cells[2]));
		if (step->handshakes > 0)
			printf("; TLS handshakes: %s a second, %s %% resumed", cell(step->handshakes, 0, cells[0]),
			       cell(step->resumed_percent, 1, cells[1]));
		putchar('\n');
	}
}

static void run_print_warnings(const struct run_result *server)
{
	char cells[2][40];
	for (uint32_t i = 0; i < server->step_count; i++) {
		const struct step *step = &server->steps[i];
		if (step_is_late(step))
			printf("%9s the bench itself was late, p99 %s ms, most %s ms: the latency is partly its own\n",
			       cell(step->load, 0, (char[40]){0}), cell(step->late_p99_ms, 2, cells[0]),
			       cell(step->late_max_ms, 2, cells[1]));
	}
}

void run_report_print(const struct run_report *report)
{
	const struct run_result *server = report->server;
	char text[REASON_BYTES + STEP_FAULT_BYTES];
	char cells[4][40];
	printf("%s against %s\n", report->scenario->name, report->url);
	printf("%s of %s clients connected in %s s; %s bytes of the server's memory each\n",
	       cell(server->connected, 0, cells[0]), cell(server->clients, 0, cells[1]),
	       cell(server->connect_s, 1, cells[2]), cell(server->memory_bytes, 0, cells[3]));
	run_report_carriage(server, text, sizeof(text));
	printf("%s%s\n", text, text[0] != '\0' ? "\n" : "");
	table_print_titles(&STEP_TABLE, "");
	for (uint32_t i = 0; i < server->step_count; i++)
		print_step(report, i);
	print_sign_ins(server);
	run_print_warnings(server);
	restart_print(report->scenario, server->steps, server->step_count);
	run_report_verdict(report, text, sizeof(text));
	printf("\n%s\n", text);
	if (report->floor_fault[0] != '\0')
		printf("no floor: %s\n", report->floor_fault);
	if (server->fault[0] != '\0')
		printf("ended early: %s\n", server->fault);
	fflush(stdout);
}

/* JSON has no NAN. */
static json_t *json_number(double number)
{
	return isfinite(number) ? json_real(number) : json_null();
}

static json_t *step_json(const struct run_report *report, const struct run_result *result, uint32_t index)
{
	CHECK(index < result->step_count);
	const struct step *step = &result->steps[index];
	json_t *curve = json_array();
	for (uint32_t i = 0; i < STEP_CURVE_POINTS; i++)
		json_array_append_new(curve, json_pack("[f,o]", STEP_CURVE_PERCENT[i], json_number(step->curve_ms[i])));
	json_t *object = json_pack("{s:o, s:o, s:o, s:o, s:b, s:s}", "load", json_number(step->load), "offered_per_s",
				   json_number(step->offered), "delivered_per_s", json_number(step->delivered),
				   "percentiles_ms", curve, "held", step->breach[0] == '\0', "breach", step->breach);
	const struct {
		const char *key;
		double value;
	} figures[] = {
		{"measured_s", step->measured_s},
		{"latency_mean_ms", step->mean_ms},
		{"latency_p50_ms", step->p50_ms},
		{"latency_p99_ms", step->p99_ms},
		{"latency_p999_ms", step->p999_ms},
		{"latency_max_ms", step->max_ms},
		{"bench_late_p99_ms", step->late_p99_ms},
		{"bench_late_max_ms", step->late_max_ms},
		{"in_flight", step->in_flight},
		{"in_flight_by_little", step_little(step)},
		{"sign_ins_per_s", step->sign_ins},
		{"tls_handshakes_per_s", step->handshakes},
		{"tls_resumed_percent", step->resumed_percent},
		{"sign_in_p50_ms", step->sign_in_p50_ms},
		{"sign_in_p99_ms", step->sign_in_p99_ms},
		{"server_cpu_us_per_message", step->server_cpu_us},
		{"server_cpu_percent", step->server_cpu_percent},
		{"bench_cpu_percent", step->client_cpu_percent},
		{"other_cpu_percent", step->other_cpu_percent},
		{"server_bytes_per_client", step->server_bytes},
		{"times_floor", result == report->server ? run_report_distance(report, index) : (double)NAN},
		{"error_rate", step_error_rate(step)},
	};
	const struct {
		const char *key;
		uint64_t value;
	} counts[] = {
		{"due", step->due},
		{"sent", step->sent},
		{"unsent", step->unsent},
		{"expected", step->expected},
		{"received", step->received},
		{"lost", step->lost},
		{"doubled", step->doubled},
		{"reordered", step->reordered},
		{"foreign", step->foreign},
		{"unacknowledged", step->unacknowledged},
		{"reconnects", step->reconnects},
		{"clients_lost", step->clients_lost},
	};
	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		json_object_set_new(object, figures[i].key, json_number(figures[i].value));
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		json_object_set_new(object, counts[i].key, json_integer((json_int_t)counts[i].value));
	json_object_set_new(object, "restart", restart_json(step));
	json_object_set_new(object, "bench_was_late", json_boolean(step_is_late(step)));
	return object;
}

static json_t *result_json(const struct run_report *report, const struct run_result *result)
{
	json_t *steps = json_array();
	for (uint32_t i = 0; i < result->step_count; i++)
		json_array_append_new(steps, step_json(report, result, i));
	return json_pack("{s:i, s:i, s:o, s:o, s:I, s:o, s:I, s:o, s:b, s:s, s:o}", "clients", (int)result->clients,
			 "connected", (int)result->connected, "connect_s", json_number(result->connect_s),
			 "bytes_per_client", json_number(result->memory_bytes), "tls_handshakes",
			 (json_int_t)result->carriage.handshakes, "tls_resumed_percent",
			 json_number(carriage_resumed_percent(&result->carriage)), "websocket_upgrades",
			 (json_int_t)result->carriage.upgrades, "opening_bytes_per_connection",
			 json_number(carriage_bytes_each(&result->carriage)), "died", result->died, "fault",
			 result->fault, "steps", steps);
}

bool run_report_print_json(const struct run_report *report)
{
	char verdict[REASON_BYTES + STEP_FAULT_BYTES];
	uint32_t knee = run_report_knee(report);
	run_report_verdict(report, verdict, sizeof(verdict));
	json_t *root = json_pack("{s:s, s:s, s:s, s:b, s:o, s:o, s:o, s:s}", "scenario", report->scenario->name, "url",
				 report->url, "verdict", verdict, "good", run_report_is_good(report), "knee_load",
				 knee == STEP_NONE ? json_null() : json_number(report->server->steps[knee].load),
				 "server", result_json(report, report->server), "floor",
				 report->floor != NULL ? result_json(report, report->floor) : json_null(),
				 "floor_fault", report->floor_fault);
	bool good = root != NULL && json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) == 0;
	json_decref(root);
	putchar('\n');
	fflush(stdout);
	return good;
}
