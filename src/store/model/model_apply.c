#include "store/model/model.h"

#include "base/check.h"
#include "store/model/model_state.h"

#include <stdlib.h>

struct model *model_new(void)
{
	struct model *model = calloc(1, sizeof(*model));
	if (model == NULL)
		return NULL;
	model->state = calloc(1, sizeof(*model->state));
	if (model->state == NULL || model_state_open(model->state) != ERROR_OK)
		model_free(&model);
	return model;
}

void model_free(struct model **model)
{
	if (*model == NULL)
		return;
	if ((*model)->state != NULL && (*model)->state->is_open)
		model_state_close((*model)->state);
	free((*model)->state);
	free(*model);
	*model = NULL;
}

enum error model_begin_epoch(struct model *model, uint64_t epoch)
{
	struct model_state *state = model->state;
	if (state->is_open)
		model_state_close(state);
	*model = (struct model){.state = state};
	enum error error = model_state_open(state);
	state->epoch = epoch;
	return error;
}

void model_set_wall(struct model *model, int64_t wall_s)
{
	if (wall_s > model->wall_s)
		model->wall_s = wall_s;
}

/* ---- sessions ---- */

static bool apply_opened(struct model_state *state, uint16_t shard, const struct store_record *record)
{
	struct session_slot *before = model_session_find(state, shard, record->session);
	struct session_slot generations = {.has_generation = false};
	/* Told again, the session is the one that it was on its earlier connections too. */
	if ((record->flags & STORE_FLAG_AGAIN) != 0)
		generations.generations = GENERATIONS_MAX;
	if (before != NULL) {
		if ((record->flags & STORE_FLAG_AGAIN) != 0 && slice_equal(before->told.client_id, record->text))
			generations = *before;
		model_session_end(state, before);
	}
	struct session_slot *other = model_session_find_client(state, record->text);
	if (other != NULL)
		model_session_end(state, other);
	struct session_slot *session = model_session_new(state, shard, record->session, record->text);
	if (session == NULL)
		return false;
	session->has_generation = generations.has_generation;
	session->generations = generations.generations;
	session->generation = generations.generation;
	return true;
}

static void apply_generation(struct session_slot *session, uint16_t generation)
{
	uint32_t more = session->has_generation ? (uint16_t)(generation - session->generation) : 0u;
	uint32_t generations = session->generations + more;
	session->generations = generations < GENERATIONS_MAX ? (uint16_t)generations : GENERATIONS_MAX;
	session->generation = generation;
	session->has_generation = true;
}

static bool apply_connected(struct model_state *state, struct session_slot *session, const struct store_record *record)
{
	model_session_forget_principal(state, session);
	session->told.connected = true;
	session->told.expiry_s = record->expiry_s;
	session->told.ends_at_s = STORE_NEVER_S;
	session->told.will_at_s = STORE_NEVER_S;
	session->told.is_bridge = (record->flags & STORE_FLAG_IS_BRIDGE) != 0;
	apply_generation(session, (uint16_t)record->publisher_generation);
	return true;
}

static bool apply_principal(struct model_state *state, struct session_slot *session, const struct store_record *record)
{
	struct model_session *told = &session->told;
	model_session_forget_principal(state, session);
	told->has_principal = true;
	told->uses_auth = (record->flags & STORE_FLAG_USES_AUTH) != 0;
	told->token_hash = record->token_hash;
	told->user_hash = record->user_hash;
	told->token_expires_at_s = record->expires_at_s;
	if (!model_text_copy(state, record->text, &told->user))
		return false;
	return (record->flags & STORE_FLAG_HAS_RULES) == 0 || model_text_copy(state, record->body, &told->rules);
}

static bool apply_left(struct session_slot *session, const struct store_record *record)
{
	session->told.connected = false;
	session->told.expiry_s = record->expiry_s;
	session->told.ends_at_s = record->ends_at_s;
	session->told.will_at_s = record->will_at_s;
	return true;
}

/* ---- subscriptions ---- */

static bool apply_subscribed(struct model_state *state, struct session_slot *session, const struct store_record *record)
{
	struct subscription_slot *subscription = model_subscription_find(state, session->shard, record->subscription);
	if (subscription != NULL &&
	    (subscription->session != session || !slice_equal(subscription->told.filter, record->text))) {
		model_subscription_end(state, subscription);
		subscription = NULL;
	}
	if (subscription == NULL)
		subscription = model_subscription_new(state, session, record->subscription, record->text);
	if (subscription == NULL)
		return false;
	subscription->told.identifier = record->identifier;
	subscription->told.options = (uint8_t)record->count;
	return true;
}

