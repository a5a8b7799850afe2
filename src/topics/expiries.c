#include "topics/expiries.h"
#include "base/layout_root.h"
#include "memory/notes.h"

/* Places begin at 1, so that 0 in an object means none. The parent of place n is n / 2. */
struct expiry_entry {
	uint32_t expires_s;
	uint32_t index;
};
_Static_assert(sizeof(struct expiry_entry) == 8, "the cost of an expiry in topics/expiries.h");
LAYOUT_ROOT(expiry_entry);

static struct expiry_entry *expiry_entry_at(const struct expiries *expiries, uint32_t place)
{
	return (struct expiry_entry *)(void *)expiries->heap.base + place;
}

static uint32_t *expiry_place_of(const struct expiries *expiries, uint32_t index)
{
	return (void *)((uint8_t *)pool_at(expiries->pool, index) + expiries->place_offset);
}

/* What the heap is beside its places. */
struct expiries_note {
	uint32_t place_offset;
	uint32_t count;
};
LAYOUT_ROOT(expiries_note);

enum error expiries_open(struct expiries *expiries, const struct pool *pool, uint32_t place_offset, uint32_t limit)
{
	return expiries_open_in(expiries, NULL, NULL, pool, place_offset, limit);
}

enum error expiries_open_in(struct expiries *expiries, struct arena *arena, const char *name, const struct pool *pool,
			    uint32_t place_offset, uint32_t limit)
{
	CHECK_LE(place_offset + sizeof(uint32_t), pool->object_bytes);
	CHECK_GE(place_offset, sizeof(uint32_t)); /* the pool's link takes the first four bytes */
	*expiries = (struct expiries){.pool = pool, .place_offset = place_offset};
	enum error error =
		region_open_in(&expiries->heap, arena, name, ((size_t)limit + 1) * sizeof(struct expiry_entry));
	if (error != ERROR_OK || !arena_is_adopted(arena))
		return error;
	struct expiries_note note;
	if (!arena_get_exact(arena, name, &note, sizeof(note)) || note.place_offset != place_offset ||
	    note.count > pool->used ||
	    (note.count != 0 && ((size_t)note.count + 1) * sizeof(struct expiry_entry) > expiries->heap.usable_bytes)) {
		region_unmap(&expiries->heap);
		return ERROR_NOT_FOUND;
	}
	expiries->count = note.count;
	return ERROR_OK;
}

enum error expiries_save(const struct expiries *expiries, const struct arena *arena)
{
	if (expiries->heap.place == NULL)
		return ERROR_OK;
	struct expiries_note note = {.place_offset = expiries->place_offset, .count = expiries->count};
	return arena_put(arena, expiries->heap.place->name, &note, sizeof(note));
}

void expiries_close(struct expiries *expiries)
{
	region_close(&expiries->heap);
}

enum error expiries_reserve(struct expiries *expiries)
{
	return region_grow(&expiries->heap, ((size_t)expiries->count + 2) * sizeof(struct expiry_entry));
}

static void heap_set(const struct expiries *expiries, uint32_t place, struct expiry_entry entry)
{
	*expiry_entry_at(expiries, place) = entry;
	*expiry_place_of(expiries, entry.index) = place;
}

/* Puts the entry at the place, or above as far as it expires before its parents. */
static void sift_up(const struct expiries *expiries, uint32_t place, struct expiry_entry entry)
{
	for (; place > 1 && expiry_entry_at(expiries, place / 2)->expires_s > entry.expires_s; place /= 2)
		heap_set(expiries, place, *expiry_entry_at(expiries, place / 2));
	heap_set(expiries, place, entry);
}

/* Puts the entry at the place, or below as far as its children expire before it. */
static void sift_down(const struct expiries *expiries, uint32_t place, struct expiry_entry entry)
{
	for (;;) {
		uint32_t child = place * 2;
		if (child > expiries->count)
			break;
		if (child < expiries->count &&
		    expiry_entry_at(expiries, child + 1)->expires_s < expiry_entry_at(expiries, child)->expires_s)
			child++;
		if (expiry_entry_at(expiries, child)->expires_s >= entry.expires_s)
			break;
		heap_set(expiries, place, *expiry_entry_at(expiries, child));
		place = child;
	}
	heap_set(expiries, place, entry);
}

void expiries_add(struct expiries *expiries, uint32_t index, uint32_t expires_s)
{
	CHECK_EQ(*expiry_place_of(expiries, index), 0u);
	CHECK_LE(((size_t)expiries->count + 2) * sizeof(struct expiry_entry), expiries->heap.usable_bytes);
	sift_up(expiries, ++expiries->count, (struct expiry_entry){expires_s, index});
}

void expiries_remove(struct expiries *expiries, uint32_t index)
{
	uint32_t place = *expiry_place_of(expiries, index);
	if (place == 0)
		return;
	CHECK(place <= expiries->count && expiry_entry_at(expiries, place)->index == index);
	*expiry_place_of(expiries, index) = 0;
	struct expiry_entry last = *expiry_entry_at(expiries, expiries->count--);
	if (last.index == index)
		return;
	if (place > 1 && expiry_entry_at(expiries, place / 2)->expires_s > last.expires_s)
		sift_up(expiries, place, last);
	else
		sift_down(expiries, place, last);
}

uint32_t expiries_first_s(const struct expiries *expiries)
{
	return expiries->count != 0 ? expiry_entry_at(expiries, 1)->expires_s : UINT32_MAX;
}

uint32_t expiries_due(const struct expiries *expiries, uint32_t now_s)
{
	return expiries_first_s(expiries) <= now_s ? expiry_entry_at(expiries, 1)->index : 0;
}
