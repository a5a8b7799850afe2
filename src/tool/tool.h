/* Subcommands that make what the server reads: passwords, keys, tokens. They stand beside the server as `bench` does,
 * and see of it only how it decides (src/auth). Main thread. */
#ifndef TOOL_TOOL_H
#define TOOL_TOOL_H

#include "base/file.h"

enum tool_exit {
	TOOL_EXIT_OK = 0,
	TOOL_EXIT_FAILED = 1,
	TOOL_EXIT_USAGE = 2,
};

/* argv[0] is "passwd" or "token". Each returns the exit status; errors go to stderr. */
int passwd_main(int argc, char **argv);
int token_main(int argc, char **argv);

/* For the subcommands' own use. */

/* "roost COMMAND: SUBJECT: FAULT" on stderr; false. */
bool tool_complain(const char *command, const char *subject, const char *fault);
/* A file's content, which the caller frees; complains where it cannot be read. */
bool tool_read(const char *command, const char *path, enum file_secrecy secrecy, uint8_t **data, size_t *size);

#endif
