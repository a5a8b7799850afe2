/* A message as a rule sees it: what the publisher said, and where it comes from. The gateway puts the origin in front
 * of the publisher's properties (control/internal.h). Pure; slices point into the packet. */
#ifndef RELAY_ENTRY_MESSAGE_H
#define RELAY_ENTRY_MESSAGE_H

#include "mqtt/packet.h"

struct relay_message {
	struct slice topic;
	struct slice payload;
	struct slice properties; /* of the publisher, in wire form, without the origin */
	struct slice client;     /* data NULL: not known; likewise those below */
	struct slice user;
	struct slice address;
	struct slice time;     /* of arrival, in ms since 1970, decimal */
	uint32_t subscription; /* the identifier of the one that it came by; 0: it has none */
	uint8_t qos;           /* at which it was published to the rule: at most the rule's own */
	bool retain;
};

/* Reads a PUBLISH from the gateway, which was decoded. */
void relay_message_read(const struct mqtt_publish *publish, struct relay_message *message);

/* The time as a number; 0: not known. */
uint64_t relay_message_time_ms(const struct relay_message *message);

#endif
