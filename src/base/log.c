#include "base/log.h"

#include "base/check.h"

#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES_MAX 1024

static const char *const LEVEL_NAMES[] = {"error", "warning", "info", "debug"};
#define LEVEL_COUNT (sizeof(LEVEL_NAMES) / sizeof(LEVEL_NAMES[0]))

_Static_assert(LEVEL_COUNT == LOG_DEBUG + 1, "each level has a name");
_Static_assert(LINE_BYTES_MAX <= PIPE_BUF, "a pipe that can be written to at all takes a line whole");

static _Atomic int log_level = LOG_INFO;
/* Errors have lines of their own, so that nobody outside can hide them behind others. */
static struct log_budget {
	_Atomic long second;
	_Atomic unsigned lines;
} log_budgets[2];
static _Atomic unsigned log_suppressed;

void log_level_set(enum log_level level)
{
	atomic_store_explicit(&log_level, (int)level, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&log_level, memory_order_relaxed);
}

/* True while this second has written fewer than LOG_LINES_PER_SECOND lines. */
static bool log_within_rate(enum log_level level, long second)
{
	struct log_budget *budget = &log_budgets[level == LOG_ERROR];
	long current = atomic_load(&budget->second);
	if (current != second && atomic_compare_exchange_strong(&budget->second, &current, second))
		atomic_store(&budget->lines, 0);
	return atomic_fetch_add(&budget->lines, 1) < LOG_LINES_PER_SECOND;
}

static size_t log_write_prefix(char *line, const struct timespec *now, enum log_level level)
{
	struct tm utc;
	gmtime_r(&now->tv_sec, &utc);
	size_t used = strftime(line, LINE_BYTES_MAX, "%Y-%m-%dT%H:%M:%S", &utc);
	int more = snprintf(line + used, LINE_BYTES_MAX - used, ".%03ldZ %-7s ", now->tv_nsec / 1000000,
			    LEVEL_NAMES[level]);
	return used + (size_t)more;
}

/* Part of a message may come from outside, such as a client id. It must not be able to forge a line. */
static void log_hide_control_characters(char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			text[i] = '?';
	}
}

__attribute__((format(printf, 3, 0))) static void log_line(const struct timespec *now, enum log_level level,
							   const char *format, va_list arguments)
{
	char line[LINE_BYTES_MAX];
	size_t used = log_write_prefix(line, now, level);
	unsigned suppressed = atomic_exchange(&log_suppressed, 0);
	if (suppressed != 0)
		used += (size_t)snprintf(line + used, sizeof(line) - used, "(%u lines left out) ", suppressed);

	int more = vsnprintf(line + used, sizeof(line) - used - 1, format, arguments);
	used += more < 0 ? 0 : (size_t)more;
	if (used > sizeof(line) - 2)
		used = sizeof(line) - 2;
	log_hide_control_characters(line, used);
	CHECK_LT(used, sizeof(line));
	line[used++] = '\n';
	/* A log that nobody reads must not stop the gateway, so a line is dropped where write() would block. */
	struct pollfd descriptor = {.fd = STDERR_FILENO, .events = POLLOUT};
	if (poll(&descriptor, 1, 0) == 0) {
		atomic_fetch_add(&log_suppressed, 1);
		return;
	}
	ssize_t written = write(STDERR_FILENO, line, used);
	(void)written;
}

void log_write(enum log_level level, const char *format, ...)
{
	if (!log_enabled(level))
		return;
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	if (!log_within_rate(level, (long)now.tv_sec)) {
		atomic_fetch_add(&log_suppressed, 1);
		return;
	}
	va_list arguments;
	va_start(arguments, format);
	log_line(&now, level, format, arguments);
	va_end(arguments);
}

void log_always(enum log_level level, const char *format, ...)
{
	if (!log_enabled(level))
		return;
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	va_list arguments;
	va_start(arguments, format);
	log_line(&now, level, format, arguments);
	va_end(arguments);
}
