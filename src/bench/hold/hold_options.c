#include "bench/hold/hold_options.h"

#include "bench/options/options.h"
#include "bench/options/transport_options.h"
#include "bench/target/cpu.h"

#include <getopt.h>
#include <stdio.h>

#define CLIENTS_MAX 5000000u

static const char USAGE[] =
	"Usage: roost bench hold -n CLIENTS [OPTION...]\n\n"
	"Connects many MQTT clients, subscribes each to a topic of its own, keeps them alive with pings and\n"
	"watches for losses. Prints how fast they connected, memory a client, and processor time a connection and\n"
	"while idle. The server's memory is what its resident memory has grown by at the end of the hold: start\n"
	"the server afresh, because memory that earlier clients left behind is not counted.\n\n"
	"  -n, --clients N         how many clients (1 to 5,000,000)\n"
	"      --rate R|full       connections a second (full)\n"
	"      --url URL           the broker (tcp://127.0.0.1:1883)\n"
	"      --version 3|4|5     protocol level: MQTT 3.1, 3.1.1 or 5.0 (4)\n"
	"      --keepalive S       keepalive and ping interval, 0 to 65535 s; 0 sends no pings (60)\n"
	"      --hold S            how long to hold them, 0 to 86400 s (120)\n"
	"      --topic-prefix P    each topic is P and a number (bench/)\n"
	"      --client-prefix P   each client id is P and a number (bench-)\n"
	"      --time-pings        measure how long PINGRESP takes while they are held, with pings spread evenly over\n"
	"                          the keepalive: the longest is how long the\n"
	"                          server was silent to any of them\n"
	"      --token-secret FILE sign in with a token for each client, signed with the file's HS256 secret\n"
	"      --pipeline          send SUBSCRIBE with CONNECT, not after CONNACK\n"
	"      --threads T         threads, each with a descriptor table of its own (as few as the tables need)\n"
	"      --connecting C      threads that connect at the same time, 1 to 64 (2)\n"
	"      --in-progress I     connections that such a thread has in progress at most, 1 to 4096. A SYN that\n"
	"                          overruns the server's backlog is a second late; mosquitto's backlog is 100\n"
	"                          (256)\n"
	"      --server-pid PID    the server's process (found by its port)\n"
	"      --floor             also compare with the bare relay of `roost bench floor`\n"
	"      --no-pin            with --floor: let the scheduler choose the processors\n"
	"      --json              print one flat JSON object on stdout\n"
	"      --help\n\n" TRANSPORT_USAGE "\n"
	"Exit status: 0 if no client was lost; 1 if some were, or if the run failed; 2 if the options are wrong.\n";

static const struct option_row OPTIONS[] = {
	{"clients", OPTION_U32, 'n', OPTION_FIELD(struct hold_options, load.clients, uint32_t), 1, CLIENTS_MAX, 0,
	 NULL},
	OPTION_ROW("rate", OPTION_RATE, struct hold_options, load.rate, uint32_t),
	OPTION_ROW("url", OPTION_URL, struct hold_options, url, struct url),
	OPTION_ROW("version", OPTION_VERSION, struct hold_options, load.version, uint8_t),
	OPTION_ROW_LIMITED("keepalive", OPTION_U16, struct hold_options, load.keepalive_s, uint16_t, 0, UINT16_MAX),
	OPTION_ROW_U32("hold", struct hold_options, load.hold_s, 0, 86400),
	OPTION_ROW_PREFIX("topic-prefix", struct hold_options, load.topic_prefix, CLIENT_PREFIX_BYTES_MAX),
	OPTION_ROW_PREFIX("client-prefix", struct hold_options, load.client_prefix, CLIENT_PREFIX_BYTES_MAX),
	OPTION_ROW_TEXT("token-secret", struct hold_options, secret_path),
	OPTION_ROW_SWITCH("time-pings", struct hold_options, load.time_pings),
	OPTION_ROW_SWITCH("pipeline", struct hold_options, load.pipeline),
	OPTION_ROW_U32("threads", struct hold_options, load.threads, 1, 1024),
	OPTION_ROW_U32("connecting", struct hold_options, load.connecting, 1, 64),
	OPTION_ROW_U32("in-progress", struct hold_options, load.in_progress_max, 1, 4096),
	OPTION_ROW_U32("server-pid", struct hold_options, server_pid, 1, INT32_MAX),
	OPTION_ROW_SWITCH("floor", struct hold_options, floor),
	OPTION_ROW_SWITCH("no-pin", struct hold_options, no_pin),
	OPTION_ROW_SWITCH("json", struct hold_options, json),
	{0},
};

bool hold_options_parse(int argc, char **argv, struct hold_options *options, int *status)
{
	static const struct option_table tables[] = {
		{OPTIONS, 0}, {TRANSPORT_OPTIONS, offsetof(struct hold_options, transport)}, {NULL, 0}};
	static const struct option_set set = {USAGE, tables};
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
	if (!options_take(argc, argv, &set, options, status) || !options_none_left(argc, argv, optind))
		return false;
	const char *fault = transport_options_fault(&options->transport);
	if (options->load.clients == 0)
		fault = "how many clients? -n says so; --help tells more";
	if (fault != NULL)
		fprintf(stderr, "roost bench hold: %s\n", fault);
	return fault == NULL;
}
