/* Kinds of messages between nodes, one byte each. A service of the nodes thread (nodes/thread/service.h) has a range of
 * them, and what shards and that thread send each other (runtime/nodes/node_mail.h) has kinds of the same ranges.
 * Numbers stay as they are: nodes of different versions work side by side. */
#ifndef CLUSTER_MESSAGE_H
#define CLUSTER_MESSAGE_H

#include <stdint.h>

/* How many other nodes there may be. */
#define NODES_MAX 64u

enum message_range {
	MESSAGE_FRAME = 0x00,       /* of the nodes thread itself: 16 */
	MESSAGE_PUBLISHING = 0x10,  /* messages and their acknowledgements: 16 */
	MESSAGE_INTEREST = 0x20,    /* who has subscribers for what: 16 */
	MESSAGE_SESSIONS = 0x40,    /* who holds which client id, and sessions that move: 32 */
	MESSAGE_RETAINED = 0x60,    /* 16 */
	MESSAGE_REVOCATIONS = 0x70, /* 16 */
	MESSAGE_REPLICATION = 0x80, /* 16 */
	MESSAGE_ADMIN = 0x90,       /* what the API asks of other nodes: 16 */
};

#endif
