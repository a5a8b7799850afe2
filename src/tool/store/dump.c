/* `roost store dump`: a store's records one by one, or what they amount to. */
#include "tool/store/commands.h"

#include "cli/command.h"
#include "tool/store/dump_json.h"
#include "tool/store/opened.h"

#include <inttypes.h>
#include <stdio.h>

#define COMMAND "store dump"
#define LINE_BYTES ((size_t)4 << 10) /* a longer record is cut, which can only be one with a very long text */

static const char USAGE[] =
	"Usage: roost store dump [OPTION...] DIR\n\n"
	"Prints the records of a store that no process uses, one a line, from where its log begins. "
	"Changes nothing.\n\n"
	"      --json    one JSON object a line\n"
	"      --model   what the records amount to: a JSON object for each session, retained message, "
	"and message to be passed on\n"
	"      --help\n\n"
	"Payloads are not printed. Damage is told on stderr; what follows it is printed still.\n";

enum { OPTION_JSON = CLI_FIRST, OPTION_MODEL };

static const struct option OPTIONS[] = {
	{"json", no_argument, NULL, OPTION_JSON},
	{"model", no_argument, NULL, OPTION_MODEL},
	{"help", no_argument, NULL, CLI_HELP},
	{0},
};

struct dump {
	struct opened_store store; /* first: the context of its hooks */
	bool as_json;
	bool of_model;
};

static void dump_line(void *context, uint64_t commit, uint16_t shard, const struct store_record *record,
		      struct store_place place)
{
	(void)context;
	char text[LINE_BYTES], name[STORE_SEGMENT_NAME_BYTES];
	store_record_format(record, text, sizeof(text));
	printf("%s:%" PRIu32 " commit %" PRIu64 " shard %u: %s\n", store_segment_name(place.segment, name),
	       place.offset, commit, shard, text);
}

static void dump_json_line(void *context, uint64_t commit, uint16_t shard, const struct store_record *record,
			   struct store_place place)
{
	(void)context;
	dump_json_record(stdout, commit, shard, record, place);
}

static bool dump(struct dump *dump)
{
	struct replay_hooks hooks = {.context = &dump->store,
				     .damage = opened_print_damage,
				     .progress = opened_show_progress,
				     .go_on = true};
	if (!dump->of_model)
		hooks.record = dump->as_json ? dump_json_line : dump_line;
	if (!opened_replay(&dump->store, &hooks))
		return false;
	bool good = !dump->of_model || dump_json_model(stdout, &dump->store);
	if (fflush(stdout) != 0 || ferror(stdout) != 0)
		return opened_complain(&dump->store, "stdout cannot be written to");
	return good && dump->store.replay.damages == 0;
}

static bool take_dump_option(void *context, int option, const char *text)
{
	struct dump *dump = context;
	(void)text;
	dump->as_json = dump->as_json || option == OPTION_JSON;
	dump->of_model = dump->of_model || option == OPTION_MODEL;
	return true;
}

int store_dump_main(int argc, char **argv)
{
	static const struct cli_command CLI = {
		.name = COMMAND, .options = OPTIONS, .usage = USAGE, .words_max = 1, .take = take_dump_option};
	struct dump asked = {.as_json = false};
	int status;
	if (!cli_parse(argc, argv, &CLI, &asked, &status))
		return status;
	if (argc - optind != 1)
		return store_command_wants(COMMAND, "a directory is required");
	bool good = opened_open(&asked.store, COMMAND, argv[optind], OPENED_ALONE) && dump(&asked);
	opened_close(&asked.store);
	return good ? CLI_EXIT_OK : CLI_EXIT_FAILED;
}
