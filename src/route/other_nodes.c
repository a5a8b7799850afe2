#include "route/other_nodes.h"

#include "cluster/publish/topic_scope.h"
#include "runtime/nodes/node_filters.h"
#include "runtime/nodes/node_mail.h"
#include "state/shard.h"

bool other_nodes_hold(const struct shard *shard, const struct outbound *outbound, struct slice topic,
		      struct route_progress *progress)
{
	if (outbound->publication.qos == 0 || !node_filters_hold(shard->env.nodes->filters) ||
	    !topic_leaves_node(topic)) {
		if (progress->peer == ROUTE_PEER_HELD)
			progress->peer_bytes = progress->peer = 0;
		return false;
	}
	progress->peer = ROUTE_PEER_HELD;
	progress->peer_bytes = 1;
	return true;
}

void other_nodes_begin(struct shard *shard, struct slice topic)
{
	struct routes *routes = &shard->routing.routes;
	routes->peers = 0;
	routes->scope = topic_leaves_node(topic) ? ROUTES_ALL : ROUTES_HERE;
}

/* Those that the message goes to, and have it not yet. */
static uint64_t nodes_for(const struct shard *shard, const struct outbound *outbound, struct slice topic,
			  const struct route_progress *progress)
{
	const struct node_filters *filters = shard->env.nodes->filters;
	uint64_t nodes = shard->routing.routes.peers;
	uint64_t known = node_filters_known(filters) & ~progress->nodes;
	if (!progress->nodes_asked && known != 0)
		nodes |= outbound->publication.retain ? known : node_filters_ask(filters, topic);
	/* A session may move from one node to another while neither can say so: what waits for one that is away waits
	 * for each. Where it is not wanted it is dropped when it comes. */
	uint64_t away = outbound->publication.qos != 0 ? node_filters_away(filters) : 0;
	if ((nodes & away) != 0)
		nodes |= away;
	return nodes & known;
}

enum error other_nodes_add(struct shard *shard, const struct outbound *outbound, struct slice topic,
			   const struct route_progress *progress, enum error matched)
{
	struct routes *routes = &shard->routing.routes;
	if (routes->scope != ROUTES_ALL) {
		routes->scope = ROUTES_ALL; /* as whoever picks a member of a shared subscription finds it */
		return matched;
	}
	routes->peers = nodes_for(shard, outbound, topic, progress);
	for (uint64_t left = routes->peers; left != 0; left &= left - 1) {
		uint16_t number = node_port_number(shard->env.nodes, (uint32_t)__builtin_ctzll(left));
		if (routes_add(routes, route_make(ROUTE_ONE, number, 0, 0)) != ERROR_OK)
			return ERROR_NO_MEMORY;
	}
	return matched;
}

void other_nodes_done(struct shard *shard, struct route_progress *progress)
{
	progress->nodes_asked = true;
	progress->nodes |= shard->routing.routes.peers;
}

bool other_nodes_want(const struct shard *shard, struct slice topic)
{
	const struct node_filters *filters = shard->env.nodes->filters;
	uint64_t known = node_filters_known(filters);
	return known != 0 && ((shard->routing.routes.peers | node_filters_ask(filters, topic)) & known) != 0;
}
