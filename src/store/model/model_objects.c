#include "store/model/model_state.h"

#include "base/check.h"

/* Address space alone; what is touched takes memory. */
#define SESSIONS_MAX (UINT32_C(1) << 26)
#define SUBSCRIPTIONS_MAX (UINT32_C(1) << 28)
#define ENTRIES_MAX (UINT32_C(1) << 29)
#define MESSAGES_MAX (UINT32_C(1) << 29)
#define PROMISED_MAX (UINT32_C(1) << 26)
#define CLAIMS_MAX (UINT32_C(1) << 28)
#define RETAINED_MAX (UINT32_C(1) << 28)
#define TEXT_BYTES_MAX ((size_t)UINT32_MAX * SLAB_UNIT_BYTES)

/* ---- the state ---- */

static enum error open_pools(struct model_state *state)
{
	const struct {
		struct pool *pool;
		size_t object_bytes;
		uint32_t limit;
	} POOLS[] = {
		{&state->sessions, sizeof(struct session_slot), SESSIONS_MAX},
		{&state->subscriptions, sizeof(struct subscription_slot), SUBSCRIPTIONS_MAX},
		{&state->entries, sizeof(struct entry_slot), ENTRIES_MAX},
		{&state->messages, sizeof(struct message_slot), MESSAGES_MAX},
		{&state->promised, sizeof(struct promised_slot), PROMISED_MAX},
		{&state->claims, sizeof(struct claim_slot), CLAIMS_MAX},
		{&state->retained, sizeof(struct retained_slot), RETAINED_MAX},
	};
	for (size_t i = 0; i < sizeof(POOLS) / sizeof(POOLS[0]); i++) {
		enum error error = pool_open(POOLS[i].pool, (uint32_t)POOLS[i].object_bytes, POOLS[i].limit);
		if (error != ERROR_OK)
			return error;
	}
	return ERROR_OK;
}

#define NODE(type, member) ((uint32_t)offsetof(struct type, member))

static enum error open_tables(struct model_state *state)
{
	const struct {
		struct table *table;
		const struct pool *pool;
		uint32_t node;
	} TABLES[] = {
		{&state->claims_by_key, &state->claims, NODE(claim_slot, by_key)},
		{&state->retained_by_topic, &state->retained, NODE(retained_slot, by_topic)},
	};
	for (size_t i = 0; i < sizeof(TABLES) / sizeof(TABLES[0]); i++) {
		enum error error = table_open(TABLES[i].table, TABLES[i].pool, TABLES[i].node, TABLES[i].pool->limit);
		if (error != ERROR_OK)
			return error;
	}
	struct names *names[] = {&state->sessions_by_name, &state->subscriptions_by_name, &state->entries_by_name,
				 &state->messages_by_name};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		enum error error = names_open(names[i]);
		if (error != ERROR_OK)
			return error;
	}
	return ERROR_OK;
}

enum error model_state_open(struct model_state *state)
{
	CHECK(!state->is_open);
	*state = (struct model_state){.key = hash_key_random(), .is_open = true};
	enum error error = open_pools(state);
	if (error == ERROR_OK)
		error = open_tables(state);
	if (error == ERROR_OK)
		error = slab_open(&state->slab, TEXT_BYTES_MAX);
	if (error != ERROR_OK)
		model_state_close(state);
	return error;
}

void model_state_close(struct model_state *state)
{
	struct table *tables[] = {&state->claims_by_key, &state->retained_by_topic};
	struct names *names[] = {&state->sessions_by_name, &state->subscriptions_by_name, &state->entries_by_name,
				 &state->messages_by_name};
	struct pool *pools[] = {&state->sessions, &state->subscriptions, &state->entries, &state->messages,
				&state->promised, &state->claims,        &state->retained};
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		table_close(tables[i]);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		names_close(names[i]);
	text_index_close(&state->sessions_by_client);
	for (size_t i = 0; i < sizeof(pools) / sizeof(pools[0]); i++)
		pool_close(pools[i]);
	slab_close(&state->slab);
	state->is_open = false;
}

