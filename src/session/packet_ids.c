#include "session/packet_ids.h"
#include "base/layout_root.h"

#include "base/check.h"

#include <string.h>

#define CAPACITY_MIN 6u   /* with the two counts, one block of 16 bytes */
#define CAPACITY_MAX 384u /* a change moves at most 768 bytes; more identifiers take a bitmap */
#define ARRAY_AGAIN 96u   /* a bitmap with so few becomes an array again */
#define IDS 65536u
_Static_assert(IDS - 1 <= UINT16_MAX, "a count holds all identifiers, which begin at 1");
_Static_assert(CAPACITY_MAX % CAPACITY_MIN == 0 &&
		       (CAPACITY_MAX / CAPACITY_MIN & (CAPACITY_MAX / CAPACITY_MIN - 1)) == 0,
	       "doubling the smallest array leads to the largest");
_Static_assert(ARRAY_AGAIN <= CAPACITY_MAX / 2, "the array that replaces a bitmap has room for all of it, and to grow");

struct packet_ids {
	uint16_t count;
	uint16_t capacity; /* 0: a bitmap takes the place of the array */
	uint16_t ids[];
};
_Static_assert(sizeof(struct packet_ids) + CAPACITY_MIN * sizeof(uint16_t) == SLAB_UNIT_BYTES, "the smallest block");
LAYOUT_ROOT(packet_ids);

static struct packet_ids *ids_at(const struct slab *slab, uint32_t ids)
{
	return slab_at(slab, ids);
}

static size_t packet_ids_bytes_for(uint32_t capacity)
{
	return sizeof(struct packet_ids) + (capacity != 0 ? capacity * sizeof(uint16_t) : IDS / 8);
}

static uint32_t packet_ids_make(struct slab *slab, uint32_t capacity)
{
	uint32_t ref = slab_take(slab, packet_ids_bytes_for(capacity));
	if (ref == 0)
		return 0;
	memset(ids_at(slab, ref), 0, packet_ids_bytes_for(capacity));
	ids_at(slab, ref)->capacity = (uint16_t)capacity;
	return ref;
}

/* ---- as a bitmap ---- */

static bool bit_has(const struct packet_ids *set, uint32_t packet_id)
{
	return ((uint32_t)set->ids[packet_id / 16] >> packet_id % 16 & 1u) != 0;
}

static void bit_flip(struct packet_ids *set, uint32_t packet_id)
{
	set->ids[packet_id / 16] = (uint16_t)(set->ids[packet_id / 16] ^ 1u << packet_id % 16);
}

static void array_to_bits(const struct packet_ids *array, struct packet_ids *bits)
{
	bits->count = array->count;
	for (uint32_t i = 0; i < array->count; i++)
		bit_flip(bits, array->ids[i]);
}

static void bits_to_array(const struct packet_ids *bits, struct packet_ids *array)
{
	for (uint32_t id = 0; id < IDS; id++) {
		if (bits->ids[id / 16] == 0)
			id |= 15u; /* skip these sixteen */
		else if (bit_has(bits, id))
			array->ids[array->count++] = (uint16_t)id;
	}
	CHECK_EQ(array->count, bits->count);
}

/* ---- as a sorted array ---- */

