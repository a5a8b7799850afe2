/* What this node tells others of its filters (nodes/interest.h): a digest of exact ones, and a list of the others. By
 * the nodes thread. */
#ifndef NODES_OWN_FILTERS_H
#define NODES_OWN_FILTERS_H

#include "cluster/digest.h"
#include "nodes/name_table.h"
#include "runtime/node_filters.h"

/* A filter with wildcards, or a shared subscription. */
struct own_filter {
	struct filter_note *note;
	uint16_t generation;          /* of its name, which may have had another filter before */
	struct index_members members; /* of a shared subscription, as they were told last */
};

struct own_filters {
	struct digest digest;
	struct own_filter *items;
	uint32_t count;
	uint32_t capacity;
	struct name_table places; /* in items, by index_name() */
	uint32_t groups;
	uint16_t generations; /* given so far */
	bool is_all;          /* memory was short or there are too many: it says that it wants everything */
};

void own_filters_init(struct own_filters *filters);
void own_filters_fini(struct own_filters *filters);

/* Takes over the note. NULL: it is one of too many, or memory is short; is_all then. */
struct own_filter *own_filters_add(struct own_filters *filters, struct filter_note *note);
/* False: it has no such filter. *moved: the place where the last one is now, or is gone. */
bool own_filters_remove(struct own_filters *filters, uint32_t name, uint32_t *moved);
struct own_filter *own_filters_find(const struct own_filters *filters, uint32_t name);

#endif
