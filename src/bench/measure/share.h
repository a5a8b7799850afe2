/* How a whole is divided among the threads of a run: evenly, with the remainder going to the first ones. Pure; any
 * thread. */
#ifndef BENCH_SHARE_H
#define BENCH_SHARE_H

#include "base/check.h"

#include <stdint.h>

/* What part `index` of `parts` gets. */
static inline uint32_t share_of(uint32_t whole, uint32_t parts, uint32_t index)
{
	CHECK(index < parts);
	return whole / parts + (index < whole % parts);
}

/* What the parts before `index` get together. */
static inline uint32_t share_before(uint32_t whole, uint32_t parts, uint32_t index)
{
	uint32_t rest = whole % parts;
	CHECK(index < parts);
	return whole / parts * index + (index < rest ? index : rest);
}

/* An equal share for each, which together are at least the whole. */
static inline uint32_t share_rounded_up(uint32_t whole, uint32_t parts)
{
	CHECK(parts > 0);
	return whole / parts + (whole % parts != 0);
}

#endif