/* The finalizer of MurmurHash3: each step can be undone. */
uint32_t model_name_hash(uint16_t shard, uint32_t name)
{
	uint32_t hash = name ^ (shard * UINT32_C(0x9e3779b1));
	hash ^= hash >> 16;
	hash *= UINT32_C(0x85ebca6b);
	hash ^= hash >> 13;
	hash *= UINT32_C(0xc2b2ae35);
	return hash ^ hash >> 16;
}

uint32_t model_text_hash(const struct model_state *state, struct slice text)
{
	return (uint32_t)hash_slice(&state->key, text);
}

bool model_text_copy(struct model_state *state, struct slice text, struct slice *copy)
{
	*copy = slice_of("", 0);
	if (text.size == 0)
		return true;
	uint32_t block = text.size <= SLAB_BLOCK_BYTES_MAX ? slab_take(&state->slab, text.size) : 0;
	if (block == 0)
		return false;
	*copy = slice_of(memcpy(slab_at(&state->slab, block), text.data, text.size), text.size);
	return true;
}

void model_text_free(struct model_state *state, struct slice *text)
{
	if (text->size != 0)
		slab_give(&state->slab, (uint32_t)((size_t)(text->data - state->slab.region.base) / SLAB_UNIT_BYTES),
			  text->size);
	*text = slice_of(NULL, 0);
}

/* ---- messages ---- */

struct message_slot *model_message_find(const struct model_state *state, uint16_t shard, uint32_t name)
{
	uint32_t index = names_find(&state->messages_by_name, shard, name);
	return index != 0 ? pool_at(&state->messages, index) : NULL;
}

struct message_slot *model_message_new(struct model_state *state, uint16_t shard, uint32_t name)
{
	uint32_t index = pool_take(&state->messages);
	if (index == 0)
		return NULL;
	struct message_slot *message = pool_at(&state->messages, index);
	*message = (struct message_slot){.name = name, .shard = shard, .is_named = true};
	return names_set(&state->messages_by_name, shard, name, index) ? message : NULL;
}

static void message_free_unused(struct model_state *state, struct message_slot *message)
{
	if (message->told.references != 0 || message->is_named)
		return;
	CHECK_EQ(message->promises, 0u);
	pool_give(&state->messages, model_index(&state->messages, message));
}

void model_message_put(struct model_state *state, struct model_message **message)
{
	if (*message == NULL)
		return;
	CHECK_GT((*message)->references, 0u);
	(*message)->references--;
	message_free_unused(state, (struct message_slot *)*message);
	*message = NULL;
}

void model_message_forget(struct model_state *state, struct message_slot *message)
{
	CHECK(message->is_named);
	while (message->promises != 0) {
		uint32_t index = message->promises;
		struct promised_slot *promised = pool_at(&state->promised, index);
		message->promises = promised->next;
		message->told.references--;
		model_text_free(state, &promised->told.filter);
		promised->told.message = NULL;
		pool_give(&state->promised, index);
	}
	names_remove(&state->messages_by_name, message->shard, message->name);
	message->is_named = false;
	message_free_unused(state, message);
}

bool model_message_promise(struct model_state *state, struct model_message *message, struct slice filter)
{
	struct message_slot *slot = (struct message_slot *)message;
	if (!slot->is_named)
		return true; /* it was forgotten before: nothing would take the promise back */
	uint32_t index = pool_take(&state->promised);
	if (index == 0)
		return false;
	struct promised_slot *promised = pool_at(&state->promised, index);
	*promised = (struct promised_slot){.next = slot->promises, .told.message = message};
	if (!model_text_copy(state, filter, &promised->told.filter)) {
		promised->told.message = NULL;
		pool_give(&state->promised, index);
		return false;
	}
	slot->promises = index;
	message->references++;
	return true;
}

/* ---- subscriptions ---- */

struct subscription_slot *model_subscription_find(const struct model_state *state, uint16_t shard, uint32_t name)
{
	uint32_t index = names_find(&state->subscriptions_by_name, shard, name);
	return index != 0 ? pool_at(&state->subscriptions, index) : NULL;
}

