/* The packets that a client of the bench sends while it signs in. Pure; any thread. */
#ifndef BENCH_CLIENT_PACKETS_H
#define BENCH_CLIENT_PACKETS_H

#include "bench/client/client.h"

/* Room for a client id, a topic and a user name of at most CLIENT_PREFIX_BYTES_MAX + 10 bytes each; the topic may have
 * a suffix of as many more. */
#define CLIENT_SUBSCRIBE_BYTES_MAX 192u
#define CLIENT_FILTER_BYTES_MAX 160u
#define CLIENT_GREETING_BYTES_MAX (256u + CREDENTIALS_PASSWORD_BYTES_MAX + CLIENT_SUBSCRIBE_BYTES_MAX)

/* Writes prefix and number in decimal; out holds CLIENT_PREFIX_BYTES_MAX + 10. Returns the size. */
size_t client_name(const char *prefix, uint32_t number, uint8_t *out);

/* Encodes CONNECT of client `number`, with plan->credentials, followed by SUBSCRIBE unless topic is CLIENT_NO_TOPIC.
 * out holds CLIENT_GREETING_BYTES_MAX. Returns the size. */
size_t client_greeting_encode(const struct client_plan *plan, uint32_t number, uint32_t topic, uint8_t *out);
/* The same for SUBSCRIBE alone; topic may have CLIENT_TOPIC_SHARED set. */
size_t client_subscribe_encode(const struct client_plan *plan, uint32_t topic, uint8_t *out, size_t out_size);
/* The same for a filter of at most CLIENT_FILTER_BYTES_MAX. */
size_t client_filter_encode(const struct client_plan *plan, struct slice filter, uint8_t *out, size_t out_size);

#endif
