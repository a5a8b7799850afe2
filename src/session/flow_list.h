/* The list of entries that a flow is (session/flow.h). Owned by the shard's thread. */
#ifndef SESSION_FLOW_LIST_H
#define SESSION_FLOW_LIST_H

#include "memory/pool.h"
#include "session/journal.h"
#include "session/messages.h"

#define FLOW_GENERATION_MASK 0x3ffu /* the last ten bits of a subscription's generation */

enum flow_state {
	FLOW_QUEUED,   /* not sent on this connection -> SENT, DONE, or freed */
	FLOW_SENT,     /* PUBLISH was sent -> RELEASED (QoS 2), QUEUED (connection lost), DONE, or freed */
	FLOW_RELEASED, /* QoS 2: PUBREC came, PUBREL was sent -> DONE, or freed (PUBCOMP) */
	FLOW_DONE,     /* acknowledged or dropped -> freed when all entries before it are */
};
_Static_assert(FLOW_DONE < 1u << 2, "struct flow_entry has two bits for the state");

struct flow_entry {
	uint32_t next;              /* of the last entry: the first */
	struct message_ref message; /* none: it will not be sent again */
	union {
		uint32_t identifier;                  /* the Subscription Identifier, 0: none */
		struct subscription_ref subscription; /* if shared: whose, if that is still of this generation */
	};
	uint16_t packet_id; /* 0: it was never sent */
	uint16_t state : 2; /* enum flow_state */
	uint16_t qos : 2;
	uint16_t retain : 1;
	uint16_t shared : 1; /* came through a shared subscription: may go to another member */
	uint16_t generation : 10;
};
_Static_assert(sizeof(struct flow_entry) == 16, "part of the cost of a queued message");
_Static_assert(FLOW_GENERATION_MASK == (1u << 10) - 1, "struct flow_entry has ten bits for the generation");

struct flow {
	uint32_t last;          /* 0: there are none */
	uint32_t unsent;        /* first that is to be sent, 0: none */
	uint32_t queued : 30;   /* entries from there on */
	uint32_t journaled : 1; /* the same as its session's */
	uint32_t loading : 1; /* packets of its messages are being read for this connection (deliver/bodies/bodies.h) */
	uint32_t queued_bytes; /* packets of their messages */
	uint32_t sent_bytes;   /* packets of messages before it that are kept */
	uint32_t window;       /* slab reference of a struct flow_window, 0: none is needed */
	uint16_t inflight;     /* entries before `unsent` that are not done */
	uint16_t packet_id;    /* given last */
};

_Static_assert(sizeof(struct flow) == 28, "part of struct extension, which is in the memory contract");

/* How much may be in flight. */
struct flow_bounds {
	uint32_t messages;
	uint32_t bytes; /* of those that are kept; one message may exceed it */
};

/* The shard's entries and messages. */
struct flow_store {
	struct pool entries;
	struct messages *messages;
	struct journal *journal; /* told of flows that are journaled; NULL where none is */
	uint64_t looks;          /* entries passed to find acknowledged ones; the caller charges them as work */
};

static inline struct flow_entry *flow_entry_at(const struct flow_store *store, uint32_t entry)
{
	return pool_at(&store->entries, entry);
}

/* The first entry, and the one after another; 0: there is none. */
static inline uint32_t flow_first(const struct flow *flow, const struct flow_store *store)
{
	return flow->last != 0 ? flow_entry_at(store, flow->last)->next : 0;
}

static inline uint32_t flow_next(const struct flow *flow, const struct flow_store *store, uint32_t entry)
{
	return entry != flow->last ? flow_entry_at(store, entry)->next : 0;
}

/* The unsent entries that were sent on an earlier connection. They come first, and are not dropped [4.4]. */
struct flow_repeats {
	uint32_t messages;
	uint32_t bytes;
	uint32_t last; /* the last of these entries; 0: there are none */
};

#endif
