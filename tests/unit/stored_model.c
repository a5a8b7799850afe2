#include "stored_model.h"

#include "journal_recorded.h"
#include "state/shard.h"

#include <stdlib.h>

/* ---- making ---- */

/* Zeroed. By reallocarray(), which a sweep of refused memory (failing_memory.h) leaves alone. */
static void *stored_block(struct stored_model *stored, size_t count, size_t bytes)
{
	stored->blocks = reallocarray(stored->blocks, stored->block_count + 1, sizeof(*stored->blocks));
	CHECK(stored->blocks != NULL);
	uint8_t *block = reallocarray(NULL, count + 1, bytes);
	CHECK(block != NULL);
	memset(block, 0, (count + 1) * bytes);
	stored->blocks[stored->block_count++] = block;
	return block;
}

static struct slice stored_copy(struct stored_model *stored, const void *bytes, size_t size)
{
	uint8_t *copy = stored_block(stored, size, 1);
	if (size != 0)
		memcpy(copy, bytes, size);
	return slice_of(copy, size);
}

/* The journal's model keeps times on the monotonic clock. */
static int64_t stored_time(struct deadline_clock clock, int64_t at_s)
{
	return at_s != RECORDED_NEVER_S ? clock.wall_s + (at_s - (int64_t)clock.now_s) : DEADLINE_NEVER_S;
}

/* messages: of the record, in its order. */
static struct model_message *stored_message(const struct journal_record *record, struct model_message *messages,
					    struct message_ref name)
{
	const struct recorded_message *message = recorded_message(record, name);
	CHECK(message != NULL);
	struct model_message *stored = &messages[message - record->messages];
	stored->references++;
	return stored;
}

static struct model_message *store_messages(struct stored_model *stored, const struct journal_record *record,
					    struct deadline_clock clock)
{
	struct model_message *messages = stored_block(stored, record->message_count, sizeof(*messages));
	for (size_t i = 0; i < record->message_count; i++) {
		const struct recorded_message *from = &record->messages[i];
		uint32_t bytes = from->publication.packet_bytes;
		stored->packets[stored->packet_count] = stored_copy(stored, from->packet, bytes);
		messages[i] = (struct model_message){
			.publication = from->publication,
			.expires_at_s = stored_time(clock, from->expires_at_s),
			.place = {.segment = 1, .offset = stored->packet_count++},
		};
		if (!from->promised)
			continue;
		struct model_promised *promised = stored_block(stored, 1, sizeof(*promised));
		*promised = (struct model_promised){
			.next = stored->model.promised,
			.filter = stored_copy(stored, from->filter, from->filter_bytes),
			.message = &messages[i],
		};
		messages[i].references++;
		stored->model.promised = promised;
	}
	stored->model.message_count += record->message_count;
	return messages;
}

/* Returns the place of the named subscription in the session's list, from 1; 0: it is not there. */
static uint32_t store_subscriptions(struct stored_model *stored, const struct journal_record *record,
				    struct client_ref ref, struct model_session *session, uint32_t wanted)
{
	uint32_t count = 0;
	uint32_t place = 0;
	struct model_subscription **end = &session->subscriptions;
	for (uint32_t i = 0; i < record->subscription_places; i++) {
		const struct recorded_subscription *from = &record->subscriptions[i];
		if (!client_ref_equal(from->session, ref) || client_ref_is_none(from->session))
			continue;
		count++;
		place = i == wanted ? count : place;
		if (stored == NULL)
			continue;
		*end = stored_block(stored, 1, sizeof(**end));
		**end = (struct model_subscription){
			.filter = stored_copy(stored, from->filter, from->filter_bytes),
			.identifier = from->identifier,
			.owed = from->walks,
			.options = from->options,
		};
		end = &(*end)->next;
		stored->model.subscription_count++;
	}
	return place;
}

static void store_entries(struct stored_model *stored, const struct journal_record *record,
			  struct model_message *messages, struct client_ref ref, struct model_session *session)
{
	struct model_entry **end = &session->queue;
	for (uint32_t name = recorded_session(record, ref)->first; name != 0; name = record->entries[name].next) {
		const struct recorded_entry *from = &record->entries[name];
		struct subscription_ref through = from->told.subscription;
		*end = stored_block(stored, 1, sizeof(**end));
		**end = (struct model_entry){
			.identifier = from->told.identifier,
			.packet_id = from->packet_id,
			.flags = (uint8_t)(from->told.qos | (from->told.retain ? STORE_FLAG_RETAIN : 0) |
					   (from->told.shared ? STORE_FLAG_SHARED : 0)),
			.released = from->released,
		};
		if (!subscription_ref_is_none(through))
			(*end)->subscription = store_subscriptions(NULL, record, ref, session, through.index);
		if (!from->released)
			(*end)->message = stored_message(record, messages, from->told.message);
		end = &(*end)->next;
		session->queue_count++;
		stored->model.entry_count++;
	}
}

