/* The options of `roost serve`: one table says each one's name, kind, range and meaning, for the command line
 * (--connect-timeout-ms 5000) and for the configuration file (connect_timeout_ms: 5000) alike. Main thread. */
#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H

#include "admin/admin.h"
#include "base/log.h"
#include "gateway/settings.h"

#include <stdbool.h>
#include <stdio.h>

struct options {
	struct settings settings;
	struct admin_options admin;
	enum log_level log_level;
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
/* Sets the option from text. False: *fault says what was wrong with it. */
bool option_set(const struct option_spec *spec, struct options *options, const char *text,
		char fault[OPTION_FAULT_BYTES_MAX]);
/* The default listener, where none was given. */
void options_complete(struct options *options);
/* A paragraph for each option, with its default. */
void options_print_help(FILE *out);

#endif
