/* The packet identifiers of QoS 2 messages that were received and not released yet [4.3.3]: a sorted array in the
 * shard's slab, which exists only while there are some. They come and go in order, so both ends of it are cheap. With
 * hundreds of them it is a bitmap of all identifiers, a block of 10 KiB: so much at most for a client, whatever it
 * leaves unreleased, and no call costs more than the next. Owned by the shard's thread. */
#ifndef SESSION_PACKET_IDS_H
#define SESSION_PACKET_IDS_H

#include "memory/slab.h"

#include <stdbool.h>

/* *ids: slab reference of the set, 0: empty. */

bool packet_ids_has(const struct slab *slab, uint32_t ids, uint16_t packet_id);
uint32_t packet_ids_count(const struct slab *slab, uint32_t ids);
/* The identifier must not be there. ERROR_NO_MEMORY. */
enum error packet_ids_add(struct slab *slab, uint32_t *ids, uint16_t packet_id);
/* False: it was not there. */
bool packet_ids_remove(struct slab *slab, uint32_t *ids, uint16_t packet_id);
void packet_ids_clear(struct slab *slab, uint32_t *ids);

#endif
