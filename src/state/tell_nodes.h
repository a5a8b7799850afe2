/* What a shard and the nodes thread tell each other: the shard's side the nodes thread (runtime/nodes/node_mail.h). By
 * the shard's thread. */
#ifndef STATE_TELL_NODES_H
#define STATE_TELL_NODES_H

#include "runtime/nodes/moves.h"
#include "runtime/nodes/node_mail.h"
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

/* Whether pieces from it wait for the shard, which deals with them in shard/nodes/node_mails.h. */
static inline bool shard_has_node_mail(const struct shard *shard)
{
	return shard->env.nodes != NULL &&
	       (shard->loop.node_mails != NULL || !node_box_is_empty(&shard->env.nodes->to_shards[shard->env.number]));
}

/* Whether the client's session is a husk, from which nothing may be dropped: it is told from the front to its end. */
static inline bool moving_away(const struct shard *shard, struct client_ref client)
{
	const struct moves *moves = shard->sessions.moves;
	if (moves == NULL || moves->count == 0)
		return false;
	const struct move *move = moves_of_client(moves, client);
	return move != NULL && move->kind == MOVE_AWAY;
}
/* Whether it is on its way, here or away: no connection may have it. */
static inline bool is_moving(const struct shard *shard, struct client_ref client)
{
	const struct moves *moves = shard->sessions.moves;
	return moves != NULL && moves->count != 0 && moves_of_client(moves, client) != NULL;
}

#endif
