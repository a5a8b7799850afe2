#include "bench/pubsub/pubsub_options.h"

#include "bench/load/round_options.h"
#include "bench/measure/inflight.h"
#include "bench/options/options.h"
#include "bench/options/transport_options.h"
#include "bench/target/cpu.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define ROUNDS_COMPARED 3u
#define MEMBERS_DEFAULT 100u
#define THREADS_MAX 64u
#define CLIENTS_MAX (ROUND_CLIENTS_MAX * THREADS_MAX)
#define MESSAGES_MAX 1000000000000u

static const char USAGE[] =
	"Usage: roost bench pubsub --pattern PATTERN [OPTION...]\n\n"
	"Sends messages in a closed loop: a publisher sends the next ones when its last ones have arrived. Prints\n"
	"throughput, latency, the server's processor time a delivered message, and what was lost, reordered or\n"
	"duplicated.\n\n"
	"      --pattern one-to-one   each publisher sends to its share of the subscribers, in turn\n"
	"                fan-out      each message goes to all subscribers\n"
	"                fan-in       all publishers send to one subscriber; the other clients are idle\n"
	"                shared       all publishers send to one shared subscription; the other clients are idle\n"
	"      --members N            members of the shared subscription (100)\n"
	"      --clients N            publishers and subscribers together, 2 to 19,000 a thread (2000)\n"
	"      --publishers P         how many of them publish (one-to-one and shared 64, fan-out 1, fan-in 500)\n"
	"      --burst B              messages in one send, 1 to 1024 (1)\n"
	"      --window W             messages of one publisher that may be under way or unacknowledged (B)\n"
	"      --size BYTES           size of a payload, 24 to 65536 (64)\n"
	"      --qos 0|1|2            QoS of publishers and subscriptions (0)\n"
	"      --version 3|4|5        protocol level: MQTT 3.1, 3.1.1 or 5.0 (4)\n"
	"      --duration S           length of a round, 1 to 600 s (10)\n"
	"      --warm-up MS           unmeasured time before each round, 0 to 60000 ms (500)\n"
	"      --messages M           end a round after M delivered messages instead\n"
	"      --rounds R             rounds, 1 to 99; medians are printed (1, or 3 when brokers are compared)\n"
	"      --url URL              the broker (tcp://127.0.0.1:1883)\n"
	"      --publish-url URL      where publishers go, another node of the same cluster (tcp://; the URL of all)\n"
	"      --floor                also run against `roost bench floor`, in turn, and print the ratio. The\n"
	"                             bench then stays on the last processor, the floor on the first and\n"
	"                             \"floor-near\" on the last\n"
	"      --floor-url URL        the same against a floor that runs already\n"
	"      --also URL=NAME        also run against another broker, at most 5 times\n"
	"      --threads T            1 to 64 threads, each with its share of the load (1)\n"
	"      --topic-prefix P       each topic is P and a number (bench/)\n"
	"      --client-prefix P      each client id is P and a number (bench-)\n"
	"      --server-pid PID       the server's process (found by its port)\n"
	"      --no-pin               with --floor: let the scheduler choose the processors\n"
	"      --json                 print one flat JSON object on stdout\n"
	"      --help\n\n" TRANSPORT_USAGE "\n"
	"Exit status: 0 if all messages arrived, in order and once (at QoS 1 duplicates are allowed); 1 if not,\n"
	"or if the run failed; 2 if the options are wrong.\n";

static bool take_pattern(void *owner, const char *text)
{
	struct pubsub_options *options = owner;
	options->has_pattern = true;
	for (uint32_t i = 0; i < PUBSUB_PATTERNS; i++) {
		if (strcmp(text, pubsub_pattern_name((enum load_pattern)i)) == 0) {
			options->round.load.pattern = (enum load_pattern)i;
			return true;
		}
	}
	fprintf(stderr, "roost bench: --pattern: \"%s\" is not one-to-one, fan-out, fan-in or shared\n", text);
	return false;
}

/* tcp://host:port=name */
static bool take_also(void *owner, const char *text)
{
	struct pubsub_options *options = owner;
	char url[URL_TEXT_BYTES];
	const char *equals = strrchr(text, '=');
	if (options->also_count >= PUBSUB_TARGETS_MAX - 3) {
		fputs("roost bench: --also: too many\n", stderr);
		return false;
	}
	if (equals == NULL || equals[1] == '\0' || strlen(equals + 1) >= TARGET_NAME_BYTES ||
	    (size_t)(equals - text) >= sizeof(url)) {
		fprintf(stderr, "roost bench: --also: \"%s\" is not URL=NAME\n", text);
		return false;
	}
	struct also *also = &options->also[options->also_count++];
	snprintf(url, sizeof(url), "%.*s", (int)(equals - text), text);
	snprintf(also->name, sizeof(also->name), "%s", equals + 1);
	return option_url("--also", url, &also->url);
}

