/* A password from the terminal, which does not show it, or from a pipe. Main thread. */
#ifndef TOOL_PROMPT_H
#define TOOL_PROMPT_H

#include <stdbool.h>
#include <stddef.h>

#define PROMPT_BYTES_MAX 1024u

/* Reads the first line of stdin where that is no terminal; otherwise asks twice on the terminal, with echo off. Returns
 * NULL, or what went wrong. The caller wipes the password. */
const char *prompt_password(char password[PROMPT_BYTES_MAX]);

#endif
