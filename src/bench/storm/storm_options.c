#include "bench/storm/storm_options.h"

#include "bench/load/round_options.h"
#include "bench/options/options.h"
#include "bench/options/transport_options.h"
#include "bench/target/cpu.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define IN_PROGRESS 64u
#define SYN_TIMEOUT_MS 250u
/* mosquitto allows version 5 clients no more. */
#define UNACKNOWLEDGED_AT_A_RATE 20u
/* Slots of a thread's pool of clients, which are descriptors in its table. */
#define SLOTS_MAX 19000u
#define THREADS_MAX 64u

static const char USAGE[] =
	"Usage: roost bench storm [OPTION...]\n\n"
	"Tells what connected clients notice while others connect as fast as they can. The established clients\n"
	"exchange messages one to one in a closed loop. Their latency is measured while it is quiet, then while\n"
	"others connect, sign in and leave, then while it is quiet again. Also tells how many signed in a second,\n"
	"and what became of the rest.\n\n"
	"      --established N        clients that exchange messages, 0 to 19,000 (2000)\n"
	"      --publishers P         how many of them publish (64)\n"
	"      --established-rate R   messages a second of all of them, each at its time, instead of a closed\n"
	"                             loop; latency counts from that time\n"
	"      --size BYTES           size of a payload, 24 to 65536 (64)\n"
	"      --qos 0|1|2            QoS of the established clients (0)\n"
	"      --duration S           length of each of the three intervals, 1 to 600 s (10)\n"
	"      --warm-up MS           unmeasured time before the first and the last of them, 0 to 60000 ms (500)\n"
	"      --rate R|full          connection attempts a second (full)\n"
	"      --in-progress I        connections in progress at most, 1 to 19000. A SYN that overruns the\n"
	"                             server's backlog is lost; mosquitto's backlog is 100 (64; with --rate, as\n"
	"                             many more as it takes to keep the rate while no SYN is answered)\n"
	"      --syn-timeout MS       give up an attempt whose SYN is not answered for so long, 10 to 60000 ms;\n"
	"                             the kernel sends SYN again after a second (250)\n"
	"      --stay N               so many stay signed in, and the oldest leaves for the next; 0: each leaves\n"
	"                             at once (0)\n"
	"      --subscribe            each subscribes to a topic of its own before it leaves or stays\n"
	"      --threads T            threads of the storm, 1 to 64 (1)\n"
	"      --nice N               let the established clients and the server go first, 0 to 19: the storm's\n"
	"                             threads take processor time from them, as other machines would not (0)\n"
	"      --from ADDRESS/PREFIX  source addresses of the storm (IPv4), in turn: 127.66.0.0/16. Without it,\n"
	"                             10,000 attempts come from each address if the target is in 127.0.0.0/8\n"
	"      --token FILE           sign in with the file's tokens, one a line, as passwords; the established\n"
	"                             too\n"
	"      --token-secret FILE    sign in with a token for each client, signed with the file's HS256 secret:\n"
	"                             its \"sub\" is the client id, and it expires after a day\n"
	"      --token-claims MEMBERS more claims: '\"iss\":\"me\",\"aud\":\"you\"'\n"
	"      --user-name NAME       user name beside a token (bench)\n"
	"      --url URL              the broker (tcp://127.0.0.1:1883)\n"
	"      --serve OPTIONS        start a server instead, with these options of `roost serve`; they may be \"\"\n"
	"      --beside BROKER        the same against another broker, at most 3 times: mosquitto (Debian's,\n"
	"                             started for it), the path of a Roost (started for it; options of `roost\n"
	"                             serve` may follow), a URL, or a port of this machine\n"
	"      --transport T          of the brokers that are started: tcp, tls, ws or wss (tcp)\n"
	"      --rounds R             rounds against each broker, in turn, 1 to 99; medians are printed (1)\n"
	"      --neighbour [N]        run N processes that take all the processor time they get, 1 to 64 (none;\n"
	"                             1)\n"
	"      --version 3|4|5        protocol level: MQTT 3.1, 3.1.1 or 5.0 (4)\n"
	"      --topic-prefix P       each topic is P and a number (bench/)\n"
	"      --client-prefix P      each client id of the established is P and a number (bench-)\n"
	"      --storm-prefix P       each client id of the storm is P and a number (storm-)\n"
	"      --server-pid PID       the server's process (found by its port)\n"
	"      --json                 print one flat JSON object on stdout\n"
	"      --help\n\n" TRANSPORT_USAGE "\n"
	"Exit status: 0 if the established clients lost nothing; 1 if they did, or if the run failed; 2 if the\n"
	"options are wrong.\n";

