/* Another node, as the nodes thread and its services know it. By that thread alone. */
#ifndef NODES_PEER_H
#define NODES_PEER_H

#include "base/slice.h"
#include "nodes/thread/nodes_status.h"

#define PEER_SERVICES_MAX 8u
/* Of the link's room so much is not for clients' messages: acknowledgements wait for what a replica is sent, and would
 * wait for ever behind a flood at QoS 0. */
#define PEER_ROOM_NOT_FOR_MESSAGES (2u << 20)

struct link;

struct node_peer {
	uint8_t slot; /* for as long as this thread runs no other name gets it */
	char name[CLUSTER_NAME_BYTES_MAX];
	uint64_t incarnation;
	enum peer_state state;
	struct link *link;                   /* NULL: there was none yet */
	void *of_service[PEER_SERVICES_MAX]; /* what services keep for it, by their number */
};

static inline bool peer_is_reachable(const struct node_peer *peer)
{
	return peer->state == PEER_ALIVE;
}

/* Sends a message whose body is these two parts one after the other, which are copied. Goes out with the turn at the
 * latest. False: there is no room (ask peer_room() first, and go on when there is), or no link. */
bool peer_send(struct node_peer *peer, uint8_t kind, struct slice head, struct slice body);
/* Bytes that may be sent now. One message of any size may always go where nothing waits. */
uint32_t peer_room(const struct node_peer *peer);

#endif
