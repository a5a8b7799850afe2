/* A message on its way from its publisher, and how far it has come (route/route.h). By the shard's thread. */
#ifndef ROUTE_OUTBOUND_H
#define ROUTE_OUTBOUND_H

#include "cluster/common/stamp.h"
#include "session/refs.h"
#include "topics/index/index.h"
#include "topics/publication.h"

/* A PUBLISH as it was received, with its fixed header. The header's flags are the sender's; code that passes the bytes
 * on clears them in its copy. */
struct outbound {
	const uint8_t *packet;
	struct publication publication;
	struct client_ref publisher; /* its index on this shard, for No Local; 0: the gateway itself */
	uint16_t generation;         /* of the publisher's connection on which it came */
	struct slice origin;         /* deliver/origin/origin.h; size 0: route_message() makes it if it is wanted */
	/* Set by route_message(): no subscriber takes the message, and at least one refused it because its queue is
	 * full. Known only if all subscribers are on this shard and got it directly, in the first step. */
	bool refused;
};

/* In route_progress.peer: what is waited for is not room, but the nodes thread (route/other_nodes.h). */
#define ROUTE_PEER_HELD UINT16_MAX

/* How far a message has come; all zeros at its beginning. */
struct route_progress {
	struct index_place place; /* subscribers that the match finds before this place have the message */
	uint64_t nodes;           /* slots of other nodes that have the message for their own subscribers */
	struct stamp stamp;       /* of a retained message, for other nodes: from routing_retain(); none: none is set */
	uint32_t peer_bytes;      /* an inbox has no room for this many bytes; 0: all had room */
	uint32_t ticket;   /* of its acknowledgement (session/pending_acks.h), once there is something to wait for */
	uint16_t peer;     /* the shard whose inbox has no room */
	bool matched;      /* there is a subscriber, or may be on another node */
	bool nodes_asked;  /* other nodes with exact filters are found, once a message */
	bool at_once;      /* all routes must be served in one step, or none */
	bool acknowledged; /* QoS 1 or 2: its publisher is answered when it is safe */
	bool keeps;   /* the gateway passes it on, and the journal was told so: kept until it is safe with those who get
			 it */
	bool resumed; /* its publisher sends it again after a crash (deliver/resumed.h) */
	bool told;    /* the journal of this shard was told something of it that an acknowledgement has to wait for */
};

#endif
