#include "bench/hold/hold.h"

#include "bench/hold/hold_options.h"
#include "bench/options/options.h"
#include "bench/report/progress.h"
#include "bench/report/report.h"
#include "bench/target/cpu.h"

#include "base/check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define FLOOR_ROUNDS 5u
/* The floor keeps all its sockets in one table of 20,000. Rounds shorter than half a second say little. */
#define FLOOR_CLIENTS_MAX 15000u

_Static_assert(FLOOR_CLIENTS_MAX < 19000, "one thread's table holds them");

struct floor_result {
	double server_us;
	double floor_us;
	double server_rate;
	double floor_rate;
	uint32_t clients;
};

/* Puts the same number of clients on both, in turn, so that whatever else happens on the machine hits both alike. */
static bool compare_with_floor(const struct hold_options *options, const struct target *server,
			       struct floor_result *out)
{
	struct hold_load load = options->load;
	struct hold_result result;
	struct target floor;
	double us[2][FLOOR_ROUNDS];
	double rates[2][FLOOR_ROUNDS];
	if (!target_open_floor(&floor))
		return false;
	load.hold_s = 0;
	if (!options->no_pin)
		cpu_ends(&floor.cpu, &load.cpu);
	load.threads = 1;
	load.clients = load.clients < FLOOR_CLIENTS_MAX ? load.clients : FLOOR_CLIENTS_MAX;
	bool good = true;
	for (uint32_t i = 0; good && i < FLOOR_ROUNDS * 2 && !progress_interrupted(); i++) {
		const struct target *target = i % 2 == 0 ? &floor : server;
		good = hold_run(&load, target, target->name, &result) && result.connected > 0;
		us[i % 2][i / 2] = result.server_cpu_connect_s * 1e6 / result.connected;
		rates[i % 2][i / 2] = result.connected / result.connect_s;
	}
	target_close(&floor);
	if (!good || progress_interrupted())
		return false;
	*out = (struct floor_result){
		.floor_us = report_median(us[0], FLOOR_ROUNDS),
		.server_us = report_median(us[1], FLOOR_ROUNDS),
		.floor_rate = report_median(rates[0], FLOOR_ROUNDS),
		.server_rate = report_median(rates[1], FLOOR_ROUNDS),
		.clients = load.clients,
	};
	return true;
}

static void report_floor(struct report *report, const struct floor_result *floor)
{
	report_number(report, NULL, "floor_clients", floor->clients, 0, "compared with the floor, clients", "");
	report_number(report, NULL, "floor_connect_rate", floor->floor_rate, 0, "  floor: connect rate", "/s");
	report_number(report, NULL, "floor_server_connect_rate", floor->server_rate, 0, "  server: connect rate", "/s");
	report_number(report, NULL, "floor_cpu_us_per_connection", floor->floor_us, 2,
		      "  floor: processor time a connection", "us");
	report_number(report, NULL, "floor_server_cpu_us_per_connection", floor->server_us, 2,
		      "  server: processor time a connection", "us");
	report_number(report, NULL, "floor_cpu_ratio", floor->server_us / floor->floor_us, 2, "  server / floor", "");
}

