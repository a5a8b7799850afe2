/* A keyed hash (SipHash-2-4). Strangers choose the strings, so they must not be able to choose the hash. Any thread. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/slice.h"

struct hash_key {
	uint8_t bytes[16];
};

/* A key from the kernel's random numbers. */
struct hash_key hash_key_random(void);
uint64_t hash_slice(const struct hash_key *key, struct slice bytes);

#endif
