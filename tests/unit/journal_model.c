#include "journal_recorded.h"

#include "state/shard.h"

#include <stdlib.h>

/* As in a store's model: half of all there are, so that it is known which came first. */
#define GENERATIONS_MAX 0x7fffu

/* Its memory comes by reallocarray(), which a sweep of refused memory (failing_memory.h) leaves alone. */
uint8_t *recorded_copy(struct slice bytes)
{
	uint8_t *copy = reallocarray(NULL, bytes.size + 1, 1);
	CHECK(copy != NULL);
	if (bytes.size != 0)
		memcpy(copy, bytes.data, bytes.size);
	return copy;
}

/* Room for one at `place`; what comes new is all zeros. */
static void *room_for(void *items, uint32_t *places, uint32_t place, size_t bytes)
{
	if (place < *places)
		return items;
	uint32_t more = place * 2 + 64;
	uint8_t *grown = reallocarray(items, more, bytes);
	CHECK(grown != NULL);
	memset(grown + *places * bytes, 0, (more - *places) * bytes);
	*places = more;
	return grown;
}

static int64_t monotonic_of(const struct journal_record *record, int64_t wall_s)
{
	return wall_s != DEADLINE_NEVER_S ? record->shard->loop.now_s + (wall_s - record->wall_s) : RECORDED_NEVER_S;
}

/* ---- batches ---- */

static void on_begin(void *context, int64_t wall_s)
{
	struct journal_record *record = context;
	CHECK(!record->has_begun);
	record->has_begun = true;
	record->wall_s = wall_s;
	record->batches++;
}

static void on_end(void *context)
{
	struct journal_record *record = context;
	CHECK(record->has_begun);
	record->has_begun = false;
}

static struct journal_record *take_event(void *context, size_t event)
{
	struct journal_record *record = context;
	CHECK(record->has_begun);
	record->events++;
	record->seen[event]++;
	return record;
}

/* ---- sessions ---- */

struct recorded_session *recorded_session(const struct journal_record *record, struct client_ref ref)
{
	CHECK(!client_ref_is_none(ref) && ref.index < record->session_places);
	struct recorded_session *session = &record->sessions[ref.index];
	CHECK(session->open);
	return session;
}

/* NULL: one that a model which began in the middle was not told of. */
static struct recorded_session *known_session(const struct journal_record *record, struct client_ref ref)
{
	bool known = ref.index < record->session_places && record->sessions[ref.index].open;
	return !record->model->is_partial || known ? recorded_session(record, ref) : NULL;
}

struct recorded_message *recorded_message(const struct journal_record *record, struct message_ref name)
{
	for (size_t i = 0; i < record->message_count; i++) {
		if (message_ref_equal(record->messages[i].name, name))
			return &record->messages[i];
	}
	return NULL;
}

static struct recorded_message *message_of(const struct journal_record *record, struct message_ref name)
{
	struct recorded_message *message = recorded_message(record, name);
	CHECK(message != NULL);
	return message;
}

static void drop_principal(struct recorded_session *session)
{
	free((void *)(uintptr_t)session->principal.user.data);
	free((void *)(uintptr_t)session->principal.rules.data);
	session->principal = (struct journal_principal){.token_hash = 0};
	session->has_principal = false;
}

static struct recorded_message *take_will(struct journal_record *record, struct client_ref ref);
static void remove_contents(struct journal_record *record, struct client_ref ref);

/* Told again, a session has nothing but its name until the rest is told again. */
static void on_opened(void *context, struct client_ref ref, struct slice id)
{
	struct journal_record *record = take_event(context, JOURNAL_EVENT(opened));
	record->sessions = room_for(record->sessions, &record->session_places, ref.index, sizeof(*record->sessions));
	struct recorded_session *session = &record->sessions[ref.index];
	CHECK(!client_ref_is_none(ref) && id.size != 0);
	CHECK(record->is_again ? session->open || record->model->is_partial : !session->open);
	if (session->open) {
		CHECK(slice_equal(slice_of(session->id, session->id_bytes), id));
		if (session->has_will)
			take_will(record, ref);
		remove_contents(record, ref);
		session->connected = false;
		session->packet_id = 0;
		return;
	}
	*session = (struct recorded_session){
		.open = true,
		.id = recorded_copy(id),
		.id_bytes = (uint32_t)id.size,
		.generations = record->is_again ? GENERATIONS_MAX : 0, /* it may be older than what was told */
	};
	record->session_count++;
}

