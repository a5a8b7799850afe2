/* Other nodes of the cluster among those that a message goes to. A node gets one record a message with its own number,
 * as a shard does: where one of its filters with wildcards matches (topics/index/index.h), where its digest has the
 * topic (runtime/nodes/node_filters.h), or where the message is a retained one, which all nodes have. Where the match
 * takes several steps, route_progress says which nodes have it from an earlier one. Only where the gateway is in a
 * cluster; by the shard's thread. */
#ifndef ROUTE_OTHER_NODES_H
#define ROUTE_OTHER_NODES_H

#include "base/error.h"
#include "route/outbound.h"

struct shard;

/* Whether the message has to wait until the nodes thread knows who has subscribers. Then *progress says so. */
bool other_nodes_hold(const struct shard *shard, const struct outbound *outbound, struct slice topic,
		      struct route_progress *progress);
/* Before a step's match: what it is to find for the topic. */
void other_nodes_begin(struct shard *shard, struct slice topic);
/* After it: adds a route for each node that is to get the message in this step. matched: ERROR_OK or ERROR_MORE, which
 * is returned; or ERROR_NO_MEMORY. */
enum error other_nodes_add(struct shard *shard, const struct outbound *outbound, struct slice topic,
			   const struct route_progress *progress, enum error matched);
/* All whom the step found have the message. */
void other_nodes_done(struct shard *shard, struct route_progress *progress);

/* After a match with routes->peers that was 0: whether another node may have subscribers for the topic. */
bool other_nodes_want(const struct shard *shard, struct slice topic);

#endif
