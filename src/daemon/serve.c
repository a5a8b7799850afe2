#include "daemon/serve.h"

#include "daemon/config_file.h"
#include "daemon/options.h"
#include "gateway/gateway.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE 2

static void print_help(void)
{
	puts("Usage: roost serve [OPTION...]\n\n"
	     "Runs the gateway until SIGTERM or SIGINT. SIGUSR1 writes all counters to stderr.\n\n"
	     "Options, with their defaults:\n"
	     "  --config FILE\n"
	     "        YAML file with the same options, words joined by _; the command line goes before it");
	options_print_help(stdout);
}

static bool complain(const char *argument, const char *fault)
{
	fprintf(stderr, "roost serve: %s: %s; `roost serve --help` tells more\n", argument, fault);
	return false;
}

/* Sets the option of argv[*at] from it and what follows; moves *at to the last argument used. */
static bool read_argument(int argc, char **argv, int *at, struct options *options)
{
	char fault[OPTION_FAULT_BYTES_MAX];
	char name[64];
	const char *argument = argv[*at];
	if (strncmp(argument, "--", 2) != 0)
		return complain(argument, "an option is wanted here");
	const char *equals = strchr(argument, '=');
	size_t size = equals != NULL ? (size_t)(equals - argument) - 2 : strlen(argument) - 2;
	if (size >= sizeof(name))
		return complain(argument, "there is no such option");
	memcpy(name, argument + 2, size);
	name[size] = '\0';

	bool negated = strncmp(name, "no-", 3) == 0;
	const struct option_spec *spec = option_find(negated ? name + 3 : name);
	if (spec == NULL || (negated && !option_is_switch(spec)))
		return complain(argument, "there is no such option");
	const char *text = equals != NULL ? equals + 1 : NULL;
	if (text == NULL && option_is_switch(spec)) {
		text = negated ? "false" : "true";
	} else if (text == NULL) {
		if (*at + 1 == argc)
			return complain(argument, "a value is missing");
		text = argv[++*at];
	}
	return option_set(spec, options, text, fault) || complain(argument, fault);
}

/* The configuration file's name in argv[*at] or behind it; NULL: this is another option. */
static const char *config_argument(int argc, char **argv, int *at)
{
	static const char NAME[] = "--config";
	size_t size = sizeof(NAME) - 1;
	if (strncmp(argv[*at], NAME, size) != 0)
		return NULL;
	if (argv[*at][size] == '=')
		return argv[*at] + size + 1;
	if (argv[*at][size] != '\0')
		return NULL;
	return *at + 1 < argc ? argv[++*at] : "";
}

/* The file first, so that the command line goes before it whatever their order. */
static bool read_config(int argc, char **argv, struct options *options)
{
	for (int i = 1; i < argc; i++) {
		const char *path = config_argument(argc, argv, &i);
		if (path != NULL && *path == '\0')
			return complain("--config", "a file name is missing");
		if (path != NULL && !config_file_read(path, options))
			return false;
	}
	return true;
}

static bool read_command_line(int argc, char **argv, struct options *options)
{
	if (!read_config(argc, argv, options))
		return false;
	uint32_t from_file = options->settings.listener_count;
	for (int i = 1; i < argc; i++) {
		if (config_argument(argc, argv, &i) != NULL)
			continue;
		/* Listeners of the command line replace those of the file. */
		if (strncmp(argv[i], "--listen", strlen("--listen")) == 0 && from_file != 0) {
			options->settings.listener_count = 0;
			from_file = 0;
		}
		if (!read_argument(argc, argv, &i, options))
			return false;
	}
	options_complete(options);
	return true;
}

static bool wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	}
	return false;
}

static void print_counters(const struct gateway *gateway)
{
	struct counters sum = {0};
	gateway_counters(gateway, &sum);
	/* In one piece, so that no line of the log comes between. */
	char *text = NULL;
	size_t size = 0;
	FILE *memory = open_memstream(&text, &size);
	if (memory == NULL)
		return;
	counters_print(&sum, memory);
	fclose(memory);
	fwrite(text, 1, size, stderr);
	free(text);
}

/* Until a signal says to end; the threads have all signals blocked, so they come here. */
static void await_end(const struct gateway *gateway, const sigset_t *signals)
{
	for (;;) {
		int signal = 0;
		if (sigwait(signals, &signal) != 0)
			continue;
		if (signal == SIGTERM || signal == SIGINT) {
			log_write(LOG_INFO, "stopping: %s", signal == SIGTERM ? "SIGTERM" : "SIGINT");
			return;
		}
		if (signal == SIGUSR1)
			print_counters(gateway);
	}
}

int serve_main(int argc, char **argv)
{
	if (wants_help(argc, argv)) {
		print_help();
		return 0;
	}
	struct options options = options_default();
	if (!read_command_line(argc, argv, &options))
		return EXIT_USAGE;
	log_level_set(options.log_level);

	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN); /* a write to a closed socket is an error code */

	struct gateway *gateway = gateway_start(&options.settings);
	if (gateway == NULL)
		return 1;
	struct admin *admin;
	bool started = admin_start(&options.admin, gateway, (struct admin_hooks){0}, &admin);
	if (started)
		await_end(gateway, &signals);
	admin_set_draining(admin);
	uint64_t left = gateway_stop(gateway);
	admin_stop(admin);
	gateway_free(gateway);
	if (!started)
		return 1;
	if (left != 0)
		log_write(LOG_WARNING, "stopped with %lu clients still connected: the time was up", left);
	else
		log_write(LOG_INFO, "stopped");
	return 0;
}
