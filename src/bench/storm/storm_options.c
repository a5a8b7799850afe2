#include "bench/storm/storm_options.h"

#include "bench/load/round_options.h"
#include "bench/options/options.h"
#include "bench/target/cpu.h"

#include <stdio.h>
#include <string.h>

#define IN_PROGRESS 64u
#define SYN_TIMEOUT_MS 250u
/* mosquitto takes no more from version 5 clients. */
#define UNACKNOWLEDGED_AT_A_RATE 20u
/* The places of a thread's pool, which are descriptors in its table. */
#define SLOTS_MAX 19000u

static const char USAGE[] =
	"Usage: roost bench storm [OPTION...]\n\n"
	"What those who are connected notice while others connect as fast as they can. The established exchange "
	"messages\n"
	"one to one in a closed loop; their latency is measured quiet, then while others connect, sign in and leave, "
	"then\n"
	"quiet again. Also says how many signed in a second, and what became of the others.\n\n"
	"      --established N        clients that exchange messages, 0 to 19,000 (2000)\n"
	"      --publishers P         of these (64)\n"
	"      --established-rate R   messages a second of all of them, each at its time, instead of a closed loop; "
	"latency\n"
	"                             counts from that time\n"
	"      --size BYTES           of a payload, 24 to 65536 (64)\n"
	"      --qos 0|1|2            of the established (0)\n"
	"      --duration S           of each of the three times, 1 to 600 s (10)\n"
	"      --warm-up MS           before the first and the last of them, 0 to 60000 ms (500)\n"
	"      --rate R|full          attempts a second (full)\n"
	"      --in-progress I        connections in progress at most, 1 to 19000; a SYN that overruns the server's "
	"backlog is\n"
	"                             lost: mosquitto's takes 100 (64; with --rate as many more as keep it while no "
	"SYN "
	"is answered)\n"
	"      --syn-timeout MS       an attempt whose SYN is not answered for so long is given up, 10 to 60000; the "
	"kernel sends\n"
	"                             SYN again after a second (250)\n"
	"      --stay N               so many stay signed in, the oldest leaves for the next; 0: each leaves at once "
	"(0)\n"
	"      --subscribe            each subscribes to a topic of its own before it leaves or stays\n"
	"      --threads T            of the storm, 1 to 64 (1)\n"
	"      --nice N               give way to the established and to the server, 0 to 19: the storm's threads take "
	"their\n"
	"                             processor time, as other machines would not (0)\n"
	"      --from ADDRESS/PREFIX  source addresses of the storm (IPv4), one after the other, as 127.66.0.0/16; "
	"else\n"
	"                             10,000 attempts from each, where the target is in 127.0.0.0/8\n"
	"      --token FILE           sign in with the file's tokens, one a line, as passwords; the established too\n"
	"      --token-secret FILE    ... with a token for each client, signed with the file's HS256 secret: its "
	"\"sub\" is\n"
	"                             the client id, and it expires after a day\n"
	"      --token-claims MEMBERS more claims: '\"iss\":\"me\",\"aud\":\"you\"'\n"
	"      --user-name NAME       with a token (bench)\n"
	"      --url URL              broker (tcp://127.0.0.1:1883)\n"
	"      --serve OPTIONS        instead, start a server with these options of `roost serve`, which may be \"\"\n"
	"      --beside BROKER        the same against another one, at most 3 times: mosquitto (Debian's, started for "
	"it), the\n"
	"                             path of a Roost (started for it; options of `roost serve` behind it), a URL, or "
	"a "
	"port of\n"
	"                             this machine\n"
	"      --rounds R             against each in turns, 1 to 99: medians are printed (1)\n"
	"      --neighbour [N]        N processes beside it that take all the processor time they get, 1 to 64 (none; "
	"1)\n"
	"      --version 3|4|5        protocol level: MQTT 3.1, 3.1.1 or 5.0 (4)\n"
	"      --topic-prefix P       each topic is P and a number (bench/)\n"
	"      --client-prefix P      each client id of the established is P and a number (bench-)\n"
	"      --storm-prefix P       ... of the storm (storm-)\n"
	"      --server-pid PID       the server's process (found by the port)\n"
	"      --json                 one flat JSON object on stdout\n"
	"      --help\n\n"
	"Exit status: 0 the established lost nothing, 1 they did, or the run failed, 2 wrong options.\n";

