/* A message on its way through the gateway: a PUBLISH packet as it was received, and a summary from which its parts are
 * found without decoding it again. Pure; any thread. */
#ifndef TOPICS_PUBLICATION_H
#define TOPICS_PUBLICATION_H

#include "mqtt/forward.h"

struct publication {
	uint32_t packet_bytes; /* fixed header included */
	uint32_t expires_s;    /* it is not delivered from then on, on the gateway's clock; 0: never [3.3.2.3.3] */
	uint16_t topic_bytes;
	uint8_t header_bytes;
	uint8_t qos : 2;
	uint8_t retain : 1;
	uint8_t is_5 : 1; /* the packet is encoded as in version 5 */
	/* Of messages on their way, at QoS 2; a message that is kept has neither. */
	uint8_t may_return : 1; /* the journal knows its publisher's session, which may send it again after a crash */
	uint8_t resumed : 1;    /* it is sent again after a crash, and some may have it (deliver/resumed.h) */
};
_Static_assert(sizeof(struct publication) == 12, "part of the cost of a queued message");
_Static_assert(MQTT_BODY_BYTES_MAX + MQTT_HEADER_BYTES_MAX <= UINT32_MAX, "packet_bytes holds the largest packet");

/* The parts of the packet; they point into it. */
struct publication_parts {
	struct slice topic;
	struct slice properties; /* wire form without the length; empty before version 5 */
	struct slice payload;
	size_t expiry_at; /* offset in the properties; the Message Expiry Interval is not before it */
};

/* publish was decoded from a packet of packet_bytes with a fixed header of header_bytes. The packet has the topic, not
 * only an alias. now_s: the gateway's clock. */
struct publication publication_of(const struct mqtt_publish *publish, uint8_t version, size_t packet_bytes,
				  size_t header_bytes, uint32_t now_s);
struct publication_parts publication_parts(const struct publication *publication, const uint8_t *packet);
/* Of a packet at QoS 1 or 2 [2.2.1]: behind the topic. */
static inline uint16_t publication_packet_id(const struct publication *publication, const uint8_t *packet)
{
	const uint8_t *at = packet + publication->header_bytes + 2 + publication->topic_bytes;
	return (uint16_t)(at[0] << 8 | at[1]);
}
/* Finds the Message Expiry Interval, which must exist, once for all receivers. */
void publication_find_expiry(struct publication_parts *parts);

/* What a receiver of this version gets, at any QoS, without the fields that differ from receiver to receiver. */
struct mqtt_forward publication_forward(const struct publication *publication, const struct publication_parts *parts,
					uint8_t version, uint32_t now_s);

static inline bool publication_expired(const struct publication *publication, uint32_t now_s)
{
	return publication->expires_s != 0 && publication->expires_s <= now_s;
}

#endif
