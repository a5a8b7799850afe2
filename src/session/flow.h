/* A session's messages to its client at QoS 1 and 2: one list of entries, oldest first. Those at the front were sent
 * and wait to be acknowledged (in flight), the rest was not sent yet (the queue). Packet identifiers are given in the
 * order of sending, so the front entry has the oldest one in use.
 *
 * This is the state machine of [4.3] and [4.4]; it sends nothing itself. Entries are 16 bytes in the shard's pool. An
 * entry holds a reference to its message as long as it may have to be sent again. Owned by the shard's thread.
 *
 * All 65,535 identifiers may be in flight, and a client may acknowledge in any order. So no operation but
 * flow_rewind(), flow_clear() and a walk over shared entries looks at more than a few entries. A client that
 * acknowledges in order, as nearly all do at QoS 1, finds its entry at the front. For one that does not, a table from
 * packet identifier to entry is made (struct flow_window). It is freed when nothing is in flight. */
#ifndef SESSION_FLOW_H
#define SESSION_FLOW_H

#include "session/flow_list.h"

struct arena;

/* arena: where its memory is, or NULL (memory/arena.h). limit: entries of all sessions. The errors are pool_open()'s.
 */
enum error flow_store_open(struct flow_store *store, struct arena *arena, struct messages *messages, uint32_t limit);
/* Notes what lies beside its memory, for the program that adopts the arena (memory/arena.h). */
enum error flow_store_save(const struct flow_store *store, const struct arena *arena);
void flow_store_close(struct flow_store *store);

/* The entries at the front of the queue that were sent on an earlier connection. */
struct flow_repeats flow_repeats(const struct flow *flow, const struct flow_store *store);

/* Appends a copy of *entry, except for next, state and packet_id. It takes over the caller's reference to the message.
 * Returns its index; 0: there is no room, and the caller keeps the reference. */
uint32_t flow_append(struct flow *flow, struct flow_store *store, const struct flow_entry *entry);

/* Appends an entry of a stored flow, whose entries come in their order: with its packet identifier, where it was sent
 * on an earlier connection, and FLOW_QUEUED or FLOW_RELEASED. Otherwise like flow_append(). */
uint32_t flow_restore(struct flow *flow, struct flow_store *store, const struct flow_entry *entry);
/* After the last one. packet_id: given last. */
void flow_restored(struct flow *flow, struct flow_store *store, uint16_t packet_id);

/* Whether the next entry, appended already or not, may be sent: the window has room [4.9], and its packet identifier is
 * not in use. */
bool flow_can_send(const struct flow *flow, const struct flow_store *store, struct flow_bounds window);
/* Gives the first unsent entry its packet identifier, unless it has one. */
void flow_number(struct flow *flow, const struct flow_store *store);
/* The first unsent entry is being sent: it gets a packet identifier and is in flight. Not for an entry at QoS 0, which
 * is a retained message that waited: pass that to flow_drop_unsent() once it is sent. */
void flow_sent(struct flow *flow, struct flow_store *store);
/* Before flow_sent(), if the message will not be sent again: drops the reference to it now, not on acknowledgement. */
void flow_forget_unsent(struct flow *flow, struct flow_store *store);
/* Undoes flow_sent() for the last entry, which could not be sent: it ends as if it had been acknowledged. */
void flow_abandon_last(struct flow *flow, struct flow_store *store);
/* Removes the first unsent entry, for example because it expired or is too large. */
void flow_drop_unsent(struct flow *flow, struct flow_store *store);
/* Removes the oldest entry that was never sent, to make room in the queue. False: there is none. */
bool flow_drop_oldest(struct flow *flow, struct flow_store *store);
/* Removes messages that expired before they were sent [3.3.2.3.3]. Examines up to `entries_max` entries; the next call
 * goes on there. Returns how many it removed. *whole: it reached the end of the queue. */
uint32_t flow_drop_expired(struct flow *flow, struct flow_store *store, uint32_t now_s, uint32_t entries_max,
			   bool *whole);
/* The connection was lost: everything in flight is to be sent again, in the same order and with the same identifiers
 * [MQTT-4.4.0-1, MQTT-4.6.0-1]. */
void flow_rewind(struct flow *flow, struct flow_store *store);

/* What an acknowledgement means. */
enum flow_ack {
	FLOW_ACK_UNKNOWN,    /* the identifier is not in flight */
	FLOW_ACK_UNEXPECTED, /* it is, but another packet is due [4.3.2, 4.3.3]; nothing has changed */
	FLOW_ACK_DONE,       /* the message is done with */
	FLOW_ACK_RELEASE,    /* PUBREC, the first or a repeated one: PUBREL must be sent */
};
/* type: MQTT_PUBACK, MQTT_PUBREC or MQTT_PUBCOMP. failed: its reason code is 0x80 or above. */
enum flow_ack flow_acknowledge(struct flow *flow, struct flow_store *store, uint8_t type, uint16_t packet_id,
			       bool failed);

/* Frees up to `most` entries, and returns how many. Until all are freed, the flow allows no other call. */
uint32_t flow_clear(struct flow *flow, struct flow_store *store, uint32_t most);

/* A walk over the entries that came through shared subscriptions and may go to another member: those not sent yet, and
 * at QoS 1 also those not acknowledged [4.8.2]. All zero at first. */
struct flow_walk {
	uint32_t at;
	uint32_t previous;
	bool stepped;
};
/* The next entry; NULL: there are no more. */
const struct flow_entry *flow_next_shared(const struct flow *flow, const struct flow_store *store,
					  struct flow_walk *walk);
/* Removes the entry that flow_next_shared() returned last. The caller owns the reference to its message. */
struct message_ref flow_take_shared(struct flow *flow, struct flow_store *store, struct flow_walk *walk);

#endif
