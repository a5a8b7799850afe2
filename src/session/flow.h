/* What a session has under way to its client at QoS 1 and 2: one list of entries, oldest first. The front of it was
 * sent and waits to be acknowledged (the inflight window), the rest was not sent yet (the queue). Packet identifiers
 * are given in the order of sending, so the one at the front is the oldest in use.
 *
 * The state machine of [4.3] and [4.4]; it sends nothing itself. Entries are 16 bytes in the shard's pool, and hold a
 * reference to their message where it may have to be sent again. Owned by the shard's thread.
 *
 * A window may hold all 65,535 identifiers, and a client may acknowledge in any order, so no operation but
 * flow_rewind(), flow_clear() and a walk over shared entries looks at more than a few entries. A client that
 * acknowledges in order, as nearly all do at QoS 1, finds its entry in front. For one that does not, a table from
 * packet identifier to entry is made (struct flow_window), and goes when nothing is under way any more. */
#ifndef SESSION_FLOW_H
#define SESSION_FLOW_H

#include "session/flow_list.h"

/* limit: entries of all sessions. */
enum error flow_store_open(struct flow_store *store, struct messages *messages, uint32_t limit);
void flow_store_close(struct flow_store *store);

struct flow_repeats flow_repeats(const struct flow *flow, const struct flow_store *store);

/* Appends an entry with the fields of *entry (next, state and packet_id are not looked at), which takes over the
 * caller's reference to its message. Returns its index; 0: there is no room, and the reference is still the caller's.
 */
uint32_t flow_append(struct flow *flow, struct flow_store *store, const struct flow_entry *entry);

/* Whether the next entry, appended already or not, may go: the window has room, and its packet identifier is free. */
bool flow_can_send(const struct flow *flow, const struct flow_store *store, struct flow_bounds window);
/* Gives the first unsent entry its packet identifier, unless it has one. */
void flow_number(struct flow *flow, const struct flow_store *store);
/* The first unsent entry is sent now: it has a packet identifier from here on and moves to the front part. An entry
 * without QoS, which is a retained message that waited, is sent and gone: flow_drop_unsent() it. */
void flow_sent(struct flow *flow, struct flow_store *store);
/* Before flow_sent(): the message will not be sent again, and is not kept until it is acknowledged. */
void flow_forget_unsent(struct flow *flow, struct flow_store *store);
/* The last entry, which was just sent, could not be: it is as if it had been acknowledged. */
void flow_abandon_last(struct flow *flow, struct flow_store *store);
/* Takes the first unsent entry out: it expired, or is too large. */
void flow_drop_unsent(struct flow *flow, struct flow_store *store);
/* Takes out the oldest entry that was never sent, to make room in the queue. False: there is none. */
bool flow_drop_oldest(struct flow *flow, struct flow_store *store);
/* Takes out messages that expired before they were sent; looks at `entries_max` entries, and goes on there the next
 * time. Returns how many there were. *whole: it came to the end of the queue. */
uint32_t flow_drop_expired(struct flow *flow, struct flow_store *store, uint32_t now_s, uint32_t entries_max,
			   bool *whole);
/* The connection was lost: all that was sent is to be sent again, in the same order and with the same identifiers. */
void flow_rewind(struct flow *flow, struct flow_store *store);

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

/* A walk over the entries that came through shared subscriptions and may go to another member: not sent yet, or at
 * QoS 1 not acknowledged [4.8.2]. Begins with all 0. */
struct flow_walk {
	uint32_t at;
	uint32_t previous;
	bool stepped;
};
/* The next one; NULL: there are no more. */
const struct flow_entry *flow_next_shared(const struct flow *flow, const struct flow_store *store,
					  struct flow_walk *walk);
/* Takes out the one that the walk stands on; the reference to its message is the caller's. */
struct message_ref flow_take_shared(struct flow *flow, struct flow_store *store, struct flow_walk *walk);

#endif
