/* Ends subscriptions that a client no longer has the right to: because the rules were reloaded, or because a new token,
 * at AUTH or when a session is resumed, allows less. All subscriptions that may be concerned are checked, some in each
 * turn, whether their client is connected or not. Owned by the shard's thread. */
#ifndef CLIENT_REVIEW_H
#define CLIENT_REVIEW_H

#include "base/slice.h"
#include "session/refs.h"

#include <stdbool.h>
#include <stdint.h>

struct shard;
struct client;

/* The rule file has changed: all clients are checked. */
void review_all(struct shard *shard);
/* The client's token does not allow the same as before. From now on messages that wait for it are checked when they are
 * sent. */
void review_client(struct shard *shard, struct client_ref ref);
/* Checks some more subscriptions, and ends those whose right is gone. */
void review_some(struct shard *shard);
/* Whether there are more to check. */
bool review_waits(const struct shard *shard);

/* The client may not subscribe to this well-formed filter: ends the subscription that it may have from before. */
void review_refused(struct shard *shard, struct client_ref ref, struct slice filter);

#endif
