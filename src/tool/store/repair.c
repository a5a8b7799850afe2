/* `roost store repair`: keeps what can be read of a damaged store. */
#include "tool/store/commands.h"

#include "cli/command.h"
#include "tool/store/retell.h"

#include <inttypes.h>
#include <stdio.h>

#define COMMAND "store repair"

static const char USAGE[] =
	"Usage: roost store repair DIR\n\n"
	"Writes anew what can be read of a damaged store that no process uses, and says what was "
	"damaged. Files with damage are\n"
	"kept, with .damaged behind their names, and are not read again. A sound store is left as it "
	"is.\n\n"
	"      --help\n\n"
	"Sessions and messages of a damaged commit are missing afterwards, or are as they were before "
	"it: messages may arrive\n"
	"twice. Make a copy of the directory first.\n";

static const struct option OPTIONS[] = {{"help", no_argument, NULL, CLI_HELP}, {0}};

static bool repair(struct opened_store *store)
{
	struct replay_hooks hooks = {.damage = opened_print_damage, .go_on = true};
	struct retelling retelling;
	uint64_t lost;
	if (!opened_replay(store, &hooks))
		return false;
	bool has_bodies = opened_verify_bodies(store, &lost);
	if (replay_is_foreign(&store->replay))
		return opened_complain(store,
				       "none of its segments can be read: nothing is changed. Look for the cause "
				       "first; to begin with an empty store, move them out of the directory");
	if (replay_has_nothing(&store->replay))
		return opened_complain(store,
				       "it has no commit that can be read: there is nothing to keep, and nothing "
				       "is changed");
	if (has_bodies && store->replay.damages == 0) {
		puts("it is sound: there is nothing to repair");
		return true;
	}
	if (!retell_store(store, true, &retelling) || !retell_remove_rest(store, &retelling, true))
		return false;
	opened_print_summary(store);
	printf("lost           what damaged commits told; of what is left, %" PRIu64
	       " messages whose bodies cannot be read (%" PRIu64 " times in queues and wills)\n",
	       retelling.lost_messages, retelling.lost_entries);
	return true;
}

int store_repair_main(int argc, char **argv)
{
	static const struct cli_command CLI = {.name = COMMAND, .options = OPTIONS, .usage = USAGE, .words_max = 1};
	return opened_run(argc, argv, &CLI, repair);
}
