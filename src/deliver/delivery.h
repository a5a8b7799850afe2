/* A message on its way to this shard's subscribers, as deliver/deliver.h and deliver/queue.h pass it on. Plain data. */
#ifndef DELIVERY_H
#define DELIVERY_H

#include "session/messages.h"
#include "state/routing.h"
#include "topics/publication.h"

/* A frame up to this size is encoded in one piece. Of a larger one, the payload is sent from where it is. */
#define FRAME_COPY_BYTES_MAX 4096u

/* A message at QoS 0 as one version of the protocol has it: encoded once, sent to all. */
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
	struct slice origin;      /* as origin_make() makes it (deliver/origin/origin.h); size 0: not made */
	const route_bits *routes; /* all of the message's, if a client gets one copy (deliver/overlap.h); else NULL */
	uint32_t route_count;
	uint32_t route;            /* the one of them that is being walked */
	bool is_mail;              /* the packet is in a batch, so scratch may be emptied between two subscribers */
	bool taken;                /* some subscriber has it, or will */
	bool refused;              /* some session had no room for it */
	struct kept_message kept;  /* references to it in shard->mem.messages, once a session needs it */
	struct frame frames[2][2]; /* before version 5, version 5; without and with the retain flag */
};

#endif
