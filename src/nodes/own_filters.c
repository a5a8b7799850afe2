#include "nodes/own_filters.h"

#include "base/check.h"
#include "nodes/interest.h"

#include <stdlib.h>
#include <string.h>

#define ITEMS_MIN 32u

/* Of the own digest nobody but this thread reads. */
static void free_at_once(void *context, void *block)
{
	(void)context;
	free(block);
}

void own_filters_init(struct own_filters *filters)
{
	*filters = (struct own_filters){.items = NULL};
	digest_init(&filters->digest, free_at_once, NULL);
}

void own_filters_fini(struct own_filters *filters)
{
	for (uint32_t i = 0; i < filters->count; i++)
		free(filters->items[i].note);
	free(filters->items);
	name_table_fini(&filters->places);
	digest_fini(&filters->digest);
}

struct own_filter *own_filters_find(const struct own_filters *filters, uint32_t name)
{
	const uint32_t *place = name_table_find(&filters->places, name);
	return place != NULL ? &filters->items[*place] : NULL;
}

static bool grow(struct own_filters *filters)
{
	if (filters->count < filters->capacity)
		return true;
	uint32_t capacity = filters->capacity == 0 ? ITEMS_MIN : filters->capacity * 2;
	struct own_filter *items = realloc(filters->items, capacity * sizeof(*items));
	if (items == NULL)
		return false;
	filters->items = items;
	filters->capacity = capacity;
	return true;
}

struct own_filter *own_filters_add(struct own_filters *filters, struct filter_note *note)
{
	uint32_t moved;
	if (own_filters_find(filters, note->name) != NULL)
		own_filters_remove(filters, note->name, &moved);
	if (filters->count >= INTEREST_OTHERS_MAX || !grow(filters) ||
	    !name_table_set(&filters->places, note->name, filters->count)) {
		filters->is_all = true;
		free(note);
		return NULL;
	}
	struct own_filter *filter = &filters->items[filters->count++];
	*filter = (struct own_filter){.note = note, .generation = ++filters->generations};
	filters->groups += note->kind == INDEX_GROUP;
	return filter;
}

bool own_filters_remove(struct own_filters *filters, uint32_t name, uint32_t *moved)
{
	const uint32_t *place = name_table_find(&filters->places, name);
	if (place == NULL)
		return false;
	*moved = *place;
	name_table_remove(&filters->places, name);
	filters->groups -= filters->items[*moved].note->kind == INDEX_GROUP;
	free(filters->items[*moved].note);
	uint32_t last = --filters->count;
	if (*moved != last) {
		filters->items[*moved] = filters->items[last];
		*name_table_find(&filters->places, filters->items[*moved].note->name) = *moved;
	}
	return true;
}
