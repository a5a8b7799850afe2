#include "shadow_store.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint32_t shadow_random(struct shadow *shadow, uint32_t below)
{
	shadow->random = shadow->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (uint32_t)(shadow->random >> 33) % below;
}

static bool chance(struct shadow *shadow, uint32_t in)
{
	return shadow_random(shadow, in) == 0;
}

static uint32_t new_name(struct shadow *shadow)
{
	return ++shadow->store.last_name;
}

#define TELL(shadow, shard, ...)                                                                                       \
	log_scene_add((shadow)->log, (uint16_t)(shard), &(const struct store_record){__VA_ARGS__})

/* ---- messages ---- */

static struct shadow_message *message_at(struct shadow *shadow, uint32_t shard, uint32_t place)
{
	CHECK(place > 0 && place <= SHADOW_MESSAGES);
	return &shadow->store.messages[shard][place - 1];
}

static void tell_message(struct shadow *shadow, uint32_t shard, uint32_t place, uint32_t flags,
			 const struct store_record *publisher, uint16_t packet_id)
{
	struct shadow_message *message = message_at(shadow, shard, place);
	struct publication publication;
	char payload[16];
	snprintf(payload, sizeof(payload), "%u", message->payload);
	struct slice packet = log_scene_packet("t", payload, packet_id, &publication);
	struct store_record record = {
		.kind = STORE_KEPT, .message = message->name, .expires_at_s = message->expires_at_s, .body = packet};
	if (publisher != NULL) {
		record.publisher = publisher->publisher;
		record.publisher_shard = publisher->publisher_shard;
		record.publisher_generation = publisher->publisher_generation;
	}
	store_record_set_publication(&record, &publication);
	record.flags |= flags;
	log_scene_add(shadow->log, (uint16_t)shard, &record);
	free((void *)(uintptr_t)packet.data);
	message->told_in = shadow->checkpoint;
}

static void retell_message(struct shadow *shadow, uint32_t shard, uint32_t place)
{
	if (place != 0 && message_at(shadow, shard, place)->told_in != shadow->checkpoint)
		tell_message(shadow, shard, place, STORE_FLAG_AGAIN, NULL, 1);
}

static bool is_referenced(struct shadow *shadow, uint32_t shard, uint32_t place)
{
	for (uint32_t i = 0; i < SHADOW_SESSIONS; i++) {
		const struct shadow_session *session = &shadow->store.sessions[shard][i];
		if (session->used && session->will == place)
			return true;
		for (uint32_t k = 0; session->used && k < session->queue_count; k++)
			if (session->queue[k].message == place)
				return true;
	}
	return message_at(shadow, shard, place)->promise_count != 0;
}

/* As the shard does when the last reference goes. */
static void forget_unreferenced(struct shadow *shadow, uint32_t shard)
{
	for (uint32_t place = 1; place <= SHADOW_MESSAGES; place++) {
		struct shadow_message *message = message_at(shadow, shard, place);
		if (!message->used || is_referenced(shadow, shard, place))
			continue;
		TELL(shadow, shard, .kind = STORE_FORGOTTEN, .message = message->name);
		message->used = false;
	}
}

/* A publisher on a connection that is there. Who has its message does not make it received. */
static bool choose_publisher(struct shadow *shadow, struct store_record *publisher, uint16_t *packet_id)
{
	uint32_t shard = shadow_random(shadow, SHADOW_SHARDS);
	const struct shadow_session *session = &shadow->store.sessions[shard][shadow_random(shadow, SHADOW_SESSIONS)];
	*packet_id = (uint16_t)(1 + shadow_random(shadow, SHADOW_PACKET_IDS));
	*publisher = (struct store_record){
		.publisher = session->name, .publisher_shard = shard, .publisher_generation = session->generation};
	return session->used && session->connected && !session->received[*packet_id - 1];
}

/* 0: no room. */
static uint32_t new_message(struct shadow *shadow, uint32_t shard)
{
	for (uint32_t place = 1; place <= SHADOW_MESSAGES; place++) {
		struct shadow_message *message = message_at(shadow, shard, place);
		if (message->used)
			continue;
		*message = (struct shadow_message){
			.used = true,
			.name = new_name(shadow),
			.payload = new_name(shadow),
			.expires_at_s = chance(shadow, 2) ? STORE_NEVER_S : 1000 + shadow_random(shadow, 50)};
		struct store_record publisher;
		uint16_t packet_id = 1;
		bool has_publisher = chance(shadow, 3) && choose_publisher(shadow, &publisher, &packet_id);
		tell_message(shadow, shard, place, 0, has_publisher ? &publisher : NULL, packet_id);
		return place;
	}
	return 0;
}

