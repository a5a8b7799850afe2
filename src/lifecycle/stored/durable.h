/* Tells the journal (session/journal.h) about sessions that outlive their connection: that they exist, who their client
 * is, when they expire, and what becomes of their wills. Changes inside a session are told where they happen. A session
 * is journaled from its first CONNECT or not at all; without a journal none is. By the shard's thread. */
#ifndef LIFECYCLE_DURABLE_H
#define LIFECYCLE_DURABLE_H

#include "session/refs.h"

#include <stdint.h>

struct shard;
struct client;

/* The session has a connection, the client's principal and its will; it is new or was resumed. A session that ends with
 * this connection is not journaled, or no longer. */
void durable_connected(struct shard *shard, struct client_ref ref);
/* A checkpoint: tells once more of the session, of its last connection, and of the client's principal and will. The
 * session is journaled. The rest of it, and that it was left, is the caller's to tell. */
void durable_again(struct shard *shard, struct client_ref ref);
/* The connection has ended, and the session is OFFLINE. */
void durable_left(struct shard *shard, struct client_ref ref);
/* The session has ended. Call this before any of it is freed, and after its will was published or dropped. */
void durable_ended(struct shard *shard, struct client_ref ref);

/* A stored session is OFFLINE again, with all that it had. The journal hears of it with the first checkpoint. */
void durable_restored(struct shard *shard, struct client_ref ref);

/* A session of another node begins to come (lifecycle/packed/unpack.h). It is OFFLINE, and would end soon. */
void durable_moved_here(struct shard *shard, struct client_ref ref);
/* All of it has come; its entries, identifiers and subscriptions were told. packet_id: given last; 0: none. */
void durable_moved_whole(struct shard *shard, struct client_ref ref, uint16_t packet_id);

/* The session's will is published, or dropped. Call these before the will is taken from the session. */
void durable_will_published(struct shard *shard, const struct client *client);
void durable_will_dropped(struct shard *shard, const struct client *client);

#endif
