#include "relay/stream/entry_groups.h"

#include "base/check.h"
#include "redis/redis_slots.h"

#include <stdlib.h>

#define CAPACITY_LEAST 256u
/* The table of places is at most half full. */
#define PLACES_PER_ENTRY 2u

void entry_groups_init(struct entry_groups *groups)
{
	*groups = (struct entry_groups){.key = hash_key_random()};
}

void entry_groups_free(struct entry_groups *groups)
{
	free(groups->items);
	free(groups->order);
	free(groups->group_of);
	free(groups->places);
	*groups = (struct entry_groups){.key = groups->key};
}

static bool reserve_groups(struct entry_groups *groups, uint32_t entries)
{
	uint32_t capacity = CAPACITY_LEAST;
	if (entries <= groups->capacity)
		return true;
	while (capacity < entries)
		capacity *= 2;
	entry_groups_free(groups);
	groups->items = calloc(capacity, sizeof(*groups->items));
	groups->order = calloc(capacity, sizeof(*groups->order));
	groups->group_of = calloc(capacity, sizeof(*groups->group_of));
	groups->places = calloc((size_t)capacity * PLACES_PER_ENTRY, sizeof(*groups->places));
	if (groups->items == NULL || groups->order == NULL || groups->group_of == NULL || groups->places == NULL) {
		entry_groups_free(groups);
		return false;
	}
	groups->capacity = capacity;
	return true;
}

/* The group of the entry's stream, which is added where it is the first. */
static uint32_t group_of_entry(struct entry_groups *groups, const struct entry_batch *batch, uint32_t entry)
{
	struct slice stream = entry_batch_stream(batch, entry);
	uint32_t mask = groups->capacity * PLACES_PER_ENTRY - 1;
	uint32_t place = (uint32_t)hash_slice(&groups->key, stream) & mask;
	while (groups->places[place] != 0) {
		uint32_t group = groups->places[place] - 1;
		if (slice_equal(entry_batch_stream(batch, groups->items[group].sample), stream))
			return group;
		place = (place + 1) & mask;
	}
	groups->items[groups->count] = (struct entry_group){.sample = entry, .slot = redis_key_slot(stream)};
	groups->places[place] = ++groups->count;
	return groups->count - 1;
}

bool entry_groups_make(struct entry_groups *groups, const struct entry_batch *batch)
{
	uint32_t first = 0;
	groups->count = 0;
	if (!reserve_groups(groups, batch->count))
		return false;
	memset(groups->places, 0, (size_t)groups->capacity * PLACES_PER_ENTRY * sizeof(*groups->places));
	for (uint32_t i = 0; i < batch->count; i++) {
		groups->group_of[i] = group_of_entry(groups, batch, i);
		groups->items[groups->group_of[i]].count++;
	}
	for (uint32_t i = 0; i < groups->count; i++) {
		groups->items[i].first = first;
		first += groups->items[i].count;
		groups->items[i].count = 0; /* counted again below */
	}
	for (uint32_t i = 0; i < batch->count; i++) {
		struct entry_group *group = &groups->items[groups->group_of[i]];
		groups->order[group->first + group->count++] = i;
	}
	CHECK(first == batch->count);
	return true;
}
