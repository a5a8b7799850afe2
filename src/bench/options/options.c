#include "bench/options/options.h"

#include "base/check.h"

#include <ctype.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define ROWS_MAX 48u
/* What getopt_long() returns for row 0: above all letters. */
#define ROW_FIRST 256
#define ROW_HELP (ROW_FIRST + (int)ROWS_MAX)
#define NAME_BYTES 32u

/* All tables of a set as getopt wants them. */
struct command_line {
	struct option list[ROWS_MAX + 2]; /* with --help and the end */
	char letters[2 * ROWS_MAX + 1];
	const struct option_row *rows[ROWS_MAX];
	void *owners[ROWS_MAX];
	uint32_t count;
};

static void add_row(struct command_line *line, const struct option_row *row, void *owner)
{
	CHECK(line->count < ROWS_MAX);
	CHECK(row->kind <= OPTION_NUMERAL);
	int argument = row->kind == OPTION_SWITCH    ? no_argument
		       : row->kind == OPTION_NUMERAL ? optional_argument
						     : required_argument;
	line->list[line->count] = (struct option){row->name, argument, NULL, ROW_FIRST + (int)line->count};
	if (row->letter != '\0') {
		CHECK(argument == required_argument);
		size_t size = strlen(line->letters);
		line->letters[size] = row->letter;
		line->letters[size + 1] = ':';
	}
	line->rows[line->count] = row;
	line->owners[line->count++] = owner;
}

/* Returns whether --help names the option. */
static bool is_documented(const struct option_row *row, const char *usage)
{
	char name[NAME_BYTES];
	snprintf(name, sizeof(name), "--%s", row->name);
	return strstr(usage, name) != NULL;
}

static void add_tables(struct command_line *line, const struct option_set *set, void *options)
{
	for (const struct option_table *table = set->tables; table->rows != NULL; table++) {
		for (const struct option_row *row = table->rows; row->name != NULL; row++) {
			CHECK(is_documented(row, set->usage));
			add_row(line, row, (char *)options + table->offset);
		}
	}
	line->list[line->count] = (struct option){"help", no_argument, NULL, ROW_HELP};
}

static bool take_u16(const char *name, const struct option_row *row, const char *text, uint16_t *out)
{
	uint64_t value;
	CHECK(row->most <= UINT16_MAX);
	if (!option_number(name, text, row->least, row->most, &value))
		return false;
	*out = (uint16_t)value;
	return true;
}

static bool take_text(const char *name, const struct option_row *row, const char *text, const char **out)
{
	*out = text;
	return row->kind == OPTION_TEXT || option_prefix(name, text, (uint32_t)row->most);
}

/* Returns false if the value is wrong, after saying why. */
static bool take_value(const struct option_row *row, void *owner, const char *text)
{
	char name[NAME_BYTES];
	void *field = (char *)owner + row->offset;
	snprintf(name, sizeof(name), "--%s", row->name);
	if (row->given != 0)
		*(bool *)((char *)owner + row->given) = true;
	switch (row->kind) {
	case OPTION_SWITCH:
		return *(bool *)field = true;
	case OPTION_U16:
		return take_u16(name, row, text, field);
	case OPTION_U32:
		CHECK(row->most <= UINT32_MAX);
		return option_u32(name, text, (uint32_t)row->least, (uint32_t)row->most, field);
	case OPTION_U64:
		return option_number(name, text, row->least, row->most, field);
	case OPTION_RATE:
		return option_rate(name, text, field);
	case OPTION_VERSION:
		return option_version(name, text, field);
	case OPTION_QOS:
		return option_qos(name, text, field);
	case OPTION_TEXT:
	case OPTION_PREFIX:
		return take_text(name, row, text, field);
	case OPTION_URL:
		return option_url(name, text, field);
	case OPTION_TCP_URL:
		return option_tcp_url(name, text, field);
	case OPTION_SOURCES:
		return option_source_range(name, text, field);
	case OPTION_CALL:
	case OPTION_NUMERAL:
		break;
	}
	CHECK(row->call != NULL);
	return row->call(owner, text);
}

/* The row's index, by its number or its letter. */
static uint32_t find_row(const struct command_line *line, int option)
{
	uint32_t index = 0;
	if (option >= ROW_FIRST)
		return (uint32_t)(option - ROW_FIRST);
	while (index < line->count && line->rows[index]->letter != option)
		index++;
	return index;
}

bool options_take(int argc, char **argv, const struct option_set *set, void *options, int *status)
{
	struct command_line line = {.count = 0};
	add_tables(&line, set, options);
	*status = BENCH_EXIT_USAGE;
	optind = 1;
	for (int option; (option = getopt_long(argc, argv, line.letters, line.list, NULL)) != -1;) {
		if (option == ROW_HELP) {
			fputs(set->usage, stdout);
			*status = BENCH_EXIT_OK;
			return false;
		}
		/* getopt has said what is wrong. */
		if (option == '?')
			return false;
		uint32_t index = find_row(&line, option);
		CHECK(index < line.count);
		/* getopt takes a value that may be left out only behind "=". */
		if (line.rows[index]->kind == OPTION_NUMERAL && optarg == NULL && optind < argc &&
		    isdigit((unsigned char)argv[optind][0]))
			optarg = argv[optind++];
		if (!take_value(line.rows[index], line.owners[index], optarg))
			return false;
	}
	return true;
}

bool options_none_left(int argc, char **argv, int next)
{
	CHECK(next >= 1);
	if (next >= argc)
		return true;
	fprintf(stderr, "roost bench: \"%s\" is not an option\n", argv[next]);
	return false;
}
