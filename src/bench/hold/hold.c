#include "bench/hold/hold.h"

#include "bench/hold/hold_run.h"
#include "bench/options/options.h"
#include "bench/report/progress.h"
#include "bench/report/report.h"
#include "bench/target/cpu.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define CLIENTS_MAX 5000000u
#define FLOOR_ROUNDS 5u
/* The floor keeps all its sockets in one table of 20,000; and rounds shorter than half a second say little. */
#define FLOOR_CLIENTS_MAX 15000u

struct hold_options {
	struct hold_load load;
	struct url url;
	const char *secret_path; /* NULL: clients do not sign in */
	uint32_t server_pid;
	bool floor;
	bool no_pin;
	bool json;
};

struct floor_result {
	double server_us;
	double floor_us;
	double server_rate;
	double floor_rate;
	uint32_t clients;
};

static const char USAGE[] =
	"Usage: roost bench hold -n CLIENTS [OPTION...]\n\n"
	"Connects many MQTT clients, subscribes each to a topic of its own, keeps them with pings and watches for "
	"losses.\n"
	"Prints the rate of connecting, memory a client, processor time a connection and while idle. The server's "
	"memory is\n"
	"what its resident memory grows by: start it afresh, as memory that earlier clients left behind is not "
	"counted.\n\n"
	"  -n, --clients N         how many clients (1 to 5,000,000)\n"
	"      --rate R|full       connections a second (full)\n"
	"      --url URL           broker (tcp://127.0.0.1:1883)\n"
	"      --version 3|4|5     protocol level: MQTT 3.1, 3.1.1 or 5.0 (4)\n"
	"      --keepalive S       keepalive and ping interval, 0 to 65535 s; 0 sends no pings (60)\n"
	"      --hold S            how long to hold them, 0 to 86400 s (120)\n"
	"      --topic-prefix P    each topic is P and a number (bench/)\n"
	"      --client-prefix P   each client id is P and a number (bench-)\n"
	"      --token-secret FILE sign in with a token for each client, signed with the file's HS256 secret\n"
	"      --pipeline          send SUBSCRIBE with CONNECT, not after CONNACK\n"
	"      --threads T         threads, each with its own descriptor table (as few as the tables need)\n"
	"      --connecting C      threads that connect at the same time, 1 to 64 (2)\n"
	"      --in-progress I     connections that such a thread has in progress at most, 1 to 4096; a SYN that "
	"overruns\n"
	"                          the server's backlog is a second late: mosquitto's takes 100 (256)\n"
	"      --server-pid PID    the server's process (found by the port)\n"
	"      --floor             also compare with the bare relay of `roost bench floor`\n"
	"      --no-pin            --floor: leave it to the scheduler who runs on which processor\n"
	"      --json              one flat JSON object on stdout\n"
	"      --help\n\n"
	"Exit status: 0 none lost, 1 clients lost or the run failed, 2 wrong options.\n";

enum {
	OPTION_RATE = 256,
	OPTION_URL,
	OPTION_VERSION,
	OPTION_KEEPALIVE,
	OPTION_HOLD,
	OPTION_TOPIC,
	OPTION_CLIENT,
	OPTION_SECRET,
	OPTION_PIPELINE,
	OPTION_THREADS,
	OPTION_CONNECTING,
	OPTION_IN_PROGRESS,
	OPTION_PID,
	OPTION_FLOOR,
	OPTION_NO_PIN,
	OPTION_JSON,
};

static const struct option OPTIONS[] = {
	{"clients", required_argument, NULL, 'n'},
	{"rate", required_argument, NULL, OPTION_RATE},
	{"url", required_argument, NULL, OPTION_URL},
	{"version", required_argument, NULL, OPTION_VERSION},
	{"keepalive", required_argument, NULL, OPTION_KEEPALIVE},
	{"hold", required_argument, NULL, OPTION_HOLD},
	{"topic-prefix", required_argument, NULL, OPTION_TOPIC},
	{"client-prefix", required_argument, NULL, OPTION_CLIENT},
	{"token-secret", required_argument, NULL, OPTION_SECRET},
	{"pipeline", no_argument, NULL, OPTION_PIPELINE},
	{"threads", required_argument, NULL, OPTION_THREADS},
	{"connecting", required_argument, NULL, OPTION_CONNECTING},
	{"in-progress", required_argument, NULL, OPTION_IN_PROGRESS},
	{"server-pid", required_argument, NULL, OPTION_PID},
	{"floor", no_argument, NULL, OPTION_FLOOR},
	{"no-pin", no_argument, NULL, OPTION_NO_PIN},
	{"json", no_argument, NULL, OPTION_JSON},
	{"help", no_argument, NULL, OPTION_HELP},
	{0},
};

