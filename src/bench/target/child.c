#include "bench/target/child.h"

#include "bench/dial/dial.h"

#include "base/check.h"
#include "base/clock.h"
#include "reactor/fdtable.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOK_EVERY_NS 1000000
#define LOG_SHOWN_BYTES 4096

const char *const CHILD_OWN_SERVER[] = {
	"/proc/self/exe",       "serve",   "--listen",          "@URL@",     "--admin", "off", "--store", "@STORE@",
	"--queue-messages-max", "1000000", "--queue-bytes-max", "268435455", NULL};

/* The place-holder that `at` begins with, or NULL; *length is its size. */
static const char *place_holder(const char *at, const char *const (*holders)[2], size_t count, size_t *length)
{
	for (size_t i = 0; i < count; i++) {
		*length = strlen(holders[i][0]);
		if (strncmp(at, holders[i][0], *length) == 0)
			return holders[i][1];
	}
	return NULL;
}

/* Appends a word to the text with its place-holders filled in. Returns false if there is no room. */
static bool add_word(struct child *child, size_t *used, const char *word, const char *const (*holders)[2], size_t count)
{
	size_t begin = *used;
	while (*word != '\0') {
		size_t length;
		const char *value = place_holder(word, holders, count, &length);
		size_t size = value != NULL ? strlen(value) : 1;
		if (*used + size + 1 > sizeof(child->text))
			return false;
		memcpy(child->text + *used, value != NULL ? value : word, size);
		*used += size;
		word += value != NULL ? length : 1;
	}
	if (*used + 1 > sizeof(child->text))
		return false;
	child->text[(*used)++] = '\0';
	uint32_t index = 0;
	while (child->words[index] != NULL)
		index++;
	CHECK(index < CHILD_WORDS_MAX);
	child->words[index] = child->text + begin;
	return true;
}

const char *child_plan(struct child *child, const char *const *words, const char *store)
{
	char port[8];
	char url[32];
	*child = (struct child){.log = -1, .port = dial_draw_port()};
	snprintf(port, sizeof(port), "%u", (unsigned int)child->port);
	snprintf(url, sizeof(url), "tcp://127.0.0.1:%u", (unsigned int)child->port);
	const char *const holders[][2] = {{"@PORT@", port}, {"@URL@", url}, {"@STORE@", store}};
	struct url target = {.host = "127.0.0.1", .port = child->port};
	if (child->port == 0 || url_resolve(&target, &child->address) != NULL)
		return "there is no free port";
	size_t used = 0;
	for (uint32_t i = 0; words[i] != NULL; i++) {
		if (i == CHILD_WORDS_MAX || !add_word(child, &used, words[i], holders, 3))
			return "the command is too long";
	}
	return NULL;
}

/* In the child: async-signal-safe calls only, until exec. */
static _Noreturn void become_server(const struct child *child, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	int nothing = open("/dev/null", O_RDONLY);
	if (getppid() == parent && dup2(nothing, STDIN_FILENO) >= 0 && dup2(child->log, STDOUT_FILENO) >= 0 &&
	    dup2(child->log, STDERR_FILENO) >= 0)
		execvp(child->words[0], child->words);
	dprintf(STDERR_FILENO, "%s: %s\n", child->words[0], strerror(errno));
	_exit(127);
}

bool child_start(struct child *child)
{
	CHECK(child->pid == 0 && child->words[0] != NULL);
	pid_t parent = getpid();
	if (child->log >= 0)
		close(child->log);
	child->log = memfd_create("log", MFD_CLOEXEC);
	/* Children inherit it. */
	fdtable_raise_limit();
	child->pid = child->log >= 0 ? fork() : -1;
	if (child->pid == 0)
		become_server(child, parent);
	if (child->pid > 0)
		return true;
	fprintf(stderr, "roost bench: %s: %s\n", child->words[0], strerror(errno));
	child->pid = 0;
	return false;
}

void child_print_log(const struct child *child)
{
	char text[LOG_SHOWN_BYTES];
	off_t size = lseek(child->log, 0, SEEK_END);
	off_t from = size > LOG_SHOWN_BYTES ? size - LOG_SHOWN_BYTES : 0;
	ssize_t got = pread(child->log, text, sizeof(text), from);
	fprintf(stderr, "%.*s", got > 0 ? (int)got : 0, text);
}

uint32_t child_log_count(const struct child *child, const char *text)
{
	uint32_t count = 0;
	off_t size = child->log >= 0 ? lseek(child->log, 0, SEEK_END) : 0;
	char *all = size > 0 ? calloc(1, (size_t)size + 1) : NULL;
	if (all == NULL)
		return 0;
	ssize_t got = pread(child->log, all, (size_t)size, 0);
	for (const char *at = got > 0 ? strstr(all, text) : NULL; at != NULL; at = strstr(at + 1, text))
		count++;
	free(all);
	return count;
}

bool child_wait_accepting(struct child *child, uint64_t timeout_ns)
{
	static const struct timespec rest = {.tv_nsec = LOOK_EVERY_NS};
	uint64_t end_ns = clock_now_ns() + timeout_ns;
	CHECK(child->pid > 0);
	while (dial_probe(&child->address) != 0) {
		bool ended = waitpid(child->pid, NULL, WNOHANG) == child->pid;
		if (ended)
			child->pid = 0;
		if (ended || clock_now_ns() > end_ns) {
			fprintf(stderr, "roost bench: %s %s:\n", child->words[0],
				ended ? "ended when it should have started" : "does not accept connections");
			child_print_log(child);
			return false;
		}
		nanosleep(&rest, NULL);
	}
	return true;
}

bool child_end(struct child *child, int signal, uint64_t timeout_ns)
{
	static const struct timespec rest = {.tv_nsec = LOOK_EVERY_NS / 4};
	uint64_t end_ns = clock_now_ns() + timeout_ns;
	int status = 0;
	CHECK(child->pid > 0);
	kill(child->pid, signal);
	pid_t got;
	while ((got = waitpid(child->pid, &status, WNOHANG)) == 0 || (got < 0 && errno == EINTR)) {
		if (clock_now_ns() > end_ns) {
			kill(child->pid, SIGKILL);
			waitpid(child->pid, NULL, 0);
			child->pid = 0;
			return false;
		}
		nanosleep(&rest, NULL);
	}
	child->pid = 0;
	return (WIFSIGNALED(status) && WTERMSIG(status) == signal) || (WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

void child_close(struct child *child)
{
	if (child->pid > 0)
		child_end(child, SIGKILL, UINT64_MAX / 4);
	if (child->log >= 0)
		close(child->log);
	child->log = -1;
}
