/* How clients spread over shards. A client's shard is a hash of its id, so the fullest shard holds more than its share:
 * room is planned for the mean plus five standard deviations, which one shard in three million exceeds. Pure. */
#ifndef CAPACITY_SPREAD_H
#define CAPACITY_SPREAD_H

#include <stdint.h>

/* More shards are never started. */
#define SPREAD_SHARDS_MAX 1024u

/* The largest number of connections that `shards` shards with room for `places` each hold without turning anyone away.
 * One shard alone is not subject to chance. */
uint64_t spread_capacity(uint32_t shards, uint32_t places);

/* The fewest places that each of `shards` shards needs for `connections`; UINT32_MAX: more than that. */
uint32_t spread_places(uint64_t connections, uint32_t shards);

/* The fewest shards, at least `least` (1 or more), that hold `connections`; 0: SPREAD_SHARDS_MAX do not. */
uint32_t spread_shards(uint64_t connections, uint32_t places, uint32_t least);

#endif
