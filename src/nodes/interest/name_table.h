/* A table from names, which are numbers that lie anywhere and never 0, to numbers. By one thread. */
#ifndef NODES_NAME_TABLE_H
#define NODES_NAME_TABLE_H

#include <stdbool.h>
#include <stdint.h>

struct name_entry {
	uint32_t name; /* 0: the place is free */
	uint32_t value;
};

struct name_table {
	struct name_entry *entries;
	uint32_t mask; /* their number, a power of two, less one; entries NULL: none yet */
	uint32_t count;
};

void name_table_fini(struct name_table *table);
/* False: no memory, and nothing has changed; never where the name is there. */
bool name_table_set(struct name_table *table, uint32_t name, uint32_t value);
/* NULL: it is not there. Good until the next change. */
uint32_t *name_table_find(const struct name_table *table, uint32_t name);
void name_table_remove(struct name_table *table, uint32_t name);

#endif
