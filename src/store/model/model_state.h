/* How the model keeps what it knows while a log is replayed, shared by its source files and nobody else. Objects lie in
 * pools, so that they neither move nor cost a header; what varies in length lies in a slab.
 *
 * An object is found by its name (store/model/names.h), which it keeps, so that the name is free when it ends. */
#ifndef STORE_MODEL_STATE_H
#define STORE_MODEL_STATE_H

#include "base/hash.h"
#include "memory/pool.h"
#include "memory/slab.h"
#include "memory/table.h"
#include "store/model/model.h"
#include "store/model/names.h"
#include "store/model/text_index.h"

struct session_slot;

/* Each begins with what the model shows of it. */

struct message_slot {
	struct model_message told;
	uint32_t name;
	uint32_t promises;  /* the first of its struct promised_slot */
	uint32_t publisher; /* session of it; 0: nobody who could send it again */
	uint16_t publisher_shard;
	uint16_t publisher_generation;
	uint16_t packet_id; /* the publisher's */
	uint16_t shard;
	bool is_named; /* KEPT came, and FORGOTTEN did not */
};

struct promised_slot {
	struct model_promised told;
	uint32_t next; /* of the same message */
};

struct subscription_slot {
	struct model_subscription told;
	struct session_slot *session; /* NULL: it has ended, and entries still refer to it */
	uint32_t name;
	uint32_t references; /* entries that came through it */
	uint32_t place;      /* in the session's list, once the model is finished */
};

struct entry_slot {
	struct model_entry told; /* .subscription: an index in the pool, until the model is finished */
	struct entry_slot *previous;
	struct session_slot *session;
	uint32_t name;
};

struct session_slot {
	struct model_session told;
	struct entry_slot *tail;
	struct entry_slot *last_sent; /* those that were sent stand in front of the others */
	struct subscription_slot *last_subscription;
	uint32_t received_room;
	uint32_t name;
	uint32_t client_hash;
	uint16_t shard;
	uint16_t generation;  /* of its last connection */
	uint16_t generations; /* before that one that are the session's too; GENERATIONS_MAX: any */
	bool has_generation;
	bool is_open;
};

/* A receiver of a message, whose publisher may send it again if its session was there on that connection. */
struct claim_slot {
	struct model_claim told; /* .receiver: of a session that is named, not until the model is finished */
	struct table_node by_key;
	uint32_t session; /* the publisher's */
	uint32_t name;    /* of the receiver, a session; 0: told.receiver says who it is */
	uint16_t shard;
	uint16_t receiver_shard;
	uint16_t generation;
	bool is_open;
};

struct retained_slot {
	struct model_retained told; /* packet NULL: it was taken away */
	struct table_node by_topic;
};

struct model_state {
	struct pool sessions;
	struct pool subscriptions;
	struct pool entries;
	struct pool messages;
	struct pool promised;
	struct pool claims;
	struct pool retained;
	struct slab slab;
	struct names sessions_by_name;
	struct names subscriptions_by_name;
	struct names entries_by_name;
	struct names messages_by_name;
	struct text_index sessions_by_client;
	struct table claims_by_key;
	struct table retained_by_topic;
	struct hash_key key; /* client ids and topics are chosen by strangers */
	uint64_t epoch;
	bool is_open;
	bool is_finished;
};

enum error model_state_open(struct model_state *state);
void model_state_close(struct model_state *state);

/* A bijection for each shard. */
uint32_t model_name_hash(uint16_t shard, uint32_t name);
uint32_t model_text_hash(const struct model_state *state, struct slice text);
/* The index of an object that lies in the pool. */
static inline uint32_t model_index(const struct pool *pool, const void *object)
{
	size_t offset = (size_t)((const uint8_t *)object - pool->region.base);
	CHECK_EQ(offset % pool->object_bytes, 0u);
	return (uint32_t)(offset / pool->object_bytes);
}

/* A copy in the slab, with data that is not NULL, also of nothing. False: no memory. */
bool model_text_copy(struct model_state *state, struct slice text, struct slice *copy);
void model_text_free(struct model_state *state, struct slice *text);

/* ---- objects (model_objects.c); NULL: there is none of this name, or (new) no memory ---- */

struct message_slot *model_message_find(const struct model_state *state, uint16_t shard, uint32_t name);
struct message_slot *model_message_new(struct model_state *state, uint16_t shard, uint32_t name);
/* The name means nothing from now on, and its promises are kept. */
void model_message_forget(struct model_state *state, struct message_slot *message);
/* *message becomes NULL. */
void model_message_put(struct model_state *state, struct model_message **message);
/* filter: of the shared subscription; empty: a will. False: no memory. */
bool model_message_promise(struct model_state *state, struct model_message *message, struct slice filter);

struct subscription_slot *model_subscription_find(const struct model_state *state, uint16_t shard, uint32_t name);
struct subscription_slot *model_subscription_new(struct model_state *state, struct session_slot *session, uint32_t name,
						 struct slice filter);
void model_subscription_end(struct model_state *state, struct subscription_slot *subscription);

struct entry_slot *model_entry_find(const struct model_state *state, uint16_t shard, uint32_t name);
/* At the end of the session's queue. message: NULL: it was released. subscription: NULL: none. */
struct entry_slot *model_entry_new(struct model_state *state, struct session_slot *session, uint32_t name,
				   struct message_slot *message, struct subscription_slot *subscription);
void model_entry_sent(struct entry_slot *entry, uint16_t packet_id);
/* False: no memory. */
bool model_entry_rename(struct model_state *state, struct entry_slot *entry, uint32_t name);
void model_entry_end(struct model_state *state, struct entry_slot *entry);
/* Of the shared subscription that it came through. NULL: none is known. */
const struct subscription_slot *model_entry_subscription(const struct model_state *state,
							 const struct entry_slot *entry);

struct session_slot *model_session_find(const struct model_state *state, uint16_t shard, uint32_t name);
struct session_slot *model_session_find_client(const struct model_state *state, struct slice client_id);
struct session_slot *model_session_new(struct model_state *state, uint16_t shard, uint32_t name,
				       struct slice client_id);
void model_session_forget_principal(struct model_state *state, struct session_slot *session);
void model_session_end(struct model_state *state, struct session_slot *session);

/* ---- received packet identifiers (model_received.c); false: no memory ---- */

bool model_received_add(struct model_state *state, struct session_slot *session, uint16_t packet_id);
void model_received_remove(struct session_slot *session, uint16_t packet_id);
void model_received_free(struct model_state *state, struct session_slot *session);

/* ---- what publishers may send again (model_received.c); false: no memory ---- */

#define GENERATIONS_MAX 0x7fffu

/* The session has the message, or the group of the shared subscription; NULL: whose is not known. */
bool model_claim_queued(struct model_state *state, const struct message_slot *message, uint16_t shard, uint32_t session,
			bool is_shared, const struct subscription_slot *subscription);
/* RECEIVED_FROM. */
bool model_claim_apply(struct model_state *state, const struct store_record *record);
/* The publisher will not send it again. */
void model_claims_end(struct model_state *state, uint16_t shard, uint32_t session, uint16_t packet_id);
/* Claims that hold become their sessions'. */
void model_claims_settle(struct model_state *state);

/* ---- retained messages (model_retained.c) ---- */

/* RETAINED or RETAINED_GONE. False: no memory. */
bool model_retained_apply(struct model_state *state, const struct store_record *record);

#endif
