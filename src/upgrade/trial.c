#include "upgrade/trial.h"

#include "base/check.h"
#include "base/clock.h"
#include "layout/adoption.h"
#include "layout/memory_layout.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ENV_TRIAL "ROOST_UPGRADE_TRIAL"
/* The first word of the answer, and the version of its form. */
#define ANSWER "roost-upgrade 1"
#define ANSWER_BYTES_MAX ((size_t)256 << 10)
/* What follows in its first line where the child was asked: whether it can go on with memory of the asker's layout.
 * Behind ACCEPTS " TYPE" if there is something to convert, behind REFUSES " SENTENCE". */
#define ACCEPTS " accepts"
#define REFUSES " refuses"
#define EXIT_NO_PROGRAM 127
/* Ends what stands before the text of a line of the log that tells an error (base/log.h). */
#define LOG_MARK "Z error   "
#define LOG_TIME_BYTES_MAX 32

static bool trial_refuses(struct trial *trial, const char *path, const char *why)
{
	snprintf(trial->why, sizeof(trial->why), "%.200s %s", path, why);
	return false;
}

/* A program for this machine, by the head of its file. A script is none: what it would start is another file. */
static const char *why_no_program(const char *path)
{
	Elf64_Ehdr ours;
	Elf64_Ehdr theirs;
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	bool good = file >= 0 && read(file, &ours, sizeof(ours)) == (ssize_t)sizeof(ours);
	if (file >= 0)
		close(file);
	file = open(path, O_RDONLY | O_CLOEXEC);
	bool is_read = file >= 0 && read(file, &theirs, sizeof(theirs)) == (ssize_t)sizeof(theirs);
	if (file >= 0)
		close(file);
	if (!is_read || memcmp(theirs.e_ident, ELFMAG, SELFMAG) != 0)
		return "is not a program (ELF)";
	if (good && (theirs.e_machine != ours.e_machine || theirs.e_ident[EI_CLASS] != ours.e_ident[EI_CLASS]))
		return "is a program for another machine";
	return NULL;
}

bool trial_may_run(const char *path, struct trial *trial)
{
	struct stat status;
	*trial = (struct trial){.why = ""};
	if (path[0] != '/')
		return trial_refuses(trial, path, "is not an absolute path");
	if (stat(path, &status) != 0)
		return trial_refuses(trial, path, strerror(errno));
	if (!S_ISREG(status.st_mode))
		return trial_refuses(trial, path, "is not a regular file");
	if (status.st_uid != 0 && status.st_uid != geteuid())
		return trial_refuses(trial, path, "belongs neither to root nor to the server's user");
	if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return trial_refuses(trial, path, "may be written by others");
	if (access(path, X_OK) != 0)
		return trial_refuses(trial, path, "may not be executed");
	const char *why = why_no_program(path);
	return why == NULL || trial_refuses(trial, path, why);
}

/* ---- the child's answer ---- */

struct trial_output {
	char *text; /* NUL-terminated */
	size_t size;
};

/* Reads both pipes until they end or the time is over. False: it is over. */
static bool read_outputs(const int fds[2], struct trial_output outputs[2], uint64_t until_ms)
{
	struct pollfd polled[2] = {{.fd = fds[0], .events = POLLIN}, {.fd = fds[1], .events = POLLIN}};
	while (polled[0].fd >= 0 || polled[1].fd >= 0) {
		uint64_t now_ms = clock_now_ms();
		if (now_ms >= until_ms)
			return false;
		poll(polled, 2, (int)(until_ms - now_ms));
		for (size_t i = 0; i < 2; i++) {
			struct trial_output *output = &outputs[i];
			if (polled[i].fd < 0 || polled[i].revents == 0)
				continue;
			char rest[256];
			bool fits = output->size < ANSWER_BYTES_MAX - 1;
			ssize_t got = fits ? read(polled[i].fd, output->text + output->size,
						  ANSWER_BYTES_MAX - 1 - output->size)
					   : read(polled[i].fd, rest, sizeof(rest));
			if (got <= 0)
				polled[i].fd = -1;
			else if (fits)
				output->size += (size_t)got;
			output->text[output->size] = '\0';
		}
	}
	return true;
}

/* Waits for the child's end within the time; kills it otherwise. */
static bool await_end(pid_t child, uint64_t until_ms, int *status)
{
	static const struct timespec nap = {.tv_nsec = 2000000};
	for (;;) {
		pid_t ended = waitpid(child, status, WNOHANG);
		if (ended == child)
			return true;
		if (ended < 0 && errno != EINTR)
			return false;
		if (clock_now_ms() >= until_ms)
			break;
		clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
	}
	kill(child, SIGKILL);
	while (waitpid(child, status, 0) < 0 && errno == EINTR)
		;
	return false;
}

/* The last line of what the child complained of; "": of nothing. */
static const char *last_line(struct trial_output *errors)
{
	while (errors->size != 0 && errors->text[errors->size - 1] == '\n')
		errors->text[--errors->size] = '\0';
	const char *line = strrchr(errors->text, '\n');
	line = line != NULL ? line + 1 : errors->text;
	/* The log's time and level are told once more with the whole sentence. */
	const char *mark = strstr(line, LOG_MARK);
	return mark != NULL && mark - line < LOG_TIME_BYTES_MAX ? mark + sizeof(LOG_MARK) - 1 : line;
}

