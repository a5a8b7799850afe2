/* Metrics as text in the format of Prometheus (0.0.4) or OpenMetrics (1.0): families, each followed by its samples.
 * Written to memory that grows; owned by one thread. */
#ifndef ADMIN_METRICS_EXPOSITION_H
#define ADMIN_METRICS_EXPOSITION_H

#include "runtime/timing.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum metric_kind {
	METRIC_COUNTER,
	METRIC_GAUGE,
	METRIC_HISTOGRAM,
};

struct exposition {
	FILE *out;
	char *text;
	size_t size;
	bool openmetrics;
	/* The current family. */
	char name[96]; /* without _total */
	enum metric_kind kind;
};

/* Returns false if memory is short. */
bool exposition_begin(struct exposition *exposition, bool openmetrics);
/* Begins a family. `name` is complete but for a counter's _total. */
void exposition_family(struct exposition *exposition, const char *name, enum metric_kind kind, const char *help);
/* `labels` is written as it is: "a=\"b\"", or "". */
void exposition_count(struct exposition *exposition, const char *labels, uint64_t value);
void exposition_number(struct exposition *exposition, const char *labels, double value);
void exposition_timing(struct exposition *exposition, const char *labels, const struct timing *timing);
/* Completes text and size; the caller frees text. Returns false, without text, if memory is short. */
bool exposition_end(struct exposition *exposition);

/* Returns the unit that the name ends in, "bytes" or "seconds", or "". */
const char *exposition_unit(const char *name);

#endif
