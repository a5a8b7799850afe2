/* A message to one shard's subscribers, one after another: at QoS 0 as bytes that all of them share, at QoS 1 and 2
 * with a packet identifier of each session's own, or into its queue. By the shard's thread. */
#ifndef ROUTE_DELIVER_H
#define ROUTE_DELIVER_H

#include "flow/messages.h"
#include "flow/refs.h"
#include "route/congestion.h"
#include "session/subscriptions.h"
#include "topics/publication.h"

struct shard;
struct client;

/* A frame up to this size is encoded in one piece; above, its payload is sent from where it is. */
#define FRAME_COPY_BYTES_MAX 4096u

/* A message as one version of the protocol sees it at QoS 0; encoded once, sent to all. */
struct frame {
	struct slice parts[2];
	uint32_t count; /* 0: not encoded yet */
	size_t bytes;
};

/* A message on its way to this shard's subscribers. */
struct delivery {
	const uint8_t *packet;
	struct publication publication;
	struct publication_parts parts;
	struct publisher_name publisher;
	const route_bits *routes; /* all of the message's, where a client gets one copy (route/overlap.h), else NULL */
	uint32_t route_count;
	uint32_t route;          /* of them, the one that is walked */
	bool is_mail;            /* the packet is in a batch, so that scratch may be emptied between two subscribers */
	bool taken;              /* at QoS 1 or 2 some session has it, or will */
	bool refused;            /* and some had no room for it */
	struct message_ref kept; /* reference to it in shard->mem.messages once a session needs it */
	struct frame frames[2][2]; /* before version 5, version 5; without and with the retain flag */
};

/* packet: lives until the end of the turn. kept: what deliver_end() gave back when the walk was interrupted, or none.
 */
struct delivery deliver_begin(const uint8_t *packet, const struct publication *publication, bool is_mail,
			      struct message_ref kept);
/* The client has published it itself, and wants none of its own through this subscription [MQTT-3.8.3-3]. */
bool deliver_is_no_local(const struct shard *shard, const struct delivery *delivery,
			 const struct subscription *subscription);
void deliver_to(struct shard *shard, struct delivery *delivery, const struct subscription *subscription);
/* Lets go of the kept message. */
void deliver_end(struct shard *shard, struct delivery *delivery);

/* Sends what waits in the session's queue, as far as window and output have room. */
void deliver_queued(struct shard *shard, struct client_ref ref);

/* Queues a retained message for the client, to be sent with deliver_queued(). False: no room. */
bool deliver_retained(struct shard *shard, struct client_ref ref, const struct publication *publication,
		      const uint8_t *packet, uint8_t qos, uint32_t identifier);

#endif
