/* The journal: all that has to be known of sessions and retained messages so that they can be had again, told event by
 * event as it happens. A store, a replica or an upgrade to another layout of memory listens here, and nowhere else.
 *
 * Who is told of. Sessions that outlive their connection, from their first CONNECT until they end. A session that ends
 * with its connection is never told of, nor is a message that only such sessions have. Retained messages are told of,
 * but for the server's own below $SYS.
 *
 * Cost. A shard has one journal. Where it has no table, no session is marked as journaled, no message as told, and the
 * only cost is a test of these marks, which lie in words that are at hand anyway.
 *
 * Thread. All functions of the table are called by the shard's own thread, in the order in which things happen. They
 * must not block, nor call back into the shard, nor into the tree of retained messages, whose lock may be held. There
 * is no order between the journals of two shards.
 *
 * Batches. What happens in one turn of the shard belongs together: `begin` comes before its first event and `end` after
 * its last one, and a replay takes all of a batch or nothing of it. Turns without an event have no batch.
 *
 * Promises to clients. A listener that makes batches durable says how far they are (struct journal_safety). Then no
 * answer leaves before the event that it confirms is safe (session/commit_waits.h): PUBACK, PUBREC, PUBREL after
 * `released`, PUBCOMP after `completed`, SUBACK, UNSUBACK and CONNACK. If PUBREL or PUBCOMP left first and the event
 * were lost, a message would arrive twice or not at all. Otherwise what a turn sends leaves at its end.
 *
 * Pointers. What is passed by pointer or as a slice is the shard's, and good until the function returns.
 *
 * Names. Objects are named by the shard's own references (session/refs.h): small numbers that lie dense, so that a
 * listener can keep what it knows in arrays. A name is good from the event that introduces it to the one that ends it;
 * then another object may get it. Between the two:
 *
 *     a session        `opened`      to  `ended`
 *     a subscription   `subscribed`  to  `unsubscribed`, or the end of its session
 *     an entry         `queued`      to  `done`, `dropped` or `handed_on`, or the end of its session
 *     a message        `kept`        to  `forgotten`
 *
 * Times are seconds of the wall clock (store/deadline.h), taken when the event is told.
 *
 * A session that comes from another node (lifecycle/packed/unpack.h) is told as `opened`, `connected` and `left`, with
 * an expiry of a minute; then its entries, `numbered`, `received` and `subscribed`, in many batches; and at last
 * `connected` and `left` again, with the expiry that it has.
 *
 * What a replay has to give, for each session that was opened and has not ended:
 * - the client id, the user and what the token allowed, the Session Expiry Interval, and whether it was a bridge's;
 * - when it ends: what `left` told; where `connected` was the last of the two, the connection was lost soon after
 *   the last batch, and both the session's expiry and its will's delay begin there;
 * - its subscriptions, as they were told last under each name;
 * - its entries, in the order in which they were queued. One that has no packet identifier was never sent, as far as is
 *   known. One that has is to be sent again with the same identifier; one that was released is to be continued with
 *   PUBREL. Those with identifiers stand in front, in the order of sending. Of an entry that came through a shared
 *   subscription the name of the subscription means nothing after `unsubscribed`;
 * - the packet identifier that was told last in `sent`, whether its entry is still there or not: the next one to give
 *   follows it. So what was sent after the last safe batch is sent again with the identifiers that it had, and a client
 *   that has such a message of QoS 2 takes it for what it is;
 * - the packet identifiers of QoS 2 messages that it published and has not released;
 * - its will, unless `will_published` or `will_dropped` came after `will_set`;
 * - what it is owed of retained messages: a walk through them that is begun anew, so that it may get some twice;
 * - where it has a user or rules, the mark that its rights may have become fewer (client/review.h).
 * And beside sessions:
 * - of each topic's retained messages that all journals told, the one with the highest number, unless it was taken
 * away; and in a cluster the stamps of both kinds;
 * - messages that the gateway has promised to pass on and may not have: one whose `will_published` or `handed_on` came,
 *   and `forgotten` did not. Such a will is to be published again; such a message is to go to any member of the shared
 *   subscription, of its own session too. Both may arrive twice.
 *
 * And of messages at QoS 2 that their publishers may send again: who has them. `received` is told in the publisher's
 * journal when it is safe that all subscribers have the message, and until that is safe too the publisher sends it
 * again after a crash. So `kept` names the publisher. Each session for which `queued` names the message has it, even if
 * the entry has ended since; through a shared subscription the whole group has it. This claim of the publisher's
 * session and packet identifier ends with `received` or `completed` of that identifier, or with the session. What is
 * sent again goes to those alone that do not have it yet (deliver/resumed.h).
 */
