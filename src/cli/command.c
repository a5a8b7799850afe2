#include "cli/command.h"

#include "base/check.h"

#include <ctype.h>

bool cli_complain(const char *command, const char *subject, const char *fault)
{
	fprintf(stderr, "roost %s: %s: %s\n", command, subject, fault);
	return false;
}

static void print_usage(const struct cli_command *command)
{
	if (command->print_usage != NULL)
		command->print_usage(stdout);
	else
		fputs(command->usage, stdout);
}

/* getopt takes an argument that may be left out only behind "=". */
static const char *optional_argument_of(int argc, char **argv, const struct option *option)
{
	bool is_next = option->has_arg == optional_argument && optarg == NULL && optind < argc &&
		       isdigit((unsigned char)argv[optind][0]);
	return is_next ? argv[optind++] : optarg;
}

bool cli_parse(int argc, char **argv, const struct cli_command *command, void *context, int *status)
{
	CHECK((command->usage == NULL) != (command->print_usage == NULL));
	const char *letters = command->letters != NULL ? command->letters : "";
	*status = CLI_EXIT_USAGE;
	optind = 1;
	int index = -1;
	for (int option; (option = getopt_long(argc, argv, letters, command->options, &index)) != -1; index = -1) {
		if (option == CLI_HELP) {
			print_usage(command);
			*status = CLI_EXIT_OK;
			return false;
		}
		if (option == '?') /* getopt has said what is wrong */
			return false;
		const char *text = index >= 0 ? optional_argument_of(argc, argv, &command->options[index]) : optarg;
		if (!command->take(context, option, text))
			return false;
	}
	CHECK(optind <= argc);
	if (argc - optind <= command->words_max)
		return true;
	fprintf(stderr, "roost %s: \"%s\" is not expected here; `roost %s --help` says what is\n", command->name,
		argv[optind + command->words_max], command->name);
	return false;
}

bool cli_number(const char *command, const char *name, const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	CHECK(min <= max);
	uint64_t value = 0;
	bool good = *text >= '0' && *text <= '9';
	for (const char *at = text; good && *at != '\0'; at++) {
		if (*at == '_' || *at == ',')
			continue;
		good = *at >= '0' && *at <= '9' && !__builtin_mul_overflow(value, 10u, &value) &&
		       !__builtin_add_overflow(value, (uint64_t)(*at - '0'), &value);
	}
	if (!good || value < min || value > max) {
		fprintf(stderr, "roost %s: %s: \"%s\" is not a number from %llu to %llu\n", command, name, text,
			(unsigned long long)min, (unsigned long long)max);
		return false;
	}
	*out = value;
	return true;
}

bool cli_u32(const char *command, const char *name, const char *text, uint32_t min, uint32_t max, uint32_t *out)
{
	uint64_t value;
	if (!cli_number(command, name, text, min, max, &value))
		return false;
	*out = (uint32_t)value;
	return true;
}