static void on_connected(void *context, struct client_ref ref, const struct journal_connected *told)
{
	struct recorded_session *session = known_session(take_event(context, JOURNAL_EVENT(connected)), ref);
	if (session == NULL)
		return;
	CHECK(!session->connected && told->expiry_s != 0);
	CHECK(!session->has_will); /* the earlier connection's was published or dropped */
	session->connected = true;
	session->expiry_s = told->expiry_s;
	session->is_bridge = told->is_bridge;
	uint32_t more = session->has_generation ? (uint16_t)(told->generation - session->generation) : 0u;
	session->generations = session->generations + more < GENERATIONS_MAX ? (uint16_t)(session->generations + more)
									     : GENERATIONS_MAX;
	session->generation = told->generation;
	session->has_generation = true;
	drop_principal(session);
}

static void on_principal(void *context, struct client_ref ref, const struct journal_principal *told)
{
	struct journal_record *record = take_event(context, JOURNAL_EVENT(principal));
	struct recorded_session *session = known_session(record, ref);
	if (session == NULL)
		return;
	CHECK(session->connected);
	drop_principal(session);
	session->has_principal = true;
	session->principal = *told;
	session->principal.user.data = recorded_copy(told->user);
	session->principal.rules.data = told->rules.data != NULL ? recorded_copy(told->rules) : NULL;
	session->expires_at_s = monotonic_of(record, told->expires_at_s);
}

static void on_left(void *context, struct client_ref ref, const struct journal_left *told)
{
	struct journal_record *record = take_event(context, JOURNAL_EVENT(left));
	struct recorded_session *session = known_session(record, ref);
	if (session == NULL)
		return;
	CHECK(session->connected && told->expiry_s != 0);
	session->connected = false;
	session->expiry_s = told->expiry_s;
	session->ends_at_s = monotonic_of(record, told->ends_at_s);
	session->will_at_s = monotonic_of(record, told->will_at_s);
}

/* ---- entries ---- */

struct recorded_entry *recorded_entry(const struct journal_record *record, uint32_t name)
{
	CHECK(name != 0 && name < record->entry_places);
	struct recorded_entry *entry = &record->entries[name];
	CHECK(!client_ref_is_none(entry->session));
	return entry;
}

/* Whether a model which began in the middle was told of it. */
static bool is_known_entry(const struct journal_record *record, uint32_t name)
{
	return !record->model->is_partial ||
	       (name < record->entry_places && !client_ref_is_none(record->entries[name].session));
}

static void let_message_go(const struct journal_record *record, struct recorded_entry *entry)
{
	if (message_ref_is_none(entry->told.message))
		return;
	struct recorded_message *message = message_of(record, entry->told.message);
	CHECK(message->entries > 0);
	message->entries--;
	entry->told.message = message_ref_none();
}

static void remove_entry(struct journal_record *record, uint32_t name)
{
	struct recorded_entry *entry = recorded_entry(record, name);
	struct recorded_session *session = recorded_session(record, entry->session);
	let_message_go(record, entry);
	*(entry->previous != 0 ? &record->entries[entry->previous].next : &session->first) = entry->next;
	*(entry->next != 0 ? &record->entries[entry->next].previous : &session->last) = entry->previous;
	*entry = (struct recorded_entry){.packet_id = 0};
	session->entries--;
	record->entry_count--;
}

/* ---- what publishers may send again ---- */

static void claim_add(struct journal_record *record, struct recorded_claim claim, struct slice receiver)
{
	if (client_ref_is_none(claim.session)) {
		claim.receiver = recorded_copy(receiver);
		claim.receiver_bytes = (uint32_t)receiver.size;
	}
	record->claims = reallocarray(record->claims, record->claim_count + 1, sizeof(*record->claims));
	CHECK(record->claims != NULL);
	record->claims[record->claim_count++] = claim;
}

