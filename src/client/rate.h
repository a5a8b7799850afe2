/* How fast one client may publish, in messages and in bytes a second. Each limit is kept as one moment (GCRA): what a
 * message takes of the limit moves it on, and while it is a second ahead of now nothing more is taken. A message that
 * is larger than a second's worth is taken, and paid for in the seconds that follow. By the shard's thread. */
#ifndef CLIENT_RATE_H
#define CLIENT_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct shard;
struct client;

/* Whether the client may publish now. Otherwise *wait_ms says for how long it may not. */
bool rate_allows(const struct shard *shard, const struct client *client, uint64_t *wait_ms);
/* It published a packet of this size: once for each, however often that had to wait for room. */
void rate_count(struct shard *shard, struct client *client, size_t bytes);

#endif
