/* The command line of a load, as a table: one row an option, which says what its value is and which field it fills in.
 * Several loads share a table where they share the struct behind it (a round of messages, the brokers compared).
 *
 * The text of --help is written by hand, because it groups options by what they are about; options_take() asserts that
 * it names each of them. Called at start, by the main thread. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include "bench/options/option_value.h"

#include <stddef.h>

enum bench_exit {
	BENCH_EXIT_OK = 0,
	BENCH_EXIT_FAILED = 1, /* the run failed, or messages or clients were lost */
	BENCH_EXIT_USAGE = 2,
};

/* What an option's value is, and with it the type of its field. */
enum option_kind {
	OPTION_SWITCH,  /* bool: takes no value */
	OPTION_U16,     /* uint16_t, from least to most */
	OPTION_U32,     /* uint32_t, from least to most */
	OPTION_U64,     /* uint64_t, from least to most */
	OPTION_RATE,    /* uint32_t: "full" is 0 */
	OPTION_VERSION, /* uint8_t */
	OPTION_QOS,     /* uint8_t */
	OPTION_TEXT,    /* const char *, borrowed from argv */
	OPTION_PREFIX,  /* the same: no wildcard, at most `most` bytes */
	OPTION_URL,     /* struct url, of any scheme */
	OPTION_TCP_URL, /* the same of tcp:// alone */
	OPTION_SOURCES, /* struct source_range */
	OPTION_CALL,    /* the row's function takes it */
	OPTION_NUMERAL, /* the same, but the value is optional: the next word is the value only if it is a number */
};

struct option_row {
	const char *name; /* without the dashes; NULL ends the table */
	enum option_kind kind;
	char letter;   /* short form, or 0 */
	size_t offset; /* of the field in the table's struct */
	uint64_t least;
	uint64_t most;
	size_t given; /* offset of a bool that is set if the option is given; 0: none, for no such bool comes first */
	/* Returns false if the value is wrong, after saying why on stderr. owner is the table's struct. */
	bool (*call)(void *owner, const char *text);
};

/* The field's offset; does not compile if the field has a different type. */
#define OPTION_FIELD(owner, field, type)                                                                               \
	(offsetof(owner, field) +                                                                                      \
	 0 * sizeof(struct {                                                                                           \
		 _Static_assert(__builtin_types_compatible_p(typeof(((owner *)0)->field), type), #field);              \
		 char unused;                                                                                          \
	 }))

#define OPTION_ROW_LIMITED(name, kind, owner, field, type, least, most)                                                \
	{                                                                                                              \
		name, kind, 0, OPTION_FIELD(owner, field, type), least, most, 0, NULL                                  \
	}
#define OPTION_ROW(name, kind, owner, field, type) OPTION_ROW_LIMITED(name, kind, owner, field, type, 0, 0)
#define OPTION_ROW_SWITCH(name, owner, field) OPTION_ROW(name, OPTION_SWITCH, owner, field, bool)
#define OPTION_ROW_TEXT(name, owner, field) OPTION_ROW(name, OPTION_TEXT, owner, field, const char *)
#define OPTION_ROW_U32(name, owner, field, least, most)                                                                \
	OPTION_ROW_LIMITED(name, OPTION_U32, owner, field, uint32_t, least, most)
#define OPTION_ROW_PREFIX(name, owner, field, most)                                                                    \
	OPTION_ROW_LIMITED(name, OPTION_PREFIX, owner, field, const char *, 0, most)
#define OPTION_ROW_CALL(name, call)                                                                                    \
	{                                                                                                              \
		name, OPTION_CALL, 0, 0, 0, 0, 0, call                                                                 \
	}

struct option_table {
	const struct option_row *rows;
	size_t offset; /* of the table's struct in the options */
};

/* The options of one load. */
struct option_set {
	const char *usage;                 /* what --help prints */
	const struct option_table *tables; /* rows NULL: the end */
};

/* Takes the options up to argv[optind] into *options. Returns true to go on; else *status is the exit status. */
bool options_take(int argc, char **argv, const struct option_set *set, void *options, int *status);

/* Returns false, with a complaint on stderr, if argv[next] exists: it belongs to no option. */
bool options_none_left(int argc, char **argv, int next);

#endif
