/* The datagrams of a link that are kept: blocks for use again, and which goes next. For the files of the link alone. */
#ifndef CLUSTER_LINK_WINDOW_H
#define CLUSTER_LINK_WINDOW_H

#include "cluster/link/link_state.h"

/* Sees to it that there are so many blocks. false: memory is short, and there are as many as before. */
bool link_reserve_spares(struct link *link, size_t count);
/* There is one. */
struct link_datagram *link_take_spare(struct link *link);
void link_give_spare(struct link *link, struct link_datagram *datagram);
/* To the oldest that is not acknowledged: it goes next. */
void link_go_back(struct link *link, uint64_t now_ms);

#endif
