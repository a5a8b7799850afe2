#include "bench/pubsub/latency_options.h"

#include "bench/load/round_options.h"
#include "bench/measure/inflight.h"
#include "bench/measure/stamp.h"
#include "bench/options/options.h"
#include "bench/target/cpu.h"

#include <stdio.h>

#define RATE_DEFAULT 2000u
/* What a publisher may have unacknowledged at a rate: mosquitto takes no more from version 5 clients. */
#define UNACKNOWLEDGED_DEFAULT 20u
#define ROUNDS_COMPARED 5u

static const char USAGE[] =
	"Usage: roost bench latency [OPTION...]\n\n"
	"A light load, one to one: how long a message takes, and how much of it was the bench's own. Without --url a "
	"server is\n"
	"started for it. With others beside it rounds go from one to the next, and medians of the rounds are "
	"printed.\n\n"
	"      --clients N            publishers and subscribers together, 2 to 19,000 (200)\n"
	"      --publishers P         of these (2)\n"
	"      --rate N               messages a second, of all publishers: each at its time, whatever the server "
	"does; "
	"latency\n"
	"                             counts from that time (2000)\n"
	"      --window W             closed loop instead: so many messages of each publisher are under way. With "
	"--rate: "
	"as many\n"
	"                             may be unacknowledged (20)\n"
	"      --size BYTES           of a payload, 32 to 65536 (64); also --payload\n"
	"      --qos 0|1|2            of publishing and subscribing (0)\n"
	"      --version 3|4|5        protocol level: MQTT 3.1, 3.1.1 or 5.0 (4)\n"
	"      --duration S           of a round, 1 to 600 s (5); also --seconds\n"
	"      --warm-up MS           before each round, 0 to 60000 ms (500)\n"
	"      --rounds R             1 to 99 (1; 5 with --beside)\n"
	"      --beside BROKER        another one, at most 3 times: mosquitto (Debian's, started for it), the path of "
	"a "
	"Roost\n"
	"                             (started for it; options of `roost serve` behind it: \"./roost --shards 1\"), a "
	"URL, or a\n"
	"                             port of this machine\n"
	"      --neighbour [N]        N processes beside it that take all the processor time they get, 1 to 64 (none; "
	"1)\n"
	"      --url URL              a broker that runs already\n"
	"      --server-pid PID       its process (found by the port)\n"
	"      --serve OPTIONS        of `roost serve`, for the server that is started: \"--shards 1\"\n"
	"      --topic-prefix P       each topic is P and a number (bench/)\n"
	"      --client-prefix P      each client id is P and a number (bench-)\n"
	"      --json                 one flat JSON object on stdout\n"
	"      --help\n\n"
	"Exit status: 0 all messages came through the first broker, in order and once; 1 not, or the run failed; 2 "
	"wrong\n"
	"options.\n";

enum {
	OPTION_CLIENTS = 256,
	OPTION_RATE,
	OPTION_WINDOW,
	OPTION_JSON,
};

static const struct option OPTIONS[] = {
	ROUND_OPTIONS,
	BESIDE_OPTIONS,
	{"payload", required_argument, NULL, ROUND_SIZE},
	{"seconds", required_argument, NULL, ROUND_DURATION},
	{"clients", required_argument, NULL, OPTION_CLIENTS},
	{"rate", required_argument, NULL, OPTION_RATE},
	{"window", required_argument, NULL, OPTION_WINDOW},
	{"json", no_argument, NULL, OPTION_JSON},
	{"help", no_argument, NULL, OPTION_HELP},
	{0},
};

static bool take_option(void *context, int option, const char *text)
{
	struct latency_options *options = context;
	struct load_plan *load = &options->round.load;
	bool known;
	if (!round_option_take(&options->round, option, text, &known))
		return false;
	if (!known && !beside_option_take(&options->beside, option, text, &known))
		return false;
	if (known)
		return true;
	switch (option) {
	case OPTION_CLIENTS:
		return option_u32("--clients", text, 2, ROUND_CLIENTS_MAX, &load->clients);
	case OPTION_RATE:
		return option_u32("--rate", text, 1, 1000000, &load->rate);
	case OPTION_WINDOW:
		return option_u32("--window", text, 1, INFLIGHT_WINDOW_MAX, &load->window);
	case OPTION_JSON:
		return options->json = true;
	default:
		return false;
	}
}

/* Fills in what was not given, and refuses what does not go together. */
static bool complete_options(struct latency_options *options)
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
	if (fault != NULL)
		fprintf(stderr, "roost bench latency: %s\n", fault);
	return fault == NULL;
}

bool latency_options_parse(int argc, char **argv, struct latency_options *options, int *status)
{
	static const struct option_set set = {.letters = "", .list = OPTIONS, .usage = USAGE, .take = take_option};
	*options = (struct latency_options){
		.round = {.load = {.pattern = LOAD_ONE_TO_ONE, .clients = 200, .publishers = 2, .burst = 1, .size = 64},
			  .client_prefix = "bench-",
			  .topic_prefix = "bench/",
			  .duration_s = 5,
			  .warm_up_ms = ROUND_WARM_UP_MS,
			  .cpu = CPU_ANY,
			  .threads = 1,
			  .arrivals = true,
			  .version = 4},
	};
	if (!options_take(argc, argv, &set, options, status))
		return false;
	/* The number of an option that has one or not: getopt takes it only behind "=". */
	return option_none_left(argc, argv, optind) && complete_options(options);
}
