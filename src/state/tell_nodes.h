/* What a shard and the nodes thread tell each other: the shard's side the nodes thread (runtime/node_mail.h). By the
 * shard's thread. */
#ifndef STATE_TELL_NODES_H
#define STATE_TELL_NODES_H

#include "runtime/node_mail.h"
#include "state/shard.h"

/* Whether there is somebody to tell: the gateway is in a cluster. */
static inline bool shard_has_nodes(const struct shard *shard)
{
	return shard->env.nodes != NULL;
}

/* Sends a piece, which leaves with this turn's flush at the latest. False: the nodes thread does not run, and the piece
 * is freed. */
static inline bool shard_tell_nodes(struct shard *shard, struct node_mail *mail)
{
	shard->loop.told_nodes = true;
	return node_port_send(shard->env.nodes, shard->env.number, mail);
}

/* Whether pieces from it wait for the shard, which deals with them in shard/node_mails.h. */
static inline bool shard_has_node_mail(const struct shard *shard)
{
	return shard->env.nodes != NULL &&
	       (shard->loop.node_mails != NULL || !node_box_is_empty(&shard->env.nodes->to_shards[shard->env.number]));
}

#endif