/* Of a session that is not known yet, or of a group that is. */
static void claim_queued(struct journal_record *record, struct client_ref ref, const struct journal_entry *told)
{
	const struct recorded_message *message = message_of(record, told->message);
	if (client_ref_is_none(message->publisher.session))
		return;
	struct recorded_claim claim = {.publisher = message->publisher,
				       .packet_id = publication_packet_id(&message->publication, message->packet),
				       .is_group = told->shared};
	if (!told->shared) {
		claim.session = ref;
		claim_add(record, claim, slice_of(NULL, 0));
		return;
	}
	if (told->subscription.index >= record->subscription_places)
		return;
	const struct recorded_subscription *through = &record->subscriptions[told->subscription.index];
	if (client_ref_equal(through->session, ref))
		claim_add(record, claim, slice_of(through->filter, through->filter_bytes));
}

static void on_taken(void *context, const struct journal_taken *told)
{
	struct journal_record *record = take_event(context, JOURNAL_EVENT(taken));
	CHECK(!client_ref_is_none(told->publisher.session) && told->packet_id != 0 && told->receiver.size != 0);
	struct recorded_claim claim = {
		.publisher = told->publisher, .packet_id = told->packet_id, .is_group = told->is_group};
	claim_add(record, claim, told->receiver);
}

/* On whatever shard it was told. */
static void claims_end(const struct journal_record *record, struct client_ref ref, uint16_t packet_id)
{
	for (uint32_t i = 0; i < record->model->count; i++) {
		struct journal_record *other = &record->model->records[i];
		for (uint32_t at = 0; at < other->claim_count; at++) {
			const struct recorded_claim *claim = &other->claims[at];
			if (claim->publisher.shard != record - record->model->records ||
			    !client_ref_equal(claim->publisher.session, ref) || claim->packet_id != packet_id)
				continue;
			free(claim->receiver);
			other->claims[at--] = other->claims[--other->claim_count];
		}
	}
}

bool recorded_claim_holds(const struct journal_record *record, const struct recorded_claim *claim,
			  struct slice *receiver)
{
	const struct journal_record *theirs = &record->model->records[claim->publisher.shard];
	if (claim->publisher.session.index >= theirs->session_places)
		return false;
	const struct recorded_session *session = &theirs->sessions[claim->publisher.session.index];
	uint16_t before_last = (uint16_t)(session->generation - claim->publisher.generation);
	if (!session->open || before_last > session->generations)
		return false;
	*receiver = slice_of(claim->receiver, claim->receiver_bytes);
	if (client_ref_is_none(claim->session))
		return true;
	bool is_open = claim->session.index < record->session_places && record->sessions[claim->session.index].open;
	if (is_open)
		*receiver = slice_of(record->sessions[claim->session.index].id,
				     record->sessions[claim->session.index].id_bytes);
	return is_open;
}

static void on_queued(void *context, struct client_ref ref, uint32_t name, const struct journal_entry *told)
{
	struct journal_record *record = take_event(context, JOURNAL_EVENT(queued));
	struct recorded_session *session = known_session(record, ref);
	/* Before the checkpoint begins a session that is new may be told of a message that is not. */
	bool has_message = message_ref_is_none(told->message) || recorded_message(record, told->message) != NULL;
	if (has_message && !record->is_again && !message_ref_is_none(told->message))
		claim_queued(record, ref, told);
	if (session == NULL || (record->model->is_partial && record->begun < record->wanted && !has_message))
		return;
	record->entries = room_for(record->entries, &record->entry_places, name, sizeof(*record->entries));
	struct recorded_entry *entry = &record->entries[name];
	CHECK(name != 0 && client_ref_is_none(entry->session));
	CHECK(told->shared || subscription_ref_is_none(told->subscription));
	*entry = (struct recorded_entry){.session = ref, .told = *told, .previous = session->last};
	*(session->last != 0 ? &record->entries[session->last].next : &session->first) = name;
	session->last = name;
	session->entries++;
	record->entry_count++;
	if (message_ref_is_none(told->message)) {
		CHECK((record->is_again || !session->connected) && told->qos == 2); /* and it is released */
		return;
	}
	struct recorded_message *message = message_of(record, told->message);
	CHECK(!message->is_will);
	message->entries++;
}

