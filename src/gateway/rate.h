/* How fast one client may publish, in messages and in bytes a second. Each limit is kept as one moment (GCRA): what a
 * message takes of the limit moves it on, and it may be one second ahead of now. By the shard's thread. */
#ifndef GATEWAY_RATE_H
#define GATEWAY_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct shard;
struct client;

/* Whether the client may publish now. Otherwise *wait_ms says for how long it may not. */
bool rate_allows(const struct shard *shard, const struct client *client, uint32_t *wait_ms);
/* It published a packet of this size: once for each, however often that had to wait for room. */
void rate_count(struct shard *shard, struct client *client, size_t bytes);

#endif
