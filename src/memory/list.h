/* A growing array of 32-bit numbers, or of references of one kind (DEFINE_LIST). Owned by one thread. */
#ifndef MEMORY_LIST_H
#define MEMORY_LIST_H

#include "base/check.h"
#include "memory/ref.h"

#include <stdint.h>
#include <stdlib.h>

#define LIST_CAPACITY_MIN 64u

struct list {
	uint32_t *items;
	uint32_t count;
	uint32_t capacity;
};

/* Doubles the room for items of so many bytes. Aborts without memory: the number of clients bounds the lists, and a
 * caller of list_push() could not undo what it is doing. */
void *list_grow(void *items, uint32_t *capacity, size_t item_bytes);

/* Memory grows only to the greatest length that the list ever had. */
static inline void list_push(struct list *list, uint32_t item)
{
	if (list->count == list->capacity)
		list->items = list_grow(list->items, &list->capacity, sizeof(*list->items));
	list->items[list->count++] = item;
}

static inline void list_fini(struct list *list)
{
	free(list->items);
	*list = (struct list){0};
}

/* struct NAME_list, a list of references; DEFINE_REF(NAME) comes first (memory/ref.h). Anyone may read `items` and
 * `count`. Lowering `count` drops the last items and keeps the room. */
#define DEFINE_LIST(name)                                                                                              \
	struct name##_list {                                                                                           \
		struct name##_ref *items;                                                                              \
		uint32_t count;                                                                                        \
		uint32_t capacity;                                                                                     \
	};                                                                                                             \
	REF_INLINE void name##_list_push(struct name##_list *list, struct name##_ref ref)                              \
	{                                                                                                              \
		CHECK(!name##_ref_is_none(ref));                                                                       \
		if (list->count == list->capacity)                                                                     \
			list->items =                                                                                  \
				(struct name##_ref *)list_grow(list->items, &list->capacity, sizeof(*list->items));    \
		list->items[list->count++] = ref;                                                                      \
	}                                                                                                              \
	REF_INLINE void name##_list_fini(struct name##_list *list)                                                     \
	{                                                                                                              \
		free(list->items);                                                                                     \
		*list = (struct name##_list){0};                                                                       \
	}                                                                                                              \
	_Static_assert(sizeof(struct name##_ref) == sizeof(uint32_t), "list_grow() counts in four bytes")

#endif