static void on_sent(void *context, uint32_t name, uint16_t packet_id)
{
	struct journal_record *record = take_event(context, JOURNAL_EVENT(sent));
	if (!is_known_entry(record, name))
		return;
	struct recorded_entry *entry = recorded_entry(record, name);
	CHECK(entry->packet_id == 0 && packet_id != 0 && entry->told.qos != 0);
	CHECK(entry->previous == 0 || record->entries[entry->previous].packet_id != 0);
	entry->packet_id = packet_id;
	recorded_session(record, entry->session)->packet_id = packet_id;
}

static void on_released(void *context, uint32_t name)
{
	struct journal_record *record = take_event(context, JOURNAL_EVENT(released));
	if (!is_known_entry(record, name))
		return;
	struct recorded_entry *entry = recorded_entry(record, name);
	CHECK(entry->packet_id != 0 && entry->told.qos == 2 && !entry->released);
	entry->released = true;
	let_message_go(record, entry);
}

static void on_done(void *context, uint32_t name)
{
	struct journal_record *record = take_event(context, JOURNAL_EVENT(done));
	if (!is_known_entry(record, name))
		return;
	CHECK(recorded_entry(record, name)->packet_id != 0);
	remove_entry(record, name);
}

static void on_dropped(void *context, uint32_t name)
{
	struct journal_record *record = take_event(context, JOURNAL_EVENT(dropped));
	if (!is_known_entry(record, name))
		return;
	remove_entry(record, name);
}

static void on_handed_on(void *context, uint32_t name)
{
	struct journal_record *record = take_event(context, JOURNAL_EVENT(handed_on));
	if (!is_known_entry(record, name))
		return;
	const struct recorded_entry *entry = recorded_entry(record, name);
	CHECK(entry->told.shared && !entry->released);
	struct recorded_message *message = message_of(record, entry->told.message);
	CHECK(!subscription_ref_is_none(entry->told.subscription));
	const struct recorded_subscription *through = &record->subscriptions[entry->told.subscription.index];
	free(message->filter);
	message->promised = true;
	message->filter = recorded_copy(slice_of(through->filter, through->filter_bytes));
	message->filter_bytes = through->filter_bytes;
	remove_entry(record, name);
}

static void on_moved(void *context, uint32_t from, uint32_t to)
{
	struct journal_record *record = take_event(context, JOURNAL_EVENT(moved));
	if (!is_known_entry(record, from))
		return;
	struct recorded_entry *entry = recorded_entry(record, from);
	struct recorded_session *session = recorded_session(record, entry->session);
	CHECK(to < record->entry_places && client_ref_is_none(record->entries[to].session));
	record->entries[to] = *entry;
	*(entry->previous != 0 ? &record->entries[entry->previous].next : &session->first) = to;
	*(entry->next != 0 ? &record->entries[entry->next].previous : &session->last) = to;
	*entry = (struct recorded_entry){.packet_id = 0};
}

static void on_numbered(void *context, struct client_ref ref, uint16_t packet_id)
{
	struct journal_record *record = take_event(context, JOURNAL_EVENT(numbered));
	struct recorded_session *session = known_session(record, ref);
	CHECK(session != NULL && (record->is_again || !session->connected) && packet_id != 0);
	session->packet_id = packet_id;
}

/* ---- subscriptions ---- */

static void remove_subscription(struct journal_record *record, uint32_t name)
{
	struct recorded_subscription *subscription = &record->subscriptions[name];
	recorded_session(record, subscription->session)->subscriptions--;
	record->subscription_count--;
	free(subscription->filter);
	*subscription = (struct recorded_subscription){.filter = NULL};
}

static void on_subscribed(void *context, struct client_ref ref, struct subscription_ref name,
			  const struct journal_subscription *told)
{
	struct journal_record *record = take_event(context, JOURNAL_EVENT(subscribed));
	struct recorded_session *session = known_session(record, ref);
	if (session == NULL)
		return;
	record->subscriptions = room_for(record->subscriptions, &record->subscription_places, name.index,
					 sizeof(*record->subscriptions));
	struct recorded_subscription *subscription = &record->subscriptions[name.index];
	CHECK(!subscription_ref_is_none(name)); /* also without a connection, of a session that comes from elsewhere */
	if (client_ref_is_none(subscription->session)) {
		*subscription = (struct recorded_subscription){.session = ref,
							       .filter = recorded_copy(told->filter),
							       .filter_bytes = (uint32_t)told->filter.size};
		session->subscriptions++;
		record->subscription_count++;
	}
	CHECK(client_ref_equal(subscription->session, ref));
	CHECK(slice_equal(slice_of(subscription->filter, subscription->filter_bytes), told->filter));
	subscription->identifier = told->identifier;
	subscription->options = told->options;
}

