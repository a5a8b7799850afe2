/* A store's directory as the commands open it, and what they have in common. Main thread. */
#ifndef TOOL_STORE_OPENED_H
#define TOOL_STORE_OPENED_H

#include "store/model/replay.h"
#include "tool/store/progress.h"

struct cli_command;

struct opened_store {
	const char *command; /* "store check" */
	const char *directory;
	struct disk disk;
	struct store_identity identity;
	struct model *model;
	struct replay replay;
	struct store_progress progress;
};

enum opened_use {
	OPENED_ALONE, /* refuses a store in use, and keeps others from using it; root becomes its owner */
	OPENED_SHARED,
};

/* False: it cannot be opened, which was said. opened_close() is due in any case. */
bool opened_open(struct opened_store *store, const char *command, const char *directory, enum opened_use use);
/* Reads all of it, with progress. hooks: of .progress and .damage the command's own count, where they are set; context
 * is the struct opened_store unless hooks has one. False: said, unless hooks->go_on and it is damage. */
bool opened_replay(struct opened_store *store, const struct replay_hooks *hooks);
/* Each damage on stderr: a hook, whose context is the struct opened_store. */
void opened_print_damage(void *context, const char *what);
void opened_show_progress(void *context, uint64_t done, uint64_t all);
void opened_close(struct opened_store *store);
/* Says "roost COMMAND: DIR: FAULT"; false. */
bool opened_complain(const struct opened_store *store, const char *fault);
bool opened_complain_errno(const struct opened_store *store, int error);
/* What it holds, on stdout. */
void opened_print_summary(const struct opened_store *store);

/* A command that works on one directory, which nobody else uses meanwhile: its main function. work: false where it
 * failed, which it said. Returns the exit status. */
int opened_run(int argc, char **argv, const struct cli_command *cli, bool (*work)(struct opened_store *store));

/* Reads the bodies of all messages of the model. False: some are not there as they were, or there is no memory; said.
 * *lost: how many, and the segments in which they should lie are marked as damaged. */
bool opened_verify_bodies(struct opened_store *store, uint64_t *lost);

#endif