static void store_who(struct stored_model *stored, struct deadline_clock clock, const struct recorded_session *from,
		      struct model_session *session)
{
	const struct journal_principal *principal = &from->principal;
	session->client_id = stored_copy(stored, from->id, from->id_bytes);
	session->has_principal = from->has_principal;
	session->is_bridge = from->is_bridge;
	if (!from->has_principal)
		return;
	session->user = stored_copy(stored, principal->user.data, principal->user.size);
	if (principal->rules.data != NULL)
		session->rules = stored_copy(stored, principal->rules.data, principal->rules.size);
	session->token_hash = principal->token_hash;
	session->user_hash = principal->user_hash;
	session->uses_auth = principal->uses_auth;
	session->token_expires_at_s = stored_time(clock, from->expires_at_s);
}

static void store_received(struct stored_model *stored, const struct recorded_session *from,
			   struct model_session *session)
{
	uint16_t *ids = stored_block(stored, from->received_count, sizeof(*ids));
	if (from->received_count != 0)
		memcpy(ids, from->received, from->received_count * sizeof(*ids));
	session->received = ids;
	session->received_count = from->received_count;
}

static void store_claims(struct stored_model *stored, const struct journal_record *record, struct client_ref ref,
			 struct model_session *session)
{
	for (uint32_t i = 0; i < record->model->count; i++) {
		const struct journal_record *teller = &record->model->records[i];
		for (uint32_t at = 0; at < teller->claim_count; at++) {
			const struct recorded_claim *from = &teller->claims[at];
			struct slice receiver;
			if (from->publisher.shard != record - record->model->records ||
			    !client_ref_equal(from->publisher.session, ref) ||
			    !recorded_claim_holds(teller, from, &receiver))
				continue;
			struct model_claim *claim = stored_block(stored, 1, sizeof(*claim));
			*claim = (struct model_claim){.next = session->claims,
						      .receiver = stored_copy(stored, receiver.data, receiver.size),
						      .packet_id = from->packet_id,
						      .is_group = from->is_group};
			session->claims = claim;
		}
	}
}

static void store_session(struct stored_model *stored, const struct journal_record *record,
			  struct model_message *messages, struct deadline_clock clock, struct client_ref ref)
{
	const struct recorded_session *from = recorded_session(record, ref);
	struct model_session *session = stored_block(stored, 1, sizeof(*session));
	session->next = stored->model.sessions;
	stored->model.sessions = session;
	stored->model.session_count++;
	store_who(stored, clock, from, session);
	session->connected = from->connected;
	session->expiry_s = from->expiry_s;
	session->ends_at_s = from->connected ? 0 : stored_time(clock, from->ends_at_s);
	session->will_at_s = from->connected ? 0 : stored_time(clock, from->will_at_s);
	if (from->has_will) {
		session->will = stored_message(record, messages, from->will.message);
		session->will_delay_s = from->will.delay_s;
		session->will_expiry_s = from->will.expiry_s;
	}
	store_subscriptions(stored, record, ref, session, 0);
	store_entries(stored, record, messages, ref, session);
	session->packet_id = from->packet_id;
	store_received(stored, from, session);
	store_claims(stored, record, ref, session);
}

static void store_retained(struct stored_model *stored, const struct journal_model *journal,
			   struct deadline_clock clock)
{
	for (size_t i = 0; i < journal->retained_count; i++) {
		const struct recorded_retained *from = &journal->retained[i];
		if (from->number > stored->model.retained_number)
			stored->model.retained_number = from->number;
		if (from->packet == NULL)
			continue;
		struct model_retained *retained = stored_block(stored, 1, sizeof(*retained));
		*retained = (struct model_retained){
			.next = stored->model.retained,
			.topic = stored_copy(stored, from->topic, from->topic_bytes),
			.number = from->number,
			.expires_at_s = stored_time(clock, from->expires_at_s),
			.publication = from->publication,
			.packet = stored_copy(stored, from->packet, from->publication.packet_bytes).data,
		};
		stored->model.retained = retained;
		stored->model.retained_count++;
	}
}