#ifndef SESSION_JOURNAL_H
#define SESSION_JOURNAL_H

#include "base/slice.h"
#include "cluster/common/stamp.h"
#include "session/refs.h"
#include "topics/publication.h"

#include <stdbool.h>

/* A session has a connection now: its first one, or another. */
struct journal_connected {
	uint32_t expiry_s;   /* Session Expiry Interval, never 0; UINT32_MAX: it does not end */
	uint16_t generation; /* of the connection, by which a message names its publisher */
	bool is_bridge;      /* its subscriptions are No Local and Retain As Published from now on */
};

/* Who the session's client is, where anything is known of that. */
struct journal_principal {
	struct slice user;    /* empty: none */
	struct slice rules;   /* of its token, as auth/rules/acl_claims.h makes them; data NULL: none */
	uint64_t token_hash;  /* 0: no token. Both hashes are by the gateway's key, which must be kept along */
	uint64_t user_hash;   /* 0: no user */
	int64_t expires_at_s; /* of the sign-in; DEADLINE_NEVER_S */
	bool uses_auth;       /* AUTH may renew it */
};

/* The connection is over, and the session goes on. */
struct journal_left {
	uint32_t expiry_s; /* as DISCONNECT may have changed it */
	int64_t ends_at_s; /* DEADLINE_NEVER_S */
	int64_t will_at_s; /* of its will, if it has one */
};

struct journal_subscription {
	struct slice filter; /* "$share/group/filter" for a shared subscription */
	uint32_t identifier; /* Subscription Identifier, 0: none */
	uint8_t options;     /* SUBSCRIPTION_OPTIONS_ASKED of enum subscription_option */
};

/* The publisher of a message at QoS 2: a journaled session, on any shard. The message's packet has the packet
 * identifier. */
struct journal_publisher {
	struct client_ref session; /* on `shard`; none: nobody who could send it again */
	uint16_t shard;
	uint16_t generation; /* of the connection on which it came */
};

/* Somebody has a message at QoS 2 that its publisher may send again. */
struct journal_taken {
	struct journal_publisher publisher;
	struct slice receiver; /* client id of a session, or "$share/group/filter" */
	uint16_t packet_id;    /* of the publisher's */
	bool is_group;
};

/* A message, as it came from its publisher. */
struct journal_message {
	struct publication publication; /* expires_s is 0 */
	const uint8_t *packet;          /* of publication.packet_bytes */
	int64_t expires_at_s;           /* DEADLINE_NEVER_S: it does not; so for a will, whose time has not begun */
	struct journal_publisher publisher;
};

/* A message that waits for a session at the end of its queue, or is about to be sent to it for the first time. */
struct journal_entry {
	struct message_ref message;
	uint32_t identifier;                  /* Subscription Identifier, 0: none or shared */
	struct subscription_ref subscription; /* shared: which one it came through; none: not shared, or it has ended */
	uint8_t qos;                          /* 0: a retained message that waits for room */
	bool retain;
	bool shared;
};

struct journal_will {
	struct message_ref message; /* which no other session has */
	uint32_t delay_s;
	uint32_t expiry_s; /* the message's, from when it is published; 0: never */
};

