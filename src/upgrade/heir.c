#include "upgrade/heir.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/layout_root.h"
#include "base/log.h"
#include "memory/notes.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

LAYOUT_ROOT(heir_note);

/* Why the next program has gone back. */
#define ENV_WHY "ROOST_UPGRADE_FAILED"
/* A program that takes longer than that to go on with the clients hangs. */
#define HEIR_SECONDS_MAX 5u

#define HEIR_STACK_BYTES ((size_t)64 << 10)

/* What the way back needs, ready for a signal's handler, which can be given nothing. Written by heir_begin() before any
 * other thread exists. */
static struct {
	char **arguments;
	char *environment[HEIR_ENVIRONMENT_MAX + 4];
	char root[64];
	char why[sizeof(ENV_WHY) + HEIR_WHY_BYTES];
	int program; /* -1: there is no way back */
} way_back = {.program = -1};

static const int FATAL_SIGNALS[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGALRM};
#define FATAL_SIGNAL_COUNT (sizeof(FATAL_SIGNALS) / sizeof(FATAL_SIGNALS[0]))

/* Safe in a signal's handler. */
static void execute_previous(void)
{
	alarm(0);
	syscall(SYS_execveat, way_back.program, "", way_back.arguments, way_back.environment, AT_EMPTY_PATH);
}

static void on_fatal_signal(int number)
{
	static const char text[] = "it was ended by signal ";
	char *at = way_back.why + sizeof(ENV_WHY);
	memcpy(at, text, sizeof(text) - 1);
	at += sizeof(text) - 1;
	if (number >= 10)
		*at++ = (char)('0' + number / 10);
	*at++ = (char)('0' + number % 10);
	*at = '\0';
	execute_previous();
	_exit(1);
}

/* The arguments of this process, as the kernel keeps them: what it was started with, whatever main has done to its own.
 */
static char **read_arguments(void)
{
	static char text[HEIR_ARGUMENTS_BYTES_MAX + 1];
	static char *words[HEIR_ARGUMENTS_MAX + 1];
	int file = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t size = file >= 0 ? read(file, text, sizeof(text) - 1) : -1;
	size_t count = 0;
	if (file >= 0)
		close(file);
	for (char *word = text; size > 0 && word < text + size && count < HEIR_ARGUMENTS_MAX; word += strlen(word) + 1)
		words[count++] = word;
	return count != 0 ? words : NULL;
}

static void prepare_way_back(const struct heir *heir)
{
	size_t count = 0;
	way_back.arguments = read_arguments();
	for (; environ[count] != NULL && count < HEIR_ENVIRONMENT_MAX; count++)
		way_back.environment[count] = environ[count];
	snprintf(way_back.root, sizeof(way_back.root), HEIR_ENV_ROOT "=%d -1", heir->root_fd);
	snprintf(way_back.why, sizeof(way_back.why), ENV_WHY "=");
	way_back.environment[count++] = way_back.root;
	way_back.environment[count++] = way_back.why;
	way_back.environment[count] = NULL;
	if (way_back.arguments != NULL)
		way_back.program = heir->program_fd;
}

/* On a stack of its own: what is wrong may be the stack. */
static void catch_fatal_signals(void)
{
	static uint8_t stack[HEIR_STACK_BYTES];
	stack_t other = {.ss_sp = stack, .ss_size = sizeof(stack)};
	struct sigaction action = {.sa_handler = on_fatal_signal, .sa_flags = (int)(SA_ONSTACK | SA_NODEFER)};
	CHECK(sigaltstack(&other, NULL) == 0);
	for (size_t i = 0; i < FATAL_SIGNAL_COUNT; i++)
		CHECK(sigaction(FATAL_SIGNALS[i], &action, NULL) == 0);
	alarm(HEIR_SECONDS_MAX);
}

void heir_begin(struct heir *heir)
{
	*heir = (struct heir){.root_fd = -1, .program_fd = -1};
	const char *fds = getenv(HEIR_ENV_ROOT);
	const char *why = getenv(ENV_WHY);
	if (fds != NULL && sscanf(fds, "%d %d", &heir->root_fd, &heir->program_fd) != 2)
		heir->root_fd = heir->program_fd = -1;
	if (why != NULL)
		snprintf(heir->why, sizeof(heir->why), "the new program could not go on: %.400s", why);
	unsetenv(HEIR_ENV_ROOT);
	unsetenv(ENV_WHY);
	if (heir->root_fd < 0 || heir->program_fd < 0)
		return;
	prepare_way_back(heir);
	catch_fatal_signals();
}

bool heir_read(struct heir *heir, const struct notes *notes)
{
	if (!notes_get_exact(notes, HEIR_SCOPE, "heir", &heir->note, sizeof(heir->note)))
		return false;
	heir->note.from[sizeof(heir->note.from) - 1] = '\0';
	return true;
}

bool heir_test_point(const struct heir *heir)
{
#ifdef ROOST_TEST_HOOKS
	const char *wanted = getenv("ROOST_TEST_UPGRADE");
	if (wanted == NULL || !heir_is_one(heir) || heir->why[0] != '\0')
		return true;
	if (strcmp(wanted, "crash") == 0)
		CHECK(raise(SIGSEGV) == 0);
	while (strcmp(wanted, "hang") == 0)
		pause();
	return strcmp(wanted, "fail") != 0;
#else
	(void)heir;
	return true;
#endif
}

void heir_go_back(const char *why)
{
	if (way_back.program < 0)
		return;
	snprintf(way_back.why, sizeof(way_back.why), ENV_WHY "=%s", why);
	fflush(NULL);
	execute_previous();
	log_write(LOG_ERROR, "the previous program cannot be started again: %s", strerror(errno));
	way_back.program = -1;
}

static uint64_t between_us(uint64_t from_ns, uint64_t until_ns)
{
	return from_ns != 0 && until_ns > from_ns ? (until_ns - from_ns) / 1000u : 0;
}

void heir_takes_over(struct heir *heir)
{
	alarm(0);
	way_back.program = -1;
	if (heir->program_fd < 0)
		return;
	for (size_t i = 0; i < FATAL_SIGNAL_COUNT; i++)
		CHECK(signal(FATAL_SIGNALS[i], SIG_DFL) != SIG_ERR);
	crash_catch_signals(); /* theirs were replaced meanwhile */
	close(heir->program_fd);
	heir->program_fd = -1;
}

void heir_serves(const struct heir *heir)
{
	const struct heir_note *note = &heir->note;
	uint64_t now_ns = clock_now_ns();
	if (heir->why[0] != '\0') {
		log_always(LOG_ERROR, "not upgraded: %s", heir->why);
		return;
	}
	log_always(
		LOG_INFO,
		"upgraded from %s to %s: %lu clients, silent for %.1f ms (quiet after %.1f, frozen after %.1f, noted "
		"after %.1f, serving after that %.1f); closed before they had signed in: %u",
		note->from, ROOST_VERSION, note->clients, (double)between_us(note->quiet_from_ns, now_ns) / 1e3,
		(double)between_us(note->quiet_from_ns, note->quiet_ns) / 1e3,
		(double)between_us(note->quiet_ns, note->frozen_ns) / 1e3,
		(double)between_us(note->frozen_ns, note->execve_ns) / 1e3,
		(double)between_us(note->execve_ns, now_ns) / 1e3, note->closed);
}
