#include "runtime/overload.h"

#include <stdbool.h>

#define REST_STEP_MS 10u
/* A thread that runs for less than this part of a turn is held up by the machine. */
#define RUNS_PART 4u
/* So much of that is borne, one behind the other. */
#define STALLED_MS_MAX 1000u

static const struct {
	const char *name;
	uint32_t tenths; /* of the lag of REFUSE */
} GRADES[OVERLOAD_GRADES] = {
	[OVERLOAD_NORMAL] = {"NORMAL", 0}, [OVERLOAD_SLOW] = {"SLOW", 1},  [OVERLOAD_REFUSE] = {"REFUSE", 10},
	[OVERLOAD_SHED] = {"SHED", 20},    [OVERLOAD_HOLD] = {"HOLD", 40},
};

const char *overload_name(enum overload_grade grade)
{
	return GRADES[grade].name;
}

static uint32_t begin_ms(enum overload_grade grade, uint32_t refuse_ms)
{
	return (uint32_t)((uint64_t)refuse_ms * GRADES[grade].tenths / 10);
}

enum overload_grade overload_grade(uint32_t lag_ms, enum overload_grade before, uint32_t refuse_ms)
{
	enum overload_grade grade = OVERLOAD_NORMAL;
	while (grade + 1 < OVERLOAD_GRADES) {
		enum overload_grade next = (enum overload_grade)(grade + 1);
		uint32_t from_ms = next <= before ? begin_ms(next, refuse_ms) / 2 : begin_ms(next, refuse_ms);
		if (lag_ms < from_ms)
			break;
		grade = next;
	}
	return grade;
}

static uint32_t without_an_eighth(uint32_t lag_ms)
{
	return lag_ms - (uint32_t)(((uint64_t)lag_ms + 7) / 8);
}

void overload_rested(struct overload *overload, uint64_t slept_ms, uint32_t refuse_ms)
{
	overload->stalled_ms = 0;
	for (uint64_t ms = 0; ms <= slept_ms && overload->lag_ms != 0; ms += REST_STEP_MS)
		overload->lag_ms = without_an_eighth(overload->lag_ms);
	overload->grade = overload_grade(overload->lag_ms, overload->grade, refuse_ms);
}

static uint32_t limited(uint64_t ms)
{
	return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

/* What of a turn counts. */
static uint32_t counted_ms(struct overload *overload, uint64_t took_ms, uint64_t ran_ms, uint32_t refuse_ms)
{
	if (ran_ms >= took_ms / RUNS_PART) {
		overload->stalled_ms = without_an_eighth(overload->stalled_ms);
		return limited(took_ms);
	}
	bool borne = overload->stalled_ms < STALLED_MS_MAX;
	overload->stalled_ms = limited(overload->stalled_ms + took_ms);
	uint64_t most_ms = ran_ms > refuse_ms - 1u ? ran_ms : refuse_ms - 1u;
	if (!borne || took_ms <= most_ms)
		return limited(took_ms);
	overload->stall_count++;
	return limited(most_ms);
}

uint64_t overload_turn(struct overload *overload, uint64_t waited_ms, uint64_t took_ms, uint64_t ran_ms,
		       uint32_t refuse_ms)
{
	uint64_t stalled_ms = took_ms - counted_ms(overload, took_ms, ran_ms, refuse_ms);
	uint32_t waited = limited(waited_ms > stalled_ms ? waited_ms - stalled_ms : 0);
	uint32_t lag_ms = without_an_eighth(overload->lag_ms);
	overload->lag_ms = waited > lag_ms ? waited : lag_ms;
	overload->grade = overload_grade(overload->lag_ms, overload->grade, refuse_ms);
	return stalled_ms;
}

uint32_t overload_retry_ms(uint32_t least_ms, uint32_t random)
{
	return least_ms + (uint32_t)((uint64_t)least_ms * 3 * random >> 32);
}
