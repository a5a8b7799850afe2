/* A server to measure: this very program, as `serve` on a free port of the loopback address, in a child process that is
 * observed from outside like any other. It ends with this process. Main thread; blocks where a function says so. */
#ifndef DOCTOR_PLAN_TEST_SERVER_H
#define DOCTOR_PLAN_TEST_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define TEST_SERVER_LINE_BYTES 256u

struct test_server {
	pid_t pid;
	int log; /* its stderr */
	uint16_t port;
	bool ready;
	char line[TEST_SERVER_LINE_BYTES]; /* of its log: the last one, or what has come of the next */
	uint32_t line_size;
	bool line_ended;
};

/* Starts it for so many connections, on a listener of that scheme ("tcp", "wss"), and waits, at most 30 s, until it is
 * ready. False: the reason is on stderr, and there is nothing to stop. */
bool test_server_start(struct test_server *server, uint64_t connections, const char *scheme);
/* Sends SIGTERM, and SIGKILL after 10 s; waits for its end. */
void test_server_stop(struct test_server *server);

/* Reads what it has logged, so that it never waits for a reader. Does not block. */
void test_server_drain(struct test_server *server);

/* User and system time since its start; 0 once it has ended. */
uint64_t test_server_cpu_ns(const struct test_server *server);
/* Resident memory; 0 where it cannot be read. */
uint64_t test_server_resident_bytes(const struct test_server *server);

#endif
