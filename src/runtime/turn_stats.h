/* How a loop spends its time: how long turns take, how late it wakes, how long messages stay in it. This costs two
 * clock readings per turn, one of which the turn needs anyway. Owned by the loop's thread. The results go to the loop's
 * counters, which others read. */
#ifndef RUNTIME_TURN_STATS_H
#define RUNTIME_TURN_STATS_H

#include "runtime/counters.h"

#include <stdbool.h>

/* 2^14 ms. The recent maximum covers this window and the one before: the last 16 to 33 seconds. */
#define TURN_STATS_WINDOW_SHIFT_MS 14u

struct turn_stats {
	uint64_t began_ns;         /* when the turn began, after its sleep */
	uint64_t ended_ns;         /* when the last turn ended */
	uint64_t due_ns;           /* when the sleep should time out; 0: it did not sleep */
	uint64_t window;           /* number of the current window */
	uint64_t window_max_ns[2]; /* maximum in the current window, and in the one before */
	uint64_t direct;           /* messages of this turn delivered to clients of the same loop */
};

/* Before waiting for events. timeout_ms: 0 if the loop only polls. */
void turn_stats_sleep(struct turn_stats *stats, int timeout_ms);
/* After the wait. woken_ns: when another thread woke the loop; 0: none did. events: their number. */
void turn_stats_turn_begin(struct turn_stats *stats, struct counters *counters, uint64_t now_ns, uint64_t woken_ns,
			   int events);
/* After the turn's output was handed to the kernel. now_ns: not before turn_stats_turn_begin()'s. */
void turn_stats_turn_end(struct turn_stats *stats, struct counters *counters, uint64_t now_ns);

#endif
