#include "session/registry.h"

#include "base/check.h"

#define BUCKETS_MIN 16u

static uint32_t *bucket_at(const struct registry *registry, uint32_t hash)
{
	uint32_t bucket = hash & registry->level_mask;
	if (bucket >= registry->bucket_count)
		bucket = hash & (registry->level_mask >> 1);
	return (uint32_t *)(void *)registry->buckets.base + bucket;
}

static struct session *session_at(const struct registry *registry, uint32_t index)
{
	return pool_at(registry->sessions, index);
}

enum error registry_open(struct registry *registry, const struct pool *sessions, struct slab *slab, uint32_t limit)
{
	*registry = (struct registry){
		.sessions = sessions,
		.slab = slab,
		.bucket_count = BUCKETS_MIN,
		.level_mask = BUCKETS_MIN - 1,
	};
	enum error error = region_open(&registry->buckets, ((size_t)limit + BUCKETS_MIN + 1) * sizeof(uint32_t));
	if (error == ERROR_OK)
		error = region_grow(&registry->buckets, BUCKETS_MIN * sizeof(uint32_t));
	return error;
}

void registry_close(struct registry *registry)
{
	region_close(&registry->buckets);
	*registry = (struct registry){0};
}

struct slice registry_id(const struct registry *registry, const struct session *session)
{
	const uint8_t *stored = slab_at(registry->slab, session->id);
	uint16_t size;
	memcpy(&size, stored, sizeof(size));
	return slice_of(stored + sizeof(size), size);
}

uint32_t registry_find(const struct registry *registry, uint32_t hash, struct slice id)
{
	uint32_t index = *bucket_at(registry, hash);
	while (index != 0) {
		const struct session *session = session_at(registry, index);
		if (session->id_hash == hash && slice_equal(registry_id(registry, session), id))
			return index;
		index = session->id_next;
	}
	return 0;
}

/* Adds one bucket, and moves to it those of its elder twin whose next bit of the hash is set. */
static void split_bucket(struct registry *registry)
{
	uint32_t fresh = registry->bucket_count;
	if (region_grow(&registry->buckets, ((size_t)fresh + 1) * sizeof(uint32_t)) != ERROR_OK)
		return; /* the chains grow longer, that is all */
	if (fresh > registry->level_mask)
		registry->level_mask = registry->level_mask * 2 + 1;
	uint32_t *buckets = (uint32_t *)(void *)registry->buckets.base;
	uint32_t *from = &buckets[fresh & (registry->level_mask >> 1)];
	registry->bucket_count++;
	buckets[fresh] = 0;
	while (*from != 0) {
		struct session *session = session_at(registry, *from);
		if ((session->id_hash & registry->level_mask) != fresh) {
			from = &session->id_next;
			continue;
		}
		uint32_t moved = *from;
		*from = session->id_next;
		session->id_next = buckets[fresh];
		buckets[fresh] = moved;
	}
}

enum error registry_insert(struct registry *registry, uint32_t index, uint32_t hash, struct slice id)
{
	struct session *session = session_at(registry, index);
	uint16_t size = (uint16_t)id.size;
	session->id = slab_take(registry->slab, sizeof(size) + id.size);
	if (session->id == 0)
		return ERROR_NO_MEMORY;
	uint8_t *stored = slab_at(registry->slab, session->id);
	memcpy(stored, &size, sizeof(size));
	memcpy(stored + sizeof(size), id.data, id.size);

	if (registry->count >= registry->bucket_count)
		split_bucket(registry);
	uint32_t *bucket = bucket_at(registry, hash);
	session->id_hash = hash;
	session->id_next = *bucket;
	*bucket = index;
	registry->count++;
	return ERROR_OK;
}

void registry_remove(struct registry *registry, uint32_t index)
{
	struct session *session = session_at(registry, index);
	if (session->id == 0)
		return;
	uint32_t *link = bucket_at(registry, session->id_hash);
	while (*link != index) {
		CHECK(*link != 0);
		link = &session_at(registry, *link)->id_next;
	}
	*link = session->id_next;
	slab_give(registry->slab, session->id, sizeof(uint16_t) + registry_id(registry, session).size);
	session->id = 0;
	registry->count--;
}
