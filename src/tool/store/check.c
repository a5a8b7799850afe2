/* `roost store check`: reads all of a store, and says what it holds and what is damaged. */
#include "tool/store/commands.h"

#include "cli/command.h"
#include "tool/store/opened.h"

#include <inttypes.h>
#include <stdio.h>

#define COMMAND "store check"

static const char USAGE[] = "Usage: roost store check DIR\n\n"
			    "Reads all of a store that no process uses, and says what it holds. Changes nothing.\n\n"
			    "      --help\n\n"
			    "Damage is told with file and offset; the exit status is 1 then. What was being written "
			    "when the machine stopped is\n"
			    "no damage: it was not acknowledged.\n";

static const struct option OPTIONS[] = {{"help", no_argument, NULL, CLI_HELP}, {0}};

static bool check(struct opened_store *store)
{
	struct replay_hooks hooks = {.damage = opened_print_damage, .go_on = true};
	uint64_t lost;
	if (!opened_replay(store, &hooks))
		return false;
	bool has_bodies = opened_verify_bodies(store, &lost);
	opened_print_summary(store);
	bool is_sound = has_bodies && store->replay.damages == 0;
	if (is_sound && replay_has_nothing(&store->replay)) {
		/* A store whose making the power cut short looks the same, and nothing was acknowledged then. */
		puts("it holds nothing: no commit was ever completed, or its segments are missing");
		return true;
	}
	if (is_sound)
		puts("sound");
	else
		printf("damaged: `roost store repair %s` keeps what can be read\n", store->directory);
	return is_sound;
}

int store_check_main(int argc, char **argv)
{
	static const struct cli_command CLI = {.name = COMMAND, .options = OPTIONS, .usage = USAGE, .words_max = 1};
	return opened_run(argc, argv, &CLI, check);
}
