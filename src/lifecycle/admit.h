/* Admits a client: checks it, takes over from an older connection with the same client id [MQTT-3.1.4-3], and sends
 * CONNACK. By the shard's thread. */
#ifndef LIFECYCLE_ADMIT_H
#define LIFECYCLE_ADMIT_H

#include "net/stream.h"

struct shard;
struct admission;

/* Makes a client of an admission. First come all checks and all allocations, so that nothing can fail later. Then an
 * older connection with the same client id ends, the newcomer resumes its session or begins a new one, gets its
 * CONNACK, and the bytes that it sent behind CONNECT are handled. A newcomer that is refused is told why, and nothing
 * else has changed. Takes over the stream and its place in the quota. The admission stays the caller's. */
void client_admit(struct shard *shard, struct stream stream, const struct admission *admission);

#endif
