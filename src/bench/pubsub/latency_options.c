#include "bench/pubsub/latency_options.h"

#include "bench/load/round_options.h"
#include "bench/measure/inflight.h"
#include "bench/measure/stamp.h"
#include "bench/options/options.h"
#include "bench/options/transport_options.h"
#include "bench/target/cpu.h"

#include <getopt.h>
#include <stdio.h>

#define RATE_DEFAULT 2000u
/* Unacknowledged messages of a publisher at a rate: mosquitto allows version 5 clients no more. */
#define UNACKNOWLEDGED_DEFAULT 20u
#define ROUNDS_COMPARED 5u

static const char USAGE[] =
	"Usage: roost bench latency [OPTION...]\n\n"
	"Puts a light load on a broker, one to one, and tells how long a message takes and how much of that was\n"
	"the bench's own. Without --url it starts a server. Other brokers take turns with it, round by round;\n"
	"medians of the rounds are printed.\n\n"
	"      --clients N            publishers and subscribers together, 2 to 19,000 (200)\n"
	"      --publishers P         how many of them publish (2)\n"
	"      --rate N               messages a second, of all publishers: each at its time, whatever the server\n"
	"                             does; latency counts from that time (2000)\n"
	"      --window W             a closed loop instead, with so many messages of each publisher under way.\n"
	"                             With --rate, as many may be unacknowledged (20)\n"
	"      --size BYTES           size of a payload, 32 to 65536 (64); also --payload\n"
	"      --qos 0|1|2            QoS of publishers and subscriptions (0)\n"
	"      --version 3|4|5        protocol level: MQTT 3.1, 3.1.1 or 5.0 (4)\n"
	"      --duration S           length of a round, 1 to 600 s (5); also --seconds\n"
	"      --warm-up MS           unmeasured time before each round, 0 to 60000 ms (500)\n"
	"      --transport T          of the brokers that are started: tcp, tls, ws or wss (tcp)\n"
	"      --rounds R             rounds, 1 to 99 (1, or 5 with --beside)\n"
	"      --beside BROKER        another broker, at most 3 times: mosquitto (Debian's, started for it), the\n"
	"                             path of a Roost (started for it; options of `roost serve` may follow:\n"
	"                             \"./roost --shards 1\"), a URL, or a port of this machine\n"
	"      --neighbour [N]        run N processes that take all the processor time they get, 1 to 64 (none;\n"
	"                             1)\n"
	"      --url URL              a broker that runs already\n"
	"      --publish-url URL      where publishers go, another node of the same cluster (tcp://; the broker)\n"
	"      --server-pid PID       its process (found by its port)\n"
	"      --serve OPTIONS        options of `roost serve` for the server that is started: \"--shards 1\"\n"
	"      --topic-prefix P       each topic is P and a number (bench/)\n"
	"      --client-prefix P      each client id is P and a number (bench-)\n"
	"      --json                 print one flat JSON object on stdout\n"
	"      --help\n\n" TRANSPORT_USAGE "\n"
	"Exit status: 0 if all messages came through the first broker, in order and once; 1 if not, or if the run\n"
	"failed; 2 if the options are wrong.\n";

static const struct option_row OPTIONS[] = {
	OPTION_ROW_U32("payload", struct latency_options, round.load.size, STAMP_BYTES, UINT16_MAX + 1),
	OPTION_ROW_U32("seconds", struct latency_options, round.duration_s, 1, 600),
	OPTION_ROW_U32("clients", struct latency_options, round.load.clients, 2, ROUND_CLIENTS_MAX),
	OPTION_ROW_U32("rate", struct latency_options, round.load.rate, 1, 1000000),
	OPTION_ROW_U32("window", struct latency_options, round.load.window, 1, INFLIGHT_WINDOW_MAX),
	{"publish-url", OPTION_TCP_URL, .offset = OPTION_FIELD(struct latency_options, round.publish_url, struct url),
	 .given = OPTION_FIELD(struct latency_options, round.has_publish_url, bool)},
	OPTION_ROW_SWITCH("json", struct latency_options, json),
	{0},
};

/* Fills in the defaults and refuses options that exclude each other. */
static bool latency_complete(struct latency_options *options)
{
	struct load_plan *load = &options->round.load;
	const char *fault = beside_complete(&options->beside, true, ROUNDS_COMPARED);
	if (load->rate == 0 && load->window == 0)
		load->rate = RATE_DEFAULT;
	if (load->window == 0)
		load->window = UNACKNOWLEDGED_DEFAULT;
	if (load->clients < 2 * load->publishers)
		fault = "each publisher needs a subscriber: --clients must be at least twice --publishers";
	else if (load->size < STAMP_LEFT_BYTES)
		fault = "--size is at least 32: a message carries when it was due and when it was sent";
	if (fault == NULL)
		fault = transport_options_fault(&options->transport);
	if (fault != NULL)
		fprintf(stderr, "roost bench latency: %s\n", fault);
	return fault == NULL;
}

bool latency_options_parse(int argc, char **argv, struct latency_options *options, int *status)
{
	static const struct option_table tables[] = {{OPTIONS, 0},
						     {ROUND_OPTIONS, offsetof(struct latency_options, round)},
						     {BESIDE_OPTIONS, offsetof(struct latency_options, beside)},
						     {TRANSPORT_OPTIONS, offsetof(struct latency_options, transport)},
						     {NULL, 0}};
	static const struct option_set set = {USAGE, tables};
	*options = (struct latency_options){
		.round = {ROUND_DEFAULTS,
			  .load = {.pattern = LOAD_ONE_TO_ONE, .clients = 200, .publishers = 2, .burst = 1, .size = 64},
			  .duration_s = 5, .arrivals = true},
	};
	if (!options_take(argc, argv, &set, options, status))
		return false;
	return options_none_left(argc, argv, optind) && latency_complete(options);
}
