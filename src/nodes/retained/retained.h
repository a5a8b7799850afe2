/* The service of retained messages: each node of the cluster has all of them
 * (docs/decisions/0036-retained-messages-on-every-node.md). A retained message comes to all nodes as a message, which
 * the service of publishing brings here (retained_service_take()); what did not come in this way is found by comparing
 * (nodes/retained/retained_sync.h). Either is set in the tree at once, by the nodes thread, and told to the journal by
 * a shard, where there is a store (route/retained_mail.h). By the nodes thread. */
#ifndef NODES_RETAINED_H
#define NODES_RETAINED_H

#include "cluster/common/stamp.h"
#include "nodes/retained/retained_sync.h"
#include "nodes/thread/service.h"
#include "topics/publication.h"

struct node_port;
struct retained_service;

struct retained_parts {
	struct retained *retained; /* stamped */
	struct node_port *port;
	struct node_peer *const *peers; /* by slot */
	uint16_t shard_count;
	bool has_store;
};

/* What is wanted when a change that was taken is safe here. */
typedef void retained_safe(void *context, uint64_t ticket);

/* Before the thread begins. NULL: no memory. */
struct retained_service *retained_service_new(const struct retained_parts *parts);
/* service may be NULL. */
void retained_service_free(struct retained_service *service);
/* The service; context: the struct retained_service. */
extern const struct node_service RETAINED_SERVICE;

/* Whom retained_service_take() tells. */
void retained_service_tells(struct retained_service *service, retained_safe *safe, void *context);
/* A retained message has come from another node, with its stamp: sets it, or takes the topic's message away, unless a
 * newer change is here. Before the message is matched with subscribers, so that a new one gets it one way or the other.
 * publication: its expires_s is by the gateway's clock here. ticket: the caller's. True: the caller is told when it is
 * safe, and has to wait for that with what it says to the sender; it is not told if memory is short, or the shard
 * stops. False: there is nothing to wait for. */
bool retained_service_take(struct retained_service *service, const struct publication *publication,
			   const uint8_t *packet, struct stamp stamp, uint64_t ticket);

#endif