static void on_unsubscribed(void *context, struct client_ref ref, struct subscription_ref name)
{
	struct journal_record *record = take_event(context, JOURNAL_EVENT(unsubscribed));
	struct recorded_session *session = known_session(record, ref);
	if (session == NULL)
		return;
	CHECK(name.index < record->subscription_places);
	CHECK(client_ref_equal(record->subscriptions[name.index].session, ref));
	remove_subscription(record, name.index);
	for (uint32_t at = session->first; at != 0; at = record->entries[at].next) {
		if (subscription_ref_equal(record->entries[at].told.subscription, name))
			record->entries[at].told.subscription = subscription_ref_none();
	}
}

static void on_owed(void *context, struct client_ref ref, struct subscription_ref name, uint32_t walks)
{
	struct journal_record *record = take_event(context, JOURNAL_EVENT(owed));
	if (known_session(record, ref) == NULL)
		return;
	CHECK(name.index < record->subscription_places);
	CHECK(client_ref_equal(record->subscriptions[name.index].session, ref));
	record->subscriptions[name.index].walks = walks;
}

static void remove_contents(struct journal_record *record, struct client_ref ref)
{
	struct recorded_session *session = recorded_session(record, ref);
	while (session->first != 0)
		remove_entry(record, session->first);
	for (uint32_t name = 0; session->subscriptions != 0; name++) {
		CHECK(name < record->subscription_places);
		if (client_ref_equal(record->subscriptions[name].session, ref))
			remove_subscription(record, name);
	}
	CHECK(session->entries == 0 && !session->has_will);
	drop_principal(session);
	free(session->received);
	session->received = NULL;
	session->received_count = 0;
}

static void on_ended(void *context, struct client_ref ref)
{
	struct journal_record *record = take_event(context, JOURNAL_EVENT(ended));
	struct recorded_session *session = known_session(record, ref);
	if (session == NULL)
		return;
	remove_contents(record, ref);
	free(session->id);
	*session = (struct recorded_session){.open = false};
	record->session_count--;
}

/* ---- wills ---- */

static void on_will_set(void *context, struct client_ref ref, const struct journal_will *told)
{
	struct journal_record *record = take_event(context, JOURNAL_EVENT(will_set));
	struct recorded_session *session = known_session(record, ref);
	if (session == NULL)
		return;
	struct recorded_message *message = message_of(record, told->message);
	CHECK(session->connected && !session->has_will && message->entries == 0 && !message->is_will);
	session->has_will = true;
	session->will = *told;
	message->is_will = true;
}

static struct recorded_message *take_will(struct journal_record *record, struct client_ref ref)
{
	struct recorded_session *session = recorded_session(record, ref);
	CHECK(session->has_will);
	session->has_will = false;
	struct recorded_message *message = message_of(record, session->will.message);
	CHECK(message->is_will);
	message->is_will = false;
	return message;
}

static void on_will_published(void *context, struct client_ref ref, int64_t expires_at_s)
{
	struct journal_record *record = take_event(context, JOURNAL_EVENT(will_published));
	if (known_session(record, ref) == NULL)
		return;
	struct recorded_message *message = take_will(record, ref);
	message->promised = true;
	message->expires_at_s = monotonic_of(record, expires_at_s);
}

static void on_will_dropped(void *context, struct client_ref ref)
{
	struct journal_record *record = take_event(context, JOURNAL_EVENT(will_dropped));
	if (known_session(record, ref) != NULL)
		take_will(record, ref);
}

/* ---- messages ---- */

