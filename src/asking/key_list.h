/* Names of keys in the order in which they came. Owned by one thread. */
#ifndef ASKING_KEY_LIST_H
#define ASKING_KEY_LIST_H

#include "base/slice.h"

struct key_list {
	struct slice *names; /* copies */
	uint32_t first;      /* those before were dropped */
	uint32_t end;
	uint32_t room;
};

/* Adds a copy. False: memory is short. */
bool key_list_add(struct key_list *list, struct slice name);
/* `number` counts from the oldest. */
struct slice key_list_at(const struct key_list *list, uint32_t number);
/* Drops so many of the oldest. */
void key_list_drop(struct key_list *list, uint32_t count);
void key_list_clear(struct key_list *list);
void key_list_free(struct key_list *list);

static inline uint32_t key_list_count(const struct key_list *list)
{
	return list->end - list->first;
}

#endif
