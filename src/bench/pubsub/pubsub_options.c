#include "bench/pubsub/pubsub_options.h"

#include "bench/load/round_options.h"
#include "bench/measure/inflight.h"
#include "bench/options/options.h"
#include "bench/target/cpu.h"

#include <stdio.h>
#include <string.h>

#define ROUNDS_COMPARED 3u
#define MEMBERS_DEFAULT 100u

static const char USAGE[] =
	"Usage: roost bench pubsub --pattern PATTERN [OPTION...]\n\n"
	"Closed-loop messages: a publisher sends the next when its last ones have come. Prints throughput, latency, "
	"the\n"
	"server's processor time a delivered message, and what was lost, reordered or doubled.\n\n"
	"      --pattern one-to-one   each publisher sends to its share of the subscribers, in turns\n"
	"                fan-out      each message goes to all subscribers\n"
	"                fan-in       all publishers send to one subscriber, the other clients are idle\n"
	"                shared       all publishers send to one shared subscription, the other clients are idle\n"
	"      --members N            shared: of the subscription's group (100)\n"
	"      --clients N            publishers and subscribers together, 2 to 19,000 a thread (2000)\n"
	"      --publishers P         of these (one-to-one and shared 64, fan-out 1, fan-in 500)\n"
	"      --burst B              messages in one send, 1 to 1024 (1)\n"
	"      --window W             a publisher's messages that may be on their way, or not acknowledged yet (B)\n"
	"      --size BYTES           of a payload, 24 to 65536 (64)\n"
	"      --qos 0|1|2            of publishing and subscribing (0)\n"
	"      --version 3|4|5        protocol level: MQTT 3.1, 3.1.1 or 5.0 (4)\n"
	"      --duration S           of a round, 1 to 600 s (10)\n"
	"      --warm-up MS           before each round, 0 to 60000 ms (500)\n"
	"      --messages M           end a round after M delivered messages instead\n"
	"      --rounds R             1 to 99, medians are printed (1; 3 when brokers are compared)\n"
	"      --url URL              broker (tcp://127.0.0.1:1883)\n"
	"      --floor                also run against `roost bench floor`, in turns, and print the ratio; the bench "
	"then\n"
	"                             stays on the last processor, the floor on the first and, \"floor-near\", the "
	"last\n"
	"      --floor-url URL        ... against one that runs already\n"
	"      --also URL=NAME        also run against another broker, at most 5 times\n"
	"      --threads T            1 to 64, each with a load of this shape of its own (1)\n"
	"      --topic-prefix P       each topic is P and a number (bench/)\n"
	"      --client-prefix P      each client id is P and a number (bench-)\n"
	"      --server-pid PID       the server's process (found by the port)\n"
	"      --no-pin               --floor: leave it to the scheduler who runs on which processor\n"
	"      --json                 one flat JSON object on stdout\n"
	"      --help\n\n"
	"Exit status: 0 all messages came, in order and once (at QoS 1 doubles are allowed); 1 not, or the run failed; "
	"2 "
	"wrong\n"
	"options.\n";

enum {
	OPTION_PATTERN = 256,
	OPTION_CLIENTS,
	OPTION_MEMBERS,
	OPTION_BURST,
	OPTION_WINDOW,
	OPTION_MESSAGES,
	OPTION_ROUNDS,
	OPTION_URL,
	OPTION_FLOOR,
	OPTION_FLOOR_URL,
	OPTION_ALSO,
	OPTION_THREADS,
	OPTION_PID,
	OPTION_NO_PIN,
	OPTION_JSON,
};

static const struct option OPTIONS[] = {
	ROUND_OPTIONS,
	{"pattern", required_argument, NULL, OPTION_PATTERN},
	{"clients", required_argument, NULL, OPTION_CLIENTS},
	{"members", required_argument, NULL, OPTION_MEMBERS},
	{"burst", required_argument, NULL, OPTION_BURST},
	{"window", required_argument, NULL, OPTION_WINDOW},
	{"messages", required_argument, NULL, OPTION_MESSAGES},
	{"rounds", required_argument, NULL, OPTION_ROUNDS},
	{"url", required_argument, NULL, OPTION_URL},
	{"floor", no_argument, NULL, OPTION_FLOOR},
	{"floor-url", required_argument, NULL, OPTION_FLOOR_URL},
	{"also", required_argument, NULL, OPTION_ALSO},
	{"threads", required_argument, NULL, OPTION_THREADS},
	{"server-pid", required_argument, NULL, OPTION_PID},
	{"no-pin", no_argument, NULL, OPTION_NO_PIN},
	{"json", no_argument, NULL, OPTION_JSON},
	{"help", no_argument, NULL, OPTION_HELP},
	{0},
};

