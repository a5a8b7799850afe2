/* Messages of MQTT between nodes: a service of the nodes thread.
 *
 * To other nodes. Shards write a record for each node that may have subscribers (route/other_nodes.h). The batches that
 * they are in come here and are kept until the peer has said that it has all messages in them safe; then they go back
 * to their shard, which answers the publishers that wait for them. A message at QoS 0 is done with when the link has
 * it. So the room of a shard's outbox bounds what is under way to a peer, and a peer that is slow holds up those alone
 * who publish to it.
 *
 * A peer that is away. What is for it at QoS 1 and 2 goes into its spool (nodes/publish/spool.h), what was under way
 * and is not known to be safe included; at QoS 0 it is dropped. When it is back it gets what is in the spool first, and
 * then what comes. Its shared subscriptions have no part in turns meanwhile, if others have members.
 *
 * From other nodes: nodes/publish/inbound.h. By the nodes thread. */
#ifndef NODES_PUBLISHING_H
#define NODES_PUBLISHING_H

#include "nodes/publish/inbound.h"
#include "nodes/thread/service.h"

struct nodes_thread;
struct interest;
struct publishing;

extern const struct node_service PUBLISHING_SERVICE;

/* Before the thread begins. Both must outlive it. NULL: memory is short. */
struct publishing *publishing_new(struct nodes_thread *thread, struct interest *interest);
/* publishing may be NULL. */
void publishing_free(struct publishing *publishing);

/* Retained messages that come are given to this function. */
void publishing_set_retain(struct publishing *publishing, inbound_retain *retain, void *context);
/* What it said is to be waited for is safe. */
void publishing_retained_is_safe(void *publishing, uint64_t ticket);

#endif
