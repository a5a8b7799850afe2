/* A growing array of 32-bit indices. Owned by one thread. */
#ifndef MEMORY_LIST_H
#define MEMORY_LIST_H

#include "base/check.h"

#include <stdint.h>
#include <stdlib.h>

struct list {
	uint32_t *items;
	uint32_t count;
	uint32_t capacity;
};

/* Grows only to the longest that the list ever was. Aborts without memory: the lists are bounded by the clients. */
static inline void list_push(struct list *list, uint32_t item)
{
	if (list->count == list->capacity) {
		list->capacity = list->capacity == 0 ? 64 : list->capacity * 2;
		list->items = realloc(list->items, list->capacity * sizeof(*list->items));
		CHECK(list->items != NULL);
	}
	list->items[list->count++] = item;
}

static inline void list_fini(struct list *list)
{
	free(list->items);
	*list = (struct list){0};
}

#endif
