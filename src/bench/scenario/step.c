#include "bench/scenario/step.h"

#include "base/check.h"

#include <math.h>
#include <stdio.h>

/* Lateness of the bench does not matter below this share of the p99. */
#define LATE_SHARE 0.1
/* Timer resolution and a turn of the bench take this long in any case. */
#define LATE_MS 0.5

_Static_assert(sizeof(STEP_CURVE_PERCENT) == STEP_CURVE_POINTS * sizeof(double), "a percentile for each point");

const double STEP_CURVE_PERCENT[STEP_CURVE_POINTS] = {0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99, 100};

void step_note_latency(struct step *step, const struct histogram *latency, uint64_t sum_ns)
{
	bool known = latency->count > 0;
	step->mean_ms = known ? (double)sum_ns / (double)latency->count / 1e6 : (double)NAN;
	step->p50_ms = histogram_percentile_us(latency, 50) / 1e3;
	step->p99_ms = histogram_percentile_us(latency, 99) / 1e3;
	step->p999_ms = histogram_percentile_us(latency, 99.9) / 1e3;
	step->max_ms = histogram_percentile_us(latency, 100) / 1e3;
	for (uint32_t i = 0; i < STEP_CURVE_POINTS; i++)
		step->curve_ms[i] = histogram_percentile_us(latency, STEP_CURVE_PERCENT[i]) / 1e3;
}

double step_error_rate(const struct step *step)
{
	uint64_t tried = step->due + step->reconnects;
	uint64_t failed = step->clients_lost + step->unsent + step->unacknowledged;
	if (tried == 0)
		return failed > 0 ? 1 : 0;
	return failed >= tried ? 1 : (double)failed / (double)tried;
}

double step_little(const struct step *step)
{
	return step->delivered * step->mean_ms / 1e3;
}

bool step_is_late(const struct step *step)
{
	return step->late_p99_ms > LATE_MS && step->late_p99_ms > LATE_SHARE * step->p99_ms;
}

/* Sets the breach, and returns true, if the restart has broken a promise. No objective allows that. */
static bool step_judge_restart(struct step *step)
{
	const struct {
		const char *what;
		uint64_t count;
	} promises[] = {
		{"acknowledged messages are missing after the restart", step->lost},
		{"messages were doubled", step->doubled},
		{"messages were out of order", step->reordered},
		{"sessions were not resumed", step->restart.sessions_lost},
		{"packet identifiers were used again before PUBREL", step->restart.identifiers_reused},
	};
	for (size_t i = 0; step->restart.made && i < sizeof(promises) / sizeof(promises[0]); i++) {
		if (promises[i].count == 0)
			continue;
		snprintf(step->breach, sizeof(step->breach), "%llu %s", (unsigned long long)promises[i].count,
			 promises[i].what);
		return true;
	}
	return false;
}

void step_judge(struct step *step, const struct objectives *objectives)
{
	const struct {
		const char *name;
		double measured;
		double wanted;
		const char *unit;
	} ends[] = {
		{"lost", (double)step->lost, objectives->lost, "messages"},
		{"doubled", (double)step->doubled, objectives->doubled, "messages"},
		{"error rate", step_error_rate(step), objectives->error_rate, ""},
		{"p99", step->p99_ms, objectives->p99_ms, "ms"},
		{"p99.9", step->p999_ms, objectives->p999_ms, "ms"},
		{"p99 of signing in", step->sign_in_p99_ms, objectives->sign_in_p99_ms, "ms"},
	};
	step->breach[0] = '\0';
	if (step->died) {
		snprintf(step->breach, sizeof(step->breach), "the server was gone");
		return;
	}
	if (step_judge_restart(step))
		return;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		/* Comparisons with NAN are false: an unknown figure misses no objective. */
		if (!(ends[i].measured > ends[i].wanted))
			continue;
		snprintf(step->breach, sizeof(step->breach), "%s was %.4g%s%s, and at most %.4g is wanted",
			 ends[i].name, ends[i].measured, *ends[i].unit != '\0' ? " " : "", ends[i].unit,
			 ends[i].wanted);
		return;
	}
}

uint32_t steps_knee(const struct step *steps, uint32_t count)
{
	CHECK(count <= SCENARIO_STEPS_MAX);
	uint32_t held = 0;
	while (held < count && steps[held].breach[0] == '\0')
		held++;
	return held > 0 ? held - 1 : STEP_NONE;
}
