/* A server of our own to measure: this very program, `serve` on a free port of the loopback address, watched from
 * outside as any process is. It ends with us. Main thread; blocks as said. */
#ifndef DOCTOR_CHILD_H
#define DOCTOR_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CHILD_LINE_BYTES 256u

struct child {
	pid_t pid;
	int log; /* its stderr */
	uint16_t port;
	bool ready;
	char line[CHILD_LINE_BYTES]; /* of its log: the last one, or the one that is coming */
	uint32_t line_size;
	bool line_ended;
};

/* Starts it for so many connections and waits, at most 30 s, until it is ready. False: says on stderr why not, and
 * nothing is left to be stopped. */
bool child_start(struct child *child, uint64_t connections);
/* SIGTERM, and after 10 s SIGKILL. */
void child_stop(struct child *child);

/* Takes what it has logged, so that it never waits for a reader. Does not block. */
void child_drain(struct child *child);

/* User and system time since its start; 0 when it has ended. */
uint64_t child_cpu_ns(const struct child *child);
/* 0 where it cannot be read. */
uint64_t child_resident_bytes(const struct child *child);

#endif