enum {
	OPTION_ESTABLISHED = 256,
	OPTION_ESTABLISHED_RATE,
	OPTION_RATE,
	OPTION_IN_PROGRESS,
	OPTION_SYN_TIMEOUT,
	OPTION_STAY,
	OPTION_SUBSCRIBE,
	OPTION_THREADS,
	OPTION_NICE,
	OPTION_FROM,
	OPTION_TOKEN,
	OPTION_SECRET,
	OPTION_CLAIMS,
	OPTION_USER,
	OPTION_STORM,
	OPTION_JSON,
};

static const struct option OPTIONS[] = {
	ROUND_OPTIONS,
	BESIDE_OPTIONS,
	{"established", required_argument, NULL, OPTION_ESTABLISHED},
	{"established-rate", required_argument, NULL, OPTION_ESTABLISHED_RATE},
	{"rate", required_argument, NULL, OPTION_RATE},
	{"in-progress", required_argument, NULL, OPTION_IN_PROGRESS},
	{"syn-timeout", required_argument, NULL, OPTION_SYN_TIMEOUT},
	{"stay", required_argument, NULL, OPTION_STAY},
	{"subscribe", no_argument, NULL, OPTION_SUBSCRIBE},
	{"threads", required_argument, NULL, OPTION_THREADS},
	{"nice", required_argument, NULL, OPTION_NICE},
	{"from", required_argument, NULL, OPTION_FROM},
	{"token", required_argument, NULL, OPTION_TOKEN},
	{"token-secret", required_argument, NULL, OPTION_SECRET},
	{"token-claims", required_argument, NULL, OPTION_CLAIMS},
	{"user-name", required_argument, NULL, OPTION_USER},
	{"storm-prefix", required_argument, NULL, OPTION_STORM},
	{"json", no_argument, NULL, OPTION_JSON},
	{"help", no_argument, NULL, OPTION_HELP},
	{0},
};

/* Options of the storm; *known is false for any other. */
static bool take_storm_option(struct storm_load *load, int option, const char *text, bool *known)
{
	*known = true;
	switch (option) {
	case OPTION_RATE:
		return option_rate("--rate", text, &load->rate);
	case OPTION_IN_PROGRESS:
		return option_u32("--in-progress", text, 1, SLOTS_MAX, &load->in_progress_max);
	case OPTION_SYN_TIMEOUT:
		return option_u32("--syn-timeout", text, 10, 60000, &load->syn_timeout_ms);
	case OPTION_STAY:
		return option_u32("--stay", text, 0, SLOTS_MAX * 64, &load->stay);
	case OPTION_SUBSCRIBE:
		return load->subscribe = true;
	case OPTION_THREADS:
		return option_u32("--threads", text, 1, 64, &load->threads);
	case OPTION_NICE:
		return option_u32("--nice", text, 0, 19, &load->nice);
	case OPTION_FROM:
		return option_source_range("--from", text, &load->from);
	case OPTION_STORM:
		load->client_prefix = text;
		return option_prefix("--storm-prefix", text, CLIENT_PREFIX_BYTES_MAX);
	default:
		*known = false;
		return true;
	}
}

