/* What the bench is doing, on stderr: one line a second, or one bar that is drawn over where stderr is a terminal.
 * Main thread. */
#ifndef BENCH_PROGRESS_H
#define BENCH_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* Shows `done` (0..1) and the text. Draws only when a second has passed since the last time, or at once when `phase`
 * is another one than then. */
__attribute__((format(printf, 3, 4))) void progress_show(const char *phase, double done, const char *format, ...);

/* Ends the bar's line, so that what follows begins on a new one. */
void progress_end(void);

/* SIGINT and SIGTERM end a run early and in order: from the call on, they set what progress_interrupted() tells. A
 * second one kills. */
void progress_catch_signals(void);
bool progress_interrupted(void);

/* Sleeps; returns early after a signal. */
void progress_sleep_ms(uint32_t ms);

#endif
