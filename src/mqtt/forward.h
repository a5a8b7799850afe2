/* A PUBLISH on its way to one receiver: the same topic, properties and payload, with what is the receiver's own (QoS,
 * packet identifier, subscription identifier, topic alias, what is left of the message's time). Only what stands before
 * the payload is written: the payload goes out from where it is. Pure; any thread. */
#ifndef MQTT_FORWARD_H
#define MQTT_FORWARD_H

#include "mqtt/packet.h"

struct mqtt_forward {
	struct slice topic;
	struct slice properties; /* version 5, wire form without the length */
	size_t payload_bytes;
	size_t expiry_at;         /* the Message Expiry Interval stands there in the properties, or behind it */
	uint32_t subscription_id; /* 0: none [3.3.2.3.8] */
	uint32_t expiry_left_s;   /* if has_expiry_left: takes the place of the Message Expiry Interval [3.3.2.3.3] */
	uint16_t packet_id;       /* at QoS 1 and 2 */
	uint16_t alias;           /* 0: none [3.3.2.3.4] */
	bool alias_known;         /* the receiver knows the topic by its alias: it is left out */
	bool strips_alias;        /* the properties hold the sender's alias */
	bool has_expiry_left;
	bool retain;
	bool dup;
	uint8_t qos;
	uint8_t version; /* the receiver's */
};

/* All that stands before the payload, measured. */
struct mqtt_forward_size {
	size_t packet_bytes; /* payload included; 0: longer than a packet can be */
	size_t head_bytes;
	size_t packet_id_at; /* where the packet identifier stands in the head */
	size_t property_bytes;
	size_t sender_alias_at; /* in the sender's properties; their size: it has none, or it stays */
};

struct mqtt_forward_size mqtt_forward_measure(const struct mqtt_forward *forward);
/* Writes size->head_bytes bytes to out. size is what mqtt_forward_measure() said, and its packet_bytes is not 0. */
void mqtt_forward_encode(const struct mqtt_forward *forward, const struct mqtt_forward_size *size, uint8_t *out);

/* Moves *publish, which the message was decoded to, into the packet that begins with the head that was written and goes
 * on with the payload: nothing in it is decoded again. QoS and packet identifier are the same in both. */
void mqtt_forward_relocate(const struct mqtt_forward *forward, const struct mqtt_forward_size *size,
			   const uint8_t *packet, struct mqtt_publish *publish);

#endif