void stored_model_make(struct stored_model *stored, const struct journal_model *journal, struct deadline_clock clock)
{
	*stored = (struct stored_model){.model.wall_s = clock.wall_s};
	size_t packets = 0;
	for (uint32_t i = 0; i < journal->count; i++)
		packets += journal->records[i].message_count;
	stored->packets = stored_block(stored, packets, sizeof(*stored->packets));
	for (uint32_t i = 0; i < journal->count; i++) {
		const struct journal_record *record = &journal->records[i];
		struct model_message *messages = store_messages(stored, record, clock);
		for (uint32_t at = 1; at < record->session_places; at++) {
			if (record->sessions[at].open)
				store_session(stored, record, messages, clock, (struct client_ref){at});
		}
	}
	store_retained(stored, journal, clock);
}

void stored_model_free(struct stored_model *stored)
{
	for (size_t i = 0; i < stored->block_count; i++)
		free(stored->blocks[i]);
	free(stored->blocks);
	*stored = (struct stored_model){.block_count = 0};
}

/* ---- as a store ---- */

static enum error read_packet(void *context, struct store_place place, const struct publication *publication,
			      uint8_t **packet)
{
	const struct stored_model *stored = context;
	CHECK(place.segment == 1 && place.offset < stored->packet_count);
	CHECK_EQ(stored->packets[place.offset].size, publication->packet_bytes);
	*packet = reallocarray(NULL, publication->packet_bytes, 1);
	CHECK(*packet != NULL);
	memcpy(*packet, stored->packets[place.offset].data, publication->packet_bytes);
	return ERROR_OK;
}

static enum error note_place(void *context, uint16_t shard, struct message_ref message, struct store_place place)
{
	const struct stored_model *stored = context;
	journal_record_place(&stored->journal->records[shard], message, stored->packets[place.offset]);
	return ERROR_OK;
}

struct restore_bodies stored_model_bodies(struct stored_model *stored)
{
	return (struct restore_bodies){.read = read_packet, .place = note_place, .context = stored};
}

/* ---- what was restored ---- */

static const struct model_session *find_session(const struct stored_model *stored, struct slice id)
{
	const struct model_session *at = stored->model.sessions;
	while (at != NULL && !slice_equal(at->client_id, id))
		at = at->next;
	return at;
}

/* The time at which it comes after the restart, for what was agreed to come at at_s and takes interval_s at the most.
 */
static int64_t restored_time(int64_t at_s, uint32_t interval_s, int64_t wall_s)
{
	int64_t left_s = at_s > wall_s ? at_s - wall_s : 0;
	return wall_s + (left_s <= (int64_t)interval_s + 1 ? left_s : (int64_t)interval_s + 1);
}

static void check_times(const struct stored_model *stored, const struct model_session *one,
			const struct model_session *other, int64_t wall_s)
{
	CHECK(!other->connected && one->expiry_s == other->expiry_s);
	int64_t lost_s = stored->model.wall_s + STORE_HEARTBEAT_S + 1;
	int64_t ends_s = one->connected ? lost_s + one->expiry_s : one->ends_at_s;
	if (one->expiry_s == UINT32_MAX || ends_s == DEADLINE_NEVER_S)
		CHECK_EQ(other->ends_at_s, DEADLINE_NEVER_S);
	else
		CHECK_EQ(other->ends_at_s, restored_time(ends_s, one->expiry_s, wall_s));
	if (one->will == NULL)
		return;
	int64_t will_s = one->connected ? lost_s + one->will_delay_s : one->will_at_s;
	CHECK_EQ(other->will_at_s, restored_time(will_s, one->will_delay_s, wall_s));
}

static struct slice packet_of(const struct stored_model *stored, const struct model_message *message)
{
	return stored->packets[message->place.offset];
}

static void check_message(const struct stored_model *stored, const struct stored_model *told,
			  const struct model_message *one, const struct model_message *other, int64_t wall_s)
{
	CHECK((one == NULL) == (other == NULL));
	if (one == NULL)
		return;
	CHECK(slice_equal(packet_of(stored, one), packet_of(told, other)));
	CHECK(one->publication.qos == other->publication.qos && one->publication.retain == other->publication.retain);
	if (one->expires_at_s == DEADLINE_NEVER_S)
		CHECK_EQ(other->expires_at_s, DEADLINE_NEVER_S);
	else
		CHECK_EQ(other->expires_at_s, one->expires_at_s > wall_s ? one->expires_at_s : wall_s);
}

static const struct model_subscription *at_place(const struct model_session *session, uint32_t place)
{
	const struct model_subscription *at = session->subscriptions;
	for (; place > 1 && at != NULL; place--)
		at = at->next;
	return place != 0 ? at : NULL;
}

