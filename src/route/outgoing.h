/* What goes out to clients: whether there is room for it, and what is counted. By the shard's thread. */
#ifndef ROUTE_OUTGOING_H
#define ROUTE_OUTGOING_H

#include "base/error.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct shard;
struct client;

/* False when the client's output is full even after writing what this turn has for it. */
bool outgoing_has_room(struct shard *shard, struct client *client, size_t bytes);

void outgoing_count_sent(struct shard *shard, uint8_t qos, struct slice payload);
/* Why it could not be sent; ERROR_OK: it was. */
void outgoing_count_refused(struct shard *shard, enum error error);

#endif
