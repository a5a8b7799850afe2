/* A message on its way through the gateway: a PUBLISH packet as it was received, and what must be known of it to find
 * its parts again without decoding it. Pure; any thread. */
#ifndef TOPICS_PUBLICATION_H
#define TOPICS_PUBLICATION_H

#include "mqtt/forward.h"

struct publication {
	uint32_t packet_bytes; /* fixed header included */
	uint32_t expires_s;    /* when it is too old to be delivered, on the gateway's clock; 0: never [3.3.2.3.3] */
	uint16_t topic_bytes;
	uint8_t header_bytes;
	uint8_t qos : 2;
	uint8_t retain : 1;
	uint8_t is_5 : 1; /* the packet has version 5's form */
};
_Static_assert(sizeof(struct publication) == 12, "part of the cost of a queued message");

/* The packet's parts; they point into it. */
struct publication_parts {
	struct slice topic;
	struct slice properties; /* wire form without the length; empty before version 5 */
	struct slice payload;
	size_t expiry_at; /* of the properties: a Message Expiry Interval does not stand before it */
};

/* publish was decoded from a packet of packet_bytes, whose fixed header has header_bytes, and has its topic in it.
 * now_s: the gateway's clock. */
struct publication publication_of(const struct mqtt_publish *publish, uint8_t version, size_t packet_bytes,
				  size_t header_bytes, uint32_t now_s);
struct publication_parts publication_parts(const struct publication *publication, const uint8_t *packet);
/* Looks for the Message Expiry Interval, which is there, once for all receivers. */
void publication_find_expiry(struct publication_parts *parts);

/* What its receiver of this version gets at QoS 0 or 1 and 2, without anything of the receiver's own yet. */
struct mqtt_forward publication_forward(const struct publication *publication, const struct publication_parts *parts,
					uint8_t version, uint32_t now_s);

static inline bool publication_expired(const struct publication *publication, uint32_t now_s)
{
	return publication->expires_s != 0 && publication->expires_s <= now_s;
}

#endif
