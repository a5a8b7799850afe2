/* Frees a client's extension (state/extension.h) and account (state/account.h) when they are not needed any more. By
 * the shard's thread. */
#ifndef STATE_RELEASE_H
#define STATE_RELEASE_H

struct shard;
struct client;

/* Frees the extension and the account, each if all of its fields have their defaults. */
void extension_trim(struct shard *shard, struct client *client);
/* The connection has ended: clears what belongs to the connection. Does nothing without an extension. */
void extension_end_connection(struct shard *shard, struct client *client);
/* Frees both with all that they hold. By now there is neither a will nor a message in flight, and the session is not
 * journaled any more. */
void extension_drop(struct shard *shard, struct client *client);

#endif