/* A client that is connected with a session that is told of sends nothing in the name of another connection. */
static void check_publisher(const struct journal_record *record, const struct journal_message *told)
{
	const struct journal_publisher *publisher = &told->publisher;
	if (client_ref_is_none(publisher->session))
		return;
	CHECK(told->publication.qos == 2 && publisher->shard < record->model->count);
	const struct journal_record *theirs = &record->model->records[publisher->shard];
	CHECK(publisher->session.index <= theirs->shard->mem.clients.touched);
}

/* Told again, it is what it was; only a will's expiry begins anew, when it is published. */
static void check_again(const struct journal_record *record, const struct recorded_message *message,
			const struct journal_message *told)
{
	CHECK(record->is_again && message->publication.packet_bytes == told->publication.packet_bytes);
	CHECK(message->publication.qos == told->publication.qos);
	if (told->packet != NULL)
		CHECK(memcmp(message->packet + 1, told->packet + 1, told->publication.packet_bytes - 1) == 0);
}

void recorded_keep(struct journal_record *record, struct message_ref name, const struct journal_message *told,
		   const uint8_t *packet)
{
	CHECK(!message_ref_is_none(name) && told->publication.expires_s == 0 && packet != NULL);
	const struct recorded_message *known = recorded_message(record, name);
	if (known != NULL) {
		check_again(record, known, told);
		return;
	}
	CHECK(!record->is_again || record->model->is_partial);
	check_publisher(record, told);
	if (record->message_count == record->message_places) {
		record->message_places = record->message_places * 2 + 64;
		record->messages = reallocarray(record->messages, record->message_places, sizeof(*record->messages));
		CHECK(record->messages != NULL);
	}
	record->messages[record->message_count++] = (struct recorded_message){
		.name = name,
		.publication = told->publication,
		.packet = recorded_copy(slice_of(packet, told->publication.packet_bytes)),
		.expires_at_s = monotonic_of(record, told->expires_at_s),
		.publisher = record->is_again ? (struct journal_publisher){.shard = 0} : told->publisher,
	};
}

static void on_kept(void *context, struct message_ref name, const struct journal_message *told)
{
	struct journal_record *record = take_event(context, JOURNAL_EVENT(kept));
	recorded_keep(record, name, told, told->packet);
}

static void forget_body(struct journal_record *record, struct message_ref name)
{
	for (uint32_t i = 0; i < record->body_count; i++) {
		if (!message_ref_equal(record->bodies[i].name, name))
			continue;
		free(record->bodies[i].packet);
		record->bodies[i--] = record->bodies[--record->body_count];
	}
}

static void on_forgotten(void *context, struct message_ref name)
{
	struct journal_record *record = take_event(context, JOURNAL_EVENT(forgotten));
	forget_body(record, name);
	if (record->model->is_partial && recorded_message(record, name) == NULL)
		return;
	struct recorded_message *message = message_of(record, name);
	CHECK(message->entries == 0 && !message->is_will);
	free(message->packet);
	free(message->filter);
	*message = record->messages[--record->message_count];
}

static uint32_t place_of_id(const struct recorded_session *session, uint16_t packet_id)
{
	uint32_t at = 0;
	while (at < session->received_count && session->received[at] != packet_id)
		at++;
	return at;
}

static void on_received(void *context, struct client_ref ref, uint16_t packet_id)
{
	const struct journal_record *record = take_event(context, JOURNAL_EVENT(received));
	struct recorded_session *session = known_session(record, ref);
	claims_end(record, ref, packet_id);
	if (session == NULL)
		return;
	CHECK(packet_id != 0);
	if (place_of_id(session, packet_id) != session->received_count)
		return;
	session->received = reallocarray(session->received, session->received_count + 1, sizeof(*session->received));
	CHECK(session->received != NULL);
	session->received[session->received_count++] = packet_id;
}

static void on_completed(void *context, struct client_ref ref, uint16_t packet_id)
{
	const struct journal_record *record = take_event(context, JOURNAL_EVENT(completed));
	struct recorded_session *session = known_session(record, ref);
	claims_end(record, ref, packet_id);
	if (session == NULL)
		return;
	uint32_t at = place_of_id(session, packet_id);
	if (at == session->received_count)
		return;
	session->received[at] = session->received[--session->received_count];
}

/* ---- retained messages ---- */