static void promise(struct shadow *shadow, uint32_t shard, uint32_t place, bool is_will, uint32_t filter)
{
	struct shadow_message *message = message_at(shadow, shard, place);
	CHECK(message->promise_count < SHADOW_PROMISES);
	message->promises[message->promise_count].is_will = is_will;
	message->promises[message->promise_count++].filter = filter;
}

/* ---- sessions ---- */

static void tell_connected(struct shadow *shadow, uint32_t shard, const struct shadow_session *session)
{
	TELL(shadow, shard, .kind = STORE_CONNECTED, .session = session->name, .expiry_s = session->expiry_s,
	     .publisher_generation = session->generation);
	char user[16];
	snprintf(user, sizeof(user), "user-%u", session->user);
	if (session->has_principal)
		TELL(shadow, shard, .kind = STORE_PRINCIPAL, .session = session->name, .expires_at_s = STORE_NEVER_S,
		     .text = slice_string(user));
}

static void connect_session(struct shadow *shadow, uint32_t shard, struct shadow_session *session)
{
	session->connected = true;
	session->generation = (uint16_t)(session->generation + 1);
	session->expiry_s = 1 + shadow_random(shadow, 1000);
	session->has_principal = chance(shadow, 2);
	session->user = shadow_random(shadow, 9);
	tell_connected(shadow, shard, session);
	session->will = chance(shadow, 2) ? new_message(shadow, shard) : 0;
	session->will_delay_s = shadow_random(shadow, 9);
	if (session->will != 0)
		TELL(shadow, shard, .kind = STORE_WILL_SET, .session = session->name,
		     .message = message_at(shadow, shard, session->will)->name, .delay_s = session->will_delay_s);
}

static void tell_opened(struct shadow *shadow, uint32_t shard, const struct shadow_session *session, uint32_t flags)
{
	char client[16];
	snprintf(client, sizeof(client), "c%u", session->client);
	TELL(shadow, shard, .kind = STORE_OPENED, .session = session->name, .flags = flags,
	     .text = slice_string(client));
}

static void open_session(struct shadow *shadow, uint32_t shard, struct shadow_session *session)
{
	uint32_t name = session->name != 0 ? session->name : new_name(shadow);
	*session = (struct shadow_session){
		.used = true, .name = name, .client = new_name(shadow), .generation = session->generation};
	tell_opened(shadow, shard, session, 0);
	connect_session(shadow, shard, session);
}

static void end_will(struct shadow *shadow, uint32_t shard, struct shadow_session *session)
{
	if (session->will == 0)
		return;
	struct shadow_message *message = message_at(shadow, shard, session->will);
	if (!shadow->in_checkpoint && message->promise_count < SHADOW_PROMISES && chance(shadow, 2)) {
		message->expires_at_s = 5000;
		TELL(shadow, shard, .kind = STORE_WILL_PUBLISHED, .session = session->name, .expires_at_s = 5000);
		promise(shadow, shard, session->will, true, 0);
	} else {
		TELL(shadow, shard, .kind = STORE_WILL_DROPPED, .session = session->name);
	}
	session->will = 0;
	forget_unreferenced(shadow, shard);
}

static void end_session(struct shadow *shadow, uint32_t shard, struct shadow_session *session)
{
	end_will(shadow, shard, session);
	TELL(shadow, shard, .kind = STORE_ENDED, .session = session->name);
	session->used = false;
	forget_unreferenced(shadow, shard);
}

static void leave(struct shadow *shadow, uint32_t shard, struct shadow_session *session)
{
	session->connected = false;
	session->ends_at_s = 2000 + shadow_random(shadow, 100);
	TELL(shadow, shard, .kind = STORE_LEFT, .session = session->name, .expiry_s = session->expiry_s,
	     .ends_at_s = session->ends_at_s, .will_at_s = STORE_NEVER_S);
}

/* ---- subscriptions ---- */

static char *filter_text(uint32_t filter, char text[24])
{
	snprintf(text, 24, filter % 2 ? "$share/g/%u" : "%u", filter);
	return text;
}

static void tell_subscription(struct shadow *shadow, uint32_t shard, const struct shadow_session *session,
			      const struct shadow_subscription *subscription)
{
	char text[24];
	TELL(shadow, shard, .kind = STORE_SUBSCRIBED, .session = session->name, .subscription = subscription->name,
	     .identifier = subscription->identifier, .count = subscription->options,
	     .text = slice_string(filter_text(subscription->filter, text)));
	TELL(shadow, shard, .kind = STORE_OWED, .session = session->name, .subscription = subscription->name,
	     .count = subscription->owed);
}

