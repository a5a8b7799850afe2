#include "auth/rules/acl_cache.h"

#include "base/check.h"

enum error acl_cache_open(struct acl_cache *cache, uint32_t slots)
{
	CHECK(slots != 0 && (slots & (slots - 1)) == 0);
	size_t bytes = slots * sizeof(*cache->slots);
	*cache = (struct acl_cache){.key = hash_key_random(), .mask = slots - 1};
	/* Not from the heap, which would write zeroes: where there are no rules no page of it is ever touched. */
	enum error error = region_open(&cache->region, bytes);
	if (error == ERROR_OK)
		error = region_grow(&cache->region, bytes);
	if (error != ERROR_OK)
		acl_cache_close(cache);
	else
		cache->slots = (uint64_t *)(void *)cache->region.base;
	return error;
}

void acl_cache_close(struct acl_cache *cache)
{
	region_close(&cache->region);
	*cache = (struct acl_cache){0};
}

/* The finalizer of SplitMix64: every bit of the input reaches every bit of the output. */
static uint64_t acl_cache_mix(uint64_t value)
{
	value ^= value >> 30;
	value *= 0xBF58476D1CE4E5B9u;
	value ^= value >> 27;
	value *= 0x94D049BB133111EBu;
	return value ^ value >> 31;
}

/* Each is mixed into what came before, so that no two can change places. */
static uint64_t acl_cache_mark_of(const struct acl_cache *cache, const struct acl_subject *subject, struct slice topic)
{
	uint64_t mark = acl_cache_mix(acl_serial(subject->acl));
	mark = acl_cache_mix(mark ^ subject->token_serial);
	mark = acl_cache_mix(mark ^ hash_slice(&cache->key, subject->identity.client_id));
	mark = acl_cache_mix(mark ^ hash_slice(&cache->key, subject->identity.user));
	mark = acl_cache_mix(mark ^ hash_slice(&cache->key, topic));
	return mark < 2 ? mark + 2 : mark; /* 0 and 1 would be taken for an empty slot */
}

bool acl_cache_check(struct acl_cache *cache, const struct acl_subject *subject, struct slice topic)
{
	CHECK(cache->slots != NULL);
	uint64_t mark = acl_cache_mark_of(cache, subject, topic);
	uint64_t *slot = &cache->slots[mark >> 32 & cache->mask];
	if ((*slot ^ mark) >> 1 == 0) {
		cache->hits++;
		return *slot & 1;
	}
	cache->misses++;
	bool allowed = acl_check(subject->acl, subject->token_rules, &subject->identity, ACL_PUBLISH, topic);
	*slot = (mark & ~UINT64_C(1)) | allowed;
	return allowed;
}
