/* The command line of a command with a few options: one loop around getopt_long() for all of them. `roost serve` has a
 * table of its own, daemon/options.h, which its configuration file shares. What is wrong is said on stderr. Main
 * thread, at the start: getopt keeps its state in globals. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum cli_exit {
	CLI_EXIT_OK = 0,
	CLI_EXIT_FAILED = 1,
	CLI_EXIT_USAGE = 2, /* the command line is wrong */
};

/* The code of --help in every table of options; other codes are letters, or CLI_FIRST and above. */
#define CLI_HELP 255
#define CLI_FIRST 256

struct cli_command {
	const char *name;               /* as in "roost NAME" */
	const char *letters;            /* short options, as getopt() takes them; NULL: none */
	const struct option *options;   /* --help among them; ends with a zeroed one */
	const char *usage;              /* that --help prints */
	void (*print_usage)(FILE *out); /* in place of usage, where that is not constant */
	int words_max;                  /* arguments that are not options */
	/* Takes one option. text: its argument, NULL where it has none. False: the value is wrong, which it has said.
	 */
	bool (*take)(void *context, int option, const char *text);
};

/* Takes all options; an argument that may be left out is taken from the next word too, if that begins with a digit.
 * True: go on, with the words from argv[optind] on. False: *status is the exit status, CLI_EXIT_OK after --help. */
bool cli_parse(int argc, char **argv, const struct cli_command *command, void *context, int *status);

/* Prints "roost COMMAND: SUBJECT: FAULT"; false, so that a caller may return it. */
bool cli_complain(const char *command, const char *subject, const char *fault);

/* A decimal number from min to max; _ and , may group its digits: 1_000_000. False: said, with the option's name. */
bool cli_number(const char *command, const char *name, const char *text, uint64_t min, uint64_t max, uint64_t *out);
bool cli_u32(const char *command, const char *name, const char *text, uint32_t min, uint32_t max, uint32_t *out);

#endif
