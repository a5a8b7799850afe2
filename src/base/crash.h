/* Makes fatal signals print what a broken promise prints (base/check.h): what the thread was doing and its backtrace.
 * The signals still end the program, with a core dump where one is wanted.
 *
 * A thread that overflows its stack has no room for a handler. It ends without a report, as it would without this. */
#ifndef BASE_CRASH_H
#define BASE_CRASH_H

/* Call it once in main, before other threads start. It also loads what a backtrace needs (12 KiB, 0.2 ms), so that
 * nothing is loaded during a failure. Under a sanitizer it leaves the signals alone: the sanitizer prints more. */
void crash_catch_signals(void);

#endif
