#include "session/packet_ids.h"

#include <string.h>

#define CAPACITY_MIN 6u /* one block of 16 bytes with the two counts */

struct packet_ids {
	uint16_t count;
	uint16_t capacity; /* all 65,535 identifiers at most */
	uint16_t ids[];
};

static struct packet_ids *ids_at(const struct slab *slab, uint32_t ids)
{
	return slab_at(slab, ids);
}

static size_t bytes_for(uint32_t capacity)
{
	return sizeof(struct packet_ids) + capacity * sizeof(uint16_t);
}

/* Where the identifier is, or would be. */
static uint32_t place_of(const struct packet_ids *set, uint16_t packet_id)
{
	uint32_t low = 0;
	uint32_t high = set->count;
	/* Nearly always it is the first or goes behind the last. */
	if (high == 0 || set->ids[high - 1] < packet_id)
		return high;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (set->ids[middle] < packet_id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_at(const struct packet_ids *set, uint32_t place, uint16_t packet_id)
{
	return place < set->count && set->ids[place] == packet_id;
}

bool packet_ids_has(const struct slab *slab, uint32_t ids, uint16_t packet_id)
{
	return ids != 0 && is_at(ids_at(slab, ids), place_of(ids_at(slab, ids), packet_id), packet_id);
}

uint32_t packet_ids_count(const struct slab *slab, uint32_t ids)
{
	return ids != 0 ? ids_at(slab, ids)->count : 0;
}

static enum error grow(struct slab *slab, uint32_t *ids)
{
	uint32_t count = packet_ids_count(slab, *ids);
	if (*ids != 0 && count < ids_at(slab, *ids)->capacity)
		return ERROR_OK;
	uint32_t capacity = count == 0 ? CAPACITY_MIN : count * 2;
	if (capacity > UINT16_MAX)
		capacity = UINT16_MAX;
	uint32_t ref = slab_take(slab, bytes_for(capacity));
	if (ref == 0)
		return ERROR_NO_MEMORY;
	struct packet_ids *grown = ids_at(slab, ref);
	grown->count = (uint16_t)count;
	grown->capacity = (uint16_t)capacity;
	if (count != 0)
		memcpy(grown->ids, ids_at(slab, *ids)->ids, count * sizeof(grown->ids[0]));
	packet_ids_clear(slab, ids);
	*ids = ref;
	return ERROR_OK;
}

enum error packet_ids_add(struct slab *slab, uint32_t *ids, uint16_t packet_id)
{
	if (grow(slab, ids) != ERROR_OK)
		return ERROR_NO_MEMORY;
	struct packet_ids *set = ids_at(slab, *ids);
	uint32_t place = place_of(set, packet_id);
	memmove(&set->ids[place + 1], &set->ids[place], (set->count - place) * sizeof(set->ids[0]));
	set->ids[place] = packet_id;
	set->count++;
	return ERROR_OK;
}

bool packet_ids_remove(struct slab *slab, uint32_t *ids, uint16_t packet_id)
{
	if (*ids == 0)
		return false;
	struct packet_ids *set = ids_at(slab, *ids);
	uint32_t place = place_of(set, packet_id);
	if (!is_at(set, place, packet_id))
		return false;
	set->count--;
	memmove(&set->ids[place], &set->ids[place + 1], (set->count - place) * sizeof(set->ids[0]));
	if (set->count == 0)
		packet_ids_clear(slab, ids);
	return true;
}

void packet_ids_clear(struct slab *slab, uint32_t *ids)
{
	if (*ids != 0)
		slab_give(slab, *ids, bytes_for(ids_at(slab, *ids)->capacity));
	*ids = 0;
}
