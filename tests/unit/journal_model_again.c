#include "journal_recorded.h"

#include "state/shard.h"

#include <stdlib.h>

/* ---- to both models ---- */

#define TELL(name, parameters, arguments)                                                                              \
	static void tell_##name parameters                                                                             \
	{                                                                                                              \
		struct journal_record *second = ((struct journal_record *)context)->second;                            \
		RECORDED_EVENTS.name arguments;                                                                        \
		context = second;                                                                                      \
		if (second != NULL)                                                                                    \
			RECORDED_EVENTS.name arguments;                                                                \
	}

TELL(begin, (void *context, int64_t wall_s), (context, wall_s))
TELL(end, (void *context), (context))
TELL(opened, (void *context, struct client_ref ref, struct slice id), (context, ref, id))
TELL(connected, (void *context, struct client_ref ref, const struct journal_connected *told), (context, ref, told))
TELL(principal, (void *context, struct client_ref ref, const struct journal_principal *told), (context, ref, told))
TELL(left, (void *context, struct client_ref ref, const struct journal_left *told), (context, ref, told))
TELL(ended, (void *context, struct client_ref ref), (context, ref))
TELL(subscribed,
     (void *context, struct client_ref ref, struct subscription_ref name, const struct journal_subscription *told),
     (context, ref, name, told))
TELL(unsubscribed, (void *context, struct client_ref ref, struct subscription_ref name), (context, ref, name))
TELL(owed, (void *context, struct client_ref ref, struct subscription_ref name, uint32_t walks),
     (context, ref, name, walks))
TELL(will_set, (void *context, struct client_ref ref, const struct journal_will *told), (context, ref, told))
TELL(will_published, (void *context, struct client_ref ref, int64_t expires_at_s), (context, ref, expires_at_s))
TELL(will_dropped, (void *context, struct client_ref ref), (context, ref))
TELL(kept, (void *context, struct message_ref name, const struct journal_message *told), (context, name, told))
TELL(forgotten, (void *context, struct message_ref name), (context, name))
TELL(queued, (void *context, struct client_ref ref, uint32_t name, const struct journal_entry *told),
     (context, ref, name, told))
TELL(sent, (void *context, uint32_t name, uint16_t packet_id), (context, name, packet_id))
TELL(numbered, (void *context, struct client_ref ref, uint16_t packet_id), (context, ref, packet_id))
TELL(released, (void *context, uint32_t name), (context, name))
TELL(done, (void *context, uint32_t name), (context, name))
TELL(dropped, (void *context, uint32_t name), (context, name))
TELL(handed_on, (void *context, uint32_t name), (context, name))
TELL(moved, (void *context, uint32_t from, uint32_t to), (context, from, to))
TELL(received, (void *context, struct client_ref ref, uint16_t packet_id), (context, ref, packet_id))
TELL(completed, (void *context, struct client_ref ref, uint16_t packet_id), (context, ref, packet_id))
TELL(taken, (void *context, const struct journal_taken *told), (context, told))
TELL(retained, (void *context, const struct journal_retained *told), (context, told))

const struct journal_events JOURNAL_MODEL_EVENTS = {
	.begin = tell_begin,
	.end = tell_end,
	.opened = tell_opened,
	.connected = tell_connected,
	.principal = tell_principal,
	.left = tell_left,
	.ended = tell_ended,
	.subscribed = tell_subscribed,
	.unsubscribed = tell_unsubscribed,
	.owed = tell_owed,
	.will_set = tell_will_set,
	.will_published = tell_will_published,
	.will_dropped = tell_will_dropped,
	.kept = tell_kept,
	.forgotten = tell_forgotten,
	.queued = tell_queued,
	.sent = tell_sent,
	.numbered = tell_numbered,
	.released = tell_released,
	.done = tell_done,
	.dropped = tell_dropped,
	.handed_on = tell_handed_on,
	.moved = tell_moved,
	.received = tell_received,
	.completed = tell_completed,
	.taken = tell_taken,
	.retained = tell_retained,
};

/* ---- checkpoints ---- */

