/* What a fuzz target defines; libFuzzer or replay_main.c calls it. A target aborts where a promise does not hold. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include "base/check.h"

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

#endif