static void subscribe(struct shadow *shadow, uint32_t shard, struct shadow_session *session)
{
	uint32_t count = session->subscription_count;
	struct shadow_subscription *subscription;
	if (count == SHADOW_SUBSCRIPTIONS || (count != 0 && chance(shadow, 3))) {
		subscription = &session->subscriptions[shadow_random(shadow, count)]; /* replaced */
	} else {
		subscription = &session->subscriptions[session->subscription_count++];
		*subscription = (struct shadow_subscription){.name = new_name(shadow), .filter = new_name(shadow)};
	}
	subscription->options = shadow_random(shadow, 3);
	subscription->identifier = shadow_random(shadow, 100);
	subscription->owed = shadow_random(shadow, 2);
	tell_subscription(shadow, shard, session, subscription);
}

static void unsubscribe(struct shadow *shadow, uint32_t shard, struct shadow_session *session)
{
	if (session->subscription_count == 0)
		return;
	uint32_t place = shadow_random(shadow, session->subscription_count);
	const struct shadow_subscription ended = session->subscriptions[place];
	TELL(shadow, shard, .kind = STORE_UNSUBSCRIBED, .session = session->name, .subscription = ended.name);
	memmove(&session->subscriptions[place], &session->subscriptions[place + 1],
		(--session->subscription_count - place) * sizeof(ended));
	for (uint32_t i = 0; i < session->queue_count; i++)
		if (session->queue[i].filter == ended.filter)
			session->queue[i].has_subscription = false;
}

static const struct shadow_subscription *subscription_of(const struct shadow_session *session, uint32_t filter)
{
	for (uint32_t i = 0; i < session->subscription_count; i++)
		if (session->subscriptions[i].filter == filter)
			return &session->subscriptions[i];
	return NULL;
}

/* ---- queues ---- */

static void tell_queued(struct shadow *shadow, uint32_t shard, const struct shadow_session *session,
			const struct shadow_entry *entry, uint32_t flags)
{
	const struct shadow_subscription *subscription =
		entry->has_subscription ? subscription_of(session, entry->filter) : NULL;
	TELL(shadow, shard, .kind = STORE_QUEUED, .session = session->name, .entry = entry->name,
	     .message = entry->message != 0 ? message_at(shadow, shard, entry->message)->name : 0,
	     .subscription = subscription != NULL ? subscription->name : 0, .flags = entry->flags | flags,
	     .identifier = entry->identifier);
}

static void queue(struct shadow *shadow, uint32_t shard, struct shadow_session *session)
{
	uint32_t message = 0;
	if (session->queue_count == SHADOW_ENTRIES)
		return;
	/* One that others have too, or a new one. */
	for (uint32_t place = 1; place <= SHADOW_MESSAGES && chance(shadow, 2); place++)
		if (message_at(shadow, shard, place)->used && message_at(shadow, shard, place)->promise_count == 0)
			message = place;
	for (uint32_t i = 0; i < SHADOW_SESSIONS; i++)
		if (message != 0 && shadow->store.sessions[shard][i].will == message)
			message = 0;
	if (message == 0)
		message = new_message(shadow, shard);
	if (message == 0)
		return;
	if (shadow->in_checkpoint)
		retell_message(shadow, shard, message);
	struct shadow_entry *entry = &session->queue[session->queue_count++];
	*entry = (struct shadow_entry){
		.name = new_name(shadow), .message = message, .flags = 2, .identifier = shadow_random(shadow, 5)};
	for (uint32_t i = 0; i < session->subscription_count && chance(shadow, 2); i++) {
		if (session->subscriptions[i].filter % 2 == 0)
			continue;
		entry->filter = session->subscriptions[i].filter;
		entry->has_subscription = true;
		entry->flags |= STORE_FLAG_SHARED;
		break;
	}
	tell_queued(shadow, shard, session, entry, 0);
}

static void send_next(struct shadow *shadow, uint32_t shard, struct shadow_session *session)
{
	for (uint32_t i = 0; i < session->queue_count; i++) {
		if (session->queue[i].packet_id != 0)
			continue;
		session->packet_id = (uint16_t)(session->packet_id + 1);
		session->queue[i].packet_id = session->packet_id;
		TELL(shadow, shard, .kind = STORE_SENT, .entry = session->queue[i].name,
		     .packet_id = session->packet_id);
		return;
	}
}

