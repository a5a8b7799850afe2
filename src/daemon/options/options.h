/* The options of `roost serve`. One table has each option's name, kind, range and meaning, for the command line
 * (--connect-timeout-ms 5000) and the configuration file (connect_timeout_ms: 5000) alike. Main thread, or whichever
 * thread reloads. */
#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H

#include "admin/admin.h"
#include "base/error.h"
#include "base/log.h"
#include "daemon/options/option_spec.h"
#include "relay/items.h"
#include "runtime/settings/settings.h"

#include <stdbool.h>
#include <stdio.h>

#define OPTIONS_MAX 160

/* What is set for listeners. The values of each are in settings.listener_settings. */
struct listeners_given {
	struct listener_settings defaults;      /* for all listeners */
	uint32_t given[SETTINGS_LISTENERS_MAX]; /* a bit for each option that the entry has for itself */
	uint32_t lines[SETTINGS_LISTENERS_MAX]; /* of the configuration file; 0: the entry is not from there */
	/* Of the admin side, which is none of them, but has certificates as they do. */
	struct certificate_files admin_certificate;
	char admin_client_ca_file[LISTENER_PATH_BYTES_MAX];
};

struct options {
	struct settings settings;
	struct listeners_given listeners;
	struct admin_options admin;
	struct relay_items items; /* of the configuration file alone */
	enum log_level log_level;
	uint32_t lines[OPTIONS_MAX]; /* of the configuration file, by option_place(); 0: the file does not have it */
};

struct options options_default(void);
/* The same on the heap, and a copy there; NULL: no memory. Listeners that there are not take none, and an entry of
 * `listen` has room for much. */
struct options *options_new(void);
struct options *options_clone(const struct options *from);

/* The option of this name, which may have - or _ between its words; NULL: there is none. */
const struct option_spec *option_find(const char *name);
/* Whether it takes no value on the command line (--no-private-tables). */
bool option_is_switch(const struct option_spec *spec);
/* Whether it may be repeated (a list in the file). */
bool option_is_list(const struct option_spec *spec);
/* Whether it is "" or an empty list. */
bool option_is_empty(const struct option_spec *spec, const struct options *options);
/* Sets the option from text. False: fault says what is wrong with it. */
bool option_set(const struct option_spec *spec, struct options *options, const char *text,
		char fault[OPTION_FAULT_BYTES_MAX]);
/* The options in the order of their table. */
size_t option_count(void);
const struct option_spec *option_at(size_t number);
size_t option_place(const struct option_spec *spec);
const char *option_name(const struct option_spec *spec);
const char *option_help(const struct option_spec *spec);
/* The bounds of a number. False: the option is none. */
bool option_range(const struct option_spec *spec, uint32_t *least, uint32_t *most);
/* Prints its value as the configuration file has it. */
void option_print_value(const struct option_spec *spec, const struct options *options, FILE *out);
/* Prints its name there. */
void option_print_key(const struct option_spec *spec, FILE *out);
/* Whether it may change while the gateway runs. */
bool option_is_live(const struct option_spec *spec);
/* Copies the value of one that may change while the gateway runs. */
void option_copy(const struct option_spec *spec, struct options *into, const struct options *from);

/* Changes options while the gateway runs. ERROR_OK: *into has the new values of all options that may change, and report
 * a line for each that did. ERROR_LIMIT: an option that may not change has a new value; report has a line for each of
 * those, and *into is as before. ERROR_NO_MEMORY: likewise. path: of the configuration file, "" where there is none.
 * started: the options with which the gateway started. */
enum error options_change(struct options *into, const struct options *started, const struct options *wanted,
			  const char *path, FILE *report);
/* The part of this that has to do with items, such as rules: all of them may change. */
void options_change_items(struct relay_items *into, const struct relay_items *wanted, FILE *report);
/* Adds what follows from other options: the default listener where none was given, and the revocation file in the
 * store's directory. False: fault says why that cannot be. */
bool options_complete(struct options *options, char fault[OPTION_FAULT_BYTES_MAX]);
/* Prints a paragraph for each option, with its default. */
void options_print_help(FILE *out);
/* Prints a configuration file that explains every option and gives it its default. */
void options_print_example(FILE *out);

#endif
