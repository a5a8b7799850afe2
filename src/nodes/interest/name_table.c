#include "nodes/interest/name_table.h"

#include "base/check.h"

#include <stdlib.h>

#define ENTRIES_MIN 64u
_Static_assert((ENTRIES_MIN & (ENTRIES_MIN - 1)) == 0, "a mask finds the place");

void name_table_fini(struct name_table *table)
{
	free(table->entries);
	*table = (struct name_table){.entries = NULL};
}

static uint32_t name_table_home_of(const struct name_table *table, uint32_t name)
{
	return name * 0x9E3779B1u >> 7 & table->mask;
}

/* The name's place, or the free one where it belongs. */
static uint32_t name_table_place_of(const struct name_table *table, uint32_t name)
{
	uint32_t at = name_table_home_of(table, name);
	while (table->entries[at].name != 0 && table->entries[at].name != name)
		at = (at + 1) & table->mask;
	return at;
}

/* At most half of the places are taken. */
static bool name_table_grow(struct name_table *table)
{
	if (table->entries != NULL && table->count < (table->mask + 1) / 2)
		return true;
	struct name_table before = *table;
	uint32_t wanted = before.entries != NULL ? (before.mask + 1) * 2 : ENTRIES_MIN;
	struct name_entry *entries = calloc(wanted, sizeof(*entries));
	if (entries == NULL)
		return false;
	table->entries = entries;
	table->mask = wanted - 1;
	for (uint32_t i = 0; before.entries != NULL && i <= before.mask; i++) {
		if (before.entries[i].name != 0)
			entries[name_table_place_of(table, before.entries[i].name)] = before.entries[i];
	}
	free(before.entries);
	return true;
}

uint32_t *name_table_find(const struct name_table *table, uint32_t name)
{
	if (table->entries == NULL)
		return NULL;
	struct name_entry *entry = &table->entries[name_table_place_of(table, name)];
	return entry->name != 0 ? &entry->value : NULL;
}

bool name_table_set(struct name_table *table, uint32_t name, uint32_t value)
{
	uint32_t *found = name_table_find(table, name);
	if (found != NULL) {
		*found = value;
		return true;
	}
	if (!name_table_grow(table))
		return false;
	CHECK_LE(table->count, table->mask / 2);
	table->entries[name_table_place_of(table, name)] = (struct name_entry){name, value};
	table->count++;
	return true;
}

void name_table_remove(struct name_table *table, uint32_t name)
{
	if (name_table_find(table, name) == NULL)
		return;
	uint32_t at = name_table_place_of(table, name);
	table->entries[at].name = 0;
	CHECK_GT(table->count, 0u);
	table->count--;
	/* Those behind it move up, so that none is cut off from where it belongs. */
	for (uint32_t next = (at + 1) & table->mask; table->entries[next].name != 0; next = (next + 1) & table->mask) {
		uint32_t home = name_table_home_of(table, table->entries[next].name);
		if (((next - home) & table->mask) < ((next - at) & table->mask))
			continue;
		table->entries[at] = table->entries[next];
		table->entries[next].name = 0;
		at = next;
	}
}
