#include "bench/storm/storm_report.h"

#include "bench/report/report.h"

#include "base/check.h"

#include <stddef.h>
#include <string.h>

_Static_assert(BESIDE_ROUNDS_MAX <= LOAD_ROUNDS_MAX, "the rounds that load_figures_summarize() takes");

static const struct storm_result *result_of(const struct storm_report *report, uint32_t broker, uint32_t round)
{
	CHECK(broker < report->beside->count && round < report->rounds);
	return &report->results[round * BESIDE_BROKERS_MAX + broker];
}

/* Sums up the sign-in figure at this offset of the result. */
static double sign_in_at(const struct storm_report *report, uint32_t broker, size_t offset)
{
	double values[BESIDE_ROUNDS_MAX];
	for (uint32_t i = 0; i < report->rounds; i++)
		memcpy(&values[i], (const char *)result_of(report, broker, i) + offset, sizeof(values[i]));
	bool is_worst = offset == offsetof(struct storm_result, sign_in_max_us);
	return is_worst ? report_largest(values, report->rounds) : report_median(values, report->rounds);
}

void storm_summarize(const struct storm_report *report, uint32_t broker, struct storm_result *out)
{
	*out = (struct storm_result){.totals = load_totals_none()};
	for (uint32_t i = 0; i < LOAD_INTERVALS; i++)
		load_figures_summarize(&result_of(report, broker, 0)->figures[i],
				       BESIDE_BROKERS_MAX * sizeof(struct storm_result), report->rounds,
				       &out->figures[i]);
	for (uint32_t i = 0; i < report->rounds; i++) {
		const struct storm_result *result = result_of(report, broker, i);
		load_totals_add(&out->totals, &result->totals);
		losses_merge(&out->losses, &result->losses);
		carriage_add(&out->carriage, &result->carriage);
		out->stalled = out->stalled || result->stalled;
		out->storm_s += result->storm_s;
		out->attempts += result->attempts;
		out->signed_in += result->signed_in;
		out->handshakes += result->handshakes;
		out->resumed += result->resumed;
		out->stay_lost += result->stay_lost;
		for (uint32_t end = 0; end < STORM_ENDS; end++)
			out->ends[end] += result->ends[end];
	}
	out->sign_in_p50_us = sign_in_at(report, broker, offsetof(struct storm_result, sign_in_p50_us));
	out->sign_in_p99_us = sign_in_at(report, broker, offsetof(struct storm_result, sign_in_p99_us));
	out->sign_in_p999_us = sign_in_at(report, broker, offsetof(struct storm_result, sign_in_p999_us));
	out->sign_in_max_us = sign_in_at(report, broker, offsetof(struct storm_result, sign_in_max_us));
}
