#include "memory/list.h"

#include <stdlib.h>

void *list_grow(void *items, uint32_t *capacity)
{
	CHECK_LE(*capacity, UINT32_MAX / 2);
	*capacity = *capacity == 0 ? LIST_CAPACITY_MIN : *capacity * 2;
	void *grown = realloc(items, *capacity * sizeof(uint32_t));
	CHECK(grown != NULL);
	return grown;
}
