/* Topic aliases of one connection and one direction [3.3.2.3.4]: numbers from 1 that stand for topics. A small array in
 * the shard's slab, made when the first alias is set. Owned by the shard's thread. */
#ifndef SESSION_ALIASES_H
#define SESSION_ALIASES_H

#include "base/slice.h"
#include "memory/slab.h"

/* *aliases: slab reference, 0: none was set. max: the largest alias of this direction, the same in every call. */

/* Sets or replaces. ERROR_NO_MEMORY. */
enum error aliases_set(struct slab *slab, uint32_t *aliases, uint16_t max, uint16_t alias, struct slice topic);
/* The topic that an alias (1..max) stands for; size 0: none. Valid until it is replaced. */
struct slice aliases_topic(const struct slab *slab, uint32_t aliases, uint16_t alias);
/* The alias that stands for the topic, or 0. */
uint16_t aliases_find(const struct slab *slab, uint32_t aliases, struct slice topic);
/* The smallest alias that stands for nothing yet, or 0. */
uint16_t aliases_unused(const struct slab *slab, uint32_t aliases, uint16_t max);
void aliases_clear(struct slab *slab, uint32_t *aliases);

#endif