static void remove_entry(struct shadow *shadow, uint32_t shard, struct shadow_session *session, uint32_t place)
{
	memmove(&session->queue[place], &session->queue[place + 1],
		(--session->queue_count - place) * sizeof(session->queue[0]));
	forget_unreferenced(shadow, shard);
}

static void go_on_with_entry(struct shadow *shadow, uint32_t shard, struct shadow_session *session)
{
	if (session->queue_count == 0)
		return;
	uint32_t place = shadow_random(shadow, session->queue_count);
	struct shadow_entry *entry = &session->queue[place];
	const struct shadow_entry before = *entry;
	uint32_t what = shadow_random(shadow, 5);
	if (what == 0) {
		entry->name = new_name(shadow);
		TELL(shadow, shard, .kind = STORE_MOVED, .entry = before.name, .entry_to = entry->name);
	} else if (what == 1 && before.packet_id != 0 && !before.released) {
		TELL(shadow, shard, .kind = STORE_RELEASED, .entry = before.name);
		entry->released = true;
		entry->message = 0;
		forget_unreferenced(shadow, shard);
	} else if (what == 2 && before.filter != 0 && before.message != 0 && before.has_subscription &&
		   !shadow->in_checkpoint &&
		   message_at(shadow, shard, before.message)->promise_count < SHADOW_PROMISES) {
		TELL(shadow, shard, .kind = STORE_HANDED_ON, .entry = before.name);
		promise(shadow, shard, before.message, false, before.filter);
		remove_entry(shadow, shard, session, place);
	} else if (what == 3) {
		TELL(shadow, shard, .kind = before.packet_id != 0 ? STORE_DONE : STORE_DROPPED, .entry = before.name);
		remove_entry(shadow, shard, session, place);
	}
}

/* A message is forgotten when nobody has it any more, and its promises only then. */
void shadow_keep_promises(struct shadow *shadow)
{
	for (uint32_t shard = 0; shard < SHADOW_SHARDS; shard++) {
		for (uint32_t i = 0; i < SHADOW_SESSIONS; i++) {
			struct shadow_session *session = &shadow->store.sessions[shard][i];
			for (uint32_t k = session->used ? session->queue_count : 0; k-- > 0;) {
				const struct shadow_entry *entry = &session->queue[k];
				if (entry->message == 0 ||
				    message_at(shadow, shard, entry->message)->promise_count == 0)
					continue;
				TELL(shadow, shard, .kind = STORE_DROPPED, .entry = entry->name);
				remove_entry(shadow, shard, session, k);
			}
		}
		for (uint32_t place = 1; place <= SHADOW_MESSAGES; place++)
			message_at(shadow, shard, place)->promise_count = 0;
		forget_unreferenced(shadow, shard);
	}
}

/* ---- what happens ---- */

static void receive(struct shadow *shadow, uint32_t shard, struct shadow_session *session)
{
	uint16_t packet_id = (uint16_t)(1 + shadow_random(shadow, SHADOW_PACKET_IDS));
	bool *received = &session->received[packet_id - 1];
	*received = chance(shadow, 2);
	TELL(shadow, shard, .kind = *received ? STORE_RECEIVED : STORE_COMPLETED, .session = session->name,
	     .packet_id = packet_id);
}

static void tell_retained(struct shadow *shadow, uint32_t shard, uint32_t topic, uint32_t payload, uint64_t number,
			  uint32_t flags)
{
	char topic_text[16], payload_text[16];
	snprintf(topic_text, sizeof(topic_text), "topic-%u", topic);
	snprintf(payload_text, sizeof(payload_text), "%u", payload);
	if (payload == 0) {
		TELL(shadow, shard, .kind = STORE_RETAINED_GONE, .number = number, .text = slice_string(topic_text));
		return;
	}
	struct publication publication;
	struct slice packet = log_scene_packet(topic_text, payload_text, 1, &publication);
	struct store_record record = {.kind = STORE_RETAINED, .number = number, .body = packet};
	store_record_set_publication(&record, &publication);
	record.flags |= flags;
	log_scene_add(shadow->log, (uint16_t)shard, &record);
	free((void *)(uintptr_t)packet.data);
}

/* Two shards at once, whose changes stand in the log in either order. */
static void retain(struct shadow *shadow)
{
	uint32_t topic = shadow_random(shadow, SHADOW_TOPICS), payloads[2];
	uint64_t numbers[2];
	for (int i = 0; i < 2; i++) {
		payloads[i] = chance(shadow, 3) ? 0 : new_name(shadow);
		numbers[i] = ++shadow->store.retained_number;
	}
	int first = (int)shadow_random(shadow, 2);
	tell_retained(shadow, 1, topic, payloads[first], numbers[first], 0);
	tell_retained(shadow, 2, topic, payloads[!first], numbers[!first], 0);
	shadow->store.retained[topic].payload = payloads[1];
	shadow->store.retained[topic].number = numbers[1];
}

