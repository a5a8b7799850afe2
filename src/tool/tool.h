/* Commands that make what the server reads: certificates, passwords, keys, tokens. They are programs beside the server,
 * as `bench` is, and share with it only how it decides (src/auth). Main thread. */
#ifndef TOOL_TOOL_H
#define TOOL_TOOL_H

#include "base/file.h"

/* argv[0] is "cert", "passwd" or "token". Each returns the exit status, enum cli_exit; errors go to stderr. */
int cert_main(int argc, char **argv);
int passwd_main(int argc, char **argv);
int token_main(int argc, char **argv);

/* For the commands themselves: a file's content, which the caller frees. False: it could not be read; said on stderr.
 */
bool tool_read(const char *command, const char *path, enum file_secrecy secrecy, uint8_t **data, size_t *size);

#endif
