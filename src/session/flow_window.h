/* What a flow needs beside its list only at times: the table from packet identifier to entry, for a client that does
 * not acknowledge in order; where the part ends that was sent on an earlier connection; where a search for expired
 * messages goes on. One block in the shard's slab, at flow->window. Only for session/flow.c; without memory it does
 * without. */
#ifndef SESSION_FLOW_WINDOW_H
#define SESSION_FLOW_WINDOW_H

#include "session/flow_list.h"

/* Makes the table of all that is under way, unless there is one. False: no memory. */
bool flow_window_make_table(struct flow *flow, struct flow_store *store);
/* 0: no such identifier. There is a table. */
uint32_t flow_window_find(const struct flow *flow, const struct flow_store *store, uint16_t packet_id);
/* The entry was sent just now. flow->window is not 0. */
void flow_window_add(struct flow *flow, struct flow_store *store, uint32_t entry);
/* Nothing is under way: the table goes. */
void flow_window_drop_table(struct flow *flow, struct flow_store *store);

/* The entry goes, or what it held is now at another place. to 0: at none. */
void flow_window_forget(const struct flow *flow, const struct flow_store *store, uint32_t entry);
void flow_window_moved(const struct flow *flow, const struct flow_store *store, uint32_t from, uint32_t to);

/* After flow_rewind(): what is to be sent again. many: so that it is to be remembered. */
void flow_window_rewind(struct flow *flow, struct flow_store *store, const struct flow_repeats *repeats, bool many);
/* False: not known. */
bool flow_window_repeats(const struct flow *flow, const struct flow_store *store, struct flow_repeats *repeats);
/* One of them was sent again, or is gone. */
void flow_window_repeated(const struct flow *flow, const struct flow_store *store, uint32_t bytes);
/* The last entry that was looked at, which was never sent; 0: none. */
uint32_t flow_window_cursor(const struct flow *flow, const struct flow_store *store);
void flow_window_set_cursor(struct flow *flow, struct flow_store *store, uint32_t entry);

void flow_window_free(struct flow *flow, struct flow_store *store);

#endif