static void check_entries(const struct stored_model *stored, const struct stored_model *told,
			  const struct model_session *session, const struct model_session *again, int64_t wall_s)
{
	CHECK(session->queue_count == again->queue_count && session->packet_id == again->packet_id);
	const struct model_entry *other = again->queue;
	for (const struct model_entry *one = session->queue; one != NULL; one = one->next, other = other->next) {
		CHECK(one->packet_id == other->packet_id && one->released == other->released);
		CHECK(one->flags == other->flags && one->identifier == other->identifier);
		check_message(stored, told, one->message, other->message, wall_s);
		const struct model_subscription *through = at_place(session, one->subscription);
		const struct model_subscription *through_again = at_place(again, other->subscription);
		CHECK((through == NULL) == (through_again == NULL));
		CHECK(through == NULL || slice_equal(through->filter, through_again->filter));
	}
}

static void check_subscriptions_again(const struct stored_model *stored, const struct model_session *session,
				      const struct model_session *again)
{
	uint32_t count = 0;
	for (const struct model_subscription *other = again->subscriptions; other != NULL; other = other->next)
		count++;
	for (const struct model_subscription *one = session->subscriptions; one != NULL; one = one->next, count--) {
		const struct model_subscription *other = again->subscriptions;
		while (other != NULL && !slice_equal(one->filter, other->filter))
			other = other->next;
		CHECK(other != NULL && one->options == other->options && one->identifier == other->identifier);
		/* What is owed of nothing is nothing. */
		CHECK(one->owed == other->owed || (other->owed == 0 && stored->model.retained_count == 0));
	}
	CHECK_EQ(count, 0u);
}

static void check_claims_again(const struct model_session *one, const struct model_session *other)
{
	for (const struct model_claim *claim = one->claims; claim != NULL; claim = claim->next) {
		const struct model_claim *at = other->claims;
		while (at != NULL && (at->packet_id != claim->packet_id || at->is_group != claim->is_group ||
				      !slice_equal(at->receiver, claim->receiver)))
			at = at->next;
		CHECK(at != NULL);
	}
}

static void check_session_again(const struct stored_model *stored, const struct stored_model *told,
				const struct model_session *one, int64_t wall_s)
{
	const struct model_session *other = find_session(told, one->client_id);
	CHECK(other != NULL);
	CHECK(one->has_principal == other->has_principal && one->is_bridge == other->is_bridge);
	CHECK(slice_equal(one->user, other->user) && slice_equal(one->rules, other->rules));
	CHECK(one->token_hash == other->token_hash && one->user_hash == other->user_hash);
	CHECK(one->uses_auth == other->uses_auth);
	check_times(stored, one, other, wall_s);
	CHECK((one->will == NULL) == (other->will == NULL));
	if (one->will != NULL) {
		CHECK(slice_equal(packet_of(stored, one->will), packet_of(told, other->will)));
		CHECK(one->will_delay_s == other->will_delay_s && one->will_expiry_s == other->will_expiry_s);
	}
	check_subscriptions_again(stored, one, other);
	check_entries(stored, told, one, other, wall_s);
	check_claims_again(one, other);
	check_claims_again(other, one);
	CHECK_EQ(one->received_count, other->received_count);
	for (uint32_t i = 0; i < one->received_count; i++) {
		uint32_t at = 0;
		while (at < other->received_count && other->received[at] != one->received[i])
			at++;
		CHECK_LT(at, other->received_count);
	}
}

static void check_retained_again(const struct stored_model *stored, const struct stored_model *told, int64_t wall_s)
{
	uint64_t count = 0;
	for (const struct model_retained *one = stored->model.retained; one != NULL; one = one->next) {
		const struct model_retained *other = told->model.retained;
		while (other != NULL && !slice_equal(one->topic, other->topic))
			other = other->next;
		bool expired = one->expires_at_s <= wall_s;
		CHECK(expired == (other == NULL));
		if (other == NULL)
			continue;
		count++;
		CHECK(one->expires_at_s == other->expires_at_s && other->number > stored->model.retained_number);
		CHECK(slice_equal(slice_of(one->packet, one->publication.packet_bytes),
				  slice_of(other->packet, other->publication.packet_bytes)));
	}
	CHECK_EQ(count, told->model.retained_count);
}

void stored_model_check_restored(const struct stored_model *stored, const struct stored_model *told, int64_t wall_s)
{
	CHECK_EQ(stored->model.session_count, told->model.session_count);
	CHECK_EQ(stored->model.subscription_count, told->model.subscription_count);
	CHECK_EQ(stored->model.entry_count, told->model.entry_count);
	for (const struct model_session *session = stored->model.sessions; session != NULL; session = session->next)
		check_session_again(stored, told, session, wall_s);
	check_retained_again(stored, told, wall_s);
}
