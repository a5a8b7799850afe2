/* The options of `roost serve`: one table says each one's name, kind, range and meaning, for the command line
 * (--connect-timeout-ms 5000) and for the configuration file (connect_timeout_ms: 5000) alike. Main thread. */
#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H

#include "admin/admin.h"
#include "base/error.h"
#include "base/log.h"
#include "runtime/settings.h"

#include <stdbool.h>
#include <stdio.h>

#define OPTIONS_MAX 128

struct options {
	struct settings settings;
	struct admin_options admin;
	enum log_level log_level;
	uint32_t lines[OPTIONS_MAX]; /* of the configuration file, by option_place(); 0: it does not stand there */
};

#define OPTION_FAULT_BYTES_MAX 256

struct option_spec;

struct options options_default(void);

/* The option of this name, with - or _ between words alike; NULL: there is none. */
const struct option_spec *option_find(const char *name);
/* Whether it stands alone on the command line (--no-private-tables). */
bool option_is_switch(const struct option_spec *spec);
/* Whether it may be given several times (a list in the file). */
bool option_is_list(const struct option_spec *spec);
/* Whether nothing stands in it: "" or an empty list. */
bool option_is_empty(const struct option_spec *spec, const struct options *options);
/* Sets the option from text. False: *fault says what was wrong with it. */
bool option_set(const struct option_spec *spec, struct options *options, const char *text,
		char fault[OPTION_FAULT_BYTES_MAX]);
/* The options in the order of their table. */
size_t option_count(void);
const struct option_spec *option_at(size_t number);
size_t option_place(const struct option_spec *spec);
const char *option_name(const struct option_spec *spec);
const char *option_help(const struct option_spec *spec);
/* False: it is no number. */
bool option_range(const struct option_spec *spec, uint32_t *least, uint32_t *most);
/* Its value, as it is written in the configuration file. */
void option_print_value(const struct option_spec *spec, const struct options *options, FILE *out);
/* Its name there. */
void option_print_key(const struct option_spec *spec, FILE *out);
/* Whether it may change while the gateway runs. */
bool option_is_live(const struct option_spec *spec);
/* Of one that may change while the gateway runs. */
void option_copy(const struct option_spec *spec, struct options *into, const struct options *from);

/* What is to change while the gateway runs. ERROR_OK: *into has the new values of all options that may change so, and
 * of each a line in *report. ERROR_LIMIT: another one has a new value; *report has a line for each, and *into is as it
 * was. path: of the configuration file, "" where there is none. started: as they were when the gateway started. */
enum error options_change(struct options *into, const struct options *started, const struct options *wanted,
			  const char *path, FILE *report);
/* The default listener, where none was given. */
void options_complete(struct options *options);
/* A paragraph for each option, with its default. */
void options_print_help(FILE *out);
/* A configuration file in which every option is explained, and has its default. */
void options_print_example(FILE *out);

#endif
