#include "cluster/takeover/directory.h"

#include "base/check.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define PLACES_MIN 16u
_Static_assert((PLACES_MIN & (PLACES_MIN - 1)) == 0 && PLACES_MIN >= 4, "a mask finds the place, at any load");
_Static_assert(DIRECTORY_PARTS == 1u << 8, "the upper byte of a hash is its part");

/* 0 stands for a free place. */
static uint64_t named(uint64_t hash)
{
	return hash != 0 ? hash : 1;
}

static struct directory_part *directory_part_of(struct directory *directory, uint64_t hash)
{
	return &directory->parts[hash >> 56];
}

void directory_init(struct directory *directory)
{
	memset(directory, 0, sizeof(*directory));
}

void directory_fini(struct directory *directory)
{
	for (uint32_t i = 0; i < DIRECTORY_PARTS; i++)
		free(directory->parts[i].entries);
	directory_init(directory);
}

void directory_clear(struct directory *directory)
{
	for (uint32_t i = 0; i < DIRECTORY_PARTS; i++) {
		struct directory_part *part = &directory->parts[i];
		if (part->count != 0)
			memset(part->entries, 0, part->places * sizeof(*part->entries));
		part->count = 0;
	}
	directory->count = 0;
}

/* Its place, or the free one where it belongs. A part is never full. */
static struct directory_entry *directory_place_of(const struct directory_part *part, uint64_t hash)
{
	CHECK_LT(part->count, part->places);
	uint32_t at = (uint32_t)hash & (part->places - 1);
	while (part->entries[at].hash != 0 && part->entries[at].hash != hash)
		at = (at + 1) & (part->places - 1);
	return &part->entries[at];
}

struct directory_entry *directory_find(struct directory *directory, uint64_t hash)
{
	hash = named(hash);
	const struct directory_part *part = directory_part_of(directory, hash);
	struct directory_entry *entry = part->places != 0 ? directory_place_of(part, hash) : NULL;
	return entry != NULL && entry->hash != 0 ? entry : NULL;
}

static bool part_grow(struct directory_part *part)
{
	struct directory_part grown = {.places = part->places != 0 ? part->places * 2 : PLACES_MIN,
				       .count = part->count};
	grown.entries = calloc(grown.places, sizeof(*grown.entries));
	if (grown.entries == NULL)
		return false;
	for (uint32_t i = 0; i < part->places; i++) {
		if (part->entries[i].hash != 0)
			*directory_place_of(&grown, part->entries[i].hash) = part->entries[i];
	}
	free(part->entries);
	*part = grown;
	return true;
}

enum error directory_set(struct directory *directory, uint64_t hash, uint8_t slot, uint32_t since_s, bool is_husk)
{
	hash = named(hash);
	struct directory_part *part = directory_part_of(directory, hash);
	struct directory_entry *entry = directory_find(directory, hash);
	if (entry == NULL) {
		if (directory->count >= DIRECTORY_MAX)
			return ERROR_LIMIT;
		if (part->count + 1 > part->places / 4 * 3 && !part_grow(part))
			return ERROR_NO_MEMORY;
		entry = directory_place_of(part, hash);
		part->count++;
		directory->count++;
	}
	CHECK_LE(part->count, part->places / 4 * 3);
	*entry = (struct directory_entry){.hash = hash, .slot = slot, .since_s = since_s, .is_husk = is_husk};
	return ERROR_OK;
}

/* What was pushed on by the entry moves back, so there are no marks of what was removed. */
void directory_remove(struct directory *directory, uint64_t hash)
{
	hash = named(hash);
	struct directory_part *part = directory_part_of(directory, hash);
	struct directory_entry *entry = directory_find(directory, hash);
	if (entry == NULL)
		return;
	uint32_t mask = part->places - 1;
	uint32_t hole = (uint32_t)(entry - part->entries);
	for (uint32_t at = (hole + 1) & mask; part->entries[at].hash != 0; at = (at + 1) & mask) {
		uint32_t wanted = (uint32_t)part->entries[at].hash & mask;
		if (((at - wanted) & mask) < ((at - hole) & mask))
			continue; /* it does not reach back to the hole */
		part->entries[hole] = part->entries[at];
		hole = at;
	}
	part->entries[hole] = (struct directory_entry){.hash = 0};
	CHECK_GT(part->count, 0u);
	CHECK_GE(directory->count, part->count);
	part->count--;
	directory->count--;
}
