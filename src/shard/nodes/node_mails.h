/* Pieces from the nodes thread (runtime/nodes/node_mail.h), which a shard deals with between its other work. By the
 * shard's thread. */
#ifndef SHARD_NODE_MAILS_H
#define SHARD_NODE_MAILS_H

#include <stdbool.h>

struct shard;

/* Deals with some of them. Does nothing where the gateway is in no cluster. */
void node_mails_run(struct shard *shard);
/* Sends what this turn had for the nodes thread: it is woken once. */
void node_mails_flush(struct shard *shard);
/* The shard's thread ends, and will not go on. */
void node_mails_drop(struct shard *shard);

#endif