static struct subscription_slot *session_subscription(const struct model_state *state,
						      const struct session_slot *session, uint32_t name)
{
	struct subscription_slot *subscription = model_subscription_find(state, session->shard, name);
	return subscription != NULL && subscription->session == session ? subscription : NULL;
}

static bool apply_unsubscribed(struct model_state *state, const struct session_slot *session,
			       const struct store_record *record)
{
	struct subscription_slot *subscription = session_subscription(state, session, record->subscription);
	if (subscription != NULL)
		model_subscription_end(state, subscription);
	return true;
}

static bool apply_owed(const struct model_state *state, const struct session_slot *session,
		       const struct store_record *record)
{
	struct subscription_slot *subscription = session_subscription(state, session, record->subscription);
	if (subscription != NULL)
		subscription->told.owed = record->count;
	return true;
}

/* ---- wills ---- */

static bool apply_will_set(struct model_state *state, struct session_slot *session, const struct store_record *record)
{
	struct message_slot *message = model_message_find(state, session->shard, record->message);
	if (message != NULL)
		message->told.references++;
	model_message_put(state, &session->told.will);
	session->told.will = message != NULL ? &message->told : NULL;
	session->told.will_delay_s = record->delay_s;
	session->told.will_expiry_s = record->expiry_s;
	return true;
}

static bool apply_will_published(struct model_state *state, struct session_slot *session,
				 const struct store_record *record)
{
	struct model_message *will = session->told.will;
	if (will == NULL)
		return true;
	will->expires_at_s = record->expires_at_s;
	bool promised = model_message_promise(state, will, slice_of(NULL, 0));
	model_message_put(state, &session->told.will);
	return promised;
}

static bool apply_will_dropped(struct model_state *state, struct session_slot *session)
{
	model_message_put(state, &session->told.will);
	return true;
}

/* What a session's own records do to it. */
static bool apply_to_session(struct model_state *state, struct session_slot *session, const struct store_record *record)
{
	switch (record->kind) {
	case STORE_CONNECTED:
		return apply_connected(state, session, record);
	case STORE_PRINCIPAL:
		return apply_principal(state, session, record);
	case STORE_LEFT:
		return apply_left(session, record);
	case STORE_ENDED:
		model_session_end(state, session);
		return true;
	case STORE_SUBSCRIBED:
		return apply_subscribed(state, session, record);
	case STORE_UNSUBSCRIBED:
		return apply_unsubscribed(state, session, record);
	case STORE_OWED:
		return apply_owed(state, session, record);
	case STORE_WILL_SET:
		return apply_will_set(state, session, record);
	case STORE_WILL_PUBLISHED:
		return apply_will_published(state, session, record);
	case STORE_WILL_DROPPED:
		return apply_will_dropped(state, session);
	case STORE_NUMBERED:
		session->told.packet_id = (uint16_t)record->packet_id;
		return true;
	case STORE_RECEIVED:
		return model_received_add(state, session, (uint16_t)record->packet_id);
	case STORE_COMPLETED:
		model_received_remove(session, (uint16_t)record->packet_id);
		return true;
	default:
		CHECK(false); /* model_apply() knows which kinds are a session's */
	}
	return false;
}

/* ---- messages ---- */

/* A message that its publisher may send again. */
static void apply_publisher(struct message_slot *message, const struct store_record *record)
{
	bool is_new = (record->flags & STORE_FLAG_AGAIN) == 0 && record->kind == STORE_KEPT;
	if (!is_new || record->publisher == 0 || (record->flags & STORE_FLAG_QOS) != 2)
		return;
	CHECK_LE(record->header_bytes + 2u + record->topic_bytes + 2u, record->body.size); /* decoding looked */
	message->packet_id = publication_packet_id(&message->told.publication, record->body.data);
	message->publisher = message->packet_id != 0 ? record->publisher : 0;
	message->publisher_shard = (uint16_t)record->publisher_shard;
	message->publisher_generation = (uint16_t)record->publisher_generation;
}

static bool apply_kept(struct model_state *state, uint16_t shard, const struct store_record *record,
		       struct store_place place)
{
	struct message_slot *message = model_message_find(state, shard, record->message);
	if (message != NULL && (record->flags & STORE_FLAG_AGAIN) == 0) {
		model_message_forget(state, message);
		message = NULL;
	}
	if (message == NULL)
		message = model_message_new(state, shard, record->message);
	if (message == NULL)
		return false;
	message->told.publication = store_record_publication(record);
	message->told.expires_at_s = record->expires_at_s;
	message->told.place = record->kind == STORE_KEPT
				      ? place
				      : (struct store_place){.segment = record->segment, .offset = record->offset};
	apply_publisher(message, record);
	return true;
}

