#include "auth/acl_cache.h"

#include "base/check.h"

#include <stdlib.h>

enum error acl_cache_open(struct acl_cache *cache, uint32_t slots)
{
	CHECK(slots != 0 && (slots & (slots - 1)) == 0);
	*cache = (struct acl_cache){.slots = calloc(slots, sizeof(*cache->slots)), .mask = slots - 1};
	return cache->slots != NULL ? ERROR_OK : ERROR_NO_MEMORY;
}

void acl_cache_close(struct acl_cache *cache)
{
	free(cache->slots);
	*cache = (struct acl_cache){0};
}

/* The finalizer of SplitMix64: every bit of the input reaches every bit of the output. */
static uint64_t mix(uint64_t value)
{
	value ^= value >> 30;
	value *= 0xBF58476D1CE4E5B9u;
	value ^= value >> 27;
	value *= 0x94D049BB133111EBu;
	return value ^ value >> 31;
}

bool acl_cache_check(struct acl_cache *cache, const struct acl_subject *subject, struct slice topic,
		     uint64_t topic_hash)
{
	/* Mixed one into the other, so that no two of them can stand in for each other. */
	uint64_t mark = mix(acl_serial(subject->acl) ^ mix(subject->token_serial ^ mix(subject->identity_hash)));
	mark = mix(mark ^ topic_hash);
	uint64_t *slot = &cache->slots[mark >> 32 & cache->mask];
	if (mark < 2)
		mark += 2; /* 0 and 1 would be taken for an empty slot */
	if ((*slot ^ mark) >> 1 == 0) {
		cache->hits++;
		return *slot & 1;
	}
	cache->misses++;
	bool allowed = acl_check(subject->acl, subject->token_rules, &subject->identity, ACL_PUBLISH, topic);
	*slot = (mark & ~UINT64_C(1)) | allowed;
	return allowed;
}
