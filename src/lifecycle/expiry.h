/* What comes round by time for a session without a connection. By the shard's thread. */
#ifndef LIFECYCLE_EXPIRY_H
#define LIFECYCLE_EXPIRY_H

#include "session/refs.h"
#include <stdint.h>

struct shard;

/* Notes a will that is due and a session whose time is over, and takes messages out that have expired. Returns its next
 * deadline in milliseconds, as wheel_visit does. */
uint64_t expiry_visit(struct shard *shard, struct client_ref ref);

#endif
