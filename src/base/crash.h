/* Has signals that end the program print what a broken promise prints (base/check.h): what the thread was busy with and
 * where it stands. They end it all the same, with a core where that is asked for.
 *
 * A thread that has overflowed its stack has none to print with; it ends silently, as it would without this. */
#ifndef BASE_CRASH_H
#define BASE_CRASH_H

/* Once, in main, before there are threads. Also loads what a backtrace needs, so that a failure loads nothing: 12 KiB
 * and 0.2 ms. Leaves the signals alone under a sanitizer, which says more. */
void crash_catch_signals(void);

#endif
