/* The packets that a client of the bench sends while it signs in. Pure; any thread. */
#ifndef BENCH_FLEET_PACKETS_H
#define BENCH_FLEET_PACKETS_H

#include "bench/fleet.h"

/* With a client id, a topic and a user name of at most FLEET_PREFIX_BYTES_MAX + 10 bytes, the topic with a suffix of as
 * many more. */
#define FLEET_SUBSCRIBE_BYTES_MAX 192u
#define FLEET_GREETING_BYTES_MAX (256u + CREDENTIALS_PASSWORD_BYTES_MAX + FLEET_SUBSCRIBE_BYTES_MAX)

/* CONNECT of client `number`, with plan->credentials and with SUBSCRIBE behind it if topic is not FLEET_NO_TOPIC. out
 * holds FLEET_GREETING_BYTES_MAX. Returns the size. */
size_t fleet_greeting_encode(const struct fleet_plan *plan, uint32_t number, uint32_t topic, uint8_t *out);
/* topic may have FLEET_SHARED. */
size_t fleet_subscribe_encode(const struct fleet_plan *plan, uint32_t topic, uint8_t *out, size_t out_size);

#endif