static bool apply_forgotten(struct model_state *state, uint16_t shard, const struct store_record *record)
{
	struct message_slot *message = model_message_find(state, shard, record->message);
	if (message != NULL)
		model_message_forget(state, message);
	return true;
}

static bool apply_queued(struct model_state *state, uint16_t shard, const struct store_record *record)
{
	struct session_slot *session = model_session_find(state, shard, record->session);
	struct message_slot *message = model_message_find(state, shard, record->message);
	struct entry_slot *entry = model_entry_find(state, shard, record->entry);
	if (entry != NULL)
		model_entry_end(state, entry);
	struct subscription_slot *subscription = record->subscription != 0 && session != NULL
							 ? session_subscription(state, session, record->subscription)
							 : NULL;
	/* Also of a session that the checkpoint tells of later. */
	if (message != NULL && (record->flags & STORE_FLAG_AGAIN) == 0 &&
	    !model_claim_queued(state, message, shard, record->session, (record->flags & STORE_FLAG_SHARED) != 0,
				subscription))
		return false;
	/* One that was released is told again without a message. */
	if (session == NULL || (message == NULL && record->message != 0))
		return true;
	entry = model_entry_new(state, session, record->entry, message, subscription);
	if (entry == NULL)
		return false;
	entry->told.identifier = record->identifier;
	entry->told.flags = (uint8_t)(record->flags & (STORE_FLAG_QOS | STORE_FLAG_RETAIN | STORE_FLAG_SHARED));
	return true;
}

static bool apply_queued_run(struct model_state *state, uint16_t shard, const struct store_record *record)
{
	struct store_run run;
	struct store_record queued;
	store_run_open(&run, record);
	while (store_run_next(&run, &queued)) {
		if (!apply_queued(state, shard, &queued))
			return false;
	}
	return true;
}

/* Without its filter a message cannot be handed on: nobody knows any more who else shares the subscription. */
static bool apply_handed_on(struct model_state *state, struct entry_slot *entry)
{
	const struct subscription_slot *subscription = model_entry_subscription(state, entry);
	bool done = subscription == NULL || entry->told.message == NULL ||
		    model_message_promise(state, entry->told.message, subscription->told.filter);
	model_entry_end(state, entry);
	return done;
}

static bool apply_moved(struct model_state *state, struct entry_slot *entry, uint16_t shard, uint32_t name)
{
	struct entry_slot *there = model_entry_find(state, shard, name);
	if (there == entry)
		return true;
	if (there != NULL)
		model_entry_end(state, there);
	return model_entry_rename(state, entry, name);
}

static bool apply_to_entry(struct model_state *state, struct entry_slot *entry, uint16_t shard,
			   const struct store_record *record)
{
	switch (record->kind) {
	case STORE_SENT:
		model_entry_sent(entry, (uint16_t)record->packet_id);
		return true;
	case STORE_RELEASED:
		entry->told.released = true;
		model_message_put(state, &entry->told.message);
		return true;
	case STORE_DONE:
	case STORE_DROPPED:
		model_entry_end(state, entry);
		return true;
	case STORE_HANDED_ON:
		return apply_handed_on(state, entry);
	case STORE_MOVED:
		return apply_moved(state, entry, shard, record->entry_to);
	default:
		CHECK(false); /* model_apply() knows which kinds are an entry's */
	}
	return false;
}

/* ---- records ---- */

static bool apply_session_kind(struct model_state *state, uint16_t shard, const struct store_record *record)
{
	/* The claim may be of a session that this log tells of later. */
	if (record->kind == STORE_RECEIVED || record->kind == STORE_COMPLETED)
		model_claims_end(state, shard, record->session, (uint16_t)record->packet_id);
	struct session_slot *session = model_session_find(state, shard, record->session);
	return session == NULL || apply_to_session(state, session, record);
}

static bool apply_entry_kind(struct model_state *state, uint16_t shard, const struct store_record *record)
{
	struct entry_slot *entry = model_entry_find(state, shard, record->entry);
	return entry == NULL || apply_to_entry(state, entry, shard, record);
}

