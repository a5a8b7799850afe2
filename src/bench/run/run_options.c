#include "bench/run/run_options.h"

#include "bench/options/options.h"

#include <stdio.h>

static const char USAGE[] =
	"Usage: roost bench run SCENARIO.yaml [OPTION...]\n\n"
	"Runs a scenario against any MQTT broker: groups of clients, messages on a schedule, steps of rising load up "
	"to\n"
	"the first that breaks an objective. Latency counts from when a message was due. Ready scenarios are in\n"
	"deploy/scenarios, with every key explained in the first lines of chat.yaml.\n\n"
	"      --url URL         broker (the scenario's url; tcp://127.0.0.1:1883)\n"
	"      --server-pid PID  the server's process (found by the port)\n"
	"      --floor           also run the steps against `roost bench floor`, where the scenario's topics allow it\n"
	"      --duration S      measure S seconds of each step, 1 to 86400 (the scenario's duration_s)\n"
	"      --all-steps       go on behind a step that breaks an objective\n"
	"      --json            one JSON object on stdout\n"
	"      --html FILE       write a report that needs no other file\n"
	"      --help\n\n"
	"Exit status: 0 at least one step held its objectives, or where there are no steps the run did; 1 not, or the "
	"run\n"
	"failed; 2 wrong options or scenario.\n";

enum { OPTION_URL = 256, OPTION_PID, OPTION_FLOOR, OPTION_DURATION, OPTION_ALL, OPTION_JSON, OPTION_HTML };

static const struct option OPTIONS[] = {
	{"url", required_argument, NULL, OPTION_URL},
	{"server-pid", required_argument, NULL, OPTION_PID},
	{"floor", no_argument, NULL, OPTION_FLOOR},
	{"duration", required_argument, NULL, OPTION_DURATION},
	{"all-steps", no_argument, NULL, OPTION_ALL},
	{"json", no_argument, NULL, OPTION_JSON},
	{"html", required_argument, NULL, OPTION_HTML},
	{"help", no_argument, NULL, OPTION_HELP},
	{0},
};

static bool take_option(void *context, int option, const char *text)
{
	struct run_options *options = context;
	switch (option) {
	case OPTION_URL:
		options->has_url = true;
		return option_url("--url", text, &options->url);
	case OPTION_PID:
		return option_u32("--server-pid", text, 1, INT32_MAX, &options->server_pid);
	case OPTION_FLOOR:
		return options->floor = true;
	case OPTION_DURATION:
		return option_u32("--duration", text, 1, 86400, &options->duration_s);
	case OPTION_ALL:
		return options->all_steps = true;
	case OPTION_JSON:
		return options->json = true;
	case OPTION_HTML:
		options->html = text;
		return true;
	default:
		return false;
	}
}

bool run_options_parse(int argc, char **argv, struct run_options *options, int *status)
{
	static const struct option_set set = {.letters = "", .list = OPTIONS, .usage = USAGE, .take = take_option};
	*options = (struct run_options){0};
	if (!options_take(argc, argv, &set, options, status))
		return false;
	if (optind >= argc) {
		fputs("roost bench run: which scenario? `roost bench run --help` tells more\n", stderr);
		return false;
	}
	options->path = argv[optind++];
	return option_none_left(argc, argv, optind);
}
