#include "gateway/overload.h"

#define REST_STEP_MS 10u

static const struct {
	const char *name;
	uint32_t from_ms;
} GRADES[OVERLOAD_GRADES] = {
	[OVERLOAD_NORMAL] = {"NORMAL", 0}, [OVERLOAD_SLOW] = {"SLOW", 10},  [OVERLOAD_REFUSE] = {"REFUSE", 100},
	[OVERLOAD_SHED] = {"SHED", 200},   [OVERLOAD_HOLD] = {"HOLD", 400},
};

const char *overload_name(enum overload_grade grade)
{
	return GRADES[grade].name;
}

enum overload_grade overload_grade(uint32_t lag_ms, enum overload_grade before)
{
	enum overload_grade grade = OVERLOAD_NORMAL;
	while (grade + 1 < OVERLOAD_GRADES) {
		enum overload_grade next = (enum overload_grade)(grade + 1);
		uint32_t from_ms = next <= before ? GRADES[next].from_ms / 2 : GRADES[next].from_ms;
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

void overload_rested(struct overload *overload, uint64_t slept_ms)
{
	for (uint64_t ms = 0; ms <= slept_ms && overload->lag_ms != 0; ms += REST_STEP_MS)
		overload->lag_ms = without_an_eighth(overload->lag_ms);
	overload->grade = overload_grade(overload->lag_ms, overload->grade);
}

void overload_turn(struct overload *overload, uint64_t took_ms)
{
	uint32_t lag_ms = without_an_eighth(overload->lag_ms);
	if (took_ms > lag_ms)
		lag_ms = took_ms < UINT32_MAX ? (uint32_t)took_ms : UINT32_MAX;
	overload->lag_ms = lag_ms;
	overload->grade = overload_grade(lag_ms, overload->grade);
}

uint32_t overload_retry_ms(uint32_t least_ms, uint32_t random)
{
	return least_ms + (uint32_t)((uint64_t)least_ms * 3 * random >> 32);
}
