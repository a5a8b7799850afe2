#include "bench/report/progress.h"

#include "base/clock.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SHOW_EVERY_NS 1000000000u
#define BAR_CELLS 24u

/* The one exception to "no mutable globals": a signal handler has no other way to report, and a process has one stderr.
 */
static volatile sig_atomic_t interrupted;
static uint64_t shown_ns;
static const char *shown_phase;
static bool bar_open;

void progress_show(const char *phase, double done, const char *format, ...)
{
	uint64_t now = clock_now_ns();
	char text[256];
	if (phase == shown_phase && now - shown_ns < SHOW_EVERY_NS)
		return;
	shown_ns = now;
	shown_phase = phase;
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (!isatty(STDERR_FILENO)) {
		fprintf(stderr, "%s: %s\n", phase, text);
		return;
	}
	char bar[BAR_CELLS + 1];
	uint32_t full = done >= 1.0 ? BAR_CELLS : done <= 0.0 ? 0 : (uint32_t)(done * BAR_CELLS);
	memset(bar, '#', full);
	memset(bar + full, '.', BAR_CELLS - full);
	bar[BAR_CELLS] = '\0';
	fprintf(stderr, "\r[%s] %s: %s\033[K", bar, phase, text);
	bar_open = true;
}

void progress_end(void)
{
	if (bar_open)
		fputc('\n', stderr);
	bar_open = false;
	shown_phase = NULL;
}

static void progress_on_signal(int signal)
{
	(void)signal;
	interrupted = 1;
}

void progress_catch_signals(void)
{
	struct sigaction action = {.sa_handler = progress_on_signal, .sa_flags = (int)SA_RESETHAND};
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

bool progress_interrupted(void)
{
	return interrupted != 0;
}

void progress_sleep_ms(uint32_t ms)
{
	struct timespec rest = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
	nanosleep(&rest, NULL);
}
