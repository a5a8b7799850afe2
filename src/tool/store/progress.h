/* How far a long command is: a bar where stderr is a terminal, otherwise a line each tenth; nothing in the first
 * second. Main thread. */
#ifndef TOOL_STORE_PROGRESS_H
#define TOOL_STORE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct store_progress {
	const char *what; /* "reading" */
	uint64_t started_ms;
	uint64_t drawn_ms;
	uint32_t tenths; /* told so far, as lines */
	bool has_bar;
};

struct store_progress store_progress_begin(const char *what);
void store_progress_update(struct store_progress *progress, uint64_t done, uint64_t all);
/* Ends the bar's line, so that other output begins on a new one. */
void store_progress_end(struct store_progress *progress);

#endif
