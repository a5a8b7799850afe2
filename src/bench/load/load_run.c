#include "bench/load/load_run.h"

#include "bench/target/cpu.h"
#include "bench/target/process.h"

#include "base/check.h"

#define IDLE_WAIT_MS_MAX 2000u

static void measure_round(struct load_driver *driver, struct load_result *result)
{
	const struct load_round *round = driver->round;
	process_wait_idle(driver->target->pid, IDLE_WAIT_MS_MAX);
	result->stalled = !load_driver_flow(driver, round->warm_up_ms) ||
			  !load_driver_measure(driver, 0, round->duration_s * 1000000000ull, round->messages);
	load_driver_drain(driver);
}

bool load_run(const struct load_round *round, const struct target *target, const char *label,
	      struct load_result *result)
{
	struct load_driver driver;
	*result = (struct load_result){0};
	cpu_pin(target->pid, target->cpu);
	bool good = load_driver_open(&driver, round, target, label);
	if (good)
		measure_round(&driver, result);
	load_driver_close(&driver, &result->totals);
	result->figures = driver.figures[0];
	result->timing = driver.timing;
	return good;
}

void load_results_summarize(const struct load_result *results, uint32_t rounds, struct load_result *out)
{
	CHECK(rounds > 0);
	*out = (struct load_result){.totals = load_totals_none()};
	load_figures_summarize(&results[0].figures, sizeof(*results), rounds, &out->figures);
	load_timing_summarize(&results[0].timing, sizeof(*results), rounds, &out->timing);
	for (uint32_t i = 0; i < rounds; i++) {
		load_totals_add(&out->totals, &results[i].totals);
		out->stalled = out->stalled || results[i].stalled;
	}
}