static const struct option_row OPTIONS[] = {
	OPTION_ROW_CALL("pattern", take_pattern),
	OPTION_ROW_U32("clients", struct pubsub_options, round.load.clients, 2, CLIENTS_MAX),
	OPTION_ROW_U32("members", struct pubsub_options, round.load.members, 1, CLIENTS_MAX),
	OPTION_ROW_U32("burst", struct pubsub_options, round.load.burst, 1, 1024),
	OPTION_ROW_U32("window", struct pubsub_options, round.load.window, 1, 65536),
	OPTION_ROW_LIMITED("messages", OPTION_U64, struct pubsub_options, round.messages, uint64_t, 1, MESSAGES_MAX),
	OPTION_ROW_U32("threads", struct pubsub_options, round.threads, 1, THREADS_MAX),
	OPTION_ROW_U32("rounds", struct pubsub_options, rounds, 1, PUBSUB_ROUNDS_MAX),
	OPTION_ROW("url", OPTION_URL, struct pubsub_options, url, struct url),
	OPTION_ROW_SWITCH("floor", struct pubsub_options, floor),
	{"floor-url", OPTION_TCP_URL, .offset = OPTION_FIELD(struct pubsub_options, floor_url, struct url),
	 .given = OPTION_FIELD(struct pubsub_options, has_floor_url, bool)},
	{"publish-url", OPTION_TCP_URL, .offset = OPTION_FIELD(struct pubsub_options, round.publish_url, struct url),
	 .given = OPTION_FIELD(struct pubsub_options, round.has_publish_url, bool)},
	OPTION_ROW_CALL("also", take_also),
	OPTION_ROW_U32("server-pid", struct pubsub_options, server_pid, 1, INT32_MAX),
	OPTION_ROW_SWITCH("no-pin", struct pubsub_options, no_pin),
	OPTION_ROW_SWITCH("json", struct pubsub_options, json),
	{0},
};

/* What is wrong with one thread's share of the load, or NULL. */
static const char *load_fault(const struct load_round *round)
{
	const struct load_plan *load = &round->load;
	uint32_t threads = round->threads;
	uint32_t clients = load->clients / threads;
	uint32_t publishers = (load->publishers + threads - 1) / threads;
	uint32_t members = (load->members + threads - 1) / threads;
	if (load->publishers < threads)
		return "each thread needs a publisher: raise --publishers or lower --threads";
	if (clients > ROUND_CLIENTS_MAX)
		return "more than 19,000 clients a thread: raise --threads";
	if (load->pattern == LOAD_ONE_TO_ONE && clients < 2 * publishers)
		return "each publisher needs a subscriber: --clients must be at least twice --publishers";
	if (clients <= publishers)
		return "no clients are left to subscribe: --clients must be more than --publishers";
	if (load->pattern == LOAD_SHARED && load->members < threads)
		return "each thread needs a member: raise --members or lower --threads";
	if (load->pattern == LOAD_SHARED && clients < publishers + members)
		return "--publishers and --members together are more than --clients";
	if (round->has_publish_url && threads > 1)
		return "--publish-url is for one thread";
	if (load->window < load->burst)
		return "--window is smaller than --burst";
	if (load->qos > 0 && load->window > INFLIGHT_WINDOW_MAX)
		return "--window is at most 65,535 above QoS 0: there are no more packet identifiers";
	if (load->pattern == LOAD_FAN_OUT && load->publishers > threads * 64)
		return "fan-out takes at most 64 publishers a thread";
	return NULL;
}

/* Fills in the defaults and refuses options that exclude each other. */
static bool pubsub_complete(struct pubsub_options *options)
{
	static const uint32_t publishers[] = {
		[LOAD_ONE_TO_ONE] = 64, [LOAD_FAN_OUT] = 1, [LOAD_FAN_IN] = 500, [LOAD_SHARED] = 64};
	struct load_plan *load = &options->round.load;
	const char *fault = "which --pattern? one-to-one, fan-out, fan-in or shared";
	bool has_members = load->members != 0;
	load->publishers = load->publishers != 0 ? load->publishers : publishers[load->pattern];
	load->window = load->window != 0 ? load->window : load->burst;
	if (load->pattern == LOAD_SHARED && !has_members)
		load->members = MEMBERS_DEFAULT;
	options->floor = options->floor || options->has_floor_url;
	if (options->rounds == 0)
		options->rounds = options->floor || options->also_count > 0 ? ROUNDS_COMPARED : 1;
	if (options->has_pattern && load->pattern != LOAD_SHARED && has_members)
		fault = "--members is for the pattern \"shared\"";
	else if (options->has_pattern)
		fault = load_fault(&options->round);
	if (fault == NULL)
		fault = transport_options_fault(&options->transport);
	if (fault != NULL)
		fprintf(stderr, "roost bench pubsub: %s\n", fault);
	return fault == NULL;
}

bool pubsub_options_parse(int argc, char **argv, struct pubsub_options *options, int *status)
{
	static const struct option_table tables[] = {{OPTIONS, 0},
						     {ROUND_OPTIONS, offsetof(struct pubsub_options, round)},
						     {TRANSPORT_OPTIONS, offsetof(struct pubsub_options, transport)},
						     {NULL, 0}};
	static const struct option_set set = {USAGE, tables};
	*options = (struct pubsub_options){
		.round = {ROUND_DEFAULTS, .load = {.clients = 2000, .burst = 1, .size = 64}, .duration_s = 10},
		.url = {.host = "127.0.0.1", .port = URL_PORT_DEFAULT},
	};
	if (!options_take(argc, argv, &set, options, status))
		return false;
	return options_none_left(argc, argv, optind) && pubsub_complete(options);
}
