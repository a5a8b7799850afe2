/* What a fuzz target defines; libFuzzer or replay_main.c calls it. A target aborts where a promise does not hold. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include "base/check.h"
#include "base/slice.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* A block of exactly that size, also of 0, so that a sanitizer sees a step past its end; the caller frees it. */
static inline uint8_t *block_new(size_t size)
{
	uint8_t *block = malloc(size); /* NOLINT(clang-analyzer-optin.portability.UnixAPI): 0 is meant */
	CHECK(block != NULL);
	return block;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whether an answer of Redis announces arrays so large that hiredis would allocate gigabytes: the link has limits of
 * its own (bridge/redis_link.h), which are not there where a reader stands alone. */
static inline bool announces_much(struct slice answer)
{
	uint32_t digits = 0;
	for (size_t i = 0; i < answer.size; i++) {
		digits = answer.data[i] >= '0' && answer.data[i] <= '9' ? digits + 1 : 0;
		if (digits > 6)
			return true;
	}
	return false;
}

#endif
