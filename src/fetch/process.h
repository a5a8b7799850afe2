/* Starts this program's own executable as a process that fetches (fetch/fetch.h, fetch/fetcher.h). It gets two
 * descriptors, as its standard input and output, and standard error, and no others. No signal is blocked in it. It has
 * a group of its own, so that Ctrl-C at a terminal reaches the server alone, which then ends it. Any thread. */
#ifndef FETCH_PROCESS_H
#define FETCH_PROCESS_H

#include <sys/types.h>

/* arguments: NULL-terminated, the program's name first. Returns 0 or an errno. The descriptors stay the caller's. */
int fetch_spawn(const char *const *arguments, int in, int out, pid_t *process);
/* Kills it, if it still runs, and waits for its end. Returns its status (wait(2)). */
int fetch_reap(pid_t process);

#endif
