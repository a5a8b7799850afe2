/* What this node tells others of its filters (nodes/interest/interest.h): a digest of exact ones, and a list of the
 * others. By the nodes thread. */
#ifndef NODES_OWN_FILTERS_H
#define NODES_OWN_FILTERS_H

#include "cluster/publish/digest.h"
#include "nodes/interest/name_table.h"
#include "runtime/nodes/node_filters.h"

/* A filter with wildcards, or a shared subscription. */
struct own_filter {
	struct filter_note *note;
	uint16_t generation;          /* of its name, which may have had another filter before */
	struct index_members members; /* of a shared subscription, as they were told last */
};

/* Of so many shared subscriptions that have ended the text is kept, if it is no longer than this: messages that name
 * them may be under way. */
#define OWN_ENDED_MAX 1024u
#define OWN_ENDED_TEXT_BYTES_MAX 1024u

struct own_filters {
	struct digest digest;
	struct own_filter *items;
	uint32_t count;
	uint32_t capacity;
	struct name_table places; /* in items, by index_name() */
	uint32_t groups;
	uint16_t generations; /* given so far */
	struct ended_group {
		struct filter_note *note; /* NULL: none yet */
		uint16_t generation;
	} ended[OWN_ENDED_MAX]; /* a ring */
	uint32_t ended_next;
	bool is_all; /* memory was short or there are too many: it says that it wants everything */
};

void own_filters_init(struct own_filters *filters);
void own_filters_fini(struct own_filters *filters);
/* All of them end. */
void own_filters_clear(struct own_filters *filters);

/* Takes over the note. NULL: it is one of too many, or memory is short; is_all then. */
struct own_filter *own_filters_add(struct own_filters *filters, struct filter_note *note);
/* False: it has no such filter. *moved: the place where the last one is now, or is gone. */
bool own_filters_remove(struct own_filters *filters, uint32_t name, uint32_t *moved);
struct own_filter *own_filters_find(const struct own_filters *filters, uint32_t name);
/* A shared subscription, also one that has ended lately: sets *text, "$share/group/filter". False: it is not known. */
bool own_filters_find_group(const struct own_filters *filters, uint32_t name, uint16_t generation, struct slice *text);

#endif
