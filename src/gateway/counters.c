#include "gateway/counters.h"

#include <ctype.h>

static const char *const NAMES[COUNTER_COUNT] = {
#define X(name, help) [COUNTER_##name] = #name,
	COUNTER_TABLE(X)
#undef X
};

void counters_add(struct counters *sum, const struct counters *counters)
{
	for (int i = 0; i < COUNTER_COUNT; i++)
		counter_add(&sum->values[i], atomic_load_explicit(&counters->values[i], memory_order_relaxed));
	for (int i = 0; i < ERROR_COUNT; i++)
		counter_add(&sum->ends[i], atomic_load_explicit(&counters->ends[i], memory_order_relaxed));
}

void counters_print(const struct counters *counters, FILE *out)
{
	fputs("counters begin\n", out);
	for (int i = 0; i < COUNTER_COUNT; i++)
		fprintf(out, "counter %s %lu\n", NAMES[i], atomic_load(&counters->values[i]));
	for (int i = ERROR_OK + 1; i < ERROR_COUNT; i++) {
		fputs("counter end_", out);
		for (const char *letter = error_name((enum error)i); *letter != '\0'; letter++)
			fputc(tolower(*letter), out);
		fprintf(out, " %lu\n", atomic_load(&counters->ends[i]));
	}
	fputs("counters end\n", out);
	fflush(out);
}
