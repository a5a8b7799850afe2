/* What a store holds, rebuilt from its records: the sessions, their subscriptions, queues and wills, and the retained
 * messages. A recovery replays the log into it; the gateway restores its shards from it (lifecycle/stored/restore.h),
 * and the tools of `roost store` look at it. Bodies of queued messages stay on disk: the model has their places. One
 * thread.
 *
 * Replay is tolerant where a checkpoint makes it so: a record that names an object which is not known means nothing,
 * for the checkpoint that began before it tells all of that object later on. OPENED under a name that is known, or with
 * a client id that is known, replaces the session. A checkpoint tells a session in one turn, so nothing comes between.
 * While it runs, a message that it has not told yet is told before the next `queued` or `will_set` that names it, for
 * the session may be one that was told already. Of a topic's retained messages the highest number wins. A replay begins
 * where a checkpoint began, so what that did not tell again is not there. An entry that was released is queued again
 * without a message, whose name is 0 then.
 *
 * What a publisher may send again: a message at QoS 2 that a receiver has (QUEUED of a KEPT that names the publisher;
 * RECEIVED_FROM), where neither RECEIVED nor COMPLETED of its identifier came after that. The publisher's session must
 * be the one that it was: on a connection since OPENED. Told AGAIN after a checkpoint began, a session may be older
 * than what is known of it, so all earlier connections count. What is QUEUED AGAIN tells nothing new of a publisher. A
 * receiver's session may have ended, and another have its name: that one came after the message was published, and is
 * not owed it.
 *
 * Memory: a session with one subscription and one message of its own takes some 450 bytes, names included. */
#ifndef STORE_MODEL_H
#define STORE_MODEL_H

#include "cluster/common/stamp.h"
#include "store/format/record.h"

/* While sessions are connected, commits are at most so far apart: the last one tells when their connections were lost
 * at the latest. Each that has nothing else costs one block of 4 KiB, and its sync. */
#define STORE_HEARTBEAT_S 10u

/* Where a body lies: the record KEPT in `segment` at `offset`. */
struct store_place {
	uint32_t segment; /* 0: nowhere */
	uint32_t offset;
};

struct model_message {
	struct publication publication; /* expires_s is 0 */
	uint32_t references;            /* entries, wills and promises */
	int64_t expires_at_s;
	struct store_place place;
};
_Static_assert(sizeof(struct model_message) == 32, "part of the cost of a queued message");

struct model_entry {
	struct model_message *message; /* never NULL but for one that was released */
	struct model_entry *next;      /* in the queue */
	uint32_t identifier;
	uint32_t subscription; /* the place in the session's list of a shared subscription, from 1; 0: none */
	uint16_t packet_id;    /* 0: never sent */
	uint8_t flags;         /* STORE_FLAG_QOS, _RETAIN, _SHARED */
	bool released;         /* PUBREC came: go on with PUBREL */
};

struct model_subscription {
	struct model_subscription *next;
	struct slice filter; /* "$share/group/filter" for a shared one */
	uint32_t identifier;
	uint32_t owed; /* walks through the retained messages */
	uint8_t options;
};

/* A receiver that has a message which its publisher may send again. */
struct model_claim {
	struct model_claim *next;
	struct slice receiver; /* client id, or "$share/group/filter" */
	uint16_t packet_id;
	bool is_group;
};

struct model_session {
	struct slice client_id;
	struct model_session *next; /* of all sessions, in no order */
	/* who */
	struct slice user;
	struct slice rules; /* data NULL: none */
	uint64_t token_hash;
	uint64_t user_hash;
	int64_t token_expires_at_s;
	bool has_principal;
	bool uses_auth;
	bool is_bridge;
	/* when it ends */
	bool connected;    /* it was connected at the end of the log: its connection was lost at model.wall_s */
	uint32_t expiry_s; /* never 0 */
	int64_t ends_at_s; /* not connected */
	int64_t will_at_s;
	/* what it has */
	struct model_message *will; /* NULL: none */
	uint32_t will_delay_s;
	uint32_t will_expiry_s;                   /* from when it is published; 0: never */
	struct model_subscription *subscriptions; /* in the order in which they were told */
	struct model_entry *queue; /* oldest first: those with identifiers first, in the order of sending */
	uint32_t queue_count;
	uint16_t packet_id;       /* given last */
	const uint16_t *received; /* packet identifiers of QoS 2 that await PUBREL, ascending */
	uint32_t received_count;
	struct model_claim *claims; /* of messages that it published; in no order, and some may be there twice */
};

/* In a list of its own also what was taken away, where that has a stamp. An empty topic there: see enum store_kind. */
struct model_retained {
	struct model_retained *next;
	struct slice topic;
	uint64_t number;
	int64_t expires_at_s;
	struct publication publication;
	const uint8_t *packet; /* NULL: it was taken away */
	struct stamp stamp;    /* none: it was not told in a cluster */
};

/* A message that the gateway had promised to pass on: a will that was due, or a message of a shared subscription on its
 * way to another member. filter: of the shared subscription; empty: a will, to be published. Both may arrive twice. */
struct model_promised {
	struct model_promised *next;
	struct slice filter;
	struct model_message *message;
};

struct model {
	struct model_session *sessions;
	struct model_retained *retained;
	struct model_retained *retained_cleared;
	struct model_promised *promised;
	uint64_t session_count;
	uint64_t subscription_count;
	uint64_t entry_count;
	uint64_t message_count; /* that an entry has */
	uint64_t retained_count;
	uint64_t retained_number;  /* the highest that was given: the next change gets a higher one */
	int64_t wall_s;            /* of the last commit; 0: the log is empty */
	bool stopped;              /* the gateway stopped as it should */
	struct model_state *state; /* names, tables, memory: model_apply.c's own */
};

/* NULL: no memory. */
struct model *model_new(void);
void model_free(struct model **model);

/* The records of an epoch follow, with names of their own: all that is known so far is forgotten. */
enum error model_begin_epoch(struct model *model, uint64_t epoch);
/* One record, of this shard's section. place: of this record in the log (a KEPT's body is found by it).
 * ERROR_NO_MEMORY. */
enum error model_apply(struct model *model, uint16_t shard, const struct store_record *record,
		       struct store_place place);
/* After the last record of a section, or of a commit. */
void model_set_wall(struct model *model, int64_t wall_s);
/* All records were applied: makes the lists above, which hold no session or message that has ended. ERROR_NO_MEMORY. */
enum error model_finish(struct model *model);
/* Its number among the messages of a finished model: from 1 to model_message_limit(). */
uint32_t model_message_number(const struct model *model, const struct model_message *message);
uint32_t model_message_limit(const struct model *model);
/* Each message that is referred to, once, of a finished model. */
void model_each_message(const struct model *model, void (*visit)(void *argument, const struct model_message *message),
			void *argument);

#endif
