/* The commands of `roost store`, each in a file of its own. argv[0] is the command's name; the exit status is enum
 * cli_exit. Main thread. */
#ifndef TOOL_STORE_COMMANDS_H
#define TOOL_STORE_COMMANDS_H

int store_backup_main(int argc, char **argv);
int store_check_main(int argc, char **argv);
int store_compact_main(int argc, char **argv);
int store_dump_main(int argc, char **argv);
int store_repair_main(int argc, char **argv);

/* Says what is missing on the command line; CLI_EXIT_USAGE. */
int store_command_wants(const char *command, const char *what);

#endif
