/* The parts of a flow that few flows need: a table from packet identifier to entry, for a client that does not
 * acknowledge in order; the end of the messages to repeat after a connection was lost; the place where a search for
 * expired messages goes on. One block in the shard's slab, at flow->window. For session/flow.c only, which works
 * without the block, more slowly, where there is no memory for it. Owned by the shard's thread. */
#ifndef SESSION_FLOW_WINDOW_H
#define SESSION_FLOW_WINDOW_H

#include "session/flow_list.h"

/* Makes the table of all that is in flight, unless there is one. False: no memory. */
bool flow_window_make_table(struct flow *flow, struct flow_store *store);
/* The entry that may have the identifier, to be verified; 0: none has. There must be a table. */
uint32_t flow_window_find(const struct flow *flow, const struct flow_store *store, uint16_t packet_id);
/* The entry was just sent. flow->window is not 0. */
void flow_window_add(struct flow *flow, struct flow_store *store, uint32_t entry);
/* Frees the table when nothing is in flight. */
void flow_window_drop_table(struct flow *flow, struct flow_store *store);

/* The entry is about to be freed, or its content has moved to another one. to 0: to none. */
void flow_window_forget(const struct flow *flow, const struct flow_store *store, uint32_t entry);
void flow_window_moved(const struct flow *flow, const struct flow_store *store, uint32_t from, uint32_t to);

/* At the end of flow_rewind(): remembers what is to be sent again. many: it is worth a block of its own. */
void flow_window_rewind(struct flow *flow, struct flow_store *store, const struct flow_repeats *repeats, bool many);
/* What is to be sent again. False: not known. */
bool flow_window_repeats(const struct flow *flow, const struct flow_store *store, struct flow_repeats *repeats);
/* One of these was sent again, or dropped. */
void flow_window_repeated(const struct flow *flow, const struct flow_store *store, uint32_t bytes);
/* The entry where the search for expired messages goes on, which was never sent; 0: none. */
uint32_t flow_window_cursor(const struct flow *flow, const struct flow_store *store);
void flow_window_set_cursor(struct flow *flow, struct flow_store *store, uint32_t entry);

void flow_window_free(struct flow *flow, struct flow_store *store);

#endif
