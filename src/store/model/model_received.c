#include "store/model/model_state.h"

#include "base/check.h"

#define RECEIVED_MIN 8u /* room for so many at first */

static uint16_t *received_of(const struct session_slot *session)
{
	return (uint16_t *)(uintptr_t)session->told.received;
}

/* The place of the first that is not less. */
static uint32_t received_place(const struct session_slot *session, uint16_t packet_id)
{
	uint32_t low = 0, high = session->told.received_count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (session->told.received[middle] < packet_id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool received_has(const struct session_slot *session, uint32_t place, uint16_t packet_id)
{
	return place < session->told.received_count && session->told.received[place] == packet_id;
}

void model_received_free(struct model_state *state, struct session_slot *session)
{
	struct slice block = slice_of(session->told.received, session->received_room * sizeof(uint16_t));
	model_text_free(state, &block);
	session->told.received = NULL;
	session->told.received_count = 0;
	session->received_room = 0;
}

/* Room for one more. */
static bool received_grow(struct model_state *state, struct session_slot *session)
{
	uint32_t count = session->told.received_count;
	if (count < session->received_room)
		return true;
	uint32_t room = count != 0 ? count * 2 : RECEIVED_MIN;
	uint32_t block = slab_take(&state->slab, room * sizeof(uint16_t));
	if (block == 0)
		return false;
	uint16_t *grown = slab_at(&state->slab, block);
	if (count != 0)
		memcpy(grown, session->told.received, count * sizeof(uint16_t));
	model_received_free(state, session);
	session->told.received = grown;
	session->told.received_count = count;
	session->received_room = room;
	return true;
}

bool model_received_add(struct model_state *state, struct session_slot *session, uint16_t packet_id)
{
	uint32_t place = received_place(session, packet_id);
	if (received_has(session, place, packet_id))
		return true;
	if (!received_grow(state, session))
		return false;
	uint16_t *received = received_of(session);
	uint32_t count = session->told.received_count;
	CHECK_LE(count, (uint32_t)UINT16_MAX);
	memmove(received + place + 1, received + place, (count - place) * sizeof(*received));
	received[place] = packet_id;
	session->told.received_count++;
	return true;
}

void model_received_remove(struct session_slot *session, uint16_t packet_id)
{
	uint32_t place = received_place(session, packet_id), count = session->told.received_count;
	if (!received_has(session, place, packet_id))
		return;
	uint16_t *received = received_of(session);
	memmove(received + place, received + place + 1, (count - place - 1) * sizeof(*received));
	session->told.received_count--;
}

/* ---- what publishers may send again ---- */

static uint32_t claim_hash(uint16_t shard, uint32_t session, uint16_t packet_id)
{
	return model_name_hash(shard, session) ^ model_name_hash(0, packet_id);
}

/* The first of its receivers; NULL: there is no such claim. */
static struct claim_slot *claim_find(const struct model_state *state, uint16_t shard, uint32_t session,
				     uint16_t packet_id)
{
	const struct table *table = &state->claims_by_key;
	uint32_t index = table_first(table, claim_hash(shard, session, packet_id));
	for (; index != 0; index = table_next(table, index)) {
		struct claim_slot *claim = pool_at(&state->claims, index);
		if (claim->shard == shard && claim->session == session && claim->told.packet_id == packet_id)
			return claim;
	}
	return NULL;
}

static struct claim_slot *claim_new(struct model_state *state, uint16_t shard, uint32_t session, uint16_t packet_id,
				    uint16_t generation)
{
	uint32_t index = pool_take(&state->claims);
	if (index == 0)
		return NULL;
	struct claim_slot *claim = pool_at(&state->claims, index);
	*claim = (struct claim_slot){.told.packet_id = packet_id,
				     .session = session,
				     .shard = shard,
				     .generation = generation,
				     .is_open = true};
	table_insert(&state->claims_by_key, index, claim_hash(shard, session, packet_id));
	return claim;
}

static bool claim_set_receiver(struct model_state *state, struct claim_slot *claim, struct slice receiver,
			       bool is_group)
{
	claim->told.is_group = is_group;
	return model_text_copy(state, receiver, &claim->told.receiver);
}

bool model_claim_queued(struct model_state *state, const struct message_slot *message, uint16_t shard, uint32_t session,
			bool is_shared, const struct subscription_slot *subscription)
{
	if (message->publisher == 0 || (is_shared && subscription == NULL))
		return true;
	struct claim_slot *claim = claim_new(state, message->publisher_shard, message->publisher, message->packet_id,
					     message->publisher_generation);
	if (claim == NULL)
		return false;
	if (is_shared)
		return claim_set_receiver(state, claim, subscription->told.filter, true);
	claim->name = session;
	claim->receiver_shard = shard;
	return true;
}

bool model_claim_apply(struct model_state *state, const struct store_record *record)
{
	struct claim_slot *claim = claim_new(state, (uint16_t)record->publisher_shard, record->publisher,
					     (uint16_t)record->packet_id, (uint16_t)record->publisher_generation);
	return claim != NULL &&
	       claim_set_receiver(state, claim, record->text, (record->flags & STORE_FLAG_SHARED) != 0);
}

void model_claims_end(struct model_state *state, uint16_t shard, uint32_t session, uint16_t packet_id)
{
	struct claim_slot *claim;
	while ((claim = claim_find(state, shard, session, packet_id)) != NULL) {
		uint32_t index = model_index(&state->claims, claim);
		table_remove(&state->claims_by_key, index);
		model_text_free(state, &claim->told.receiver);
		claim->is_open = false;
		pool_give(&state->claims, index);
	}
}

/* The publisher's session now is the one that it was then. Generations wrap. */
static bool claim_holds(const struct claim_slot *claim, const struct session_slot *session)
{
	uint16_t before_last = (uint16_t)(session->generation - claim->generation);
	return session->has_generation && before_last <= session->generations;
}

static bool claim_has_receiver(const struct model_state *state, struct claim_slot *claim)
{
	if (claim->name == 0)
		return claim->told.receiver.size != 0;
	const struct session_slot *receiver = model_session_find(state, claim->receiver_shard, claim->name);
	if (receiver == NULL)
		return false;
	claim->told.receiver = receiver->told.client_id; /* which stays */
	return receiver->told.client_id.size != 0;
}

void model_claims_settle(struct model_state *state)
{
	for (uint32_t index = 1; index <= state->claims.touched; index++) {
		struct claim_slot *claim = pool_at(&state->claims, index);
		if (!claim->is_open)
			continue;
		struct session_slot *session = model_session_find(state, claim->shard, claim->session);
		if (session == NULL || !claim_holds(claim, session) || !claim_has_receiver(state, claim))
			continue;
		claim->told.next = session->told.claims;
		session->told.claims = &claim->told;
	}
}
