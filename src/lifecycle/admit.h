/* How a client comes in: checked, then taken over from an older connection with its id where there is one, greeted. By
 * the shard's thread. */
#ifndef LIFECYCLE_ADMIT_H
#define LIFECYCLE_ADMIT_H

#include "net/stream.h"

struct shard;
struct admission;

/* Makes a client of an admission. All that may be wrong with the newcomer, and all memory that it needs, comes first;
 * then an older connection with the same client id gives way, and the newcomer goes on with its session or begins a new
 * one, is greeted, and what it sent behind CONNECT is read. One that is not let in is told so, and nothing else has
 * changed. Owns the stream. The admission is still the caller's. */
void client_admit(struct shard *shard, struct stream stream, const struct admission *admission);

#endif
