/* What a message becomes on its way over a bridge: its topic gets another prefix, and its properties lose what is the
 * sending side's own. A User Property counts the bridges that it has passed, so that it does not go round in a circle
 * for ever. Pure; slices point into the message or into the mapping. */
#ifndef RELAY_BRIDGING_MAPPING_H
#define RELAY_BRIDGING_MAPPING_H

#include "memory/bytes.h"
#include "mqtt/packet.h"
#include "relay/item/mqtt_bridge.h"

/* Name of the User Property, whose value is a decimal number. */
#define BRIDGE_HOPS_PROPERTY "roost-hops"
/* A message that has passed so many bridges passes no more. */
#define BRIDGE_HOPS_MAX 8u

enum mapping_result {
	MAPPING_DONE,
	MAPPING_NO_WAY,   /* no filter of the bridge brings this topic, as one that was taken out has done */
	MAPPING_TOO_LONG, /* the topic would be longer than MQTT can say */
	MAPPING_LOOPED,
	MAPPING_NO_MEMORY,
};

/* Room for what is made, which is used again for the next message. */
struct mapping {
	struct bytes topic;
	struct bytes properties;
};

void mapping_free(struct mapping *mapping);

/* Which way this topic goes: that of the filter with the subscription identifier, where there is one, else of the first
 * one that matches. NULL: none. */
const struct bridge_way *mapping_way(const struct bridge_ways *ways, struct slice topic, uint32_t identifier);

/* Changes *publish to what goes on: topic and properties. Nothing else in it is touched. way may be NULL. */
enum mapping_result mapping_apply(struct mapping *mapping, const struct bridge_way *way, struct mqtt_publish *publish);

#endif
