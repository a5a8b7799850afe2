/* Which of a lane's entries go to which server now. Relay's thread. */
#ifndef RELAY_STREAM_LAUNCH_H
#define RELAY_STREAM_LAUNCH_H

#include "relay/stream/redis_side.h"

/* Sends what this lane has, where there is a server for it; redis_side_flush() writes it. In a cluster what has none
 * stays in the pool, and is looked at again some milliseconds later. */
void launch_lane(struct redis_side *side, struct lane *lane, uint64_t now_ms);

#endif
