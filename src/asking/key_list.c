#include "asking/key_list.h"

#include "base/check.h"

#include <stdlib.h>

#define ROOM_MIN 64u

static bool key_list_grow(struct key_list *list)
{
	if (list->end < list->room)
		return true;
	CHECK(list->room <= UINT32_MAX / 2);
	uint32_t room = list->room != 0 ? list->room * 2 : ROOM_MIN;
	struct slice *grown = realloc(list->names, room * sizeof(*grown));
	if (grown == NULL)
		return false;
	list->names = grown;
	list->room = room;
	return true;
}

bool key_list_add(struct key_list *list, struct slice name)
{
	uint8_t *copy = malloc(name.size + 1);
	if (copy == NULL || !key_list_grow(list)) {
		free(copy);
		return false;
	}
	if (name.size != 0)
		memcpy(copy, name.data, name.size);
	list->names[list->end++] = slice_of(copy, name.size);
	return true;
}

struct slice key_list_at(const struct key_list *list, uint32_t number)
{
	CHECK_LT(number, key_list_count(list));
	return list->names[list->first + number];
}

void key_list_drop(struct key_list *list, uint32_t count)
{
	CHECK_LE(count, key_list_count(list));
	while (count-- != 0)
		free((void *)(uintptr_t)list->names[list->first++].data);
	if (list->first == list->end)
		list->first = list->end = 0;
}

void key_list_clear(struct key_list *list)
{
	key_list_drop(list, key_list_count(list));
}

void key_list_free(struct key_list *list)
{
	key_list_clear(list);
	free(list->names);
	*list = (struct key_list){0};
}