struct journal_retained {
	uint64_t number; /* of all changes to the tree, by all shards: the highest is the newest */
	struct slice topic;
	const struct journal_message *message; /* NULL: it was taken away, or has expired */
	/* In a cluster, of the change (topics/retained_changes.h). Without a message and with an empty topic: two
	 * times of it. */
	struct stamp stamp;
};

struct journal_events {
	/* wall_s: when the turn began. */
	void (*begin)(void *context, int64_t wall_s);
	void (*end)(void *context);

	/* ---- sessions ---- */

	/* `connected` follows, then `principal` and `will_set` where there is something to tell. */
	void (*opened)(void *context, struct client_ref session, struct slice client_id);
	void (*connected)(void *context, struct client_ref session, const struct journal_connected *connected);
	/* After `connected`, and when AUTH renews it. After `connected` without it there is nothing known. */
	void (*principal)(void *context, struct client_ref session, const struct journal_principal *principal);
	void (*left)(void *context, struct client_ref session, const struct journal_left *left);
	/* All that was the session's goes with it: subscriptions, entries, will, what it was owed. Nothing of that is
	 * told one by one; only messages are forgotten as their last reference goes. Also when a session is to end with
	 * its connection from now on. */
	void (*ended)(void *context, struct client_ref session);

	/* ---- subscriptions ---- */

	/* Also again under the same name, where options or identifier were replaced. */
	void (*subscribed)(void *context, struct client_ref session, struct subscription_ref subscription,
			   const struct journal_subscription *told);
	void (*unsubscribed)(void *context, struct client_ref session, struct subscription_ref subscription);
	/* So many walks through the retained messages are owed to the subscription from now on; 0: none any more. */
	void (*owed)(void *context, struct client_ref session, struct subscription_ref subscription, uint32_t walks);

	/* ---- wills ---- */

	void (*will_set)(void *context, struct client_ref session, const struct journal_will *will);
	/* It is on its way to its subscribers; expires_at_s: DEADLINE_NEVER_S for one that does not expire. */
	void (*will_published)(void *context, struct client_ref session, int64_t expires_at_s);
	void (*will_dropped)(void *context, struct client_ref session);

	/* ---- messages to sessions ---- */

	/* Once, before the first event that names it, however many sessions have it. */
	void (*kept)(void *context, struct message_ref message, const struct journal_message *told);
	/* No session has it any more, and nobody passes it on. */
	void (*forgotten)(void *context, struct message_ref message);
	void (*queued)(void *context, struct client_ref session, uint32_t entry, const struct journal_entry *told);
	/* It has this identifier now, and may have left for the client from here on. Not told again when it is
	 * repeated. */
	void (*sent)(void *context, uint32_t entry, uint16_t packet_id);
	/* The flow gave this packet identifier last. Told after its entries, of a session that is told again as a whole
	 * or comes from another node. */
	void (*numbered)(void *context, struct client_ref session, uint16_t packet_id);
	/* PUBREC came: the message is the client's, and the entry does not need it any more. */
	void (*released)(void *context, uint32_t entry);
	/* PUBACK, PUBCOMP, or a PUBREC that refuses it. */
	void (*done)(void *context, uint32_t entry);
	/* It was not acknowledged, and is not kept any longer: it expired, was too much, or cannot be sent. */
	void (*dropped)(void *context, uint32_t entry);
	/* It goes to another member of its shared subscription. */
	void (*handed_on)(void *context, uint32_t entry);
	/* The entry that was named `from` is named `to` from now on, and stands where it stood. */
	void (*moved)(void *context, uint32_t from, uint32_t to);

	/* ---- messages from sessions ---- */

