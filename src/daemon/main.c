/* The program: one binary, whose first argument is a command. */
#include "bench/bench.h"
#include "ctl/ctl.h"
#include "daemon/serve.h"
#include "doctor/doctor.h"
#include "fetch/fetch.h"
#include "tool/store/store_main.h"
#include "tool/tool.h"

#include <stdio.h>
#include <string.h>

struct command {
	const char *name;
	const char *summary;
	int (*run)(int argc, char **argv);
};

static const struct command COMMANDS[] = {
	{"serve", "run the gateway", serve_main},
	{"cert", "make certificates for development", cert_main},
	{"ctl", "inspect and control a running gateway", ctl_main},
	{"bench", "put load on an MQTT broker and measure it", bench_main},
	{"doctor", "say how many clients this machine holds, and what breaks first", doctor_main},
	{"passwd", "add, change or delete a user of a password file", passwd_main},
	{"store", "check, print, compact, back up or repair a store", store_main},
	{"token", "issue a token for development, inspect one, make keys", token_main},
};

#define COMMAND_COUNT (sizeof(COMMANDS) / sizeof(COMMANDS[0]))

static void print_usage(FILE *out)
{
	fputs("Usage: roost COMMAND [OPTION...]\n\nAn MQTT gateway that holds a very large number of "
	      "clients.\n\nCommands:\n",
	      out);
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		fprintf(out, "  %-8s %s\n", COMMANDS[i].name, COMMANDS[i].summary);
	fputs("\n`roost COMMAND --help` says more. `roost --version` prints the version.\n", out);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		print_usage(stderr);
		return 2;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
		print_usage(stdout);
		return 0;
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("roost " ROOST_VERSION);
		return 0;
	}
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (strcmp(argv[1], COMMANDS[i].name) == 0)
			return COMMANDS[i].run(argc - 1, argv + 1);
	}
	if (strcmp(argv[1], FETCH_COMMAND) == 0) /* for the server, not for people: --help does not list it */
		return fetch_main(argc - 1, argv + 1);
	fprintf(stderr, "roost: no command \"%s\"; `roost --help` lists them\n", argv[1]);
	return 2;
}
