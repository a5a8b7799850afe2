#include "doctor/child.h"

#include "base/clock.h"
#include "doctor/reading.h"
#include "doctor/root.h"
#include "doctor/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_MS_MAX 30000u
#define STOP_MS_MAX 10000u
#define STOP_LOOK_NS 5000000

static const char LISTENING[] = "listening on tcp://127.0.0.1:";

/* In the child: async-signal-safe calls only, until exec. */
static _Noreturn void become_server(int log, const char *connections, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() == parent && dup2(log, STDERR_FILENO) == STDERR_FILENO &&
	    dup2(log, STDOUT_FILENO) == STDOUT_FILENO)
		execl("/proc/self/exe", "roost", "serve", "--listen", "tcp://127.0.0.1:0", "--connections", connections,
		      (char *)NULL);
	_exit(127);
}

static void take_line(struct child *child)
{
	child->line[child->line_size] = '\0';
	const char *at = strstr(child->line, LISTENING);
	if (at != NULL)
		child->port = (uint16_t)strtoul(at + strlen(LISTENING), NULL, 10);
	const char *last = strrchr(child->line, ' ');
	child->ready = child->ready || (last != NULL && strcmp(last, " ready") == 0);
	child->line_ended = true;
}

static void take_bytes(struct child *child, const char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (child->line_ended && bytes[i] != '\n') {
			child->line_ended = false;
			child->line_size = 0;
		}
		if (bytes[i] == '\n' && !child->line_ended)
			take_line(child);
		else if (bytes[i] != '\n' && child->line_size + 1 < CHILD_LINE_BYTES)
			child->line[child->line_size++] = bytes[i];
	}
}

/* False: it has closed its end. */
static bool read_log(struct child *child)
{
	char bytes[4096];
	ssize_t got;
	while ((got = read(child->log, bytes, sizeof(bytes))) > 0)
		take_bytes(child, bytes, (size_t)got);
	return got < 0 && (errno == EAGAIN || errno == EINTR);
}

void child_drain(struct child *child)
{
	read_log(child);
}

static bool await_ready(struct child *child)
{
	uint64_t until_ms = clock_now_ms() + START_MS_MAX;
	struct pollfd wait = {.fd = child->log, .events = POLLIN};
	while (!child->ready && clock_now_ms() < until_ms) {
		if (poll(&wait, 1, (int)(until_ms - clock_now_ms())) > 0 && !read_log(child))
			break;
	}
	return child->ready && child->port != 0;
}

bool child_start(struct child *child, uint64_t connections)
{
	char text[24];
	int log[2];
	*child = (struct child){.pid = -1, .log = -1, .line_ended = true};
	snprintf(text, sizeof(text), "%llu", (unsigned long long)connections);
	pid_t parent = getpid();
	if (pipe2(log, O_CLOEXEC) != 0 || (child->pid = fork()) < 0) {
		fprintf(stderr, "roost doctor: no server to measure: %s\n", strerror(errno));
		return false;
	}
	if (child->pid == 0)
		become_server(log[1], text, parent);
	close(log[1]);
	child->log = log[0];
	fcntl(child->log, F_SETFL, O_NONBLOCK);
	if (await_ready(child))
		return true;
	fprintf(stderr, "roost doctor: the server to be measured did not start; its last word: %.*s\n",
		(int)child->line_size, child->line);
	child_stop(child);
	return false;
}

void child_stop(struct child *child)
{
	static const struct timespec step = {.tv_nsec = STOP_LOOK_NS};
	uint64_t until_ms = clock_now_ms() + STOP_MS_MAX;
	kill(child->pid, SIGTERM);
	while (waitpid(child->pid, NULL, WNOHANG) == 0) {
		child_drain(child);
		if (clock_now_ms() >= until_ms)
			kill(child->pid, SIGKILL);
		nanosleep(&step, NULL);
	}
	close(child->log);
	child->pid = -1;
}

uint64_t child_cpu_ns(const struct child *child)
{
	clockid_t clock;
	struct timespec used;
	if (clock_getcpuclockid(child->pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
		return 0;
	return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

/* smaps_rollup counts the pages; VmRSS in status adds up counters that each processor may hold back. */
uint64_t child_resident_bytes(const struct child *child)
{
	struct root root = {.prefix = ""};
	char path[64];
	struct slice text;
	uint8_t *buffer = malloc(ROOT_FILE_BYTES_MAX);
	uint64_t bytes = 0;
	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)child->pid);
	if (buffer != NULL && root_read(&root, path, buffer, &text) == ERROR_OK && text_find(text, "Rss:", &text))
		bytes = reading_used(reading_word(text, 0));
	free(buffer);
	return bytes;
}
