/* A server that the bench starts, ends by a signal, and starts again on the same port and store. Main thread. */
#ifndef BENCH_CHILD_H
#define BENCH_CHILD_H

#include "bench/dial/url.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CHILD_WORDS_MAX 64u
#define CHILD_TEXT_BYTES 4096u

/* The command of this program as a server with a store. Its queues are long, so that it drops nothing by design. Ends
 * with NULL. */
extern const char *const CHILD_OWN_SERVER[];

struct child {
	char text[CHILD_TEXT_BYTES]; /* of the words */
	char *words[CHILD_WORDS_MAX + 1];
	struct address address;
	uint16_t port;
	pid_t pid; /* 0: it does not run */
	int log;   /* what it says on stdout and stderr: a file in memory, new with each start; -1: none */
};

/* Sets up the command and draws a port. In its words @PORT@, @URL@ and @STORE@ stand for the port, its URL, and store.
 * Returns NULL, or what is wrong; static storage. */
const char *child_plan(struct child *child, const char *const *words, const char *store);

/* Starts the program, and does not wait for it. On failure says why on stderr and returns false. It ends with the
 * bench, however that ends. */
bool child_start(struct child *child);
/* Waits until it accepts connections. On failure (it ends, or the time is over) prints its log on stderr and returns
 * false. */
bool child_wait_accepting(struct child *child, uint64_t timeout_ns);
/* Sends the signal and waits until the process has ended; SIGKILL where it has not after the time. Returns whether it
 * had run until then, and exited with 0 or by that signal. */
bool child_end(struct child *child, int signal, uint64_t timeout_ns);
/* The last lines of its log, on stderr. */
void child_print_log(const struct child *child);
/* How often its log, since it was started last, has this text. */
uint32_t child_log_count(const struct child *child, const char *text);
void child_close(struct child *child);

#endif
