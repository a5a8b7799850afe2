/* Subscriptions whose right was taken: by rules that were read again, by a token that says less, at AUTH or when a
 * session goes on. All that may be concerned are looked at, some in each turn, and those that may not be any more are
 * ended, whether their client is connected or not. Owned by the shard's thread. */
#ifndef CLIENT_REVIEW_H
#define CLIENT_REVIEW_H

#include "base/slice.h"
#include "session/refs.h"

#include <stdbool.h>
#include <stdint.h>

struct shard;
struct client;

/* The rules of the file are others: everyone is looked at. */
void review_all(struct shard *shard);
/* The client's token allows something else than before. What waits for it is looked at when it is sent, from now on. */
void review_client(struct shard *shard, struct client_ref ref);
/* Some more subscriptions are looked at, and ended where the right is gone. */
void review_some(struct shard *shard);
/* Whether there are more to be looked at. */
bool review_waits(const struct shard *shard);

/* The client may not subscribe to this (checked) filter: one that it has from before ends too. */
void review_refused(struct shard *shard, struct client_ref ref, struct slice filter);

#endif
