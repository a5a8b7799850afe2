#include "session/aliases.h"
#include "base/layout_root.h"

#include "base/check.h"

struct alias_topic {
	uint16_t bytes;
	uint8_t text[];
};
LAYOUT_ROOT(alias_topic);

struct aliases {
	uint16_t max;
	uint16_t used;     /* the largest alias that was set; aliases that a client chose may leave gaps below */
	uint32_t topics[]; /* slab references of struct alias_topic, by alias - 1 */
};
LAYOUT_ROOT(aliases);

static struct aliases *aliases_at(const struct slab *slab, uint32_t aliases)
{
	return slab_at(slab, aliases);
}

static size_t aliases_bytes_for(uint16_t max)
{
	return sizeof(struct aliases) + max * sizeof(uint32_t);
}

static void drop_topic(struct slab *slab, uint32_t *topic)
{
	if (*topic == 0)
		return;
	const struct alias_topic *stored = slab_at(slab, *topic);
	slab_give(slab, *topic, sizeof(*stored) + stored->bytes);
	*topic = 0;
}

enum error aliases_set(struct slab *slab, uint32_t *aliases, uint16_t max, uint16_t alias, struct slice topic)
{
	CHECK(alias >= 1 && alias <= max && topic.size <= UINT16_MAX);
	if (*aliases == 0) {
		*aliases = slab_take(slab, aliases_bytes_for(max));
		if (*aliases == 0)
			return ERROR_NO_MEMORY;
		memset(aliases_at(slab, *aliases), 0, aliases_bytes_for(max));
		aliases_at(slab, *aliases)->max = max;
	}
	CHECK_EQ(aliases_at(slab, *aliases)->max, max);
	uint32_t ref = slab_take(slab, sizeof(struct alias_topic) + topic.size);
	if (ref == 0)
		return ERROR_NO_MEMORY;
	struct alias_topic *stored = slab_at(slab, ref);
	stored->bytes = (uint16_t)topic.size;
	memcpy(stored->text, topic.data, topic.size);
	struct aliases *table = aliases_at(slab, *aliases);
	drop_topic(slab, &table->topics[alias - 1]);
	table->topics[alias - 1] = ref;
	if (table->used < alias)
		table->used = alias;
	return ERROR_OK;
}

struct slice aliases_topic(const struct slab *slab, uint32_t aliases, uint16_t alias)
{
	if (aliases == 0)
		return slice_of(NULL, 0);
	CHECK(alias >= 1 && alias <= aliases_at(slab, aliases)->max);
	if (aliases_at(slab, aliases)->topics[alias - 1] == 0)
		return slice_of(NULL, 0);
	const struct alias_topic *stored = slab_at(slab, aliases_at(slab, aliases)->topics[alias - 1]);
	return slice_of(stored->text, stored->bytes);
}

uint16_t aliases_find(const struct slab *slab, uint32_t aliases, struct slice topic)
{
	uint16_t used = aliases != 0 ? aliases_at(slab, aliases)->used : 0;
	for (uint16_t alias = 1; alias <= used; alias++) {
		if (slice_equal(aliases_topic(slab, aliases, alias), topic))
			return alias;
	}
	return 0;
}

uint16_t aliases_unused(const struct slab *slab, uint32_t aliases, uint16_t max)
{
	uint16_t used = aliases != 0 ? aliases_at(slab, aliases)->used : 0;
	return used < max ? (uint16_t)(used + 1) : 0;
}

void aliases_clear(struct slab *slab, uint32_t *aliases)
{
	if (*aliases == 0)
		return;
	struct aliases *table = aliases_at(slab, *aliases);
	CHECK_LE(table->used, table->max);
	for (uint16_t i = 0; i < table->used; i++)
		drop_topic(slab, &table->topics[i]);
	slab_give(slab, *aliases, aliases_bytes_for(table->max));
	*aliases = 0;
}
