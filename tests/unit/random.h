/* Random numbers that are the same in every run (xorshift64*). */
#ifndef TESTS_UNIT_RANDOM_H
#define TESTS_UNIT_RANDOM_H

#include <stdint.h>

struct random {
	uint64_t state; /* not 0 */
};

static inline uint32_t random_next(struct random *random)
{
	random->state ^= random->state >> 12;
	random->state ^= random->state << 25;
	random->state ^= random->state >> 27;
	return (uint32_t)(random->state * 0x2545F4914F6CDD1Du >> 32);
}

static inline uint32_t random_below(struct random *random, uint32_t limit)
{
	return (uint32_t)((uint64_t)random_next(random) * limit >> 32);
}

#endif