static bool take_option(void *context, int option, const char *text)
{
	struct storm_options *options = context;
	bool known;
	if (!round_option_take(&options->load.established, option, text, &known))
		return false;
	if (!known && !beside_option_take(&options->beside, option, text, &known))
		return false;
	if (!known && !take_storm_option(&options->load, option, text, &known))
		return false;
	if (known)
		return true;
	switch (option) {
	case OPTION_ESTABLISHED:
		return option_u32("--established", text, 0, ROUND_CLIENTS_MAX, &options->load.established.load.clients);
	case OPTION_ESTABLISHED_RATE:
		options->load.established.load.window = UNACKNOWLEDGED_AT_A_RATE;
		return option_u32("--established-rate", text, 1, 1000000, &options->load.established.load.rate);
	case OPTION_TOKEN:
		options->token_path = text;
		return true;
	case OPTION_SECRET:
		options->secret_path = text;
		return true;
	case OPTION_CLAIMS:
		options->token_claims = text;
		return true;
	case OPTION_USER:
		options->user_name = text;
		return option_prefix("--user-name", text, CLIENT_PREFIX_BYTES_MAX);
	case OPTION_JSON:
		return options->json = true;
	default:
		return false;
	}
}

/* A rate goes on while those before wait for an answer to their SYN, as far as there are places for them. */
static uint32_t choose_in_progress(const struct storm_load *load)
{
	uint64_t unheard = (uint64_t)load->rate * load->syn_timeout_ms / 1000;
	uint64_t most = (uint64_t)SLOTS_MAX * load->threads;
	uint64_t room = most > load->stay + load->threads ? most - load->stay - load->threads : 1;
	uint64_t wanted = IN_PROGRESS + unheard;
	return (uint32_t)(wanted < room ? wanted : room);
}

/* Goes into a JSON string as it is. */
static bool needs_escape(const char *text)
{
	return strpbrk(text, "\"\\") != NULL;
}

/* What does not go together; or NULL. */
static const char *find_fault(const struct storm_options *options)
{
	const struct storm_load *load = &options->load;
	const struct load_plan *established = &load->established.load;
	if (established->clients > 0 && established->clients < 2 * established->publishers)
		return "each publisher needs a subscriber: --established must be at least twice --publishers, or 0";
	if ((load->stay + load->in_progress_max) / load->threads >= SLOTS_MAX)
		return "more than 19,000 connections a thread: raise --threads or lower --stay";
	if (strcmp(load->client_prefix, load->established.client_prefix) == 0)
		return "--storm-prefix is that of the established: a storm that takes over their sessions";
	if (options->token_path != NULL && options->secret_path != NULL)
		return "--token and --token-secret exclude each other";
	if (options->token_claims != NULL && options->secret_path == NULL)
		return "--token-claims are for tokens made with --token-secret";
	if (options->token_claims != NULL && strlen(options->token_claims) > CREDENTIALS_CLAIMS_BYTES_MAX)
		return "--token-claims are longer than 1024 bytes";
	if (options->secret_path != NULL &&
	    (needs_escape(load->client_prefix) || needs_escape(load->established.client_prefix)))
		return "a client id with \" or \\ does not go into a token";
	return NULL;
}

bool storm_options_parse(int argc, char **argv, struct storm_options *options, int *status)
{
	static const struct option_set set = {.letters = "", .list = OPTIONS, .usage = USAGE, .take = take_option};
	*options = (struct storm_options){
		.load = {.established =
				 {.load = {.clients = 2000, .publishers = 64, .burst = 1, .window = 1, .size = 64},
				  .client_prefix = "bench-",
				  .topic_prefix = "bench/",
				  .duration_s = 10,
				  .warm_up_ms = ROUND_WARM_UP_MS,
				  .threads = 1,
				  .cpu = CPU_ANY,
				  .version = 4},
			 .client_prefix = "storm-",
			 .threads = 1,
			 .syn_timeout_ms = SYN_TIMEOUT_MS},
		.user_name = "bench",
	};
	if (!options_take(argc, argv, &set, options, status))
		return false;
	if (!option_none_left(argc, argv, optind))
		return false;
	if (options->load.in_progress_max == 0)
		options->load.in_progress_max = choose_in_progress(&options->load);
	const char *fault = beside_complete(&options->beside, false, 1);
	if (fault == NULL)
		fault = find_fault(options);
	if (fault != NULL)
		fprintf(stderr, "roost bench storm: %s\n", fault);
	return fault == NULL;
}
