/* Where a message comes from, for Roost's own clients (control/internal.h): who published it, from which address and
 * when. A PUBLISH to one of them begins its properties with User Properties that say so, those that are known, in this
 * order:
 *
 *   roost-client     the client id
 *   roost-user       the user who signed in
 *   roost-address    as logs have it: "192.0.2.1:50000"
 *   roost-time       when it was published, in ms since 1970, in decimal
 *
 * The time is always there, so whoever reads them up to the first time has what Roost said; a publisher may have sent
 * properties with these names, which come behind it.
 *
 * They are written into a copy of the packet on the subscriber's shard, and from there on the message is one like any
 * other: in the queue, in the store, after a restart. Others who get the message get it as it was published, and
 * nothing of this is kept for them. The publisher's shard makes them where it is certain who the publisher is, and only
 * for messages with a route to a shard that has such a subscriber: with none anywhere, that is one look at a flag a
 * message. By the shard's thread. */
#ifndef DELIVER_ORIGIN_H
#define DELIVER_ORIGIN_H

#include "base/error.h"
#include "session/refs.h"
#include "topics/publication.h"

struct origins;
struct shard;

/* Two texts of MQTT, an address, a time, and the four names. */
#define ORIGIN_BYTES_MAX (2u * UINT16_MAX + 256u)

/* On the heap, for a message that is routed later than it was published. */
struct origin {
	uint32_t bytes;
	uint8_t properties[];
};

void origins_fini(struct origins *origins);

/* This shard has, or is about to have, a subscription of Roost's own. It stays so until the program ends. */
void origins_take(struct shard *shard);
/* The same if this client, which is about to subscribe, is one of Roost's own. Whether it is. */
bool origins_take_if_internal(struct shard *shard, struct client_ref ref);
/* Whether any shard has, or that one. */
bool origins_are_taken(const struct shard *shard);
bool origins_are_taken_by(const struct shard *shard, uint16_t other);

/* The properties of a message that the client publishes now; none: the gateway itself. Valid until the next call. size
 * 0: there was no memory. */
struct slice origin_make(struct shard *shard, struct client_ref publisher);
/* The same, for later. The caller owns it, and frees it with free(). NULL: nobody takes it, or there was no memory. */
struct origin *origin_keep(struct shard *shard, struct client_ref publisher);

/* Writes a PUBLISH of version 5 with the origin before its properties. *publication and *parts are those of `packet`,
 * and become those of the packet that is returned; it is valid until the next call. The payload in *parts stays where
 * it is. NULL: *error is ERROR_NO_MEMORY; or ERROR_PACKET_TOO_LARGE, for with the origin it would be longer than a
 * packet can be. */
const uint8_t *origin_write(struct shard *shard, struct slice origin, const uint8_t *packet,
			    struct publication *publication, struct publication_parts *parts, enum error *error);

#endif
