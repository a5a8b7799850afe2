/* What only some sessions need: an expiry beyond the connection, a will, messages in flight at QoS 1 and 2, topic
 * aliases, a Receive Maximum. One block in the shard's slab, at client->extension, which exists only while one of its
 * fields differs from the default. Owned by the shard's thread. */
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
	uint32_t expiry_s; /* Session Expiry Interval; 0: the session ends with its connection; or EXTENSION_NEVER_S */
	struct message_ref will;
	uint32_t will_delay_s;
	uint32_t received; /* session/packet_ids.h: QoS 2 messages from the client that await its PUBREL */
	union {
		uint32_t aliases_in; /* connected: session/aliases.h, set by the client */
		uint32_t ends_at_s;  /* offline: when the session ends, on the shard's clock */
	};
	uint32_t aliases_out; /* session/aliases.h, set by us */
	union {
		uint32_t packet_bytes_max; /* connected and bounded: the client's Maximum Packet Size */
		uint32_t will_at_s;        /* offline: when the will is due, on the shard's clock */
	};
	uint16_t receive_max; /* the client's Receive Maximum */
	uint16_t alias_max;   /* topic aliases that we may set: its Topic Alias Maximum, or our own if that is less */
};
_Static_assert(sizeof(struct extension) <= 64, "part of the memory contract");
DEFINE_SLAB_REF(extension);

struct shard;
struct client;

/* NULL: the client has no extension. Valid until extension_trim() or extension_drop() (state/release.h). */
struct extension *extension_of(const struct shard *shard, const struct client *client);
/* Whether the client accepts a packet of this size [MQTT-3.1.2-24]. */
bool extension_take_packet(const struct shard *shard, const struct client *client, size_t bytes);
/* Allocates the extension if the client has none. NULL: no memory. */
struct extension *extension_need(struct shard *shard, struct client *client);
/* An OFFLINE session is resumed or ends: clears the union fields, which now belong to the connection. */
void extension_leave_offline(struct extension *extension);

#endif
