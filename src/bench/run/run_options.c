#include "bench/run/run_options.h"

#include "bench/options/options.h"
#include "bench/options/transport_options.h"

#include <getopt.h>
#include <stdio.h>

static const char USAGE[] =
	"Usage: roost bench run SCENARIO.yaml [OPTION...]\n\n"
	"Runs a scenario against any MQTT broker: groups of clients send messages on a schedule, and the load\n"
	"rises step by step until an objective is missed. Latency counts from when a message was due. Ready-made\n"
	"scenarios are in deploy/scenarios; the first lines of chat.yaml explain every key. A scenario with\n"
	"`restart` starts a server of its own, kills it in each step, starts it again, and fails if anything\n"
	"acknowledged is missing then, doubled or out of order.\n\n"
	"      --url URL         the broker (the scenario's url, or tcp://127.0.0.1:1883)\n"
	"      --server-pid PID  the server's process (found by its port)\n"
	"      --floor           also run the steps against `roost bench floor`, if the scenario's topics allow\n"
	"                        it\n"
	"      --duration S      measure each step for S seconds, 1 to 86400 (the scenario's duration_s)\n"
	"      --all-steps       go on after a step that misses an objective\n"
	"      --json            print one JSON object on stdout\n"
	"      --html FILE       write a report that needs no other file\n"
	"      --help\n\n" TRANSPORT_USAGE "\n"
	"Exit status: 0 if at least one step met its objectives, or, without steps, the run did; 1 if not, or if\n"
	"the run failed; 2 if the options or the scenario are wrong.\n";

static const struct option_row OPTIONS[] = {
	{"url", OPTION_URL, .offset = OPTION_FIELD(struct run_options, url, struct url),
	 .given = OPTION_FIELD(struct run_options, has_url, bool)},
	OPTION_ROW_U32("server-pid", struct run_options, server_pid, 1, INT32_MAX),
	OPTION_ROW_SWITCH("floor", struct run_options, floor),
	OPTION_ROW_U32("duration", struct run_options, duration_s, 1, 86400),
	OPTION_ROW_SWITCH("all-steps", struct run_options, all_steps),
	OPTION_ROW_SWITCH("json", struct run_options, json),
	OPTION_ROW_TEXT("html", struct run_options, html),
	{0},
};

bool run_options_parse(int argc, char **argv, struct run_options *options, int *status)
{
	static const struct option_table tables[] = {
		{OPTIONS, 0}, {TRANSPORT_OPTIONS, offsetof(struct run_options, transport)}, {NULL, 0}};
	static const struct option_set set = {USAGE, tables};
	*options = (struct run_options){0};
	if (!options_take(argc, argv, &set, options, status))
		return false;
	if (optind >= argc) {
		fputs("roost bench run: which scenario? `roost bench run --help` tells more\n", stderr);
		return false;
	}
	options->path = argv[optind++];
	const char *fault = transport_options_fault(&options->transport);
	if (fault != NULL)
		fprintf(stderr, "roost bench run: %s\n", fault);
	return fault == NULL && options_none_left(argc, argv, optind);
}
