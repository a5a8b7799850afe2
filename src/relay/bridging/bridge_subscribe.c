#include "relay/bridging/bridge_subscribe.h"

#include "base/check.h"

/* Retain Handling [3.8.3.1]. */
#define RETAINED_IF_NEW 1u
#define RETAINED_NOT_SENT 2u

_Static_assert(TOPICS_MAX <= SESSION_FILTERS_MAX, "one call subscribes to all");

/* is_local: in this gateway, which sends its own clients no messages that were retained before they came. */
static void fill_filters(const struct mqtt_bridge *bridge, const struct bridge_ways *ways, bool is_local,
			 struct session_filter filters[TOPICS_MAX])
{
	bool wants_retained = !is_local && !bridge->no_retain;
	CHECK_LE(ways->filters.count, TOPICS_MAX);
	for (uint32_t i = 0; i < ways->filters.count; i++) {
		const char *filter = ways->filters.filters[i];
		filters[i] = (struct session_filter){
			.subscription =
				{
					.filter = slice_string(filter),
					.qos = ways->ways[i].qos,
					.no_local = true,
					.retain_as_published = !bridge->no_retain,
					.retain_handling = wants_retained ? RETAINED_IF_NEW : RETAINED_NOT_SENT,
				},
			.identifier = is_local ? topics_identifier(filter) : 0,
		};
	}
}

void bridge_subscribe_local(const struct mqtt_bridge *bridge, struct session_asker *asker, struct session_link *local,
			    bool is_first)
{
	char id[ITEM_CLIENT_BYTES_MAX];
	struct session_filter filters[TOPICS_MAX];
	struct session_facts facts = {0};
	size_t size = item_client_id(MQTT_BRIDGE_CLIENT_PREFIX, bridge->name, id);
	const struct topics *wanted = &bridge->up.filters;
	/* Where the gateway does not say which filters it has, those of before stay until the next time. */
	if (is_first)
		session_asker_inspect(asker, slice_of(id, size), wanted, &facts);
	bool is_needed = is_first || !local->connack.session_present;
	if (wanted->count != 0 && is_needed) {
		fill_filters(bridge, &bridge->up, true, filters);
		session_link_subscribe_filters(local, filters, wanted->count, facts.stale, facts.stale_count);
	} else if (facts.stale_count != 0) {
		session_link_withdraw(local, facts.stale, facts.stale_count);
	} else {
		session_link_be_ready(local);
	}
}

void bridge_subscribe_remote(const struct mqtt_bridge *bridge, struct session_link *remote)
{
	struct session_filter filters[TOPICS_MAX];
	struct slice stale[TOPICS_MAX];
	uint32_t stale_count = remote->connack.session_present ? bridge->withdrawn.count : 0;
	for (uint32_t i = 0; i < stale_count; i++)
		stale[i] = slice_string(bridge->withdrawn.filters[i]);
	if (bridge->down.filters.count != 0) {
		fill_filters(bridge, &bridge->down, false, filters);
		session_link_subscribe_filters(remote, filters, bridge->down.filters.count, stale, stale_count);
	} else if (stale_count != 0) {
		session_link_withdraw(remote, stale, stale_count);
	} else {
		session_link_be_ready(remote);
	}
}