static uint32_t on_wanted(const void *context)
{
	return ((const struct journal_record *)context)->wanted;
}

static bool on_has_room(const void *context)
{
	return !((const struct journal_record *)context)->has_no_room;
}

static void on_checkpoint(void *context, uint32_t number)
{
	struct journal_record *record = context;
	CHECK(record->has_begun && number == record->wanted && record->begun < number);
	record->begun = number;
	if (record->second != NULL)
		record->second->begun = record->second->wanted;
}

static void on_again(void *context, bool again)
{
	struct journal_record *record = context;
	CHECK(record->has_begun && record->is_again != again && record->begun > record->ended);
	record->is_again = again;
	if (record->second != NULL)
		record->second->is_again = again;
}

static void on_kept_at(void *context, struct message_ref name, const struct journal_message *told)
{
	struct journal_record *record = context;
	struct slice packet = journal_record_packet(record, name);
	CHECK(record->is_again && packet.size == told->publication.packet_bytes);
	recorded_keep(record, name, told, packet.data);
	if (record->second != NULL)
		recorded_keep(record->second, name, told, packet.data);
}

static void on_checkpoint_end(void *context)
{
	struct journal_record *record = context;
	CHECK(record->has_begun && !record->is_again && record->begun > record->ended);
	record->ended = record->begun;
	if (record->second != NULL)
		record->second->ended = record->second->begun;
	if (journal_model_has_checkpoint(record->model) && record->model->second == NULL)
		record->model->is_partial = false;
}

const struct journal_checkpoints JOURNAL_MODEL_CHECKPOINTS = {
	.wanted = on_wanted,
	.has_room = on_has_room,
	.begin = on_checkpoint,
	.again = on_again,
	.kept_at = on_kept_at,
	.end = on_checkpoint_end,
};

void journal_model_want_checkpoint(struct journal_model *model, struct journal_model *second)
{
	CHECK(journal_model_has_checkpoint(model));
	model->second = second;
	model->is_partial = second == NULL;
	if (second != NULL) {
		journal_model_fini(second);
		journal_model_init(second, second->records, model->count);
		second->is_partial = true;
	}
	for (uint32_t i = 0; i < model->count; i++) {
		struct journal_record *record = &model->records[i];
		record->wanted++;
		record->second = second != NULL ? &second->records[i] : NULL;
		if (second == NULL)
			continue;
		record->second->shard = record->shard;
		record->second->wanted = 1;
	}
}

bool journal_model_has_checkpoint(const struct journal_model *model)
{
	for (uint32_t i = 0; i < model->count; i++) {
		if (model->records[i].ended != model->records[i].wanted)
			return false;
	}
	return true;
}

void journal_record_place(struct journal_record *record, struct message_ref message, struct slice packet)
{
	record->bodies = reallocarray(record->bodies, record->body_count + 1, sizeof(*record->bodies));
	CHECK(record->bodies != NULL);
	record->bodies[record->body_count++] =
		(struct recorded_body){.name = message, .packet = recorded_copy(packet), .bytes = packet.size};
}

struct slice journal_record_packet(const struct journal_record *record, struct message_ref name)
{
	const struct recorded_message *message = recorded_message(record, name);
	if (message != NULL)
		return slice_of(message->packet, message->publication.packet_bytes);
	for (uint32_t i = 0; i < record->body_count; i++) {
		if (message_ref_equal(record->bodies[i].name, name))
			return slice_of(record->bodies[i].packet, record->bodies[i].bytes);
	}
	return slice_of(NULL, 0);
}

/* ---- commits ---- */

static uint64_t model_told(const void *context)
{
	const struct journal_record *record = context;
	return record->batches;
}

static uint64_t model_safe(const void *context, uint16_t shard)
{
	const struct journal_record *record = context;
	CHECK(shard < record->model->count);
	return record->model->records[shard].safe;
}

static void model_await(void *context, bool awaits)
{
	struct journal_record *record = context;
	record->awaits = awaits;
}

const struct journal_safety JOURNAL_MODEL_SAFETY = {.told = model_told, .safe = model_safe, .await = model_await};

