#include "base/hash.h"

#include "base/check.h"

#include <sodium.h>

_Static_assert(sizeof(struct hash_key) == crypto_shorthash_KEYBYTES, "the key is SipHash's");
_Static_assert(crypto_shorthash_BYTES == sizeof(uint64_t), "the hash is 64 bits");

struct hash_key hash_key_random(void)
{
	CHECK(sodium_init() >= 0);
	struct hash_key key;
	randombytes_buf(key.bytes, sizeof(key.bytes));
	return key;
}

uint64_t hash_slice(const struct hash_key *key, struct slice bytes)
{
	uint64_t hash;
	crypto_shorthash((unsigned char *)&hash, bytes.data, bytes.size, key->bytes);
	return hash;
}
