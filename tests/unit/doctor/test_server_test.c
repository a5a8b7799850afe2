/* The server that a calibration starts. It is this very program: called with "serve" it plays one, as ROOST_PLAY says.
 */
#include "doctor/plan/test_server.h"

#include "capture.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PLAY "ROOST_PLAY"
#define CHATTER_LINES 20000
#define PATIENCE_MS 20000

static int play(char **argv)
{
	const char *part = getenv(PLAY);
	bool right = strcmp(argv[2], "--listen") == 0 && strcmp(argv[3], "tcp://127.0.0.1:0") == 0 &&
		     strcmp(argv[4], "--connections") == 0 && strcmp(argv[5], "1234") == 0;
	if (part == NULL || !right)
		return 3;
	if (strcmp(part, "refuses") == 0) {
		fputs("... error   cannot start: there are too few of everything\n", stderr);
		return 1;
	}
	if (strcmp(part, "portless") != 0)
		fputs("... info    listening on tcp://127.0.0.1:4321\n", stderr);
	fputs("... warning not ready yet\n... info    ready\n", stderr);
	for (int i = 0; strcmp(part, "chatters") == 0 && i < CHATTER_LINES; i++)
		fprintf(stderr, "... warning line %d\n", i);
	fputs("... info    last\n", stderr);
	for (;;)
		pause();
}

static void test_start_and_stop(void **state)
{
	(void)state;
	struct test_server server;
	setenv(PLAY, "serves", 1);
	assert_true(test_server_start(&server, 1234, "tcp"));
	assert_int_equal(server.port, 4321);
	pid_t pid = server.pid;
	assert_int_equal(kill(pid, 0), 0);
	assert_true(test_server_cpu_ns(&server) > 0);
	assert_true(test_server_resident_bytes(&server) > 4096);
	test_server_stop(&server);
	assert_int_equal(kill(pid, 0), -1);
	/* Of one that is no more nothing is known. */
	server.pid = pid;
	assert_true(test_server_resident_bytes(&server) == 0);
}

/* It writes more than a pipe holds: it can only because we take it. */
static void test_log_is_taken(void **state)
{
	(void)state;
	struct test_server server;
	setenv(PLAY, "chatters", 1);
	assert_true(test_server_start(&server, 1234, "tcp"));
	struct pollfd wait = {.fd = server.log, .events = POLLIN};
	while ((!server.line_ended || strstr(server.line, "last") == NULL) && poll(&wait, 1, PATIENCE_MS) == 1)
		test_server_drain(&server);
	assert_non_null(strstr(server.line, "last"));
	test_server_stop(&server);
}

static void test_one_that_does_not_start(void **state)
{
	(void)state;
	struct test_server server;
	setenv(PLAY, "refuses", 1);
	struct capture capture = capture_start();
	bool started = test_server_start(&server, 1234, "tcp");
	char *said = capture_stop(&capture);
	assert_false(started);
	assert_int_equal(server.pid, -1);
	assert_non_null(strstr(said, "cannot start: there are too few of everything"));
	free(said);
}

static void test_one_that_names_no_port(void **state)
{
	(void)state;
	struct test_server server;
	setenv(PLAY, "portless", 1);
	struct capture capture = capture_start();
	bool started = test_server_start(&server, 1234, "tcp");
	free(capture_stop(&capture));
	assert_false(started);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start_and_stop),
		cmocka_unit_test(test_log_is_taken),
		cmocka_unit_test(test_one_that_does_not_start),
		cmocka_unit_test(test_one_that_names_no_port),
	};
	if (argc == 6 && strcmp(argv[1], "serve") == 0)
		return play(argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
