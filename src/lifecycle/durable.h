/* Sessions that outlive their connection, as the journal is told of them (session/journal.h): that they are there, whom
 * they have for a client, when they end, and what becomes of their wills. What happens within them is told where it
 * happens. A session is journaled from its first CONNECT, or never; where there is no journal none is. By the shard's
 * thread. */
#ifndef LIFECYCLE_DURABLE_H
#define LIFECYCLE_DURABLE_H

#include "session/refs.h"

struct shard;
struct client;

/* The session has a connection, its client's rights and its will: its first one, or another. One that is to end with
 * this connection is not journaled, or not any more. */
void durable_connected(struct shard *shard, struct client_ref ref);
/* The connection is over, and the session OFFLINE. */
void durable_left(struct shard *shard, struct client_ref ref);
/* The session is over; before anything of it is freed, and after its will was published or dropped. */
void durable_ended(struct shard *shard, struct client_ref ref);

/* The session's will is on its way, or forgotten; before it is taken from the session. */
void durable_will_published(struct shard *shard, const struct client *client);
void durable_will_dropped(struct shard *shard, const struct client *client);

#endif
