/* Limits how fast one client may publish, in messages and in bytes per second. Each limit is kept as one point in time
 * (GCRA). A message moves it on by what the message takes of the limit, and while it is more than a second ahead of now
 * no further message is taken. A message that is larger than a second's worth is taken, and paid for in the seconds
 * that follow. By the shard's thread. */
#ifndef CLIENT_RATE_H
#define CLIENT_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct shard;
struct client;

/* Whether the client may publish now. If not, *wait_ms is how long it has to wait. */
bool rate_allows(const struct shard *shard, const struct client *client, uint64_t *wait_ms);
/* The client published a packet of this size. Call it once for each packet, however often that was tried. */
void rate_count(struct shard *shard, struct client *client, size_t bytes);

#endif
