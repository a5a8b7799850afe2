#include "fetch/fetch.h"

#include "base/check.h"
#include "base/clock.h"
#include "fetch/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROOM_BYTES_LEAST ((size_t)16 << 10)

_Static_assert(sizeof(struct fetch_job) <= 4096, "an empty pipe takes a job at once [pipe(7), PIPE_BUF]");

/* What the process has written so far: a report, then the body. */
struct output {
	uint8_t *bytes;
	size_t size;
	size_t room;
	size_t most;
};

static void fetch_fail(struct fetch_report *report, const char *what, int error)
{
	*report = (struct fetch_report){0};
	snprintf(report->fault, sizeof(report->fault), "%s%s%s", what, error != 0 ? ": " : "",
		 error != 0 ? strerror(error) : "");
}

/* ---- the process ---- */

/* Starts the process and sends it the job. Returns the pipe to read its output from, or -1 with *report set. */
static int start_fetcher(const struct fetch_job *job, pid_t *process, struct fetch_report *report)
{
	int in[2], out[2];
	if (pipe2(in, O_CLOEXEC) != 0) {
		fetch_fail(report, "no pipe to the process that fetches", errno);
		return -1;
	}
	if (pipe2(out, O_CLOEXEC) != 0) {
		fetch_fail(report, "no pipe from the process that fetches", errno);
		close(in[0]);
		close(in[1]);
		return -1;
	}
	static const char *const ARGUMENTS[] = {"roost", FETCH_COMMAND, NULL};
	int error = fetch_spawn(ARGUMENTS, in[0], out[1], process);
	close(in[0]);
	close(out[1]);
	if (error == 0 && write(in[1], job, sizeof(*job)) != (ssize_t)sizeof(*job)) {
		/* It has already ended; its exit status tells more. */
		CHECK(errno == EPIPE);
	}
	close(in[1]);
	if (error == 0)
		return out[0];
	fetch_fail(report, "the process that fetches cannot be started", error);
	close(out[0]);
	return -1;
}

/* ---- its output ---- */

static bool make_output_room(struct output *output)
{
	CHECK(output->size <= output->room && output->room <= output->most);
	if (output->size < output->room)
		return true;
	size_t room = output->room != 0 ? output->room * 2 : ROOM_BYTES_LEAST;
	if (room > output->most)
		room = output->most;
	uint8_t *grown = room > output->room ? realloc(output->bytes, room) : NULL;
	if (grown == NULL)
		return false;
	output->bytes = grown;
	output->room = room;
	return true;
}

/* Waits for more output. Returns false if the time is up or the caller stops. */
static bool await_output(int fd, struct waker *waker, const _Atomic bool *stopping, uint64_t until_ms)
{
	uint64_t now_ms = clock_now_ms();
	struct pollfd polled[] = {{.fd = fd, .events = POLLIN}, {.fd = waker->fd, .events = POLLIN}};
	if (now_ms >= until_ms)
		return false;
	waker_sleep(waker);
	if (!atomic_load(stopping))
		poll(polled, 2, (int)(until_ms - now_ms));
	waker_awake(waker);
	return !atomic_load(stopping);
}

/* Reads until the output ends. Returns false, with *report set, if the process has to be killed. */
static bool read_output(int fd, struct waker *waker, const _Atomic bool *stopping, struct output *output,
			struct fetch_report *report)
{
	uint64_t until_ms = clock_now_ms() + FETCH_KILL_MS;
	for (;;) {
		if (!make_output_room(output)) {
			fetch_fail(report, "the answer is larger than was allowed, or memory is short", 0);
			return false;
		}
		ssize_t got = read(fd, output->bytes + output->size, output->room - output->size);
		if (got == 0)
			return true;
		if (got > 0) {
			output->size += (size_t)got;
		} else if (errno == EAGAIN && !await_output(fd, waker, stopping, until_ms)) {
			fetch_fail(report, "the process that fetches did not end in time", 0);
			return false;
		} else if (errno != EAGAIN && errno != EINTR) {
			fetch_fail(report, "the process that fetches cannot be heard", errno);
			return false;
		}
	}
}

static bool is_ended(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

/* Checks the report as data from outside: the process has handled foreign bytes. */
static void take_report(const struct output *output, int status, struct fetch_report *report, uint8_t **body)
{
	if (WIFSIGNALED(status)) {
		fetch_fail(report, "the process that fetches was ended by a signal", 0);
		return;
	}
	if (output->size < sizeof(*report)) {
		fetch_fail(report, "the process that fetches said nothing", 0);
		return;
	}
	memcpy(report, output->bytes, sizeof(*report));
	size_t rest = output->size - sizeof(*report);
	if (!is_ended(report->fault, sizeof(report->fault)) || !is_ended(report->etag, sizeof(report->etag)) ||
	    !is_ended(report->cache_control, sizeof(report->cache_control)) || report->body_bytes != rest) {
		fetch_fail(report, "the process that fetches said something that makes no sense", 0);
		return;
	}
	if (!report->good || rest == 0)
		return;
	*body = malloc(rest);
	if (*body == NULL)
		fetch_fail(report, "out of memory", 0);
	else
		memcpy(*body, output->bytes + sizeof(*report), rest);
}

void fetch_run(const struct fetch_job *job, struct waker *waker, const _Atomic bool *stopping,
	       struct fetch_report *report, uint8_t **body)
{
	CHECK(job->body_bytes_max <= FETCH_BODY_BYTES_MAX);
	struct output output = {.most = sizeof(*report) + job->body_bytes_max + 1};
	pid_t process = 0;
	int status = 0;
	*body = NULL;
	*report = (struct fetch_report){0};
	int fd = start_fetcher(job, &process, report);
	if (fd < 0)
		return;
	CHECK(process > 0);
	bool ended = fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && read_output(fd, waker, stopping, &output, report);
	if (!ended)
		kill(process, SIGKILL);
	close(fd); /* a process that still writes gets SIGPIPE */
	while (waitpid(process, &status, 0) < 0 && errno == EINTR)
		;
	if (ended)
		take_report(&output, status, report, body);
	free(output.bytes);
}