static void report_hold(struct report *report, const struct hold_options *options, const struct hold_result *result)
{
	const struct hold_load *load = &options->load;
	double connected = result->connected > 0 ? result->connected : (double)NAN;
	uint64_t lost = losses_total(&result->losses);
	char reasons[REPORT_TEXT_BYTES];
	losses_describe(&result->losses, load->version, reasons, sizeof(reasons));
	report_text(report, NULL, "transport", url_scheme_name(options->url.scheme), "transport");
	report_number(report, NULL, "clients", load->clients, 0, "clients", "");
	report_number(report, NULL, "threads", result->threads, 0, NULL, "");
	report_number(report, NULL, "version", load->version, 0, NULL, "");
	report_number(report, NULL, "keepalive_s", load->keepalive_s, 0, NULL, "s");
	report_number(report, NULL, "connected", result->connected, 0, "connected and subscribed", "");
	report_number(report, NULL, "connect_s", result->connect_s, 2, "  from first connect to last SUBACK", "s");
	report_number(report, NULL, "connect_rate", result->connected / result->connect_s, 0, "connect rate", "/s");
	carriage_report(report, NULL, &result->carriage, result->connect_s);
	if (options->url.scheme != URL_TCP && options->url.scheme != URL_UNIX)
		report_number(report, NULL, "bench_stream_bytes_per_client", result->stream_bytes / connected, 0,
			      "bench's own TLS and WebSocket state a client", "B");
	report_number(report, NULL, "server_user_bytes_per_client",
		      (result->server_resident_bytes_after - result->server_resident_bytes_before) / connected, 0,
		      "server's user memory a client (resident)", "B");
	/* Both ends are on this machine, so each client has two sockets. */
	report_number(report, NULL, "kernel_bytes_per_client",
		      (result->kernel_slab_bytes_after - result->kernel_slab_bytes_before) / connected / 2, 0,
		      "kernel memory a client (slab, halved: two ends)", "B");
	report_number(report, NULL, "server_resident_bytes", result->server_resident_bytes_after, 0,
		      "server's resident memory", "B");
	report_number(report, NULL, "server_cpu_us_per_connection", result->server_cpu_connect_s * 1e6 / connected, 2,
		      "server's processor time a connection", "us");
	report_number(report, NULL, "server_idle_cpu_percent",
		      load->hold_s > 0 ? result->server_cpu_idle_percent : (double)NAN, 2,
		      "server's processor time while idle", "% of a core");
	report_number(report, NULL, "held_s", result->held_s, 1, "held for", "s");
	if (load->time_pings) {
		report_number(report, NULL, "pings", (double)result->pings, 0, "pings that were timed", "");
		report_number(report, NULL, "ping_p50_us", result->pings_us.p50_us, 0, "  answered in, p50", "us");
		report_number(report, NULL, "ping_p99_us", result->pings_us.p99_us, 0, "  p99", "us");
		report_number(report, NULL, "ping_p999_us", result->pings_us.p999_us, 0, "  p99.9", "us");
		report_number(report, NULL, "ping_max_us", result->pings_us.max_us, 0, "  longest", "us");
	}
	report_number(report, NULL, "held", result->held, 0, "still connected at the end", "");
	report_number(report, NULL, "lost", (double)lost, 0, "lost", "");
	report_text(report, NULL, "lost_reasons", reasons, lost > 0 ? "  why" : NULL);
	report_number(report, NULL, "leave_s", result->leave_s, 2, "all disconnected and closed in", "s");
}

static int hold_and_report(const struct hold_options *options, struct report *report)
{
	struct hold_result result;
	struct floor_result floor = {0};
	struct target server;
	if (!target_open(&server, "server", &options->url, (pid_t)options->server_pid, &options->transport))
		return BENCH_EXIT_FAILED;
	/* The large run comes first, because the server's memory must not have grown before. */
	bool good = hold_run(&options->load, &server, "server", &result) &&
		    (!options->floor || compare_with_floor(options, &server, &floor));
	target_close(&server);
	if (!good)
		return BENCH_EXIT_FAILED;
	progress_end();
	report_hold(report, options, &result);
	if (options->floor)
		report_floor(report, &floor);
	report_print(report, options->json);
	return losses_total(&result.losses) == 0 ? BENCH_EXIT_OK : BENCH_EXIT_FAILED;
}

int hold_main(int argc, char **argv)
{
	struct hold_options options;
	int status;
	if (!hold_options_parse(argc, argv, &options, &status))
		return status;
	struct report *report = report_new();
	if (report == NULL)
		return BENCH_EXIT_FAILED;
	struct credentials credentials = {.user_name = "bench"};
	progress_catch_signals();
	if (options.secret_path != NULL)
		options.load.credentials = &credentials;
	status = BENCH_EXIT_FAILED;
	if (credentials_open(&credentials, "hold", NULL, options.secret_path, NULL))
		status = hold_and_report(&options, report);
	progress_end();
	credentials_close(&credentials);
	report_free(report);
	return status;
}
