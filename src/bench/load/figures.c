#include "bench/load/figures.h"

#include "bench/report/report.h"

#include "base/check.h"

#include <stddef.h>

#define FIELDS (sizeof(struct load_figures) / sizeof(double))
#define FIELD(name) (offsetof(struct load_figures, name) / sizeof(double))

_Static_assert(sizeof(struct load_figures) % sizeof(double) == 0, "figures are doubles and nothing else");

void load_figures_summarize(const struct load_figures *first, size_t stride, uint32_t count, struct load_figures *out)
{
	double values[LOAD_ROUNDS_MAX];
	double *to = (double *)out;
	CHECK(count <= LOAD_ROUNDS_MAX);
	CHECK(stride % sizeof(double) == 0);
	for (size_t field = 0; field < FIELDS; field++) {
		for (uint32_t i = 0; i < count; i++)
			values[i] = ((const double *)first)[i * (stride / sizeof(double)) + field];
		bool is_worst = field == FIELD(other_cpu_percent) || field == FIELD(max_us);
		to[field] = is_worst ? report_largest(values, count) : report_median(values, count);
	}
}

struct load_totals load_totals_none(void)
{
	return (struct load_totals){.spread = spread_none()};
}

void load_totals_add(struct load_totals *into, const struct load_totals *from)
{
	into->received += from->received;
	into->missing += from->missing;
	into->reordered += from->reordered;
	into->doubled += from->doubled;
	into->foreign += from->foreign;
	into->unacknowledged += from->unacknowledged;
	spread_merge(&into->spread, &from->spread);
	losses_merge(&into->losses, &from->losses);
}

bool load_totals_are_clean(const struct load_totals *totals, uint8_t qos)
{
	CHECK(qos <= 2);
	return totals->missing == 0 && totals->reordered == 0 && (totals->doubled == 0 || qos == 1) &&
	       totals->unacknowledged == 0 && losses_total(&totals->losses) == 0;
}