static bool refuse_layout(const char *path, const char *reason, struct trial *trial)
{
	snprintf(trial->why, sizeof(trial->why),
		 "%.100s (%s) keeps its clients in another way than this program, so that only a restart brings it: "
		 "%.240s",
		 path, trial->version, reason);
	return false;
}

/* Its layout is another one. verdict: what follows the hash. A program that has not judged ours, because it is older,
 * would misread it; what differs first is the reason then. */
static bool judge_layout(const char *path, const char *verdict, const char *text, struct trial *trial)
{
	char difference[300] = "the meaning of something has changed";
	if (strncmp(verdict, ACCEPTS, sizeof(ACCEPTS) - 1) == 0) {
		const char *type = verdict + sizeof(ACCEPTS) - 1;
		snprintf(trial->converts, sizeof(trial->converts), "%.127s", *type == ' ' ? type + 1 : type);
		return true;
	}
	if (strncmp(verdict, REFUSES " ", sizeof(REFUSES)) == 0)
		return refuse_layout(path, verdict + sizeof(REFUSES), trial);
	memory_layout_difference(memory_layout_text(), text, difference, sizeof(difference));
	return refuse_layout(path, difference, trial);
}

/* "roost-upgrade 1 VERSION HASH VERDICT", what it says of its store, and below it the text of its layout. */
static bool judge_answer(const char *path, char *answer, struct trial *trial)
{
	unsigned long hash = 0;
	int end = 0;
	char *store = strchr(answer, '\n');
	char *text = store != NULL ? strchr(store + 1, '\n') : NULL;
	if (text == NULL || strncmp(answer, ANSWER " ", sizeof(ANSWER)) != 0)
		return trial_refuses(trial, path, "does not know how to go on with another program's clients");
	*store++ = '\0';
	*text++ = '\0';
	snprintf(trial->storage, sizeof(trial->storage), "%s", store);
	if (sscanf(answer + sizeof(ANSWER), "%63s %lx%n", trial->version, &hash, &end) != 2)
		return trial_refuses(trial, path, "does not say what it is");
	return hash == memory_layout_hash() || judge_layout(path, answer + sizeof(ANSWER) + end, text, trial);
}

static bool judge_end(const char *path, int status, struct trial_output outputs[2], struct trial *trial)
{
	if (WIFSIGNALED(status))
		snprintf(trial->why, sizeof(trial->why), "%.200s was ended by signal %d while it was tried", path,
			 WTERMSIG(status));
	else if (WEXITSTATUS(status) == EXIT_NO_PROGRAM && outputs[1].size == 0)
		snprintf(trial->why, sizeof(trial->why), "%.200s cannot be executed", path);
	else if (WEXITSTATUS(status) != 0)
		snprintf(trial->why, sizeof(trial->why), "%.200s ended with exit status %d while it was tried: %.250s",
			 path, WEXITSTATUS(status), last_line(&outputs[1]));
	else
		return judge_answer(path, outputs[0].text, trial);
	return false;
}

/* ---- running it ---- */

static char **trial_environment(void)
{
	static char mark[] = ENV_TRIAL "=1";
	size_t count = 0;
	while (environ[count] != NULL)
		count++;
	char **words = calloc(count + 2, sizeof(*words));
	if (words != NULL) {
		memcpy(words, environ, count * sizeof(*words));
		words[count] = mark;
	}
	return words;
}

static char **trial_arguments(const char *path, char *const arguments[])
{
	size_t count = 0;
	while (arguments[count] != NULL)
		count++;
	char **words = calloc(count + 2, sizeof(*words));
	if (words != NULL) {
		words[0] = (char *)(uintptr_t)path;
		memcpy(words + 1, arguments, count * sizeof(*words));
	}
	return words;
}

/* What the child judges, as it reads it on stdin: "VERSION\n", and the text of this program's layout. A file, so that
 * nobody waits for a child that does not read. -1: errno. */
static int open_question(void)
{
	const char *text = memory_layout_text();
	int file = memfd_create("roost layout", MFD_CLOEXEC);
	if (file < 0)
		return -1;
	if (dprintf(file, "%u\n%s", MEMORY_LAYOUT_VERSION, text) > 0 && lseek(file, 0, SEEK_SET) == 0)
		return file;
	close(file);
	return -1;
}

/* errno-like result of posix_spawn(). The child has the default disposition and an empty mask of signals. */
static int spawn(const char *path, char *const words[], char *const environment[], const int fds[3], pid_t *child)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	sigset_t all;
	sigemptyset(&none);
	sigfillset(&all);
	CHECK(posix_spawn_file_actions_init(&actions) == 0 && posix_spawnattr_init(&attributes) == 0);
	for (int i = 0; i < 3; i++)
		CHECK(posix_spawn_file_actions_adddup2(&actions, fds[i], i) == 0);
	CHECK(posix_spawnattr_setsigmask(&attributes, &none) == 0);
	CHECK(posix_spawnattr_setsigdefault(&attributes, &all) == 0);
	CHECK(posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF) == 0);
	int failure = posix_spawn(child, path, &actions, &attributes, words, environment);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return failure;
}

