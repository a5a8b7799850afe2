#include "runtime/counters.h"

#include "base/check.h"

#include <ctype.h>

_Static_assert(ERROR_OK == 0, "each other error is the reason of an end");
_Static_assert(sizeof(struct counters) % 64 == 0, "threads' counters share no cache line");

static const struct counter_row ROWS[COUNTER_COUNT] = {
#define X(name, kind, family, labels, help) [COUNTER_##name] = {#name, COUNTER_KIND_##kind, family, labels, help},
	COUNTER_TABLE(X)
#undef X
};

const struct counter_row *counter_row(enum counter counter)
{
	CHECK_LT((uint32_t)counter, COUNTER_COUNT);
	return &ROWS[counter];
}

static uint64_t counters_value_of(const _Atomic uint64_t *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

static void keep_larger(_Atomic uint64_t *largest, const _Atomic uint64_t *value)
{
	if (counters_value_of(value) > counters_value_of(largest))
		atomic_store_explicit(largest, counters_value_of(value), memory_order_relaxed);
}

void counters_add(struct counters *sum, const struct counters *counters)
{
	CHECK(sum != counters);
	for (int i = 0; i < COUNTER_COUNT; i++)
		counter_add(&sum->values[i], counters_value_of(&counters->values[i]));
	for (int i = 0; i < ERROR_COUNT; i++)
		counter_add(&sum->ends[i], counters_value_of(&counters->ends[i]));
	timing_add(&sum->turn_time, &counters->turn_time);
	timing_add(&sum->wake_lag, &counters->wake_lag);
	timing_add(&sum->delivery, &counters->delivery);
	keep_larger(&sum->turn_max_ns, &counters->turn_max_ns);
	keep_larger(&sum->turn_recent_max_ns, &counters->turn_recent_max_ns);
	keep_larger(&sum->turn_work_max, &counters->turn_work_max);
	keep_larger(&sum->step_work_max, &counters->step_work_max);
}

void counters_print(const struct counters *counters, FILE *out)
{
	fputs("counters begin\n", out);
	for (int i = 0; i < COUNTER_COUNT; i++)
		fprintf(out, "counter %s %lu\n", ROWS[i].name, atomic_load(&counters->values[i]));
	for (int i = ERROR_OK + 1; i < ERROR_COUNT; i++) {
		fputs("counter end_", out);
		for (const char *letter = error_name((enum error)i); *letter != '\0'; letter++)
			fputc(tolower(*letter), out);
		fprintf(out, " %lu\n", atomic_load(&counters->ends[i]));
	}
	fputs("counters end\n", out);
	fflush(out);
}