struct subscription_slot *model_subscription_new(struct model_state *state, struct session_slot *session, uint32_t name,
						 struct slice filter)
{
	struct slice copy;
	uint32_t index = model_text_copy(state, filter, &copy) ? pool_take(&state->subscriptions) : 0;
	if (index == 0)
		return NULL;
	struct subscription_slot *subscription = pool_at(&state->subscriptions, index);
	*subscription = (struct subscription_slot){.told.filter = copy, .session = session, .name = name};
	if (!names_set(&state->subscriptions_by_name, session->shard, name, index))
		return NULL;
	*(session->last_subscription != NULL ? &session->last_subscription->told.next : &session->told.subscriptions) =
		&subscription->told;
	session->last_subscription = subscription;
	return subscription;
}

static void subscription_free_unused(struct model_state *state, struct subscription_slot *subscription)
{
	if (subscription->references != 0 || subscription->session != NULL)
		return;
	model_text_free(state, &subscription->told.filter);
	pool_give(&state->subscriptions, model_index(&state->subscriptions, subscription));
}

void model_subscription_end(struct model_state *state, struct subscription_slot *subscription)
{
	struct session_slot *session = subscription->session;
	struct subscription_slot *before = NULL;
	struct model_subscription **link = &session->told.subscriptions;
	while (*link != &subscription->told) {
		CHECK(*link != NULL);
		before = (struct subscription_slot *)*link;
		link = &(*link)->next;
	}
	*link = subscription->told.next;
	if (session->last_subscription == subscription)
		session->last_subscription = before;
	names_remove(&state->subscriptions_by_name, session->shard, subscription->name);
	subscription->session = NULL;
	subscription_free_unused(state, subscription);
}

/* ---- entries ---- */

struct entry_slot *model_entry_find(const struct model_state *state, uint16_t shard, uint32_t name)
{
	uint32_t index = names_find(&state->entries_by_name, shard, name);
	return index != 0 ? pool_at(&state->entries, index) : NULL;
}

static void entry_link_after(struct entry_slot *entry, struct entry_slot *previous)
{
	struct session_slot *session = entry->session;
	struct model_entry **link = previous != NULL ? &previous->told.next : &session->told.queue;
	struct entry_slot *next = (struct entry_slot *)*link;
	entry->told.next = *link;
	entry->previous = previous;
	*link = &entry->told;
	*(next != NULL ? &next->previous : &session->tail) = entry;
}

static void entry_unlink(struct entry_slot *entry)
{
	struct session_slot *session = entry->session;
	struct entry_slot *next = (struct entry_slot *)entry->told.next;
	*(entry->previous != NULL ? &entry->previous->told.next : &session->told.queue) = entry->told.next;
	*(next != NULL ? &next->previous : &session->tail) = entry->previous;
	if (session->last_sent == entry)
		session->last_sent = entry->previous;
}

struct entry_slot *model_entry_new(struct model_state *state, struct session_slot *session, uint32_t name,
				   struct message_slot *message, struct subscription_slot *subscription)
{
	uint32_t index = pool_take(&state->entries);
	if (index == 0)
		return NULL;
	struct entry_slot *entry = pool_at(&state->entries, index);
	*entry = (struct entry_slot){.session = session, .name = name};
	if (!names_set(&state->entries_by_name, session->shard, name, index))
		return NULL;
	if (message != NULL) {
		entry->told.message = &message->told;
		message->told.references++;
	}
	if (subscription != NULL) {
		entry->told.subscription = model_index(&state->subscriptions, subscription);
		subscription->references++;
	}
	entry_link_after(entry, session->tail);
	session->told.queue_count++;
	return entry;
}

void model_entry_sent(struct entry_slot *entry, uint16_t packet_id)
{
	struct session_slot *session = entry->session;
	if (entry->previous != session->last_sent || session->last_sent == entry) {
		entry_unlink(entry);
		entry_link_after(entry, session->last_sent);
	}
	session->last_sent = entry;
	session->told.packet_id = packet_id;
	entry->told.packet_id = packet_id;
}

