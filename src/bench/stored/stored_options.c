#include "bench/stored/stored_options.h"

#include "bench/measure/stamp.h"
#include "bench/options/options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char USAGE[] =
	"Usage: roost bench stored --store DIR [OPTION...] [-- COMMAND...]\n\n"
	"Starts a server with a store, makes many persistent sessions with one subscription each, which go offline, "
	"and\n"
	"queues messages for them. Says what each costs in memory and on disk, how long a clean stop takes, and how "
	"long\n"
	"it takes until the server accepts connections again, after a stop and after kill -9. Then some of the "
	"sessions\n"
	"are resumed, and must have all their messages.\n\n"
	"  -n, --sessions N           how many (100000)\n"
	"      --messages M           queued for each, 0 to 100 (1)\n"
	"      --size BYTES           size of a payload, 24 to 65536 (200)\n"
	"      --check N              sessions that are resumed at the end, evenly among all (1000)\n"
	"      --in-progress N        connects at a time; more than a server's backlog makes some wait for a second "
	"(64)\n"
	"      --store DIR            where the server keeps its state; should be empty\n"
	"      --version 4|5          protocol level: MQTT 3.1.1 or 5.0; 3.1 does not say whether a session is there "
	"(5)\n"
	"      --json                 print one flat JSON object on stdout\n"
	"      --help\n\n"
	"COMMAND starts the server; it must not put itself into the background. @PORT@, @URL@ and @STORE@ in its "
	"words\n"
	"stand for where it shall listen (tcp://127.0.0.1:PORT) and keep its state. Without one, this program "
	"serves.\n\n"
	"Exit status: 0 if all sessions that were resumed had what was stored; 1 if not, or if the run failed; 2 if "
	"the\n"
	"options are wrong.\n";

#define ROW(name, field, least, most) OPTION_ROW_U32(name, struct stored_options, field, least, most)

static const struct option_row OPTIONS[] = {
	{"sessions", OPTION_U32, 'n', OPTION_FIELD(struct stored_options, sessions, uint32_t), 1, 16000000, 0, NULL},
	ROW("messages", messages, 0, 100),
	ROW("size", size, STAMP_BYTES, UINT16_MAX + 1),
	ROW("check", checked, 1, 10000),
	ROW("in-progress", in_progress, 1, 10000),
	OPTION_ROW_TEXT("store", struct stored_options, store),
	OPTION_ROW("version", OPTION_VERSION, struct stored_options, version, uint8_t),
	OPTION_ROW_SWITCH("json", struct stored_options, json),
	{0},
};

static const char *const SELF[] = {"/proc/self/exe", "serve",   "--listen", "@URL@", "--admin", "off",
				   "--store",        "@STORE@", NULL};

bool stored_options_parse(int argc, char **argv, struct stored_options *options, int *status)
{
	static const struct option_table tables[] = {{OPTIONS, 0}, {NULL, 0}};
	static const struct option_set set = {USAGE, tables};
	*options = (struct stored_options){.command = SELF,
					   .sessions = 100000,
					   .messages = 1,
					   .size = 200,
					   .checked = 1000,
					   .in_progress = 64,
					   .version = 5};
	if (!options_take(argc, argv, &set, options, status))
		return false;
	*status = BENCH_EXIT_USAGE;
	/* getopt stops behind "--". */
	if (optind < argc && strcmp(argv[optind - 1], "--") != 0)
		return options_none_left(argc, argv, optind);
	if (optind < argc)
		options->command = (const char *const *)&argv[optind];
	options->checked = options->checked < options->sessions ? options->checked : options->sessions;
	const char *fault = options->store == NULL ? "where is the --store?" : NULL;
	if (options->version < 4)
		fault = "MQTT 3.1 does not say whether a session is there: --version 4 or 5";
	if (fault != NULL)
		fprintf(stderr, "roost bench stored: %s\n", fault);
	return fault == NULL;
}