static bool watch(const char *path, pid_t child, const int fds[2], struct trial *trial)
{
	struct trial_output outputs[2] = {{calloc(1, ANSWER_BYTES_MAX), 0}, {calloc(1, ANSWER_BYTES_MAX), 0}};
	uint64_t until_ms = clock_now_ms() + TRIAL_SECONDS_MAX * 1000u;
	int status = 0;
	CHECK(outputs[0].text != NULL && outputs[1].text != NULL);
	bool in_time = read_outputs(fds, outputs, until_ms);
	in_time = await_end(child, in_time ? until_ms : 0, &status) && in_time;
	bool good;
	if (in_time)
		good = judge_end(path, status, outputs, trial);
	else {
		snprintf(trial->why, sizeof(trial->why), "%.200s did not answer within %u s", path, TRIAL_SECONDS_MAX);
		good = false;
	}
	free(outputs[0].text);
	free(outputs[1].text);
	return good;
}

/* Both ends of what is between a child and its parent; -1: none. */
struct trial_pipes {
	int question;
	int out[2];
	int err[2];
};

static bool open_pipes(struct trial_pipes *pipes)
{
	*pipes = (struct trial_pipes){.question = open_question(), .out = {-1, -1}, .err = {-1, -1}};
	return pipes->question >= 0 && pipe2(pipes->out, O_CLOEXEC) == 0 && pipe2(pipes->err, O_CLOEXEC) == 0;
}

static void close_end(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void close_pipes(struct trial_pipes *pipes)
{
	close_end(&pipes->question);
	for (size_t i = 0; i < 2; i++) {
		close_end(&pipes->out[i]);
		close_end(&pipes->err[i]);
	}
}

static bool try_child(const char *path, char *const words[], char *const environment[], struct trial_pipes *pipes,
		      struct trial *trial)
{
	pid_t child;
	int failure =
		spawn(path, words, environment, (const int[3]){pipes->question, pipes->out[1], pipes->err[1]}, &child);
	close_end(&pipes->out[1]);
	close_end(&pipes->err[1]);
	if (failure != 0)
		return trial_refuses(trial, path,
				     failure == ENOEXEC ? "is not a program for this machine" : strerror(failure));
	return watch(path, child, (const int[2]){pipes->out[0], pipes->err[0]}, trial);
}

bool trial_run(const char *path, char *const arguments[], struct trial *trial)
{
	struct trial_pipes pipes;
	*trial = (struct trial){.why = ""};
	char **words = trial_arguments(path, arguments);
	char **environment = trial_environment();
	bool good = open_pipes(&pipes) && words != NULL && environment != NULL
			    ? try_child(path, words, environment, &pipes, trial)
			    : trial_refuses(trial, path, strerror(errno));
	close_pipes(&pipes);
	free(words);
	free(environment);
	return good;
}

/* ---- the child ---- */

bool trial_is_one(void)
{
	bool is_one = getenv(ENV_TRIAL) != NULL;
	unsetenv(ENV_TRIAL);
	return is_one;
}

/* The other program's layout, from stdin; on the heap. NULL: it does not ask, since it is older, and refuses another
 * layout itself. */
static char *read_question(void)
{
	struct stat status;
	if (fstat(STDIN_FILENO, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size <= 0 ||
	    (size_t)status.st_size >= ANSWER_BYTES_MAX)
		return NULL;
	size_t size = (size_t)status.st_size;
	char *text = calloc(1, size + 1);
	CHECK(text != NULL);
	if (pread(STDIN_FILENO, text, size, 0) == (ssize_t)size)
		return text;
	free(text);
	return NULL;
}

/* What follows the hash in the answer: "", or what becomes of memory with that layout. */
static void judge_question(const char *question, char *verdict, size_t size)
{
	char sentence[TRIAL_WHY_BYTES];
	unsigned version;
	int end = 0;
	verdict[0] = '\0';
	if (question == NULL || sscanf(question, "%u%n", &version, &end) != 1 || question[end] != '\n')
		return;
	if (!layout_accepts(question + end + 1, version, sentence, sizeof(sentence)))
		snprintf(verdict, size, REFUSES " %s", sentence);
	else
		snprintf(verdict, size, ACCEPTS "%s%s", sentence[0] != '\0' ? " " : "", sentence);
}

int trial_answer(const char *storage)
{
	char verdict[sizeof(REFUSES " ") + TRIAL_WHY_BYTES];
	char *question = read_question();
	judge_question(question, verdict, sizeof(verdict));
	free(question);
	printf(ANSWER " %s %lx%s\n%s\n%s", ROOST_VERSION, memory_layout_hash(), verdict, storage, memory_layout_text());
	return fflush(stdout) == 0 ? 0 : 1;
}