void journal_model_commit(const struct journal_model *model)
{
	for (uint32_t i = 0; i < model->count; i++) {
		CHECK(!model->records[i].has_begun);
		model->records[i].safe = model->records[i].batches;
	}
}

/* ---- that both models say the same ---- */

static bool is_same_principal(const struct journal_principal *one, const struct journal_principal *other)
{
	return slice_equal(one->user, other->user) && slice_equal(one->rules, other->rules) &&
	       (one->rules.data == NULL) == (other->rules.data == NULL) && one->token_hash == other->token_hash &&
	       one->user_hash == other->user_hash && one->uses_auth == other->uses_auth;
}

/* A deadline that is past is told as what is left of it, or not, as clocks are set; and a setting of the wall clock
 * changes what is told by it. */
static bool is_same_time(int64_t one_s, int64_t other_s)
{
	return one_s == other_s || (one_s < 0 && other_s < 0);
}

static void compare_entries(const struct journal_record *record, const struct journal_record *second,
			    const struct recorded_session *session, const struct recorded_session *other)
{
	CHECK_EQ(session->entries, other->entries);
	uint32_t name = session->first;
	CHECK(name == other->first && session->last == other->last);
	while (name != 0) {
		const struct recorded_entry *one = recorded_entry(record, name);
		const struct recorded_entry *two = recorded_entry(second, name);
		CHECK(one->next == two->next && one->packet_id == two->packet_id && one->released == two->released);
		CHECK(message_ref_equal(one->told.message, two->told.message));
		CHECK(one->told.identifier == two->told.identifier && one->told.qos == two->told.qos);
		CHECK(one->told.retain == two->told.retain && one->told.shared == two->told.shared);
		CHECK(subscription_ref_equal(one->told.subscription, two->told.subscription));
		name = one->next;
	}
}

static void compare_received(const struct recorded_session *session, const struct recorded_session *other)
{
	CHECK_EQ(session->received_count, other->received_count);
	for (uint32_t i = 0; i < session->received_count; i++) {
		uint32_t at = 0;
		while (at < other->received_count && other->received[at] != session->received[i])
			at++;
		CHECK_LT(at, other->received_count);
	}
}

static void compare_session(const struct journal_record *record, const struct journal_record *second,
			    struct client_ref ref)
{
	const struct recorded_session *session = recorded_session(record, ref);
	const struct recorded_session *other = recorded_session(second, ref);
	CHECK(slice_equal(slice_of(session->id, session->id_bytes), slice_of(other->id, other->id_bytes)));
	CHECK(session->connected == other->connected && session->is_bridge == other->is_bridge);
	bool is_closing = shard_client(record->shard, ref)->state == CLIENT_CLOSING;
	CHECK(session->expiry_s == other->expiry_s || is_closing);
	if (!session->connected) {
		CHECK(is_same_time(session->ends_at_s, other->ends_at_s) || other->ends_at_s == 0);
		CHECK(!session->has_will || is_same_time(session->will_at_s, other->will_at_s) ||
		      other->will_at_s == 0);
	}
	CHECK(session->has_principal == other->has_principal);
	CHECK(!session->has_principal || (is_same_principal(&session->principal, &other->principal) &&
					  session->expires_at_s == other->expires_at_s));
	CHECK(session->has_will == other->has_will);
	CHECK(!session->has_will ||
	      (message_ref_equal(session->will.message, other->will.message) &&
	       session->will.delay_s == other->will.delay_s && session->will.expiry_s == other->will.expiry_s));
	CHECK(session->subscriptions == other->subscriptions && session->packet_id == other->packet_id);
	compare_entries(record, second, session, other);
	compare_received(session, other);
}

static void compare_subscriptions(const struct journal_record *record, const struct journal_record *second)
{
	CHECK_EQ(record->subscription_count, second->subscription_count);
	for (uint32_t i = 0; i < record->subscription_places; i++) {
		const struct recorded_subscription *one = &record->subscriptions[i];
		if (client_ref_is_none(one->session))
			continue;
		CHECK_LT(i, second->subscription_places);
		const struct recorded_subscription *two = &second->subscriptions[i];
		CHECK(client_ref_equal(one->session, two->session));
		CHECK(slice_equal(slice_of(one->filter, one->filter_bytes), slice_of(two->filter, two->filter_bytes)));
		CHECK(one->identifier == two->identifier && one->options == two->options && one->walks == two->walks);
	}
}

