/* What goes out to clients: whether there is room for it, and what is counted. By the shard's thread. */
#ifndef DELIVER_OUTGOING_H
#define DELIVER_OUTGOING_H

#include "base/error.h"
#include "base/slice.h"
#include "session/flow.h"

#include <stdbool.h>
#include <stdint.h>

struct extension;
struct shard;
struct client;

/* False when the client's output is full even after writing what this turn has for it. */
bool outgoing_has_room(struct shard *shard, struct client *client, size_t bytes);

void outgoing_count_sent(struct shard *shard, uint8_t qos, struct slice payload);
/* Why it could not be sent; ERROR_OK: it was. */
void outgoing_count_refused(struct shard *shard, enum error error);

/* What may be under way to the client at QoS 1 and 2: as many messages as it takes, and as many bytes as may wait for
 * it.
 */
struct flow_bounds outgoing_window(const struct shard *shard, const struct extension *extension);
/* Whether what waits for the client goes on only when it acknowledges something. */
bool outgoing_awaits_acks(const struct shard *shard, const struct client *client);

#endif
