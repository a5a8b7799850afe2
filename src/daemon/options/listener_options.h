/* The options of listeners: for all of them, and in the configuration file for one alone, as keys of its entry in the
 * list `listen`. Main thread, or whichever thread reloads. */
#ifndef DAEMON_LISTENER_OPTIONS_H
#define DAEMON_LISTENER_OPTIONS_H

#include "daemon/options/options.h"

/* Whether an entry of `listen` may have a key of this name. */
bool option_is_of_listener(const struct option_spec *spec);
/* Sets it for one entry alone (a place in settings.listeners). False: fault says what is wrong with the text. */
bool listener_option_set(const struct option_spec *spec, struct options *options, uint32_t listener, const char *text,
			 char fault[OPTION_FAULT_BYTES_MAX]);
/* Takes back what was set, for all listeners; of a certificate its key, too, and the other way round. */
void listener_option_clear(const struct option_spec *spec, struct options *options);
/* Takes back all listeners, with what is set for each of them alone. */
void listener_options_clear(struct options *options);

/* Fills settings.listener_settings: with what is set for the entry alone, else with what is set for all. */
void listener_options_complete(struct options *options);
/* Checks what must hold between a listener's options. False: after a line for the first fault. path: of the
 * configuration file. */
bool listener_options_check(const struct options *options, const char *path, FILE *faults);

/* For a reload, of two sets of options with the same URLs; what belongs to all listeners is compared by itself. Writes
 * a line to report for each key of an entry that differs, of those that may change while the gateway runs, or of the
 * others. ERROR_LIMIT: one of the others does. */
enum error listener_options_compare(const struct options *now, const struct options *wanted, bool live,
				    const char *path, FILE *report);
/* Takes over all that belongs to listeners and may change. */
void listener_options_copy(struct options *into, const struct options *from);

#endif
