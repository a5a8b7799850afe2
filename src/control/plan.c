#include "control/plan.h"

#include <stdbool.h>

#define DEVIATIONS 5u

static uint64_t square_root(uint64_t value)
{
	uint64_t low = 0;
	uint64_t high = UINT32_MAX;
	while (low < high) {
		uint64_t middle = (low + high + 1) / 2;
		if (middle * middle <= value)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

/* The number of clients on one shard is binomial, near enough Poisson: its deviation is the root of its mean. */
static bool mean_fits(uint64_t mean, uint32_t places)
{
	return mean + DEVIATIONS * (square_root(mean) + 1) <= places;
}

uint64_t plan_capacity(uint32_t shards, uint32_t places)
{
	if (shards == 1)
		return places;
	uint64_t low = 0;
	uint64_t high = places;
	while (low < high) {
		uint64_t middle = (low + high + 1) / 2;
		if (mean_fits(middle, places))
			low = middle;
		else
			high = middle - 1;
	}
	return low * shards;
}

uint32_t plan_seats(uint64_t connections, uint32_t shards)
{
	if (shards == 1)
		return (uint32_t)connections;
	uint64_t mean = (connections + shards - 1) / shards;
	return (uint32_t)(mean + DEVIATIONS * (square_root(mean) + 1));
}

uint32_t plan_shards(uint64_t connections, uint32_t places, uint32_t least)
{
	for (uint32_t shards = least; shards <= PLAN_SHARDS_MAX; shards++) {
		if (plan_capacity(shards, places) >= connections)
			return shards;
	}
	return 0;
}
