/* The configuration file: a YAML mapping whose keys are the options of the command line, and lists of items, such as
 * `streams` with rules, which only the file has. Main thread, or whichever thread reloads. */
#ifndef DAEMON_CONFIG_FILE_H
#define DAEMON_CONFIG_FILE_H

#include "daemon/options/options.h"

/* Reads the file into *options. False: faults has a line "roost: file:line: key: sentence"; in an item, which may
 * be long, "roost: file:line:column: list: key: sentence". */
bool config_file_read(const char *path, struct options *options, FILE *faults);

#endif
