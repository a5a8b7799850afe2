/* Tells on stderr what the bench is doing: one line a second, or a bar that is redrawn if stderr is a terminal. Main
 * thread. */
#ifndef BENCH_PROGRESS_H
#define BENCH_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* Shows `done` (0..1) and the text. Draws at most once a second, but at once if `phase` has changed. */
__attribute__((format(printf, 3, 4))) void progress_show(const char *phase, double done, const char *format, ...);

/* Ends the bar's line, so that other output begins on a new one. */
void progress_end(void);

/* From now on SIGINT and SIGTERM end a run early and in good order: they make progress_interrupted() true. A second
 * signal kills. */
void progress_catch_signals(void);
bool progress_interrupted(void);

/* Sleeps; returns early after a signal. */
void progress_sleep_ms(uint32_t ms);

#endif
