#include "admin/metrics/exposition.h"

#include "base/check.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BOUND_BYTES_MAX 24

_Static_assert(TIMING_BUCKETS == TIMING_BOUNDS + 1, "the last bucket has no bound");

bool exposition_begin(struct exposition *exposition, bool openmetrics)
{
	*exposition = (struct exposition){.openmetrics = openmetrics};
	exposition->out = open_memstream(&exposition->text, &exposition->size);
	return exposition->out != NULL;
}

const char *exposition_unit(const char *name)
{
	static const char *const UNITS[] = {"bytes", "seconds"};
	size_t size = strlen(name);
	for (size_t i = 0; i < sizeof(UNITS) / sizeof(UNITS[0]); i++) {
		size_t unit = strlen(UNITS[i]);
		if (size > unit && name[size - unit - 1] == '_' && strcmp(name + size - unit, UNITS[i]) == 0)
			return UNITS[i];
	}
	return "";
}

void exposition_family(struct exposition *exposition, const char *name, enum metric_kind kind, const char *help)
{
	static const char *const KINDS[] = {"counter", "gauge", "histogram"};
	CHECK(kind >= METRIC_COUNTER && kind <= METRIC_HISTOGRAM);
	CHECK(strlen(name) < sizeof(exposition->name)); /* a name cut short would be another family's */
	exposition->kind = kind;
	snprintf(exposition->name, sizeof(exposition->name), "%s", name);
	/* OpenMetrics names a counter's family without _total, Prometheus with it. */
	const char *total = kind == METRIC_COUNTER && !exposition->openmetrics ? "_total" : "";
	fprintf(exposition->out, "# HELP %s%s %s\n# TYPE %s%s %s\n", name, total, help, name, total, KINDS[kind]);
	if (exposition->openmetrics && exposition_unit(name)[0] != '\0')
		fprintf(exposition->out, "# UNIT %s %s\n", name, exposition_unit(name));
}

static void begin_sample(const struct exposition *exposition, const char *suffix, const char *labels)
{
	CHECK(exposition->name[0] != '\0'); /* exposition_family() was called */
	const char *left = *labels != '\0' ? "{" : "";
	const char *right = *labels != '\0' ? "}" : "";
	fprintf(exposition->out, "%s%s%s%s%s ", exposition->name, suffix, left, labels, right);
}

static const char *suffix_of(const struct exposition *exposition)
{
	return exposition->kind == METRIC_COUNTER ? "_total" : "";
}

void exposition_count(struct exposition *exposition, const char *labels, uint64_t value)
{
	CHECK(exposition->kind != METRIC_HISTOGRAM);
	begin_sample(exposition, suffix_of(exposition), labels);
	fprintf(exposition->out, "%" PRIu64 "\n", value);
}

void exposition_number(struct exposition *exposition, const char *labels, double value)
{
	begin_sample(exposition, suffix_of(exposition), labels);
	fprintf(exposition->out, "%.15g\n", value);
}

/* OpenMetrics wants whole numbers written as 1.0. */
static void write_bound(const struct exposition *exposition, uint32_t bucket, char bound[BOUND_BYTES_MAX])
{
	if (bucket == TIMING_BOUNDS) {
		snprintf(bound, BOUND_BYTES_MAX, "+Inf");
		return;
	}
	bool whole = TIMING_BOUNDS_US[bucket] % 1000000 == 0;
	snprintf(bound, BOUND_BYTES_MAX, "%g%s", TIMING_BOUNDS_US[bucket] / 1e6,
		 whole && exposition->openmetrics ? ".0" : "");
}

void exposition_timing(struct exposition *exposition, const char *labels, const struct timing *timing)
{
	CHECK(exposition->kind == METRIC_HISTOGRAM);
	const char *comma = *labels != '\0' ? "," : "";
	uint64_t sum_ns = atomic_load_explicit(&timing->sum_ns, memory_order_relaxed);
	uint64_t below = 0;
	char bound[BOUND_BYTES_MAX];
	for (uint32_t i = 0; i < TIMING_BUCKETS; i++) {
		below += atomic_load_explicit(&timing->counts[i], memory_order_relaxed);
		write_bound(exposition, i, bound);
		fprintf(exposition->out, "%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n", exposition->name, labels, comma,
			bound, below);
	}
	begin_sample(exposition, "_sum", labels);
	fprintf(exposition->out, "%.9g\n", (double)sum_ns / 1e9);
	begin_sample(exposition, "_count", labels);
	fprintf(exposition->out, "%" PRIu64 "\n", below);
}

bool exposition_end(struct exposition *exposition)
{
	if (exposition->openmetrics)
		fputs("# EOF\n", exposition->out);
	bool good = ferror(exposition->out) == 0;
	good = fclose(exposition->out) == 0 && good;
	if (!good) {
		free(exposition->text);
		exposition->text = NULL;
	}
	return good;
}
