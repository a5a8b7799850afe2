/* The command line of `roost serve`, and the configuration file that it names. Main thread, or whoever has it reload.
 */
#ifndef DAEMON_COMMAND_LINE_H
#define DAEMON_COMMAND_LINE_H

#include "daemon/options.h"

/* Reads the file first, so that the command line goes before it whatever their order. argv[0] is "serve". False: what
 * is wrong was written to faults, a line. */
bool command_line_read(int argc, char **argv, struct options *options, FILE *faults);
/* The (last) configuration file; "": there is none. */
const char *command_line_config(int argc, char **argv);

#endif
