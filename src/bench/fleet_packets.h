/* The packets that a client of the bench sends while it signs in. Pure; any thread. */
#ifndef BENCH_FLEET_PACKETS_H
#define BENCH_FLEET_PACKETS_H

#include "bench/fleet.h"

/* CONNECT and SUBSCRIBE with a client id and a topic of at most FLEET_PREFIX_BYTES_MAX + 10 bytes. */
#define FLEET_GREETING_BYTES_MAX 256u

/* CONNECT of client `number`, with SUBSCRIBE behind it if topic is not FLEET_NO_TOPIC. out holds
 * FLEET_GREETING_BYTES_MAX. Returns the size. */
size_t fleet_greeting_encode(const struct fleet_plan *plan, uint32_t number, uint32_t topic, uint8_t *out);
size_t fleet_subscribe_encode(const struct fleet_plan *plan, uint32_t topic, uint8_t *out, size_t out_size);

#endif
