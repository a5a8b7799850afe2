/* How a loop's time goes: how long its turns take, how late it wakes, how long messages are under way in it. Two
 * readings of the clock a turn, one of which the turn needs anyway. Owned by the loop's thread; it writes to the loop's
 * counters, which others read. */
#ifndef RUNTIME_TURN_STATS_H
#define RUNTIME_TURN_STATS_H

#include "runtime/counters.h"

#include <stdbool.h>

/* The recent maximum is that of the last 16 to 33 seconds. */
#define TURN_STATS_WINDOW_SHIFT_MS 14u

struct turn_stats {
	uint64_t began_ns;         /* the turn, after its sleep */
	uint64_t ended_ns;         /* the last turn */
	uint64_t due_ns;           /* when a sleep was to end by itself; 0: it did not sleep */
	uint64_t window;           /* number of the current window */
	uint64_t window_max_ns[2]; /* in it, and in the one before */
	uint64_t direct;           /* messages that this turn has delivered to its own clients */
};

/* Before waiting for events; 0: only to look. */
void turn_stats_sleep(struct turn_stats *stats, int timeout_ms);
/* After it. woken_ns: when another thread woke the loop, 0: none did; events: how many came. */
void turn_stats_turn_begin(struct turn_stats *stats, struct counters *counters, uint64_t now_ns, uint64_t woken_ns,
			   int events);
/* All that the turn wrote is with the kernel. */
void turn_stats_turn_end(struct turn_stats *stats, struct counters *counters, uint64_t now_ns);

#endif
