#include "memory/list.h"

#include <stdlib.h>

void *list_grow(void *items, uint32_t *capacity, size_t item_bytes)
{
	CHECK_LE(*capacity, UINT32_MAX / 2);
	*capacity = *capacity == 0 ? LIST_CAPACITY_MIN : *capacity * 2;
	void *grown = realloc(items, *capacity * item_bytes);
	CHECK(grown != NULL);
	return grown;
}