/* The identifier's place in the array, or where it would be inserted. */
static uint32_t packet_ids_place_of(const struct packet_ids *set, uint16_t packet_id)
{
	uint32_t low = 0;
	uint32_t high = set->count;
	/* Nearly always it is the first, or goes after the last. */
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

static bool packet_ids_is_at(const struct packet_ids *set, uint32_t place, uint16_t packet_id)
{
	return place < set->count && set->ids[place] == packet_id;
}

/* ---- as either ---- */

bool packet_ids_has(const struct slab *slab, uint32_t ids, uint16_t packet_id)
{
	if (ids == 0)
		return false;
	const struct packet_ids *set = ids_at(slab, ids);
	return set->capacity == 0 ? bit_has(set, packet_id)
				  : packet_ids_is_at(set, packet_ids_place_of(set, packet_id), packet_id);
}

uint32_t packet_ids_count(const struct slab *slab, uint32_t ids)
{
	return ids != 0 ? ids_at(slab, ids)->count : 0;
}

static uint16_t bits_next(const struct packet_ids *set, uint32_t from)
{
	for (uint32_t id = from; id < IDS; id++) {
		if (set->ids[id / 16] >> id % 16 == 0)
			id |= 15u; /* skip the rest of these sixteen */
		else if (bit_has(set, id))
			return (uint16_t)id;
	}
	return 0;
}

uint16_t packet_ids_next(const struct slab *slab, uint32_t ids, uint16_t after)
{
	if (ids == 0 || after == UINT16_MAX)
		return 0;
	const struct packet_ids *set = ids_at(slab, ids);
	uint16_t from = (uint16_t)(after + 1);
	if (set->capacity == 0)
		return bits_next(set, from);
	uint32_t place = packet_ids_place_of(set, from);
	return place < set->count ? set->ids[place] : 0;
}

/* Makes room for one more: a larger array, or a bitmap, which has room for all. */
static enum error packet_ids_grow(struct slab *slab, uint32_t *ids)
{
	const struct packet_ids *old = *ids != 0 ? ids_at(slab, *ids) : NULL;
	if (old != NULL && (old->capacity == 0 || old->count < old->capacity))
		return ERROR_OK;
	uint32_t capacity = old == NULL ? CAPACITY_MIN : old->capacity * 2u;
	if (capacity > CAPACITY_MAX)
		capacity = 0;
	uint32_t ref = packet_ids_make(slab, capacity);
	if (ref == 0)
		return ERROR_NO_MEMORY;
	struct packet_ids *grown = ids_at(slab, ref);
	if (old != NULL && capacity == 0) {
		array_to_bits(old, grown);
	} else if (old != NULL) {
		grown->count = old->count;
		memcpy(grown->ids, old->ids, old->count * sizeof(old->ids[0]));
	}
	packet_ids_clear(slab, ids);
	*ids = ref;
	return ERROR_OK;
}

enum error packet_ids_add(struct slab *slab, uint32_t *ids, uint16_t packet_id)
{
	if (packet_ids_grow(slab, ids) != ERROR_OK)
		return ERROR_NO_MEMORY;
	struct packet_ids *set = ids_at(slab, *ids);
	if (set->capacity == 0) {
		CHECK(!bit_has(set, packet_id));
		bit_flip(set, packet_id);
	} else {
		uint32_t place = packet_ids_place_of(set, packet_id);
		CHECK(set->count < set->capacity && !packet_ids_is_at(set, place, packet_id));
		memmove(&set->ids[place + 1], &set->ids[place], (set->count - place) * sizeof(set->ids[0]));
		set->ids[place] = packet_id;
	}
	set->count++;
	return ERROR_OK;
}

/* Makes a bitmap with few identifiers an array. Without memory for that it stays a bitmap. */
static void packet_ids_shrink(struct slab *slab, uint32_t *ids)
{
	const struct packet_ids *set = ids_at(slab, *ids);
	if (set->capacity != 0 || set->count > ARRAY_AGAIN)
		return;
	uint32_t ref = packet_ids_make(slab, CAPACITY_MAX / 2);
	if (ref == 0)
		return;
	bits_to_array(set, ids_at(slab, ref));
	packet_ids_clear(slab, ids);
	*ids = ref;
}

bool packet_ids_remove(struct slab *slab, uint32_t *ids, uint16_t packet_id)
{
	if (!packet_ids_has(slab, *ids, packet_id))
		return false;
	struct packet_ids *set = ids_at(slab, *ids);
	set->count--;
	if (set->capacity == 0) {
		bit_flip(set, packet_id);
	} else {
		uint32_t place = packet_ids_place_of(set, packet_id);
		memmove(&set->ids[place], &set->ids[place + 1], (set->count - place) * sizeof(set->ids[0]));
	}
	if (set->count == 0)
		packet_ids_clear(slab, ids);
	else
		packet_ids_shrink(slab, ids);
	return true;
}

void packet_ids_clear(struct slab *slab, uint32_t *ids)
{
	if (*ids != 0)
		slab_give(slab, *ids, packet_ids_bytes_for(ids_at(slab, *ids)->capacity));
	*ids = 0;
}
