#include "nodes/interest/own_filters.h"

#include "base/check.h"
#include "nodes/interest/interest_kinds.h"

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

/* Frees the filter's note, or keeps it a while. */
static void own_filters_let_go(struct own_filters *filters, const struct own_filter *filter)
{
	if (filter->note->kind != INDEX_GROUP || filter->note->text_bytes > OWN_ENDED_TEXT_BYTES_MAX) {
		free(filter->note);
		return;
	}
	struct ended_group *ended = &filters->ended[filters->ended_next++ % OWN_ENDED_MAX];
	free(ended->note);
	*ended = (struct ended_group){filter->note, filter->generation};
}

void own_filters_clear(struct own_filters *filters)
{
	for (uint32_t i = 0; i < filters->count; i++)
		own_filters_let_go(filters, &filters->items[i]);
	free(filters->items);
	filters->items = NULL;
	filters->count = filters->capacity = filters->groups = 0;
	filters->is_all = false;
	name_table_fini(&filters->places);
	filters->places = (struct name_table){.entries = NULL};
	digest_fini(&filters->digest);
	digest_init(&filters->digest, free_at_once, NULL);
}

void own_filters_fini(struct own_filters *filters)
{
	own_filters_clear(filters);
	for (uint32_t i = 0; i < OWN_ENDED_MAX; i++)
		free(filters->ended[i].note);
	digest_fini(&filters->digest);
}

struct own_filter *own_filters_find(const struct own_filters *filters, uint32_t name)
{
	const uint32_t *place = name_table_find(&filters->places, name);
	return place != NULL ? &filters->items[*place] : NULL;
}

static bool own_filters_grow(struct own_filters *filters)
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
	if (filters->count >= INTEREST_OTHERS_MAX || !own_filters_grow(filters) ||
	    !name_table_set(&filters->places, note->name, filters->count)) {
		filters->is_all = true;
		free(note);
		return NULL;
	}
	CHECK_LT(filters->count, filters->capacity);
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
	CHECK_LT(*moved, filters->count);
	name_table_remove(&filters->places, name);
	CHECK(filters->groups != 0 || filters->items[*moved].note->kind != INDEX_GROUP);
	filters->groups -= filters->items[*moved].note->kind == INDEX_GROUP;
	own_filters_let_go(filters, &filters->items[*moved]);
	uint32_t last = --filters->count;
	if (*moved != last) {
		filters->items[*moved] = filters->items[last];
		*name_table_find(&filters->places, filters->items[*moved].note->name) = *moved;
	}
	return true;
}

bool own_filters_find_group(const struct own_filters *filters, uint32_t name, uint16_t generation, struct slice *text)
{
	const struct own_filter *filter = own_filters_find(filters, name);
	const struct filter_note *note = NULL;
	if (filter != NULL && filter->generation == generation && filter->note->kind == INDEX_GROUP)
		note = filter->note;
	for (uint32_t i = 0; i < OWN_ENDED_MAX && note == NULL; i++) {
		const struct ended_group *ended = &filters->ended[i];
		if (ended->note != NULL && ended->note->name == name && ended->generation == generation)
			note = ended->note;
	}
	if (note == NULL)
		return false;
	*text = slice_of(note->text, note->text_bytes);
	return true;
}
