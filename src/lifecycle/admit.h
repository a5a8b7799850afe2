/* Admits a client: checks it, takes over from an older connection with the same client id [MQTT-3.1.4-3], and sends
 * CONNACK. By the shard's thread. */
#ifndef LIFECYCLE_ADMIT_H
#define LIFECYCLE_ADMIT_H

#include "base/error.h"
#include "net/stream.h"
#include "session/refs.h"

struct shard;
struct admission;

/* Makes a client of an admission. First come all checks and all allocations, so that nothing can fail later. Then an
 * older connection with the same client id ends, the newcomer resumes its session or begins a new one, gets its
 * CONNACK, and the bytes that it sent behind CONNECT are handled. A newcomer that is refused is told why, and nothing
 * else has changed. Takes over the stream and its place in the quota. The admission stays the caller's. */
void client_admit(struct shard *shard, struct stream stream, const struct admission *admission);

/* Refuses a newcomer in the way the gate would have. Nothing else has changed. Takes over the stream and its place in
 * the quota. */
void client_turn_away(struct shard *shard, struct stream stream, const struct admission *admission, enum error reason);
/* Packets that the older connection sent before a take-over count. One may be its DISCONNECT [MQTT-3.14.4-3]. */
void client_read_remaining(struct shard *shard, struct client_ref ref);

#endif
