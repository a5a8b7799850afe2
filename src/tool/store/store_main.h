/* `roost store`: commands on the directory of a store. Main thread. */
#ifndef TOOL_STORE_STORE_MAIN_H
#define TOOL_STORE_STORE_MAIN_H

/* argv[0] is "store". Returns the exit status, enum cli_exit; errors go to stderr. */
int store_main(int argc, char **argv);

#endif