static bool take_option(void *context, int option, const char *text)
{
	struct hold_options *options = context;
	struct hold_load *load = &options->load;
	uint32_t number = 0;
	switch (option) {
	case 'n':
		return option_u32("--clients", text, 1, CLIENTS_MAX, &load->clients);
	case OPTION_RATE:
		return option_rate("--rate", text, &load->rate);
	case OPTION_URL:
		return option_url("--url", text, &options->url);
	case OPTION_VERSION:
		return option_version("--version", text, &load->version);
	case OPTION_KEEPALIVE:
		if (!option_u32("--keepalive", text, 0, UINT16_MAX, &number))
			return false;
		load->keepalive_s = (uint16_t)number;
		return true;
	case OPTION_HOLD:
		return option_u32("--hold", text, 0, 86400, &load->hold_s);
	case OPTION_TOPIC:
		load->topic_prefix = text;
		return option_prefix("--topic-prefix", text, CLIENT_PREFIX_BYTES_MAX);
	case OPTION_CLIENT:
		load->client_prefix = text;
		return option_prefix("--client-prefix", text, CLIENT_PREFIX_BYTES_MAX);
	case OPTION_SECRET:
		options->secret_path = text;
		return true;
	case OPTION_PIPELINE:
		load->pipeline = true;
		return true;
	case OPTION_THREADS:
		return option_u32("--threads", text, 1, 1024, &load->threads);
	case OPTION_CONNECTING:
		return option_u32("--connecting", text, 1, 64, &load->connecting);
	case OPTION_IN_PROGRESS:
		return option_u32("--in-progress", text, 1, 4096, &load->in_progress_max);
	case OPTION_PID:
		return option_u32("--server-pid", text, 1, INT32_MAX, &options->server_pid);
	case OPTION_FLOOR:
		return options->floor = true;
	case OPTION_NO_PIN:
		return options->no_pin = true;
	case OPTION_JSON:
		return options->json = true;
	default:
		return false;
	}
}

/* Returns true to go on; else *status is the exit status. */
static bool parse_options(int argc, char **argv, struct hold_options *options, int *status)
{
	static const struct option_set set = {.letters = "n:", .list = OPTIONS, .usage = USAGE, .take = take_option};
	*options = (struct hold_options){
		.load = {.client_prefix = "bench-",
			 .topic_prefix = "bench/",
			 .hold_s = 120,
			 .connecting = 2,
			 .in_progress_max = 256,
			 .cpu = CPU_ANY,
			 .keepalive_s = 60,
			 .version = 4},
		.url = {.host = "127.0.0.1", .port = URL_PORT_DEFAULT},
	};
	if (!options_take(argc, argv, &set, options, status))
		return false;
	if (!option_none_left(argc, argv, optind))
		return false;
	if (options->load.clients == 0) {
		fputs("roost bench hold: how many clients? -n says so; --help tells more\n", stderr);
		return false;
	}
	return true;
}

/* The same number of clients against both, in turns, so that what else happens on the machine hits both alike. */
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

static void report_run(struct report *report, const struct hold_options *options, const struct hold_result *result)
{
	const struct hold_load *load = &options->load;
	double connected = result->connected > 0 ? result->connected : (double)NAN;
	uint64_t lost = losses_total(&result->losses);
	char reasons[REPORT_TEXT_BYTES];
	losses_describe(&result->losses, load->version, reasons, sizeof(reasons));
	report_number(report, NULL, "clients", load->clients, 0, "clients", "");
	report_number(report, NULL, "threads", result->threads, 0, NULL, "");
	report_number(report, NULL, "version", load->version, 0, NULL, "");
	report_number(report, NULL, "keepalive_s", load->keepalive_s, 0, NULL, "s");
	report_number(report, NULL, "connected", result->connected, 0, "connected and subscribed", "");
	report_number(report, NULL, "connect_s", result->connect_s, 2, "  from first connect to last SUBACK", "s");
	report_number(report, NULL, "connect_rate", result->connected / result->connect_s, 0, "connect rate", "/s");
	report_number(report, NULL, "server_user_bytes_per_client",
		      (result->server_resident_bytes_after - result->server_resident_bytes_before) / connected, 0,
		      "server's user memory a client (resident)", "B");
	/* Both ends are on this machine and have a socket for each client. */
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
	report_number(report, NULL, "held", result->held, 0, "still connected at the end", "");
	report_number(report, NULL, "lost", (double)lost, 0, "lost", "");
	report_text(report, NULL, "lost_reasons", reasons, lost > 0 ? "  why" : NULL);
	report_number(report, NULL, "leave_s", result->leave_s, 2, "all disconnected and closed in", "s");
}

/* False: says on stderr what is wrong with the file. */
static bool open_credentials(struct hold_options *options, struct credentials *credentials)
{
	if (options->secret_path == NULL)
		return true;
	const char *fault = credentials_open_secret(credentials, options->secret_path, NULL, (uint64_t)time(NULL));
	if (fault != NULL) {
		fprintf(stderr, "roost bench hold: %s %s\n", options->secret_path, fault);
		return false;
	}
	options->load.credentials = credentials;
	return true;
}

static int run(const struct hold_options *options, struct report *report)
{
	struct hold_result result;
	struct floor_result floor = {0};
	struct target server;
	if (!target_open(&server, "server", &options->url, (pid_t)options->server_pid))
		return BENCH_EXIT_FAILED;
	/* The large run comes first: the server's memory must not have grown before. */
	if (!hold_run(&options->load, &server, "server", &result))
		return BENCH_EXIT_FAILED;
	if (options->floor && !compare_with_floor(options, &server, &floor))
		return BENCH_EXIT_FAILED;
	progress_end();
	report_run(report, options, &result);
	if (options->floor)
		report_floor(report, &floor);
	report_print(report, options->json);
	return losses_total(&result.losses) == 0 ? BENCH_EXIT_OK : BENCH_EXIT_FAILED;
}

int hold_main(int argc, char **argv)
{
	struct hold_options options;
	int status;
	if (!parse_options(argc, argv, &options, &status))
		return status;
	struct report *report = report_new();
	if (report == NULL)
		return BENCH_EXIT_FAILED;
	struct credentials credentials = {.user_name = "bench"};
	progress_catch_signals();
	status = open_credentials(&options, &credentials) ? run(&options, report) : BENCH_EXIT_FAILED;
	progress_end();
	credentials_close(&credentials);
	report_free(report);
	return status;
}
