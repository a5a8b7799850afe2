/* How many shards a wished number of connections needs, when each shard's descriptor table holds only so many. Pure. */
#ifndef CONTROL_PLAN_H
#define CONTROL_PLAN_H

#include <stdint.h>

#define PLAN_SHARDS_MAX 1024u

/* Clients fall on shards by hash, so the fullest shard holds more than its share: the mean plus five standard
 * deviations (one in three million shards is fuller). Returns the largest number of connections that `shards` tables
 * with `places` places each hold without anyone being turned away. */
uint64_t plan_capacity(uint32_t shards, uint32_t places);

/* The fewest places that each of `shards` shards needs for `connections`. */
uint32_t plan_seats(uint64_t connections, uint32_t shards);

/* The fewest shards, at least `least`, that hold `connections`; 0 when PLAN_SHARDS_MAX do not. */
uint32_t plan_shards(uint64_t connections, uint32_t places, uint32_t least);

#endif