	/* A message of QoS 2 with this identifier is with all who subscribe, and PUBREC may be sent. Told again it
	 * means nothing new. */
	void (*received)(void *context, struct client_ref session, uint16_t packet_id);
	/* PUBREL came: the next message with this identifier is another one. Without `received` before where the client
	 * did not wait for PUBREC, or the message was refused after some had got it; then it ends the claim alone. */
	void (*completed)(void *context, struct client_ref session, uint16_t packet_id);

	/* What `kept` and `queued` do not tell: of a claim from before a restart, told again with its publisher's
	 * session; and of a group, while a checkpoint may not have told its subscription yet. */
	void (*taken)(void *context, const struct journal_taken *told);

	/* ---- retained messages ---- */

	void (*retained)(void *context, const struct journal_retained *retained);
};

/* How far the events are safe. Events gather in commits, which become safe one after the other. By the shard's thread.
 * context: the journal's. */
struct journal_safety {
	/* The number of the commit in which the last event of this shard is or will be; 0: it told none yet. */
	uint64_t (*told)(const void *context);
	/* That shard's commits up to this number are safe: any shard's. */
	uint64_t (*safe)(const void *context, uint16_t shard);
	/* While true, the shard is woken whenever more has become safe, on any shard. */
	void (*await)(void *context, bool awaits);
};

/* Checkpoints: a listener that wants to forget what it was told in the past is told all once more, by the ordinary
 * events and over many turns (lifecycle/stored/retell.h). By the shard's thread, between `begin` and `end` of a batch.
 * context: the journal's. */
struct journal_checkpoints {
	/* The number of the checkpoint that is wanted, which is higher than those before; 0: none. Any time. Where
	 * nothing is safe before the first one has ended, that is wanted before the shards' first turns. */
	uint32_t (*wanted)(const void *context);
	/* Whether the listener can take more at this moment. Any time. */
	bool (*has_room)(const void *context);
	/* From here on each message is told before it is named, although it may have been told before; then all other
	 * objects. */
	void (*begin)(void *context, uint32_t number);
	/* While true, `opened`, `kept`, `queued` and `retained` tell of what may be known. `opened` then means: what
	 * was known of the session's connection, subscriptions, entries, will and received identifiers is told anew, in
	 * this batch. On and off within a batch. */
	void (*again)(void *context, bool again);
	/* In place of `kept`, again: a message whose packet is not in memory. */
	void (*kept_at)(void *context, struct message_ref message, const struct journal_message *told);
	/* All is told, and what was promised before has arrived. */
	void (*end)(void *context);
};

struct journal {
	const struct journal_events *events;           /* NULL: nobody listens */
	const struct journal_safety *safety;           /* NULL: all is safe as soon as it is told */
	const struct journal_checkpoints *checkpoints; /* NULL: nothing is ever told again */
	void *context;
	uint64_t told;  /* events, so that it can be seen whether there were some */
	int64_t wall_s; /* when the turn began, by the clock of deadlines; set only where somebody listens */
	bool has_begun; /* there was an event in this turn */
	bool is_again;  /* journal_again() */
};

static inline bool journal_is_on(const struct journal *journal)
{
	return journal->events != NULL;
}

/* For one event: journal_tell(journal)->sent(journal->context, ...). Somebody listens. */
static inline const struct journal_events *journal_tell(struct journal *journal)
{
	journal->told++;
	if (!journal->has_begun) {
		journal->has_begun = true;
		journal->events->begin(journal->context, journal->wall_s);
	}
	return journal->events;
}

/* Around what is told once more. Returns what it was set to before, to set it back. */
static inline bool journal_again(struct journal *journal, bool again)
{
	bool before = journal->is_again;
	if (before != again) {
		journal_tell(journal);
		journal->checkpoints->again(journal->context, again);
	}
	journal->is_again = again;
	return before;
}

/* The turn is over. */
static inline void journal_end_turn(struct journal *journal)
{
	if (!journal->has_begun)
		return;
	journal->has_begun = false;
	journal->events->end(journal->context);
}

#endif
