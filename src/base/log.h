/* The log: one line an event on stderr, time in UTC, written with one write() so that threads do not mix. Control
 * characters in a message are written as '?', so that text from outside cannot forge a line. More than
 * LOG_LINES_PER_SECOND lines in a second are counted instead of written, so that nobody can fill the disk from
 * outside. Any thread; the level may be set at any time. */
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
/* "error", "warning", "info", "debug". False when the name is none of these. */
bool log_level_parse(const char *name, enum log_level *level);
const char *log_level_name(enum log_level level);
bool log_enabled(enum log_level level);

void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
