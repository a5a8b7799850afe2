/* Gives back what a client's extension (state/extension.h) and account (state/account.h) hold, as soon as they say
 * nothing or what they were for is over. By the shard's thread. */
#ifndef STATE_RELEASE_H
#define STATE_RELEASE_H

struct shard;
struct client;

/* Frees the extension, and the account, when they say nothing. */
void extension_trim(struct shard *shard, struct client *client);
/* The connection is over: what belongs to it alone goes. */
void extension_end_connection(struct shard *shard, struct client *client);
/* Frees them with all that they hold but the will and the messages under way, of which there are none any more. */
void extension_drop(struct shard *shard, struct client *client);

#endif
