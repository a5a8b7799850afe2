/* Deadlines of a session without a connection, carried out. By the shard's thread. */
#ifndef LIFECYCLE_EXPIRY_H
#define LIFECYCLE_EXPIRY_H

#include "session/refs.h"
#include <stdint.h>

struct shard;

/* Visits an OFFLINE session: notes its end if it has expired, notes its will if that is due, and removes expired
 * messages from its queue. Returns the next deadline in milliseconds, as wheel_visit does. */
uint64_t expiry_visit(struct shard *shard, struct client_ref ref);

#endif
