#include "broken_promise.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void read_to_end(int from, char text[BROKEN_PROMISE_BYTES])
{
	size_t size = 0;
	ssize_t got;
	while ((got = read(from, text + size, BROKEN_PROMISE_BYTES - 1 - size)) > 0)
		size += (size_t)got;
	text[size] = '\0';
	assert_true(size < BROKEN_PROMISE_BYTES - 1);
}

void assert_dies_by(int signal_number, void (*dies)(void *argument), void *argument, char text[BROKEN_PROMISE_BYTES])
{
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		close(ends[1]);
		signal(signal_number, SIG_DFL); /* cmocka catches some */
		dies(argument);
		_exit(0);
	}
	close(ends[1]);
	read_to_end(ends[0], text);
	close(ends[0]);
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != signal_number)
		print_error("status 0x%x; it said:\n%s\n", (unsigned)status, text);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), signal_number);
}

void assert_breaks_promise(void (*breaks)(void *argument), void *argument, char text[BROKEN_PROMISE_BYTES])
{
	assert_dies_by(SIGABRT, breaks, argument, text);
}
