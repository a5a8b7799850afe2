/* What a durable store in a directory can do: the device's sync times, measured with appends to a temporary file there,
 * and what follows from them (device/durable_rate.h). Main thread; blocks for some seconds. */
#ifndef DOCTOR_STORE_STORE_H
#define DOCTOR_STORE_STORE_H

#include "device/device.h"
#include "device/durable_rate.h"

#include <jansson.h>
#include <stdio.h>

#define STORE_WARNINGS_MAX 8u

struct store_verdict {
	const char *directory;
	struct device device;
	struct durable_sync sync;
	struct durable_rate rate;
	uint32_t small_count; /* appends that were measured */
	uint32_t large_count;
	const char *warnings[STORE_WARNINGS_MAX]; /* static storage */
	uint32_t warning_count;
};

/* Measures. Returns false, after saying why on stderr, if the directory is not there or cannot be written. */
bool store_measure(struct store_verdict *verdict, const char *directory);

/* Fills in rate and warnings from the rest. Pure. */
void store_judge(struct store_verdict *verdict);

void store_show(const struct store_verdict *verdict, FILE *out);
/* One object; the caller owns it. */
json_t *store_json(const struct store_verdict *verdict);

#endif