static struct recorded_retained *find_retained(const struct journal_model *model, struct slice topic)
{
	for (size_t i = 0; i < model->retained_count; i++) {
		struct recorded_retained *retained = &model->retained[i];
		if (slice_equal(slice_of(retained->topic, retained->topic_bytes), topic))
			return retained;
	}
	return NULL;
}

static void on_retained(void *context, const struct journal_retained *told)
{
	struct journal_record *record = take_event(context, JOURNAL_EVENT(retained));
	struct journal_model *model = record->model;
	struct recorded_retained *retained = find_retained(model, told->topic);
	CHECK(told->number != 0);
	if (retained == NULL) {
		if (model->retained_count == model->retained_places) {
			model->retained_places = model->retained_places * 2 + 64;
			model->retained = reallocarray(model->retained, model->retained_places, sizeof(*retained));
			CHECK(model->retained != NULL);
		}
		retained = &model->retained[model->retained_count++];
		*retained = (struct recorded_retained){.topic = recorded_copy(told->topic),
						       .topic_bytes = (uint32_t)told->topic.size};
	}
	CHECK(retained->number != told->number);
	if (retained->number > told->number)
		return;
	free(retained->packet);
	retained->number = told->number;
	retained->packet = NULL;
	if (told->message == NULL)
		return;
	retained->publication = told->message->publication;
	retained->packet = recorded_copy(slice_of(told->message->packet, told->message->publication.packet_bytes));
	retained->expires_at_s = monotonic_of(record, told->message->expires_at_s);
}

const struct journal_events RECORDED_EVENTS = {
	.begin = on_begin,
	.end = on_end,
	.opened = on_opened,
	.connected = on_connected,
	.principal = on_principal,
	.left = on_left,
	.ended = on_ended,
	.subscribed = on_subscribed,
	.unsubscribed = on_unsubscribed,
	.owed = on_owed,
	.will_set = on_will_set,
	.will_published = on_will_published,
	.will_dropped = on_will_dropped,
	.kept = on_kept,
	.forgotten = on_forgotten,
	.queued = on_queued,
	.sent = on_sent,
	.numbered = on_numbered,
	.released = on_released,
	.done = on_done,
	.dropped = on_dropped,
	.handed_on = on_handed_on,
	.moved = on_moved,
	.received = on_received,
	.completed = on_completed,
	.taken = on_taken,
	.retained = on_retained,
};

/* ---- making ---- */

void journal_model_init(struct journal_model *model, struct journal_record *records, uint32_t count)
{
	*model = (struct journal_model){.records = records, .count = count};
	for (uint32_t i = 0; i < count; i++)
		records[i] = (struct journal_record){.model = model};
}

static void record_fini(struct journal_record *record)
{
	for (uint32_t i = 0; i < record->session_places; i++) {
		if (record->sessions[i].open) {
			drop_principal(&record->sessions[i]);
			free(record->sessions[i].id);
			free(record->sessions[i].received);
		}
	}
	for (uint32_t i = 0; i < record->subscription_places; i++)
		free(record->subscriptions[i].filter);
	for (size_t i = 0; i < record->message_count; i++) {
		free(record->messages[i].packet);
		free(record->messages[i].filter);
	}
	for (uint32_t i = 0; i < record->body_count; i++)
		free(record->bodies[i].packet);
	for (uint32_t i = 0; i < record->claim_count; i++)
		free(record->claims[i].receiver);
	free(record->claims);
	free(record->bodies);
	free(record->sessions);
	free(record->subscriptions);
	free(record->entries);
	free(record->messages);
}

void journal_record_begin(struct journal_model *model, uint32_t number, const struct shard *shard)
{
	CHECK(number < model->count);
	record_fini(&model->records[number]);
	model->records[number] = (struct journal_record){.model = model, .shard = shard};
}

void journal_model_forget_retained(struct journal_model *model)
{
	for (size_t i = 0; i < model->retained_count; i++) {
		free(model->retained[i].topic);
		free(model->retained[i].packet);
	}
	free(model->retained);
	model->retained = NULL;
	model->retained_count = model->retained_places = 0;
}

void journal_model_fini(struct journal_model *model)
{
	for (uint32_t i = 0; i < model->count; i++)
		record_fini(&model->records[i]);
	journal_model_forget_retained(model);
	model->count = 0;
}