void shadow_step(struct shadow *shadow)
{
	uint32_t shard = shadow_random(shadow, SHADOW_SHARDS);
	struct shadow_session *session = &shadow->store.sessions[shard][shadow_random(shadow, SHADOW_SESSIONS)];
	if (!session->used) {
		open_session(shadow, shard, session);
		return;
	}
	switch (shadow_random(shadow, 16)) {
	case 0:
		end_session(shadow, shard, session);
		return;
	case 1:
		if (session->connected) {
			leave(shadow, shard, session);
			return;
		}
		end_will(shadow, shard, session);
		connect_session(shadow, shard, session);
		return;
	case 2:
	case 3:
		subscribe(shadow, shard, session);
		return;
	case 4:
		unsubscribe(shadow, shard, session);
		return;
	case 5:
	case 6:
		receive(shadow, shard, session);
		return;
	case 7:
		retain(shadow);
		return;
	case 8:
		end_will(shadow, shard, session);
		return;
	case 9:
	case 10:
	case 11:
		queue(shadow, shard, session);
		return;
	case 12:
	case 13:
		send_next(shadow, shard, session);
		return;
	default:
		go_on_with_entry(shadow, shard, session);
	}
}

/* ---- told again ---- */

void shadow_retell_session(struct shadow *shadow, uint32_t shard, uint32_t place)
{
	struct shadow_session *session = &shadow->store.sessions[shard][place];
	if (!session->used)
		return;
	retell_message(shadow, shard, session->will);
	for (uint32_t i = 0; i < session->queue_count; i++)
		retell_message(shadow, shard, session->queue[i].message);
	tell_opened(shadow, shard, session, STORE_FLAG_AGAIN);
	tell_connected(shadow, shard, session);
	if (!session->connected)
		TELL(shadow, shard, .kind = STORE_LEFT, .session = session->name, .expiry_s = session->expiry_s,
		     .ends_at_s = session->ends_at_s, .will_at_s = STORE_NEVER_S);
	for (uint32_t i = 0; i < session->subscription_count; i++)
		tell_subscription(shadow, shard, session, &session->subscriptions[i]);
	if (session->will != 0)
		TELL(shadow, shard, .kind = STORE_WILL_SET, .session = session->name,
		     .message = message_at(shadow, shard, session->will)->name, .delay_s = session->will_delay_s);
	for (uint32_t i = 0; i < session->queue_count; i++) {
		const struct shadow_entry *entry = &session->queue[i];
		tell_queued(shadow, shard, session, entry, STORE_FLAG_AGAIN);
		if (entry->packet_id != 0)
			TELL(shadow, shard, .kind = STORE_SENT, .entry = entry->name, .packet_id = entry->packet_id);
		if (entry->released)
			TELL(shadow, shard, .kind = STORE_RELEASED, .entry = entry->name);
	}
	TELL(shadow, shard, .kind = STORE_NUMBERED, .session = session->name, .packet_id = session->packet_id);
	for (uint16_t id = 1; id <= SHADOW_PACKET_IDS; id++)
		if (session->received[id - 1])
			TELL(shadow, shard, .kind = STORE_RECEIVED, .session = session->name, .packet_id = id);
}

void shadow_retell_topic(struct shadow *shadow, uint32_t topic)
{
	if (shadow->store.retained[topic].payload != 0)
		tell_retained(shadow, 0, topic, shadow->store.retained[topic].payload,
			      shadow->store.retained[topic].number, STORE_FLAG_AGAIN);
}

void shadow_restart(struct shadow *shadow)
{
	for (uint32_t shard = 0; shard < SHADOW_SHARDS; shard++) {
		for (uint32_t i = 0; i < SHADOW_MESSAGES; i++)
			shadow->store.messages[shard][i].name = new_name(shadow);
		for (uint32_t i = 0; i < SHADOW_SESSIONS; i++) {
			struct shadow_session *session = &shadow->store.sessions[shard][i];
			session->name = new_name(shadow);
			for (uint32_t k = 0; k < session->subscription_count; k++)
				session->subscriptions[k].name = new_name(shadow);
			for (uint32_t k = 0; k < session->queue_count; k++) {
				session->queue[k].name = new_name(shadow);
				if (!session->queue[k].has_subscription)
					session->queue[k].filter = 0;
			}
		}
	}
}
