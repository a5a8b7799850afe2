#include "runtime/overload.h"

#include "base/check.h"

#include <stdbool.h>

#define REST_STEP_MS 10u
/* A turn is a stall if the thread ran for less than 1 / 4 of it. */
#define STALL_RATIO 4u
/* Stalls are discounted until they add up to this much without a rest. */
#define STALLED_MS_MAX 1000u

static const struct {
	const char *name;
	uint32_t tenths; /* of refuse_ms: the lag at which the grade begins */
} GRADES[OVERLOAD_GRADES] = {
	[OVERLOAD_NORMAL] = {"NORMAL", 0}, [OVERLOAD_SLOW] = {"SLOW", 1},  [OVERLOAD_REFUSE] = {"REFUSE", 10},
	[OVERLOAD_SHED] = {"SHED", 20},    [OVERLOAD_HOLD] = {"HOLD", 40},
};

/* Half of the lag at which a grade begins is the lag at which it ends: at least a millisecond. */
_Static_assert(OVERLOAD_REFUSE_MS_MIN / 10 / 2 >= 1, "SLOW can be left at the least refuse_ms");
_Static_assert(OVERLOAD_HOLD + 1 == OVERLOAD_GRADES, "GRADES has a row for each grade");

const char *overload_name(enum overload_grade grade)
{
	CHECK_LT((uint32_t)grade, OVERLOAD_GRADES);
	return GRADES[grade].name;
}

static uint32_t grade_begin_ms(enum overload_grade grade, uint32_t refuse_ms)
{
	return (uint32_t)((uint64_t)refuse_ms * GRADES[grade].tenths / 10);
}

enum overload_grade overload_grade(uint32_t lag_ms, enum overload_grade before, uint32_t refuse_ms)
{
	CHECK_LT((uint32_t)before, OVERLOAD_GRADES);
	CHECK_GT(refuse_ms, 0);
	enum overload_grade grade = OVERLOAD_NORMAL;
	while (grade + 1 < OVERLOAD_GRADES) {
		enum overload_grade next = (enum overload_grade)(grade + 1);
		uint32_t from_ms =
			next <= before ? grade_begin_ms(next, refuse_ms) / 2 : grade_begin_ms(next, refuse_ms);
		if (lag_ms < from_ms)
			break;
		grade = next;
	}
	return grade;
}

static uint32_t decayed(uint32_t lag_ms)
{
	return lag_ms - (uint32_t)(((uint64_t)lag_ms + 7) / 8);
}

void overload_rested(struct overload *overload, uint64_t slept_ms, uint32_t refuse_ms)
{
	overload->stalled_ms = 0;
	for (uint64_t ms = 0; ms <= slept_ms && overload->lag_ms != 0; ms += REST_STEP_MS)
		overload->lag_ms = decayed(overload->lag_ms);
	overload->grade = overload_grade(overload->lag_ms, overload->grade, refuse_ms);
}

static uint32_t saturated(uint64_t ms)
{
	return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

/* The part of a turn that counts as lag. */
static uint32_t counted_ms(struct overload *overload, uint64_t took_ms, uint64_t ran_ms, uint32_t refuse_ms)
{
	if (ran_ms >= took_ms / STALL_RATIO) {
		overload->stalled_ms = decayed(overload->stalled_ms);
		return saturated(took_ms);
	}
	bool discounted = overload->stalled_ms < STALLED_MS_MAX;
	overload->stalled_ms = saturated(overload->stalled_ms + took_ms);
	uint64_t most_ms = ran_ms > refuse_ms - 1u ? ran_ms : refuse_ms - 1u;
	if (!discounted || took_ms <= most_ms)
		return saturated(took_ms);
	overload->stall_count++;
	return saturated(most_ms);
}

uint64_t overload_turn(struct overload *overload, uint64_t waited_ms, uint64_t took_ms, uint64_t ran_ms,
		       uint32_t refuse_ms)
{
	CHECK_GT(refuse_ms, 0);
	uint32_t counts_ms = counted_ms(overload, took_ms, ran_ms, refuse_ms);
	CHECK_LE(counts_ms, took_ms);
	uint64_t stalled_ms = took_ms - counts_ms;
	uint32_t waited = saturated(waited_ms > stalled_ms ? waited_ms - stalled_ms : 0);
	uint32_t lag_ms = decayed(overload->lag_ms);
	overload->lag_ms = waited > lag_ms ? waited : lag_ms;
	overload->grade = overload_grade(overload->lag_ms, overload->grade, refuse_ms);
	return stalled_ms;
}

uint32_t overload_retry_ms(uint32_t least_ms, uint32_t random)
{
	return least_ms + (uint32_t)((uint64_t)least_ms * 3 * random >> 32);
}
