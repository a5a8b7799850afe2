#include "gateway/pulse.h"

static void set(_Atomic uint64_t *value, uint64_t to)
{
	atomic_store_explicit(value, to, memory_order_relaxed);
}

void pulse_sleep(struct pulse *pulse, int timeout_ms)
{
	pulse->due_ns = timeout_ms > 0 ? pulse->ended_ns + (uint64_t)timeout_ms * 1000000u : 0;
}

/* A sleep ends by another thread's doing, by the kernel's, of whose we do not know when it began, or by its time. */
static uint64_t lag_of(const struct pulse *pulse, uint64_t now_ns, uint64_t woken_ns, int events)
{
	uint64_t due_ns = woken_ns != 0 ? woken_ns : pulse->due_ns;
	if (pulse->due_ns == 0 || (woken_ns == 0 && events != 0) || due_ns > now_ns)
		return UINT64_MAX;
	return now_ns - due_ns;
}

void pulse_turn_begin(struct pulse *pulse, struct counters *counters, uint64_t now_ns, uint64_t woken_ns, int events)
{
	uint64_t lag_ns = lag_of(pulse, now_ns, woken_ns, events);
	if (lag_ns != UINT64_MAX)
		timing_note(&counters->wake_lag, lag_ns, 1);
	pulse->began_ns = now_ns;
	pulse->direct = 0;
	set(&counters->turned_ms, now_ns / 1000000u);
	counter_add(&counters->values[COUNTER_events], (uint64_t)events);
}

static void note_max(struct pulse *pulse, struct counters *counters, uint64_t took_ns)
{
	uint64_t window = pulse->ended_ns / 1000000u >> PULSE_WINDOW_SHIFT_MS;
	if (window != pulse->window) {
		bool next = window == pulse->window + 1;
		pulse->window_max_ns[1] = next ? pulse->window_max_ns[0] : 0;
		pulse->window_max_ns[0] = 0;
		pulse->window = window;
	}
	if (took_ns > pulse->window_max_ns[0])
		pulse->window_max_ns[0] = took_ns;
	bool before = pulse->window_max_ns[1] > pulse->window_max_ns[0];
	set(&counters->turn_recent_max_ns, pulse->window_max_ns[before]);
	if (took_ns > atomic_load_explicit(&counters->turn_max_ns, memory_order_relaxed))
		set(&counters->turn_max_ns, took_ns);
}

void pulse_turn_end(struct pulse *pulse, struct counters *counters, uint64_t now_ns)
{
	uint64_t took_ns = now_ns - pulse->began_ns;
	pulse->ended_ns = now_ns;
	timing_note(&counters->turn_time, took_ns, 1);
	note_max(pulse, counters, took_ns);
	if (pulse->direct != 0)
		timing_note(&counters->delivery, took_ns, pulse->direct);
}
