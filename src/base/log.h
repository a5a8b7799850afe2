/* The log: one line an event on stderr, with the time in UTC. Each line is one write(), so lines of different threads
 * do not mix. Control characters are written as '?', so text from outside cannot forge a line. Beyond
 * LOG_LINES_PER_SECOND lines in a second are counted and not written, so nobody outside can fill the disk. Errors have
 * as many of their own. Any thread; the level may be set at any time. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

#define LOG_LINES_PER_SECOND 200

enum log_level {
	LOG_ERROR,
	LOG_WARNING,
	LOG_INFO,
	LOG_DEBUG,
};

void log_level_set(enum log_level level);
bool log_enabled(enum log_level level);

void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Outside that limit: for what the process says of itself, its start, its stop and its store, at a rate that nobody
 * outside sets. */
void log_always(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
