#include "doctor/plan/test_server.h"

#include "base/check.h"
#include "base/clock.h"
#include "doctor/machine/reading.h"
#include "doctor/machine/root.h"
#include "doctor/machine/text.h"

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

#define AFTER_SCHEME "://127.0.0.1:"

/* In the child: async-signal-safe calls only, until exec. */
static _Noreturn void become_server(int log, const char *connections, const char *listen, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() == parent && dup2(log, STDERR_FILENO) == STDERR_FILENO &&
	    dup2(log, STDOUT_FILENO) == STDOUT_FILENO)
		execl("/proc/self/exe", "roost", "serve", "--listen", listen, "--connections", connections,
		      (char *)NULL);
	_exit(127);
}

static void take_line(struct test_server *server)
{
	CHECK(server->line_size < TEST_SERVER_LINE_BYTES);
	server->line[server->line_size] = '\0';
	const char *listening = strstr(server->line, "listening on ");
	const char *at = listening != NULL ? strstr(listening, AFTER_SCHEME) : NULL;
	if (at != NULL)
		server->port = (uint16_t)strtoul(at + strlen(AFTER_SCHEME), NULL, 10);
	const char *last = strrchr(server->line, ' ');
	server->ready = server->ready || (last != NULL && strcmp(last, " ready") == 0);
	server->line_ended = true;
}

static void take_bytes(struct test_server *server, const char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (server->line_ended && bytes[i] != '\n') {
			server->line_ended = false;
			server->line_size = 0;
		}
		if (bytes[i] == '\n' && !server->line_ended)
			take_line(server);
		else if (bytes[i] != '\n' && server->line_size + 1 < TEST_SERVER_LINE_BYTES)
			server->line[server->line_size++] = bytes[i];
	}
}

/* False: the server has closed its end. */
static bool read_log(struct test_server *server)
{
	char bytes[4096];
	ssize_t got;
	while ((got = read(server->log, bytes, sizeof(bytes))) > 0)
		take_bytes(server, bytes, (size_t)got);
	return got < 0 && (errno == EAGAIN || errno == EINTR);
}

void test_server_drain(struct test_server *server)
{
	read_log(server);
}

static bool await_ready(struct test_server *server)
{
	uint64_t until_ms = clock_now_ms() + START_MS_MAX;
	struct pollfd wait = {.fd = server->log, .events = POLLIN};
	while (!server->ready && clock_now_ms() < until_ms) {
		if (poll(&wait, 1, (int)(until_ms - clock_now_ms())) > 0 && !read_log(server))
			break;
	}
	return server->ready && server->port != 0;
}

/* A certificate that the server makes for itself is to end with it: it finds no directory to keep it in. */
static void leave_no_certificate(void)
{
	unsetenv("STATE_DIRECTORY");
	unsetenv("HOME");
	setenv("XDG_STATE_HOME", "/dev/null/none", 1);
}

bool test_server_start(struct test_server *server, uint64_t connections, const char *scheme)
{
	char text[24];
	char listen[32];
	int log[2];
	*server = (struct test_server){.pid = -1, .log = -1, .line_ended = true};
	snprintf(text, sizeof(text), "%llu", (unsigned long long)connections);
	snprintf(listen, sizeof(listen), "%s" AFTER_SCHEME "0", scheme);
	leave_no_certificate();
	pid_t parent = getpid();
	if (pipe2(log, O_CLOEXEC) != 0 || (server->pid = fork()) < 0) {
		fprintf(stderr, "roost doctor: cannot start a server to measure: %s\n", strerror(errno));
		return false;
	}
	if (server->pid == 0)
		become_server(log[1], text, listen, parent);
	close(log[1]);
	server->log = log[0];
	fcntl(server->log, F_SETFL, O_NONBLOCK);
	if (await_ready(server))
		return true;
	fprintf(stderr, "roost doctor: the server to measure did not start; the last line of its log: %.*s\n",
		(int)server->line_size, server->line);
	test_server_stop(server);
	return false;
}

void test_server_stop(struct test_server *server)
{
	static const struct timespec step = {.tv_nsec = STOP_LOOK_NS};
	/* kill(-1) would end all that this user may end. */
	CHECK(server->pid > 0);
	uint64_t until_ms = clock_now_ms() + STOP_MS_MAX;
	kill(server->pid, SIGTERM);
	while (waitpid(server->pid, NULL, WNOHANG) == 0) {
		test_server_drain(server);
		if (clock_now_ms() >= until_ms)
			kill(server->pid, SIGKILL);
		nanosleep(&step, NULL);
	}
	close(server->log);
	server->pid = -1;
}

uint64_t test_server_cpu_ns(const struct test_server *server)
{
	clockid_t clock;
	struct timespec used;
	if (clock_getcpuclockid(server->pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
		return 0;
	return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

/* smaps_rollup counts the pages. VmRSS in status is a sum of counters, of which each processor may hold back a part. */
uint64_t test_server_resident_bytes(const struct test_server *server)
{
	struct root root = {.prefix = ""};
	char path[64];
	struct slice text;
	uint8_t *buffer = malloc(ROOT_FILE_BYTES_MAX);
	uint64_t bytes = 0;
	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)server->pid);
	if (buffer != NULL && root_read(&root, path, buffer, &text) == ERROR_OK && text_find(text, "Rss:", &text))
		bytes = reading_used(reading_word(text, 0));
	free(buffer);
	return bytes;
}
