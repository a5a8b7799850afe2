/* The configuration file: a YAML mapping with the names of the command line's options. Main thread. */
#ifndef DAEMON_CONFIG_FILE_H
#define DAEMON_CONFIG_FILE_H

#include "daemon/options.h"

/* Reads the file into *options. False: what is wrong was written to faults as "roost: file:line: key: sentence". */
bool config_file_read(const char *path, struct options *options, FILE *faults);

#endif
