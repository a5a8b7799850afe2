/* The packet identifiers of QoS 2 messages that were received and are not released yet [4.3.3]. They are a sorted array
 * in the shard's slab, which exists only while there are some. Identifiers mostly come and go in order, so changes at
 * both ends are cheap. Hundreds of them become a bitmap of all identifiers, in a block of 10 KiB. That is the most a
 * client can make the shard keep, and it bounds the cost of each call. Owned by the shard's thread. */
#ifndef SESSION_PACKET_IDS_H
#define SESSION_PACKET_IDS_H

#include "memory/slab.h"

#include <stdbool.h>

/* *ids: slab reference of the set; 0: empty. */

bool packet_ids_has(const struct slab *slab, uint32_t ids, uint16_t packet_id);
uint32_t packet_ids_count(const struct slab *slab, uint32_t ids);
/* The lowest one above `after`; 0: there is none. For a walk over all of them, from 0. */
uint16_t packet_ids_next(const struct slab *slab, uint32_t ids, uint16_t after);
/* The identifier must not be in the set. ERROR_NO_MEMORY. */
enum error packet_ids_add(struct slab *slab, uint32_t *ids, uint16_t packet_id);
/* False: it was not in the set. */
bool packet_ids_remove(struct slab *slab, uint32_t *ids, uint16_t packet_id);
void packet_ids_clear(struct slab *slab, uint32_t *ids);

#endif
