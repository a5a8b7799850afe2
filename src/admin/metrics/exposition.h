/* Metrics as text, in the format of Prometheus (0.0.4) or of OpenMetrics (1.0): families with their samples below.
 * Written into memory that grows; owned by one thread. */
#ifndef ADMIN_METRICS_EXPOSITION_H
#define ADMIN_METRICS_EXPOSITION_H

#include "gateway/timing.h"

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
	/* The family that is being written. */
	char name[96]; /* without _total */
	enum metric_kind kind;
};

/* False: no memory. */
bool exposition_begin(struct exposition *exposition, bool openmetrics);
/* Begins a family: its name in full but for a counter's _total. */
void exposition_family(struct exposition *exposition, const char *name, enum metric_kind kind, const char *help);
/* labels: as they are written, "a=\"b\"", or "". */
void exposition_count(struct exposition *exposition, const char *labels, uint64_t value);
void exposition_number(struct exposition *exposition, const char *labels, double value);
void exposition_timing(struct exposition *exposition, const char *labels, const struct timing *timing);
/* Ends it: text and size are whole. The caller frees text. False: no memory, and there is no text. */
bool exposition_end(struct exposition *exposition);

/* The unit that a name ends in, "bytes" or "seconds", or "". */
const char *exposition_unit(const char *name);

#endif
