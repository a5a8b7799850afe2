/* What a session has under way to its client at QoS 1 and 2: one list of entries, oldest first. The front of it was
 * sent and waits to be acknowledged (the inflight window), the rest was not sent yet (the queue). Packet identifiers
 * are given in the order of sending, so the one at the front is the oldest in use.
 *
 * The state machine of [4.3] and [4.4]; it sends nothing itself. Entries are 16 bytes in the shard's pool, and hold a
 * reference to their message where it may have to be sent again. Owned by the shard's thread. */
#ifndef SESSION_FLOW_H
#define SESSION_FLOW_H

#include "base/pool.h"
#include "session/messages.h"

enum flow_state {
	FLOW_QUEUED,   /* not sent on this connection -> SENT, or gone */
	FLOW_SENT,     /* PUBLISH was sent -> RELEASED (QoS 2), QUEUED (connection lost), or gone (acknowledged) */
	FLOW_RELEASED, /* QoS 2: PUBREC came, PUBREL was sent -> gone (PUBCOMP) */
};

struct flow_entry {
	uint32_t next;
	uint32_t message; /* 0: it will not be sent again */
	union {
		uint32_t identifier;   /* the Subscription Identifier, 0: none */
		uint32_t subscription; /* if shared: whose, for as long as it stands (0: no longer) */
	};
	uint16_t packet_id; /* 0: it was never sent */
	uint8_t state : 2;  /* enum flow_state */
	uint8_t qos : 2;
	uint8_t retain : 1;
	uint8_t shared : 1; /* came through a shared subscription: may go to another member */
	uint8_t reserved;
};
_Static_assert(sizeof(struct flow_entry) == 16, "part of the cost of a queued message");

struct flow {
	uint32_t first;
	uint32_t last;
	uint32_t unsent;       /* first that is to be sent, 0: none */
	uint32_t queued;       /* entries from there on */
	uint32_t queued_bytes; /* packets of their messages */
	uint16_t inflight;     /* entries before it */
	uint16_t packet_id;    /* given last */
};

/* The shard's entries and messages. */
struct flow_store {
	struct pool entries;
	struct messages *messages;
	uint64_t looks; /* entries that were passed to find one that is acknowledged, for who counts work */
};

/* limit: entries of all sessions. */
enum error flow_store_open(struct flow_store *store, struct messages *messages, uint32_t limit);
void flow_store_close(struct flow_store *store);

static inline struct flow_entry *flow_entry_at(const struct flow_store *store, uint32_t entry)
{
	return pool_at(&store->entries, entry);
}

/* Appends an entry with the fields of *entry (next, state and packet_id are not looked at), which takes over the
 * caller's reference to its message. Returns its index; 0: there is no room, and the reference is still the caller's.
 */
uint32_t flow_append(struct flow *flow, struct flow_store *store, const struct flow_entry *entry);

/* Whether the next entry, appended already or not, may go: the window has room, and its packet identifier is free. */
bool flow_can_send(const struct flow *flow, const struct flow_store *store, uint32_t window);
/* Gives the first unsent entry its packet identifier, unless it has one. */
void flow_number(struct flow *flow, const struct flow_store *store);
/* The first unsent entry is sent now: it has a packet identifier from here on and moves to the front part. An entry
 * without QoS, which is a retained message that waited, is sent and gone: flow_drop_unsent() it. */
void flow_sent(struct flow *flow, const struct flow_store *store);
/* The last entry, which was just sent, could not be: it is as if it had been acknowledged. */
void flow_abandon_last(struct flow *flow, struct flow_store *store);
/* Takes the first unsent entry out: it expired, or is too large. */
void flow_drop_unsent(struct flow *flow, struct flow_store *store);
/* Takes out the oldest entry that was never sent, to make room in the queue. False: there is none. */
bool flow_drop_oldest(struct flow *flow, struct flow_store *store);
/* The connection was lost: all that was sent is to be sent again, in the same order and with the same identifiers. */
void flow_rewind(struct flow *flow, const struct flow_store *store);

/* What an acknowledgement means. */
enum flow_ack {
	FLOW_ACK_UNKNOWN,    /* no such identifier is under way */
	FLOW_ACK_UNEXPECTED, /* it is, and another packet is due [4.3.2, 4.3.3]; nothing has changed */
	FLOW_ACK_DONE,       /* the entry is gone */
	FLOW_ACK_RELEASE,    /* PUBREC, the first or again: PUBREL is to be sent */
};
/* type: MQTT_PUBACK, MQTT_PUBREC or MQTT_PUBCOMP. failed: its reason code is 0x80 or above. */
enum flow_ack flow_acknowledge(struct flow *flow, struct flow_store *store, uint8_t type, uint16_t packet_id,
			       bool failed);

/* Frees entries, at most so many, and returns how many; until all are gone it may only be called again. */
uint32_t flow_clear(struct flow *flow, struct flow_store *store, uint32_t most);
/* A shared subscription is gone: its entries are this session's alone from now on. */
void flow_forget_subscription(struct flow *flow, const struct flow_store *store, uint32_t subscription);
/* Whether an entry that came through a shared subscription goes to another member, who then has its reference. Changes
 * nothing of the flow itself. */
typedef bool flow_hand_on(void *context, const struct flow_entry *entry);
/* Offers each entry that may go to another member: not sent yet, or at QoS 1 not acknowledged [4.8.2]; in their order,
 * in one pass. */
void flow_offer_shared(struct flow *flow, struct flow_store *store, flow_hand_on *hand_on, void *context);

#endif
