/* Who has subscribers for what: a service of the nodes thread. It tells each peer which filters have subscribers on
 * this node, and enters what peers tell into the routing index (topics/index/index.h) and the digests that shards ask
 * (runtime/nodes/node_filters.h).
 *
 * When a link begins the peer is told all, range by range of the digest and then filter by filter, as fast as the link
 * takes it; until that is over this node counts as interested in everything there. Later changes go as they come, ahead
 * of messages that clients of this node publish after them. Where the link has no room for a change, all is told once
 * more. Sums of the digest's ranges go along now and then, and a range that differs is sent again.
 *
 * What a peer has told stays when it is away, so that messages for it wait in its spool. When another incarnation of it
 * comes, what that does not tell is withdrawn.
 *
 * By the nodes thread. */
#ifndef NODES_INTEREST_H
#define NODES_INTEREST_H

#include "base/slice.h"
#include "control/gateway.h"
#include "nodes/thread/service.h"
#include "topics/index/routes.h"

struct interest;
struct node_peer;

extern const struct node_service INTEREST_SERVICE;

/* NULL: memory is short. */
struct interest *interest_new(const struct gateway_parts *parts);
void interest_free(struct interest *interest);

/* Tells the peers what shards have noted so far: to be called behind the receipt of messages from shards, and before
 * they are sent. */
void interest_send_notes(struct interest *interest);
/* Whether messages may be sent to the peer: it has been told all that shards noted, or that it cannot rely on what it
 * knows. */
bool interest_is_told(const struct interest *interest, const struct node_peer *peer);
/* For a message that a peer which is away has not got: who else is to get it as a member of the peer's shared
 * subscription, on this node or another. 0: nobody. */
route_bits interest_pick_other(struct interest *interest, const struct node_peer *peer, route_bits group,
			       struct routes *turns);
/* This node's shared subscription of that name and generation, as it was told: its text is "$share/group/filter". It
 * may have ended lately. False: it is not known any more. */
bool interest_find_group(const struct interest *interest, uint32_t name, uint16_t generation, struct slice *text);

#endif
