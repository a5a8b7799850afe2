#include "session/registry.h"
#include "base/layout_root.h"

#include <stddef.h>

static struct session *session_at(const struct registry *registry, uint32_t index)
{
	return pool_at(registry->table.pool, index);
}

enum error registry_open(struct registry *registry, struct arena *arena, const struct pool *sessions, struct slab *slab,
			 uint32_t limit)
{
	CHECK_GE(sessions->object_bytes, sizeof(struct session));
	registry->slab = slab;
	return table_open_in(&registry->table, arena, "registry", sessions, offsetof(struct session, node), limit);
}

enum error registry_save(const struct registry *registry, const struct arena *arena)
{
	return table_save(&registry->table, arena);
}

void registry_close(struct registry *registry)
{
	table_close(&registry->table);
	*registry = (struct registry){0};
}

void registry_expect(struct registry *registry, uint32_t count)
{
	table_expect(&registry->table, count);
}

struct slice registry_id(const struct registry *registry, const struct session *session)
{
	const uint8_t *stored = slab_at(registry->slab, session->id);
	uint16_t size;
	memcpy(&size, stored, sizeof(size));
	return slice_of(stored + sizeof(size), size);
}

struct client_ref registry_find(const struct registry *registry, uint32_t hash, struct slice id)
{
	uint32_t index = table_first(&registry->table, hash);
	while (index != 0 && !slice_equal(registry_id(registry, session_at(registry, index)), id))
		index = table_next(&registry->table, index);
	return (struct client_ref){index};
}

uint32_t registry_store_id(struct registry *registry, struct slice id)
{
	CHECK(id.size <= UINT16_MAX);
	uint16_t size = (uint16_t)id.size;
	uint32_t ref = slab_take(registry->slab, sizeof(size) + id.size);
	if (ref == 0)
		return 0;
	uint8_t *stored = slab_at(registry->slab, ref);
	memcpy(stored, &size, sizeof(size));
	memcpy(stored + sizeof(size), id.data, id.size);
	return ref;
}

void registry_drop_id(struct registry *registry, uint32_t id)
{
	uint16_t size;
	memcpy(&size, slab_at(registry->slab, id), sizeof(size));
	slab_give(registry->slab, id, sizeof(size) + size);
}

void registry_file(struct registry *registry, struct client_ref ref, uint32_t hash, uint32_t id)
{
	struct session *session = session_at(registry, ref.index);
	CHECK(session->id == 0 && id != 0);
	CHECK_EQ(session->subscription_count, 0u); /* a new session, not one that ended and was not cleaned up */
	session->id = id;
	table_insert(&registry->table, ref.index, hash);
}

void registry_remove(struct registry *registry, struct client_ref ref)
{
	struct session *session = session_at(registry, ref.index);
	if (session->id == 0)
		return;
	table_remove(&registry->table, ref.index);
	registry_drop_id(registry, session->id);
	session->id = 0;
}
