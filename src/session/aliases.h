/* Topic aliases of one connection in one direction [3.3.2.3.4]: numbers from 1 up that stand for topics. A small array
 * in the shard's slab, allocated when the first alias is set. Owned by the shard's thread. */
#ifndef SESSION_ALIASES_H
#define SESSION_ALIASES_H

#include "base/slice.h"
#include "memory/slab.h"

/* *aliases: slab reference; 0: no alias was set. max: the largest alias of this direction, the same in every call. */

/* Sets or replaces an alias (1..max). The topic is copied. ERROR_NO_MEMORY. */
enum error aliases_set(struct slab *slab, uint32_t *aliases, uint16_t max, uint16_t alias, struct slice topic);
/* The topic of an alias (1..max); size 0: it has none. Valid until the alias is set again. */
struct slice aliases_topic(const struct slab *slab, uint32_t aliases, uint16_t alias);
/* The topic's alias; 0: it has none. */
uint16_t aliases_find(const struct slab *slab, uint32_t aliases, struct slice topic);
/* The alias above the largest that was set; 0: all up to max are in use. */
uint16_t aliases_unused(const struct slab *slab, uint32_t aliases, uint16_t max);
/* Frees all of them, and the array. */
void aliases_clear(struct slab *slab, uint32_t *aliases);

#endif
