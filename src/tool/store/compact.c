/* `roost store compact`: writes anew what a store holds, and removes the rest. */
#include "tool/store/commands.h"

#include "base/format.h"
#include "cli/command.h"
#include "tool/store/retell.h"

#include <stdio.h>

#define COMMAND "store compact"

static const char USAGE[] =
	"Usage: roost store compact DIR\n\n"
	"Writes anew what a store holds that no process uses, and removes the rest of it. Needs room "
	"for both meanwhile. May be\n"
	"interrupted at any time. A server compacts its store by itself as it runs.\n\n"
	"      --help\n";

static const struct option OPTIONS[] = {{"help", no_argument, NULL, CLI_HELP}, {0}};

static bool compact(struct opened_store *store)
{
	struct replay_hooks hooks = {.go_on = false};
	struct retelling retelling;
	char before[FORMAT_BYTES], after[FORMAT_BYTES];
	uint64_t bytes = 0;
	if (!opened_replay(store, &hooks))
		return false;
	if (store->replay.base_segment == 0) {
		puts("it holds nothing");
		return true;
	}
	for (uint32_t i = 0; i < store->replay.segment_count; i++)
		bytes += store->replay.segments[i].file_bytes;
	if (!retell_store(store, false, &retelling) || !retell_remove_rest(store, &retelling, false))
		return false;
	printf("%s before, %s now\n", format_bytes((double)bytes, before),
	       format_bytes((double)retelling.log.bytes, after));
	return true;
}

int store_compact_main(int argc, char **argv)
{
	static const struct cli_command CLI = {.name = COMMAND, .options = OPTIONS, .usage = USAGE, .words_max = 1};
	return opened_run(argc, argv, &CLI, compact);
}
