#include "daemon/command_line.h"

#include "base/check.h"
#include "daemon/config_file.h"

#include <string.h>

static bool argument_complain(FILE *faults, const char *argument, const char *fault)
{
	fprintf(faults, "roost serve: %s: %s; `roost serve --help` says more\n", argument, fault);
	return false;
}

/* Sets the option in argv[*at], whose value may follow it; moves *at to the last argument used. */
static bool read_argument(int argc, char **argv, int *at, struct options *options, FILE *faults)
{
	char fault[OPTION_FAULT_BYTES_MAX];
	CHECK(*at > 0 && *at < argc);
	char name[64];
	const char *argument = argv[*at];
	if (strncmp(argument, "--", 2) != 0)
		return argument_complain(faults, argument, "an option is expected here");
	const char *equals = strchr(argument, '=');
	size_t size = equals != NULL ? (size_t)(equals - argument) - 2 : strlen(argument) - 2;
	if (size >= sizeof(name))
		return argument_complain(faults, argument, "there is no such option");
	memcpy(name, argument + 2, size);
	name[size] = '\0';

	bool negated = strncmp(name, "no-", 3) == 0;
	const struct option_spec *spec = option_find(negated ? name + 3 : name);
	if (spec == NULL || (negated && !option_is_switch(spec)))
		return argument_complain(faults, argument, "there is no such option");
	const char *text = equals != NULL ? equals + 1 : NULL;
	if (text == NULL && option_is_switch(spec)) {
		text = negated ? "false" : "true";
	} else if (text == NULL) {
		if (*at + 1 == argc)
			return argument_complain(faults, argument, "a value is missing");
		text = argv[++*at];
	}
	return option_set(spec, options, text, fault) || argument_complain(faults, argument, fault);
}

/* The configuration file's name in argv[*at] or after it; NULL: this is another option. */
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

/* Reads the file first, so that the command line takes precedence wherever --config is. */
static bool read_config(int argc, char **argv, struct options *options, FILE *faults)
{
	for (int i = 1; i < argc; i++) {
		const char *path = config_argument(argc, argv, &i);
		if (path != NULL && *path == '\0')
			return argument_complain(faults, "--config", "a file name is missing");
		if (path != NULL && !config_file_read(path, options, faults))
			return false;
	}
	return true;
}

/* What must hold between two options. */
static bool check_together(int argc, char **argv, const struct options *options, FILE *faults)
{
	const struct settings *settings = &options->settings;
	if (settings->queue_bytes_max >= settings->packet_bytes_max)
		return true;
	uint32_t line = options->lines[option_place(option_find("queue-bytes-max"))];
	if (line != 0)
		fprintf(faults, "%s:%u: ", command_line_config(argc, argv), line);
	else
		fputs("roost serve: ", faults);
	fprintf(faults,
		"queue-bytes-max: %u is less than packet-bytes-max, which is %u: a queue must hold the largest "
		"packet\n",
		settings->queue_bytes_max, settings->packet_bytes_max);
	return false;
}

bool command_line_read(int argc, char **argv, struct options *options, FILE *faults)
{
	if (!read_config(argc, argv, options, faults))
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
		if (!read_argument(argc, argv, &i, options, faults))
			return false;
	}
	CHECK(options->settings.listener_count <= SETTINGS_LISTENERS_MAX);
	options_complete(options);
	return check_together(argc, argv, options, faults);
}

const char *command_line_config(int argc, char **argv)
{
	const char *last = "";
	for (int i = 1; i < argc; i++) {
		const char *path = config_argument(argc, argv, &i);
		if (path != NULL)
			last = path;
	}
	return last;
}
