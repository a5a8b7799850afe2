/* What only some sessions have, and so has its memory only while it exists: a life beyond the connection, a will,
 * messages under way at QoS 1 and 2, topic aliases, a Receive Maximum of its own. One block in the shard's slab, at
 * client->extension. Owned by the shard's thread. */
#ifndef STATE_EXTENSION_H
#define STATE_EXTENSION_H

#include "memory/slab.h"
#include "session/flow.h"
#include "session/refs.h"

#include <stdbool.h>

#define EXTENSION_NEVER_S UINT32_MAX

struct extension {
	struct flow flow;
	struct account_ref account;
	uint32_t expiry_s; /* Session Expiry Interval; 0: it ends with its connection, EXTENSION_NEVER_S: never */
	struct message_ref will;
	uint32_t will_delay_s;
	uint32_t received; /* packet_ids.h: QoS 2 messages of the client that are not released yet */
	union {
		uint32_t aliases_in; /* with a connection: aliases.h, set by the client */
		uint32_t ends_at_s;  /* without one: when the session ends, on the shard's clock */
	};
	uint32_t aliases_out; /* aliases.h, set by us */
	union {
		uint32_t packet_bytes_max; /* with a connection: the client's, if it is bounded */
		uint32_t will_at_s;        /* without one: when the will is due */
	};
	uint16_t receive_max; /* the client's */
	uint16_t alias_max;   /* the client's */
};
_Static_assert(sizeof(struct extension) <= 64, "part of the memory contract");
DEFINE_SLAB_REF(extension);

struct shard;
struct client;

/* NULL: it has none. Valid until extension_trim() or extension_drop(). */
struct extension *extension_of(const struct shard *shard, const struct client *client);
/* Whether the client takes a packet of this size [MQTT-3.1.2-24]. */
bool extension_take_packet(const struct shard *shard, const struct client *client, size_t bytes);
/* Makes them where there are none; NULL: no memory. */
struct extension *extension_need(struct shard *shard, struct client *client);
/* The session has a connection again, or ends: the places of what it needed without one are empty. */
void extension_leave_offline(struct extension *extension);

#endif