static const struct option_row OPTIONS[] = {
	OPTION_ROW_U32("established", struct storm_options, load.established.load.clients, 0, ROUND_CLIENTS_MAX),
	OPTION_ROW_U32("established-rate", struct storm_options, load.established.load.rate, 1, 1000000),
	OPTION_ROW("rate", OPTION_RATE, struct storm_options, load.rate, uint32_t),
	OPTION_ROW_U32("in-progress", struct storm_options, load.in_progress_max, 1, SLOTS_MAX),
	OPTION_ROW_U32("syn-timeout", struct storm_options, load.syn_timeout_ms, 10, 60000),
	OPTION_ROW_U32("stay", struct storm_options, load.stay, 0, SLOTS_MAX *THREADS_MAX),
	OPTION_ROW_SWITCH("subscribe", struct storm_options, load.subscribe),
	OPTION_ROW_U32("threads", struct storm_options, load.threads, 1, THREADS_MAX),
	OPTION_ROW_U32("nice", struct storm_options, load.nice, 0, 19),
	OPTION_ROW("from", OPTION_SOURCES, struct storm_options, load.from, struct source_range),
	OPTION_ROW_TEXT("token", struct storm_options, token_path),
	OPTION_ROW_TEXT("token-secret", struct storm_options, secret_path),
	OPTION_ROW_TEXT("token-claims", struct storm_options, token_claims),
	OPTION_ROW_PREFIX("user-name", struct storm_options, user_name, CLIENT_PREFIX_BYTES_MAX),
	OPTION_ROW_PREFIX("storm-prefix", struct storm_options, load.client_prefix, CLIENT_PREFIX_BYTES_MAX),
	OPTION_ROW_SWITCH("json", struct storm_options, json),
	{0},
};

/* The rate must go on while earlier attempts wait for an answer to their SYN, as far as there are slots. */
static uint32_t choose_in_progress(const struct storm_load *load)
{
	uint64_t unheard = (uint64_t)load->rate * load->syn_timeout_ms / 1000;
	uint64_t most = (uint64_t)SLOTS_MAX * load->threads;
	uint64_t room = most > load->stay + load->threads ? most - load->stay - load->threads : 1;
	uint64_t wanted = IN_PROGRESS + unheard;
	return (uint32_t)(wanted < room ? wanted : room);
}

/* It cannot go into a JSON string as it is. */
static bool needs_escape(const char *text)
{
	return strpbrk(text, "\"\\") != NULL;
}

/* Which options exclude each other, or NULL. */
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
	static const struct option_table tables[] = {{OPTIONS, 0},
						     {ROUND_OPTIONS, offsetof(struct storm_options, load.established)},
						     {BESIDE_OPTIONS, offsetof(struct storm_options, beside)},
						     {TRANSPORT_OPTIONS, offsetof(struct storm_options, transport)},
						     {NULL, 0}};
	static const struct option_set set = {USAGE, tables};
	struct load_plan *established = &options->load.established.load;
	*options = (struct storm_options){
		.load = {.established =
				 {ROUND_DEFAULTS,
				  .load = {.clients = 2000, .publishers = 64, .burst = 1, .window = 1, .size = 64},
				  .duration_s = 10},
			 .client_prefix = "storm-",
			 .threads = 1,
			 .syn_timeout_ms = SYN_TIMEOUT_MS},
		.user_name = "bench",
	};
	if (!options_take(argc, argv, &set, options, status) || !options_none_left(argc, argv, optind))
		return false;
	if (established->rate > 0)
		established->window = UNACKNOWLEDGED_AT_A_RATE;
	if (options->load.in_progress_max == 0)
		options->load.in_progress_max = choose_in_progress(&options->load);
	const char *fault = beside_complete(&options->beside, false, 1);
	if (fault == NULL)
		fault = transport_options_fault(&options->transport);
	if (fault == NULL)
		fault = find_fault(options);
	if (fault != NULL)
		fprintf(stderr, "roost bench storm: %s\n", fault);
	return fault == NULL;
}
