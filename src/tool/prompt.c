#include "tool/prompt.h"

#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* Byte by byte, so that what follows the line is left for the next reader. */
static const char *read_line(char line[PROMPT_BYTES_MAX])
{
	size_t size = 0;
	for (;;) {
		char byte;
		ssize_t got = read(STDIN_FILENO, &byte, 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return strerror(errno); /* NOLINT(concurrency-mt-unsafe): one thread */
		if (got == 0 || byte == '\n')
			break;
		if (byte == '\0')
			return "the password contains a null character";
		if (size == PROMPT_BYTES_MAX - 1)
			return "the password is too long";
		line[size++] = byte;
	}
	line[size] = '\0';
	return size != 0 ? NULL : "the password is empty";
}

static const char *ask(const char *question, char line[PROMPT_BYTES_MAX])
{
	fputs(question, stderr);
	const char *fault = read_line(line);
	fputc('\n', stderr); /* the terminal did not show the one that was typed */
	return fault;
}

static const char *ask_twice(char password[PROMPT_BYTES_MAX])
{
	char again[PROMPT_BYTES_MAX];
	const char *fault = ask("Password: ", password);
	if (fault == NULL)
		fault = ask("Again: ", again);
	if (fault == NULL && strcmp(password, again) != 0)
		fault = "the two passwords are not the same";
	sodium_memzero(again, sizeof(again));
	return fault;
}

const char *prompt_password(char password[PROMPT_BYTES_MAX])
{
	struct termios shown;
	if (tcgetattr(STDIN_FILENO, &shown) != 0)
		return read_line(password);
	/* An interrupt now would leave the terminal without echo: signals wait until the answer has come. */
	sigset_t stops, before;
	sigemptyset(&stops);
	sigaddset(&stops, SIGINT);
	sigaddset(&stops, SIGTERM);
	sigaddset(&stops, SIGTSTP);
	sigprocmask(SIG_BLOCK, &stops, &before);
	struct termios hidden = shown;
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
	const char *fault = ask_twice(password);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return fault;
}
