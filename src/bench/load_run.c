#include "bench/load_run.h"

#include "bench/place.h"
#include "bench/process.h"

#define SETTLE_MS_MAX 2000u

static void measure(struct load_crew *crew, struct load_result *result)
{
	const struct load_round *round = crew->round;
	process_settle(crew->target->pid, SETTLE_MS_MAX);
	result->stalled = !load_crew_flow(crew, round->warm_up_ms) ||
			  !load_crew_measure(crew, 0, round->duration_s * 1000000000ull, round->messages);
	load_crew_drain(crew);
}

bool load_run(const struct load_round *round, const struct target *target, const char *label,
	      struct load_result *result)
{
	struct load_crew crew;
	*result = (struct load_result){0};
	place_keep(target->pid, target->cpu);
	bool good = load_crew_open(&crew, round, target, label);
	if (good)
		measure(&crew, result);
	load_crew_close(&crew, &result->totals);
	result->figures = crew.figures[0];
	result->timing = crew.timing;
	return good;
}
