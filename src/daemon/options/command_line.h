/* The command line of `roost serve`, and the configuration file that it names. Main thread, or whichever thread
 * reloads.
 */
#ifndef DAEMON_COMMAND_LINE_H
#define DAEMON_COMMAND_LINE_H

#include "daemon/options/options.h"

/* Reads the file first, so that the command line takes precedence wherever --config is. argv[0] is "serve". False:
 * faults has a line that says what is wrong. */
bool command_line_read(int argc, char **argv, struct options *options, FILE *faults);
/* The configuration file, the last if there are several; "": there is none. */
const char *command_line_config(int argc, char **argv);

#endif
