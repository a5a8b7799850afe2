#include "bench/crash/crash_options.h"

#include "bench/measure/quiet.h"
#include "bench/measure/stamp.h"
#include "bench/options/options.h"
#include "bench/target/child.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define KILL_MS_MAX 600000u

static const char USAGE[] =
	"Usage: roost bench crash [OPTION...] [-- COMMAND...]\n\n"
	"Starts a server with a durable store, kills it at a random moment under load, starts it again, and checks "
	"that\n"
	"nothing that it had acknowledged is missing, and nothing doubled at QoS 2; so many times. Sessions are\n"
	"persistent, a part of the subscribers is offline in each round, publishers resume half-done handshakes. "
	"There\n"
	"are subscriptions to one topic, wildcards, a shared subscription, and retained topics.\n\n"
	"  -n, --rounds N             how often it is killed (20)\n"
	"      --kill-after A..B      milliseconds of load before (100..1500)\n"
	"      --early PERCENT        of the rounds, in which it is killed again while it starts (20)\n"
	"      --upgrade PERCENT      of the rounds, in which it is asked to replace its program under the load, by "
	"SIGUSR2\n"
	"                             (0)\n"
	"      --signal KILL|TERM|none\n"
	"                             TERM: a clean stop; none: the server runs on, and only the connections break\n"
	"                             (KILL)\n"
	"      --store DIR            where the server keeps its state (a new directory, removed if all went well)\n"
	"      --qos 0|1|2|mixed      of publishers; mixed: 2, 1 and 0 in turn (mixed)\n"
	"      --rate N               messages a second, of all publishers together; 0: as the windows allow (6000)\n"
	"      --window W             unacknowledged messages of a publisher, 1 to 4096 (32)\n"
	"      --publishers P         of ordinary topics, 1 to 1000 (9)\n"
	"      --retained R           publishers of retained topics, 0 to 1000 (3)\n"
	"      --subscribers S        of one topic each, 0 to 10,000 (18)\n"
	"      --wildcards W          subscribers of all topics, 0 to 100 (2)\n"
	"      --members M            of one shared subscription to all topics, 0 to 100 (3)\n"
	"      --offline PERCENT      subscribers that are offline while messages flow (50)\n"
	"      --size BYTES           size of a payload, 24 to 65536 (200)\n"
	"      --version 3|4|5        protocol level: MQTT 3.1, 3.1.1 or 5.0 (5)\n"
	"      --quiet MS             when nothing has come for so long, and pings are answered, what has not come is\n"
	"                             missing (2000)\n"
	"      --seed N               of the moments at which it is killed (drawn)\n"
	"      --keep-going           do not stop at the first fault\n"
	"      --json                 print one flat JSON object on stdout\n"
	"      --help\n\n"
	"COMMAND starts the server; it must not put itself into the background. @PORT@, @URL@ and @STORE@ in its "
	"words\n"
	"stand for where it shall listen (tcp://127.0.0.1:PORT) and keep its state. Without one, this program "
	"serves.\n\n"
	"Exit status: 0 if nothing acknowledged was lost; 1 if something was, or was doubled at QoS 0 or 2, or came "
	"out of\n"
	"order, or the server did not start; 2 if the options are wrong.\n";

static bool take_kill_after(void *owner, const char *text)
{
	struct crash_options *options = owner;
	unsigned int least;
	unsigned int most;
	int used = 0;
	if (sscanf(text, "%u..%u%n", &least, &most, &used) == 2 && text[used] == '\0' && least <= most &&
	    most <= KILL_MS_MAX) {
		options->kill_least_ms = least;
		options->kill_most_ms = most;
		return true;
	}
	fprintf(stderr, "roost bench: --kill-after: \"%s\" is not A..B, at most %u ms\n", text, KILL_MS_MAX);
	return false;
}

static bool take_signal(void *owner, const char *text)
{
	struct crash_options *options = owner;
	static const struct {
		const char *name;
		int signal;
	} signals[] = {{"KILL", SIGKILL}, {"TERM", SIGTERM}, {"none", 0}};
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		options->signal = signals[i].signal;
		if (strcmp(text, signals[i].name) == 0)
			return true;
	}
	fprintf(stderr, "roost bench: --signal: \"%s\" is not KILL, TERM or none\n", text);
	return false;
}

static bool take_qos(void *owner, const char *text)
{
	struct crash_options *options = owner;
	if (strcmp(text, "mixed") == 0) {
		options->plan.cast.qos = CAST_QOS_MIXED;
		return true;
	}
	return option_qos("--qos", text, &options->plan.cast.qos);
}

#define ROW(name, field, least, most) OPTION_ROW_U32(name, struct crash_options, field, least, most)

static const struct option_row OPTIONS[] = {
	{"rounds", OPTION_U32, 'n', OPTION_FIELD(struct crash_options, rounds, uint32_t), 1, 1000000, 0, NULL},
	OPTION_ROW_CALL("kill-after", take_kill_after),
	ROW("early", early_percent, 0, 100),
	ROW("upgrade", upgrade_percent, 0, 100),
	OPTION_ROW_CALL("signal", take_signal),
	OPTION_ROW_TEXT("store", struct crash_options, store),
	OPTION_ROW_CALL("qos", take_qos),
	ROW("rate", plan.rate, 0, 10000000),
	ROW("window", plan.window, 1, 4096),
	ROW("publishers", plan.cast.publishers, 1, 1000),
	ROW("retained", plan.cast.retained, 0, 1000),
	ROW("subscribers", plan.cast.exact, 0, 10000),
	ROW("wildcards", plan.cast.wildcards, 0, 100),
	ROW("members", plan.cast.members, 0, 100),
	ROW("offline", plan.cast.offline_percent, 0, 100),
	ROW("size", plan.size, STAMP_BYTES, UINT16_MAX + 1),
	OPTION_ROW("version", OPTION_VERSION, struct crash_options, plan.version, uint8_t),
	ROW("quiet", quiet_ms, 0, 600000),
	OPTION_ROW_LIMITED("seed", OPTION_U64, struct crash_options, seed, uint64_t, 1, UINT64_MAX),
	OPTION_ROW_SWITCH("keep-going", struct crash_options, keep_going),
	OPTION_ROW_SWITCH("json", struct crash_options, json),
	{0},
};

bool crash_options_parse(int argc, char **argv, struct crash_options *options, int *status)
{
	static const struct option_table tables[] = {{OPTIONS, 0}, {NULL, 0}};
	static const struct option_set set = {USAGE, tables};
	*options = (struct crash_options){
		.plan = {.cast = {.publishers = 9,
				  .retained = 3,
				  .exact = 18,
				  .wildcards = 2,
				  .members = 3,
				  .offline_percent = 50,
				  .qos = CAST_QOS_MIXED},
			 .size = 200,
			 .window = 32,
			 .rate = 6000,
			 .version = 5},
		.command = CHILD_OWN_SERVER,
		.rounds = 20,
		.kill_least_ms = 100,
		.kill_most_ms = 1500,
		.early_percent = 20,
		.quiet_ms = QUIET_MS,
		.signal = SIGKILL,
	};
	if (!options_take(argc, argv, &set, options, status))
		return false;
	*status = BENCH_EXIT_USAGE;
	/* getopt stops behind "--". */
	if (optind < argc && strcmp(argv[optind - 1], "--") != 0)
		return options_none_left(argc, argv, optind);
	if (optind < argc)
		options->command = (const char *const *)&argv[optind];
	if (cast_subscribers(&options->plan.cast) > 0)
		return true;
	fputs("roost bench crash: no one is left to subscribe\n", stderr);
	return false;
}
