#include "tool/store/store_main.h"

#include "cli/command.h"
#include "tool/store/commands.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	const char *summary;
	int (*run)(int argc, char **argv);
} STORE_COMMANDS[] = {
	{"check DIR", "read all of it, and say what it holds and what is damaged", store_check_main},
	{"dump DIR", "print its records, or what it holds", store_dump_main},
	{"compact DIR", "write anew what it holds, and remove the rest", store_compact_main},
	{"backup DIR TO", "copy it, also while a server uses it", store_backup_main},
	{"repair DIR", "keep what can be read of a damaged one", store_repair_main},
};
#define STORE_COMMAND_COUNT (sizeof(STORE_COMMANDS) / sizeof(STORE_COMMANDS[0]))

static void print_store_usage(FILE *out)
{
	fputs("Usage: roost store COMMAND DIR\n\nLooks after the directory of a store (`roost serve --store DIR`).\n\n"
	      "Commands:\n",
	      out);
	for (size_t i = 0; i < STORE_COMMAND_COUNT; i++)
		fprintf(out, "  %-14s %s\n", STORE_COMMANDS[i].name, STORE_COMMANDS[i].summary);
	fputs("\nRoot may run them: what they write to DIR belongs to the owner of DIR.\n\n"
	      "`roost store COMMAND --help` says more.\n",
	      out);
}

int store_command_wants(const char *command, const char *what)
{
	fprintf(stderr, "roost %s: %s; `roost %s --help` says more\n", command, what, command);
	return CLI_EXIT_USAGE;
}

int store_main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--help") == 0) {
		print_store_usage(stdout);
		return CLI_EXIT_OK;
	}
	for (size_t i = 0; argc > 1 && i < STORE_COMMAND_COUNT; i++) {
		size_t length = strcspn(STORE_COMMANDS[i].name, " ");
		if (strlen(argv[1]) == length && strncmp(argv[1], STORE_COMMANDS[i].name, length) == 0)
			return STORE_COMMANDS[i].run(argc - 1, argv + 1);
	}
	if (argc > 1)
		fprintf(stderr, "roost store: no command \"%s\"; `roost store --help` lists them\n", argv[1]);
	else
		print_store_usage(stderr);
	return CLI_EXIT_USAGE;
}
