#include "runtime/turn_stats.h"

#include "base/check.h"

static void turn_stats_set(_Atomic uint64_t *value, uint64_t to)
{
	atomic_store_explicit(value, to, memory_order_relaxed);
}

void turn_stats_sleep(struct turn_stats *stats, int timeout_ms)
{
	stats->due_ns = timeout_ms > 0 ? stats->ended_ns + (uint64_t)timeout_ms * 1000000u : 0;
}

/* A sleep ends because another thread wakes the loop, because of an event, whose time is unknown, or by its timeout.
 * UINT64_MAX: the lag is unknown. */
static uint64_t lag_of(const struct turn_stats *stats, uint64_t now_ns, uint64_t woken_ns, int events)
{
	uint64_t due_ns = woken_ns != 0 ? woken_ns : stats->due_ns;
	if (stats->due_ns == 0 || (woken_ns == 0 && events != 0) || due_ns > now_ns)
		return UINT64_MAX;
	return now_ns - due_ns;
}

void turn_stats_turn_begin(struct turn_stats *stats, struct counters *counters, uint64_t now_ns, uint64_t woken_ns,
			   int events)
{
	uint64_t lag_ns = lag_of(stats, now_ns, woken_ns, events);
	if (lag_ns != UINT64_MAX)
		timing_note(&counters->wake_lag, lag_ns, 1);
	stats->began_ns = now_ns;
	stats->direct = 0;
	turn_stats_set(&counters->turned_ms, now_ns / 1000000u);
	counter_add(&counters->values[COUNTER_events], (uint64_t)events);
}

static void note_max(struct turn_stats *stats, struct counters *counters, uint64_t took_ns)
{
	uint64_t window = stats->ended_ns / 1000000u >> TURN_STATS_WINDOW_SHIFT_MS;
	if (window != stats->window) {
		bool next = window == stats->window + 1;
		stats->window_max_ns[1] = next ? stats->window_max_ns[0] : 0;
		stats->window_max_ns[0] = 0;
		stats->window = window;
	}
	if (took_ns > stats->window_max_ns[0])
		stats->window_max_ns[0] = took_ns;
	bool before = stats->window_max_ns[1] > stats->window_max_ns[0];
	turn_stats_set(&counters->turn_recent_max_ns, stats->window_max_ns[before]);
	if (took_ns > atomic_load_explicit(&counters->turn_max_ns, memory_order_relaxed))
		turn_stats_set(&counters->turn_max_ns, took_ns);
}

void turn_stats_turn_end(struct turn_stats *stats, struct counters *counters, uint64_t now_ns)
{
	CHECK_GE(now_ns, stats->began_ns);
	uint64_t took_ns = now_ns - stats->began_ns;
	stats->ended_ns = now_ns;
	timing_note(&counters->turn_time, took_ns, 1);
	note_max(stats, counters, took_ns);
	if (stats->direct != 0)
		timing_note(&counters->delivery, took_ns, stats->direct);
}