static bool apply(struct model_state *state, uint16_t shard, const struct store_record *record,
		  struct store_place place)
{
	switch (record->kind) {
	case STORE_OPENED:
		return apply_opened(state, shard, record);
	case STORE_CONNECTED:
	case STORE_PRINCIPAL:
	case STORE_LEFT:
	case STORE_ENDED:
	case STORE_SUBSCRIBED:
	case STORE_UNSUBSCRIBED:
	case STORE_OWED:
	case STORE_WILL_SET:
	case STORE_WILL_PUBLISHED:
	case STORE_WILL_DROPPED:
	case STORE_NUMBERED:
	case STORE_RECEIVED:
	case STORE_COMPLETED:
		return apply_session_kind(state, shard, record);
	case STORE_KEPT:
	case STORE_KEPT_AT:
		return apply_kept(state, shard, record, place);
	case STORE_FORGOTTEN:
		return apply_forgotten(state, shard, record);
	case STORE_QUEUED:
		return apply_queued(state, shard, record);
	case STORE_QUEUED_RUN:
		return apply_queued_run(state, shard, record);
	case STORE_SENT:
	case STORE_RELEASED:
	case STORE_DONE:
	case STORE_DROPPED:
	case STORE_HANDED_ON:
	case STORE_MOVED:
		return apply_entry_kind(state, shard, record);
	case STORE_RECEIVED_FROM:
		return model_claim_apply(state, record);
	case STORE_RETAINED:
	case STORE_RETAINED_GONE:
	case STORE_RETAINED_STAMPED:
	case STORE_RETAINED_CLEARED:
		return model_retained_apply(state, record);
	case STORE_DEAD:
	case STORE_KIND_COUNT:
		break;
	}
	CHECK(false); /* decoding gives no other kind */
	return false;
}

enum error model_apply(struct model *model, uint16_t shard, const struct store_record *record, struct store_place place)
{
	CHECK(!model->state->is_finished);
	if ((store_kind_is_retained(record->kind) || store_kind_is_retained_gone(record->kind)) &&
	    record->number > model->retained_number)
		model->retained_number = record->number;
	return apply(model->state, shard, record, place) ? ERROR_OK : ERROR_NO_MEMORY;
}

/* ---- the lists ---- */

static void finish_session(struct model *model, struct session_slot *session)
{
	struct model_state *state = model->state;
	session->told.next = model->sessions;
	model->sessions = &session->told;
	model->session_count++;
	uint32_t place = 0;
	for (struct model_subscription *at = session->told.subscriptions; at != NULL; at = at->next) {
		((struct subscription_slot *)at)->place = ++place;
		model->subscription_count++;
	}
	for (struct model_entry *at = session->told.queue; at != NULL; at = at->next) {
		const struct subscription_slot *subscription = model_entry_subscription(state, (struct entry_slot *)at);
		at->subscription = subscription != NULL && subscription->session == session ? subscription->place : 0;
		model->entry_count++;
	}
}

static void finish_message(struct model *model, const struct message_slot *message)
{
	struct model_state *state = model->state;
	if (message->told.references != 0)
		model->message_count++;
	for (uint32_t index = message->promises; index != 0;) {
		struct promised_slot *promised = pool_at(&state->promised, index);
		promised->told.next = model->promised;
		model->promised = &promised->told;
		index = promised->next;
	}
}

static void finish_cleared(struct model *model, struct model_retained *cleared)
{
	if (stamp_is_none(cleared->stamp))
		return;
	cleared->next = model->retained_cleared;
	model->retained_cleared = cleared;
}

enum error model_finish(struct model *model)
{
	struct model_state *state = model->state;
	CHECK(!state->is_finished);
	state->is_finished = true;
	model_claims_settle(state);
	for (uint32_t index = 1; index <= state->sessions.touched; index++) {
		struct session_slot *session = pool_at(&state->sessions, index);
		if (session->is_open)
			finish_session(model, session);
	}
	CHECK_EQ(model->entry_count, (uint64_t)state->entries.used);
	for (uint32_t index = 1; index <= state->messages.touched; index++) {
		const struct message_slot *message = pool_at(&state->messages, index);
		if (message->is_named || message->told.references != 0)
			finish_message(model, message);
	}
	for (uint32_t index = 1; index <= state->retained.touched; index++) {
		struct retained_slot *retained = pool_at(&state->retained, index);
		if (retained->told.packet == NULL) {
			finish_cleared(model, &retained->told);
			continue;
		}
		retained->told.next = model->retained;
		model->retained = &retained->told;
		model->retained_count++;
	}
	return ERROR_OK;
}

void model_each_message(const struct model *model, void (*visit)(void *argument, const struct model_message *message),
			void *argument)
{
	const struct model_state *state = model->state;
	CHECK(state->is_finished);
	for (uint32_t index = 1; index <= state->messages.touched; index++) {
		const struct message_slot *message = pool_at(&state->messages, index);
		if (message->told.references != 0)
			visit(argument, &message->told);
	}
}

uint32_t model_message_number(const struct model *model, const struct model_message *message)
{
	return model_index(&model->state->messages, message);
}

uint32_t model_message_limit(const struct model *model)
{
	return model->state->messages.touched;
}
