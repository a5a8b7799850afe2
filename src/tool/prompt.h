/* A password from whoever sits at the terminal, without showing it, or from a program's pipe. Main thread. */
#ifndef TOOL_PROMPT_H
#define TOOL_PROMPT_H

#include <stdbool.h>
#include <stddef.h>

#define PROMPT_BYTES_MAX 1024u

/* From stdin where that is no terminal: its first line. From the terminal otherwise, twice, with echo off. NULL and the
 * password as a string, or what went wrong. The caller wipes it. */
const char *prompt_password(char password[PROMPT_BYTES_MAX]);

#endif