static bool take_pattern(const char *text, enum load_pattern *out)
{
	for (uint32_t i = 0; i < PUBSUB_PATTERNS; i++) {
		if (strcmp(text, pubsub_pattern_name((enum load_pattern)i)) == 0) {
			*out = (enum load_pattern)i;
			return true;
		}
	}
	fprintf(stderr, "roost bench: --pattern: \"%s\" is not one-to-one, fan-out, fan-in or shared\n", text);
	return false;
}

/* tcp://host:port=name */
static bool take_also(struct pubsub_options *options, const char *text)
{
	char url[URL_HOST_BYTES + 32];
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

/* Options of the pattern; *known is false for any other. */
static bool take_load_option(struct pubsub_options *options, int option, const char *text, bool *known)
{
	struct load_round *round = &options->round;
	struct load_plan *load = &round->load;
	*known = true;
	switch (option) {
	case OPTION_PATTERN:
		options->has_pattern = true;
		return take_pattern(text, &load->pattern);
	case OPTION_CLIENTS:
		return option_u32("--clients", text, 2, ROUND_CLIENTS_MAX * 64, &load->clients);
	case OPTION_MEMBERS:
		return option_u32("--members", text, 1, ROUND_CLIENTS_MAX * 64, &load->members);
	case OPTION_BURST:
		return option_u32("--burst", text, 1, 1024, &load->burst);
	case OPTION_WINDOW:
		return option_u32("--window", text, 1, 65536, &load->window);
	case OPTION_MESSAGES:
		return option_number("--messages", text, 1, 1000000000000u, &round->messages);
	case OPTION_THREADS:
		return option_u32("--threads", text, 1, 64, &round->threads);
	default:
		*known = false;
		return true;
	}
}

static bool take_option(void *context, int option, const char *text)
{
	struct pubsub_options *options = context;
	bool known;
	if (!round_option_take(&options->round, option, text, &known))
		return false;
	if (!known && !take_load_option(options, option, text, &known))
		return false;
	if (known)
		return true;
	switch (option) {
	case OPTION_ROUNDS:
		return option_u32("--rounds", text, 1, PUBSUB_ROUNDS_MAX, &options->rounds);
	case OPTION_URL:
		return option_url("--url", text, &options->url);
	case OPTION_FLOOR:
		return options->floor = true;
	case OPTION_FLOOR_URL:
		options->floor = options->has_floor_url = true;
		return option_url("--floor-url", text, &options->floor_url);
	case OPTION_ALSO:
		return take_also(options, text);
	case OPTION_PID:
		return option_u32("--server-pid", text, 1, INT32_MAX, &options->server_pid);
	case OPTION_NO_PIN:
		return options->no_pin = true;
	case OPTION_JSON:
		return options->json = true;
	default:
		return false;
	}
}

/* What does not go together, of one thread's load; or NULL. */
static const char *load_fault(const struct load_plan *load, uint32_t threads)
{
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
	if (load->window < load->burst)
		return "--window is smaller than --burst";
	if (load->qos > 0 && load->window > INFLIGHT_WINDOW_MAX)
		return "--window is at most 65,535 above QoS 0: there are no more packet identifiers";
	if (load->pattern == LOAD_FAN_OUT && load->publishers > threads * 64)
		return "fan-out takes at most 64 publishers a thread";
	return NULL;
}

/* Fills in what was not given, and refuses what does not go together. */
static bool complete_options(struct pubsub_options *options)
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
	if (options->rounds == 0)
		options->rounds = options->floor || options->also_count > 0 ? ROUNDS_COMPARED : 1;
	if (options->has_pattern && load->pattern != LOAD_SHARED && has_members)
		fault = "--members is for the pattern \"shared\"";
	else if (options->has_pattern)
		fault = load_fault(load, options->round.threads);
	if (fault != NULL)
		fprintf(stderr, "roost bench pubsub: %s\n", fault);
	return fault == NULL;
}

bool pubsub_options_parse(int argc, char **argv, struct pubsub_options *options, int *status)
{
	static const struct option_set set = {.letters = "", .list = OPTIONS, .usage = USAGE, .take = take_option};
	*options = (struct pubsub_options){
		.round = {.load = {.clients = 2000, .burst = 1, .size = 64},
			  .client_prefix = "bench-",
			  .topic_prefix = "bench/",
			  .duration_s = 10,
			  .warm_up_ms = ROUND_WARM_UP_MS,
			  .cpu = CPU_ANY,
			  .threads = 1,
			  .version = 4},
		.url = {.host = "127.0.0.1", .port = URL_PORT_DEFAULT},
	};
	if (!options_take(argc, argv, &set, options, status))
		return false;
	return option_none_left(argc, argv, optind) && complete_options(options);
}