/* What was passed on or dropped before the end of the checkpoint may be left in the first one alone. */
static void compare_messages(const struct journal_record *record, const struct journal_record *second)
{
	for (size_t i = 0; i < second->message_count; i++)
		CHECK(recorded_message(record, second->messages[i].name) != NULL);
	for (size_t i = 0; i < record->message_count; i++) {
		const struct recorded_message *one = &record->messages[i];
		const struct recorded_message *two = recorded_message(second, one->name);
		if (two == NULL) {
			CHECK(one->entries == 0 && !one->is_will);
			continue;
		}
		CHECK(one->entries == two->entries && one->is_will == two->is_will);
		CHECK(one->expires_at_s == two->expires_at_s || one->is_will);
		CHECK(one->publication.packet_bytes == two->publication.packet_bytes);
		CHECK(memcmp(one->packet + 1, two->packet + 1, one->publication.packet_bytes - 1) == 0);
	}
}

static bool has_claim(const struct journal_record *record, const struct recorded_claim *wanted, struct slice receiver)
{
	for (uint32_t i = 0; i < record->model->count; i++) {
		const struct journal_record *other = &record->model->records[i];
		for (uint32_t at = 0; at < other->claim_count; at++) {
			const struct recorded_claim *claim = &other->claims[at];
			struct slice who;
			if (claim->publisher.shard == wanted->publisher.shard &&
			    client_ref_equal(claim->publisher.session, wanted->publisher.session) &&
			    claim->packet_id == wanted->packet_id && claim->is_group == wanted->is_group &&
			    recorded_claim_holds(other, claim, &who) && slice_equal(who, receiver))
				return true;
		}
	}
	return false;
}

/* That all claims of the one are in the other too. */
static void compare_claims(const struct journal_record *record, const struct journal_record *second)
{
	for (uint32_t i = 0; i < record->claim_count; i++) {
		struct slice receiver;
		if (recorded_claim_holds(record, &record->claims[i], &receiver))
			CHECK(has_claim(second, &record->claims[i], receiver));
	}
}

void recorded_compare(const struct journal_record *record, const struct journal_record *second)
{
	CHECK(record->session_count == second->session_count && record->entry_count == second->entry_count);
	for (uint32_t i = 1; i < record->session_places; i++) {
		if (record->sessions[i].open)
			compare_session(record, second, (struct client_ref){i});
	}
	compare_subscriptions(record, second);
	compare_messages(record, second);
	compare_claims(record, second);
	compare_claims(second, record);
}

static uint64_t count_retained(const struct journal_model *model)
{
	uint64_t count = 0;
	for (size_t i = 0; i < model->retained_count; i++)
		count += model->retained[i].packet != NULL;
	return count;
}

/* The second one's numbers are never older. */
void recorded_compare_retained(const struct journal_model *model, const struct journal_model *second)
{
	CHECK_EQ(count_retained(model), count_retained(second));
	for (size_t i = 0; i < second->retained_count; i++) {
		const struct recorded_retained *two = &second->retained[i];
		size_t at = 0;
		while (at < model->retained_count &&
		       !slice_equal(slice_of(model->retained[at].topic, model->retained[at].topic_bytes),
				    slice_of(two->topic, two->topic_bytes)))
			at++;
		CHECK_LT(at, model->retained_count);
		const struct recorded_retained *one = &model->retained[at];
		CHECK(one->number == two->number && (one->packet == NULL) == (two->packet == NULL));
		if (one->packet == NULL)
			continue;
		CHECK(one->publication.packet_bytes == two->publication.packet_bytes);
		CHECK(memcmp(one->packet, two->packet, one->publication.packet_bytes) == 0);
		CHECK_EQ(one->expires_at_s, two->expires_at_s);
	}
}
