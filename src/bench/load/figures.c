#include "bench/load/figures.h"

#include "bench/report/report.h"

#include "base/check.h"

/* The index of a field in a struct of doubles. */
#define PLACE(type, field) (offsetof(struct type, field) / sizeof(double))
#define BIT(type, field) (1u << PLACE(type, field))

_Static_assert(sizeof(struct load_figures) % sizeof(double) == 0, "figures are doubles and nothing else");
_Static_assert(sizeof(struct load_timing) == 4 * sizeof(struct percentiles),
	       "a timing has four parts and nothing else");
_Static_assert(PLACE(load_timing, read.max_us) < 32, "a bit for each double");

/* Takes the median of each double over `count` structs that lie stride bytes apart; where its bit in largest is set,
 * the largest instead. */
static void summarize(const double *first, size_t stride, uint32_t count, size_t doubles, uint32_t largest, double *out)
{
	double values[LOAD_ROUNDS_MAX];
	CHECK(count > 0 && count <= LOAD_ROUNDS_MAX);
	CHECK(stride % sizeof(double) == 0);
	for (size_t place = 0; place < doubles; place++) {
		for (uint32_t i = 0; i < count; i++)
			values[i] = first[i * (stride / sizeof(double)) + place];
		out[place] =
			(largest >> place & 1u) != 0 ? report_largest(values, count) : report_median(values, count);
	}
}

void load_figures_summarize(const struct load_figures *first, size_t stride, uint32_t count, struct load_figures *out)
{
	summarize((const double *)first, stride, count, sizeof(*first) / sizeof(double),
		  BIT(load_figures, other_cpu_percent) | BIT(load_figures, max_us), (double *)out);
}

void load_timing_summarize(const struct load_timing *first, size_t stride, uint32_t count, struct load_timing *out)
{
	summarize((const double *)first, stride, count, sizeof(*first) / sizeof(double),
		  BIT(load_timing, latency.max_us) | BIT(load_timing, late.max_us) | BIT(load_timing, passage.max_us) |
			  BIT(load_timing, read.max_us),
		  (double *)out);
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