bool model_entry_rename(struct model_state *state, struct entry_slot *entry, uint32_t name)
{
	uint16_t shard = entry->session->shard;
	names_remove(&state->entries_by_name, shard, entry->name);
	entry->name = name;
	return names_set(&state->entries_by_name, shard, name, model_index(&state->entries, entry));
}

const struct subscription_slot *model_entry_subscription(const struct model_state *state,
							 const struct entry_slot *entry)
{
	return entry->told.subscription != 0 ? pool_at(&state->subscriptions, entry->told.subscription) : NULL;
}

void model_entry_end(struct model_state *state, struct entry_slot *entry)
{
	CHECK_GT(entry->session->told.queue_count, 0u);
	entry->session->told.queue_count--;
	entry_unlink(entry);
	model_message_put(state, &entry->told.message);
	if (entry->told.subscription != 0) {
		struct subscription_slot *subscription = pool_at(&state->subscriptions, entry->told.subscription);
		CHECK_GT(subscription->references, 0u);
		subscription->references--;
		subscription_free_unused(state, subscription);
	}
	names_remove(&state->entries_by_name, entry->session->shard, entry->name);
	pool_give(&state->entries, model_index(&state->entries, entry));
}

/* ---- sessions ---- */

struct session_slot *model_session_find(const struct model_state *state, uint16_t shard, uint32_t name)
{
	uint32_t index = names_find(&state->sessions_by_name, shard, name);
	return index != 0 ? pool_at(&state->sessions, index) : NULL;
}

struct session_slot *model_session_find_client(const struct model_state *state, struct slice client_id)
{
	uint32_t hash = model_text_hash(state, client_id), index;
	uint32_t at = text_index_from(&state->sessions_by_client, hash);
	while ((index = text_index_next(&state->sessions_by_client, hash, &at)) != 0) {
		struct session_slot *session = pool_at(&state->sessions, index);
		if (slice_equal(session->told.client_id, client_id))
			return session;
	}
	return NULL;
}

struct session_slot *model_session_new(struct model_state *state, uint16_t shard, uint32_t name, struct slice client_id)
{
	struct slice copy;
	uint32_t index = model_text_copy(state, client_id, &copy) ? pool_take(&state->sessions) : 0;
	if (index == 0)
		return NULL;
	struct session_slot *session = pool_at(&state->sessions, index);
	*session = (struct session_slot){.told.client_id = copy,
					 .told.expiry_s = UINT32_MAX,
					 .told.ends_at_s = STORE_NEVER_S,
					 .told.will_at_s = STORE_NEVER_S,
					 .told.token_expires_at_s = STORE_NEVER_S,
					 .name = name,
					 .client_hash = model_text_hash(state, client_id),
					 .shard = shard,
					 .is_open = true};
	return names_set(&state->sessions_by_name, shard, name, index) &&
			       text_index_add(&state->sessions_by_client, session->client_hash, index)
		       ? session
		       : NULL;
}

void model_session_forget_principal(struct model_state *state, struct session_slot *session)
{
	struct model_session *told = &session->told;
	model_text_free(state, &told->user);
	model_text_free(state, &told->rules);
	told->token_hash = 0;
	told->user_hash = 0;
	told->token_expires_at_s = STORE_NEVER_S;
	told->has_principal = false;
	told->uses_auth = false;
}

void model_session_end(struct model_state *state, struct session_slot *session)
{
	CHECK(session->is_open);
	while (session->told.queue != NULL)
		model_entry_end(state, (struct entry_slot *)session->told.queue);
	while (session->told.subscriptions != NULL)
		model_subscription_end(state, (struct subscription_slot *)session->told.subscriptions);
	CHECK_EQ(session->told.queue_count, 0u);
	model_message_put(state, &session->told.will);
	model_session_forget_principal(state, session);
	model_received_free(state, session);
	model_text_free(state, &session->told.client_id);
	uint32_t index = model_index(&state->sessions, session);
	names_remove(&state->sessions_by_name, session->shard, session->name);
	text_index_remove(&state->sessions_by_client, session->client_hash, index);
	session->is_open = false;
	pool_give(&state->sessions, index);
}
