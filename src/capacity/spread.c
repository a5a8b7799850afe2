#include "capacity/spread.h"

#include "base/check.h"

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
static uint64_t places_for_mean(uint64_t mean)
{
	return mean + DEVIATIONS * (square_root(mean) + 1);
}

static uint64_t mean_for_places(uint32_t places)
{
	uint64_t low = 0;
	uint64_t high = places;
	while (low < high) {
		uint64_t middle = (low + high + 1) / 2;
		if (places_for_mean(middle) <= places)
			low = middle;
		else
			high = middle - 1;
	}
	CHECK(low == 0 || places_for_mean(low) <= places);
	return low;
}

static uint64_t divide_up(uint64_t value, uint64_t by)
{
	return value / by + (value % by != 0);
}

uint64_t spread_capacity(uint32_t shards, uint32_t places)
{
	CHECK(shards > 0);
	return shards == 1 ? places : mean_for_places(places) * shards;
}

uint32_t spread_places(uint64_t connections, uint32_t shards)
{
	CHECK(shards > 0);
	uint64_t places = shards == 1 ? connections : places_for_mean(divide_up(connections, shards));
	return places < UINT32_MAX ? (uint32_t)places : UINT32_MAX;
}

uint32_t spread_shards(uint64_t connections, uint32_t places, uint32_t least)
{
	CHECK(least > 0);
	if (least == 1 && connections <= places)
		return 1;
	uint64_t mean = mean_for_places(places);
	if (mean == 0 && connections > 0)
		return 0;
	uint64_t needed = connections == 0 ? 0 : divide_up(connections, mean);
	uint64_t shards = needed > least ? needed : least;
	return shards <= SPREAD_SHARDS_MAX ? (uint32_t)shards : 0;
}
