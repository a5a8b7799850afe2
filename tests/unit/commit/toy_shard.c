#include "toy_shard.h"

#include "base/check.h"
#include "mqtt/packet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* To both listeners; what is told again, to the store alone. */
#define TELL(toy, event, ...)                                                                                          \
	do {                                                                                                           \
		STORE_JOURNAL_EVENTS.event((toy)->store, __VA_ARGS__);                                                 \
		STORE_JOURNAL_EVENTS.event((toy)->plain, __VA_ARGS__);                                                 \
	} while (0)
#define TELL_AGAIN(toy, event, ...) STORE_JOURNAL_EVENTS.event((toy)->store, __VA_ARGS__)

static unsigned toy_random(struct toy_shard *toy, unsigned below)
{
	return (unsigned)rand_r(&toy->seed) / 7u % below;
}

static struct client_ref session_ref(uint32_t name)
{
	return (struct client_ref){name};
}

static struct message_ref message_ref(uint32_t name)
{
	return (struct message_ref){name};
}

void toy_shard_init(struct toy_shard *toy, struct store_shard *store, struct store_shard *plain, unsigned seed,
		    struct toy_retained *retained)
{
	*toy = (struct toy_shard){.store = store, .plain = plain, .seed = seed, .retained = retained, .wall_s = 1000};
}

/* ---- packets ---- */

static uint16_t toy_packet_id(uint32_t body)
{
	return (uint16_t)(1 + body % 7);
}

struct publication toy_packet(uint32_t body, uint8_t qos, uint8_t packet[TOY_PACKET_MAX])
{
	size_t payload = 4 + body % 40 * 7;
	size_t rest = 2 + 1 + (qos != 0 ? 2u : 0) + payload;
	size_t header = rest < 128 ? 2 : 3;
	packet[0] = (uint8_t)(0x30 | qos << 1);
	packet[1] = (uint8_t)(rest < 128 ? rest : rest % 128 | 128);
	if (header == 3)
		packet[2] = (uint8_t)(rest / 128);
	uint8_t *at = packet + header;
	*at++ = 0;
	*at++ = 1;
	*at++ = (uint8_t)('a' + body % TOY_TOPICS);
	if (qos != 0) {
		*at++ = 0;
		*at++ = (uint8_t)toy_packet_id(body);
	}
	memcpy(at, &body, 4);
	memset(at + 4, (int)body, payload - 4);
	CHECK_LE(header + rest, TOY_PACKET_MAX);
	return (struct publication){.packet_bytes = (uint32_t)(header + rest),
				    .topic_bytes = 1,
				    .header_bytes = (uint8_t)header,
				    .qos = qos & 3u};
}

uint32_t toy_body(const uint8_t *packet, const struct publication *publication)
{
	uint32_t body;
	memcpy(&body, packet + publication->header_bytes + 3 + (publication->qos != 0 ? 2 : 0), 4);
	uint8_t expected[TOY_PACKET_MAX];
	struct publication made = toy_packet(body, publication->qos, expected);
	bool same = made.packet_bytes == publication->packet_bytes &&
		    memcmp(packet, expected, publication->packet_bytes) == 0;
	return same ? body : 0;
}

/* ---- messages ---- */

static struct journal_message toy_told(uint32_t body, uint8_t qos, uint8_t *packet)
{
	return (struct journal_message){
		.publication = toy_packet(body, qos, packet), .packet = packet, .expires_at_s = INT64_MAX};
}

/* One of the sessions published it, and the shard has what it published. */
static uint32_t toy_choose_publisher(struct toy_shard *toy, struct journal_message *told, uint16_t id)
{
	uint32_t publisher = toy_random(toy, TOY_SESSIONS) + 1;
	struct toy_session *session = &toy->sessions[publisher];
	if (told->publication.qos != 2 || !session->open || (session->received[id] && !toy->loose))
		return 0;
	told->publisher = (struct journal_publisher){
		.session = session_ref(publisher), .shard = toy->store->number, .generation = session->generation};
	return publisher;
}

/* 0: there is no room. Its first reference is the caller's. */
static uint32_t toy_keep(struct toy_shard *toy)
{
	uint32_t name = toy_random(toy, TOY_MESSAGES) + 1;
	struct toy_message *message = &toy->messages[name];
	if (message->references != 0)
		return 0;
	uint8_t packet[TOY_PACKET_MAX];
	*message = (struct toy_message){.references = 1,
					.body = (uint32_t)toy->store->number << 24 | ++toy->serial,
					.qos = (uint8_t)toy_random(toy, 3),
					.told_in_checkpoint = toy->checkpoint};
	uint16_t id = toy_packet_id(message->body);
	struct journal_message told = toy_told(message->body, message->qos, packet);
	uint32_t publisher = toy_choose_publisher(toy, &told, id);
	TELL(toy, kept, message_ref(name), &told);
	if (publisher != 0 && !toy->loose) {
		toy->sessions[publisher].received[id] = true;
		TELL(toy, received, session_ref(publisher), id);
	}
	message->kept_in = toy->store->buffers.number;
	return name;
}

static void toy_put(struct toy_shard *toy, uint32_t name)
{
	if (name == 0 || --toy->messages[name].references != 0)
		return;
	TELL(toy, forgotten, message_ref(name));
}

/* ---- entries ---- */

static struct journal_entry toy_entry_told(const struct toy_entry *entry)
{
	return (struct journal_entry){.message = message_ref(entry->message),
				      .subscription = {entry->subscription},
				      .identifier = entry->shared ? 0 : entry->qos * 100u,
				      .shared = entry->shared,
				      .qos = entry->qos};
}

static uint32_t toy_free_entry(struct toy_shard *toy)
{
	uint32_t name = toy_random(toy, TOY_ENTRIES) + 1;
	return toy->entries[name].session == 0 ? name : 0;
}

static uint32_t toy_subscription_of(const struct toy_shard *toy, uint32_t session)
{
	for (uint32_t i = 1; i <= TOY_SUBSCRIPTIONS; i++) {
		if (toy->subscriptions[i].session == session)
			return i;
	}
	return 0;
}

static void toy_queue(struct toy_shard *toy, uint32_t session, uint32_t message)
{
	uint32_t name = toy_free_entry(toy);
	if (name == 0)
		return;
	struct toy_session *to = &toy->sessions[session];
	struct toy_entry *entry = &toy->entries[name];
	*entry = (struct toy_entry){.session = session,
				    .message = message,
				    .qos = toy->messages[message].qos != 0 ? toy->messages[message].qos : 1,
				    .subscription = toy_random(toy, 4) == 0 ? toy_subscription_of(toy, session) : 0};
	entry->shared = entry->subscription != 0;
	toy->messages[message].references++;
	if (to->last != 0)
		toy->entries[to->last].next = name;
	else
		to->first = name;
	to->last = name;
	if (to->unsent == 0)
		to->unsent = name;
	struct journal_entry told = toy_entry_told(entry);
	TELL(toy, queued, session_ref(session), name, &told);
}

static void toy_unlink(struct toy_shard *toy, uint32_t name)
{
	struct toy_session *session = &toy->sessions[toy->entries[name].session];
	uint32_t before = 0;
	for (uint32_t at = session->first; at != name; at = toy->entries[at].next)
		before = at;
	uint32_t next = toy->entries[name].next;
	if (before != 0)
		toy->entries[before].next = next;
	else
		session->first = next;
	if (session->last == name)
		session->last = before;
	if (session->unsent == name)
		session->unsent = next;
	toy->entries[name].session = 0;
}

static void toy_send(struct toy_shard *toy, struct toy_session *session)
{
	uint32_t name = session->unsent;
	if (name == 0)
		return;
	struct toy_entry *entry = &toy->entries[name];
	session->packet_id = (uint16_t)(session->packet_id % 500 + 1);
	entry->packet_id = session->packet_id;
	session->unsent = entry->next;
	TELL(toy, sent, name, entry->packet_id);
}

/* The n-th entry that was sent is acknowledged. */
static void toy_acknowledge(struct toy_shard *toy, struct toy_session *session)
{
	uint32_t name = session->first;
	for (unsigned n = toy_random(toy, 3); n > 0 && name != 0 && toy->entries[name].next != session->unsent; n--)
		name = toy->entries[name].next;
	if (name == 0 || toy->entries[name].packet_id == 0)
		return;
	struct toy_entry *entry = &toy->entries[name];
	if (entry->qos == 2 && !entry->released) {
		entry->released = true;
		TELL(toy, released, name);
		toy_put(toy, entry->message);
		entry->message = 0;
		return;
	}
	uint32_t message = entry->message;
	TELL(toy, done, name);
	toy_unlink(toy, name);
	toy_put(toy, message);
}

/* The first unsent one; its place is taken by the next one, as a flow does it (session/flow.c). */
static void toy_drop(struct toy_shard *toy, struct toy_session *session)
{
	uint32_t name = session->unsent;
	if (name == 0)
		return;
	struct toy_entry *entry = &toy->entries[name];
	uint32_t message = entry->message, next = entry->next;
	/* A promise lasts until the message is forgotten. For a message that others have, a log that begins later may
	 * know of fewer promises, which were kept long ago: that would be no fault, and is left out here. */
	if (entry->subscription != 0 && toy->messages[message].references == 1) {
		uint32_t place = toy_random(toy, 4);
		toy->messages[message].references++;
		TELL(toy, handed_on, name);
		toy_put(toy, toy->promised[place]);
		toy->promised[place] = message;
		toy_unlink(toy, name);
		toy_put(toy, message);
		return;
	}
	TELL(toy, dropped, name);
	if (next == 0) {
		toy_unlink(toy, name);
		toy_put(toy, message);
		return;
	}
	TELL(toy, moved, next, name);
	*entry = toy->entries[next];
	if (session->last == next)
		session->last = name;
	toy->entries[next].session = 0;
	toy_put(toy, message);
}

/* ---- sessions ---- */

static void toy_connect(struct toy_shard *toy, uint32_t name)
{
	struct toy_session *session = &toy->sessions[name];
	session->expiry_s = 100 + toy_random(toy, 50);
	struct journal_connected connected = {.expiry_s = session->expiry_s, .generation = ++session->generation};
	session->connected = true;
	session->principal = 0;
	TELL(toy, connected, session_ref(name), &connected);
	if (toy_random(toy, 2) != 0)
		return;
	session->principal = ++toy->serial;
	struct journal_principal principal = {.user = slice_string("somebody"), .user_hash = session->principal};
	TELL(toy, principal, session_ref(name), &principal);
}

static void toy_open(struct toy_shard *toy, uint32_t name)
{
	struct toy_session *session = &toy->sessions[name];
	uint16_t generation = session->generation;
	*session = (struct toy_session){.open = true, .generation = generation};
	snprintf(session->client_id, sizeof(session->client_id), "c%u-%u", toy->store->number, ++toy->serial);
	TELL(toy, opened, session_ref(name), slice_string(session->client_id));
	toy_connect(toy, name);
}

static void toy_end(struct toy_shard *toy, uint32_t name)
{
	struct toy_session *session = &toy->sessions[name];
	TELL(toy, ended, session_ref(name));
	session->open = false;
	for (uint32_t at = session->first; at != 0; at = toy->entries[at].next) {
		toy->entries[at].session = 0;
		toy_put(toy, toy->entries[at].message);
	}
	toy_put(toy, session->will);
	for (uint32_t i = 1; i <= TOY_SUBSCRIPTIONS; i++) {
		if (toy->subscriptions[i].session == name)
			toy->subscriptions[i].session = 0;
	}
}

static void toy_subscribe(struct toy_shard *toy, uint32_t name)
{
	uint32_t at = toy_random(toy, TOY_SUBSCRIPTIONS) + 1;
	struct toy_subscription *subscription = &toy->subscriptions[at];
	if (subscription->session == name) {
		subscription->session = 0;
		TELL(toy, unsubscribed, session_ref(name), (struct subscription_ref){at});
		for (uint32_t i = 1; i <= TOY_ENTRIES; i++) {
			if (toy->entries[i].subscription == at)
				toy->entries[i].subscription = 0;
		}
		return;
	}
	if (subscription->session != 0)
		return;
	*subscription = (struct toy_subscription){.session = name, .filter = ++toy->serial};
	char filter[32];
	snprintf(filter, sizeof(filter), "$share/g/%u", subscription->filter);
	struct journal_subscription told = {.filter = slice_string(filter), .options = 1};
	TELL(toy, subscribed, session_ref(name), (struct subscription_ref){at}, &told);
}

static void toy_will(struct toy_shard *toy, uint32_t name)
{
	struct toy_session *session = &toy->sessions[name];
	if (session->will == 0) {
		session->will = toy_keep(toy);
		struct journal_will will = {.message = message_ref(session->will), .delay_s = 3};
		if (session->will != 0)
			TELL(toy, will_set, session_ref(name), &will);
		return;
	}
	uint32_t message = session->will;
	session->will = 0;
	if (toy_random(toy, 2) == 0) {
		TELL(toy, will_dropped, session_ref(name));
		toy_put(toy, message);
		return;
	}
	TELL(toy, will_published, session_ref(name), INT64_MAX);
	uint32_t place = toy_random(toy, 4);
	toy_put(toy, toy->promised[place]);
	toy->promised[place] = message;
}

static void toy_receive(struct toy_shard *toy, uint32_t name)
{
	uint32_t id = toy_random(toy, 7) + 1;
	struct toy_session *session = &toy->sessions[name];
	session->received[id] = !session->received[id];
	if (session->received[id])
		TELL(toy, received, session_ref(name), (uint16_t)id);
	else
		TELL(toy, completed, session_ref(name), (uint16_t)id);
}

/* ---- turns ---- */

static void toy_publish(struct toy_shard *toy)
{
	uint32_t message = toy_keep(toy);
	if (message == 0)
		return;
	for (unsigned n = toy_random(toy, 4); n > 0; n--) {
		uint32_t to = toy_random(toy, TOY_SESSIONS) + 1;
		if (toy->sessions[to].open)
			toy_queue(toy, to, message);
	}
	toy_put(toy, message);
}

static void toy_retain(struct toy_shard *toy)
{
	uint32_t topic = toy_random(toy, TOY_TOPICS);
	uint32_t body = (uint32_t)toy->store->number << 24 | ++toy->serial;
	body = body / TOY_TOPICS * TOY_TOPICS + topic;
	uint8_t packet[TOY_PACKET_MAX];
	struct journal_message message = toy_told(body, 1, packet);
	message.publication.retain = 1;
	char name = (char)('a' + topic);
	struct journal_retained retained = {
		.number = ++toy->retained->number, .topic = slice_of(&name, 1), .message = &message};
	if (toy_random(toy, 4) == 0) {
		retained.message = NULL;
		body = 0;
	}
	toy->retained->topics[topic].body = body;
	toy->retained->topics[topic].number = retained.number;
	TELL(toy, retained, &retained);
}

static void toy_event(struct toy_shard *toy)
{
	uint32_t name = toy_random(toy, TOY_SESSIONS) + 1;
	struct toy_session *session = &toy->sessions[name];
	unsigned what = toy_random(toy, 64);
	if (!session->open) {
		if (what < 20)
			toy_open(toy, name);
	} else if (what < 1) {
		toy_end(toy, name);
	} else if (what < 3 && session->connected) {
		struct journal_left left = {.expiry_s = 99, .ends_at_s = toy->wall_s + 99, .will_at_s = toy->wall_s};
		session->connected = false;
		session->expiry_s = left.expiry_s;
		session->ends_at_s = left.ends_at_s;
		session->will_at_s = left.will_at_s;
		TELL(toy, left, session_ref(name), &left);
	} else if (what < 5 && !session->connected) {
		toy_connect(toy, name);
	} else if (what < 8) {
		toy_subscribe(toy, name);
	} else if (what < 11) {
		toy_will(toy, name);
	} else if (what < 15) {
		toy_receive(toy, name);
	} else if (what < 18) {
		toy_retain(toy);
	} else if (what < 22) {
		toy_drop(toy, session);
	} else if (what < 36) {
		toy_send(toy, session);
	} else if (what < 52) {
		toy_acknowledge(toy, session);
	} else {
		toy_publish(toy);
	}
}

static void toy_begin(struct toy_shard *toy)
{
	toy->wall_s += toy_random(toy, 2);
	TELL(toy, begin, toy->wall_s);
}

static void toy_end_turn(struct toy_shard *toy)
{
	STORE_JOURNAL_EVENTS.end(toy->store);
	STORE_JOURNAL_EVENTS.end(toy->plain);
}

void toy_shard_turn(struct toy_shard *toy, unsigned events)
{
	toy_begin(toy);
	while (events-- > 0)
		toy_event(toy);
	toy_end_turn(toy);
}

/* ---- checkpoints ---- */

static void toy_keep_again(struct toy_shard *toy, uint32_t name)
{
	struct toy_message *message = &toy->messages[name];
	if (name == 0 || message->told_in_checkpoint == toy->checkpoint)
		return;
	message->told_in_checkpoint = toy->checkpoint;
	uint8_t packet[TOY_PACKET_MAX];
	struct journal_message told = {.publication = toy_packet(message->body, message->qos, packet),
				       .packet = packet,
				       .expires_at_s = INT64_MAX};
	if (message->absent)
		store_checkpoint_kept_at(toy->store, message_ref(name), &told);
	else
		TELL_AGAIN(toy, kept, message_ref(name), &told);
}

static void toy_session_again(struct toy_shard *toy, uint32_t name)
{
	const struct toy_session *session = &toy->sessions[name];
	for (uint32_t at = session->first; at != 0; at = toy->entries[at].next)
		toy_keep_again(toy, toy->entries[at].message);
	toy_keep_again(toy, session->will);
	TELL_AGAIN(toy, opened, session_ref(name), slice_string(session->client_id));
	struct journal_connected connected = {.expiry_s = session->expiry_s, .generation = session->generation};
	TELL_AGAIN(toy, connected, session_ref(name), &connected);
	struct journal_principal principal = {.user = slice_string("somebody"), .user_hash = session->principal};
	if (session->principal != 0)
		TELL_AGAIN(toy, principal, session_ref(name), &principal);
	struct journal_left left = {
		.expiry_s = session->expiry_s, .ends_at_s = session->ends_at_s, .will_at_s = session->will_at_s};
	if (!session->connected)
		TELL_AGAIN(toy, left, session_ref(name), &left);
	for (uint32_t i = 1; i <= TOY_SUBSCRIPTIONS; i++) {
		if (toy->subscriptions[i].session != name)
			continue;
		char filter[32];
		snprintf(filter, sizeof(filter), "$share/g/%u", toy->subscriptions[i].filter);
		struct journal_subscription told = {.filter = slice_string(filter), .options = 1};
		TELL_AGAIN(toy, subscribed, session_ref(name), (struct subscription_ref){i}, &told);
	}
	struct journal_will will = {.message = message_ref(session->will), .delay_s = 3};
	if (session->will != 0)
		TELL_AGAIN(toy, will_set, session_ref(name), &will);
	for (uint32_t at = session->first; at != 0; at = toy->entries[at].next) {
		struct journal_entry told = toy_entry_told(&toy->entries[at]);
		TELL_AGAIN(toy, queued, session_ref(name), at, &told);
		if (toy->entries[at].packet_id != 0)
			TELL_AGAIN(toy, sent, at, toy->entries[at].packet_id);
		if (toy->entries[at].released)
			TELL_AGAIN(toy, released, at);
	}
	if (session->packet_id != 0)
		TELL_AGAIN(toy, numbered, session_ref(name), session->packet_id);
	for (uint16_t id = 1; id < 8; id++) {
		if (session->received[id])
			TELL_AGAIN(toy, received, session_ref(name), id);
	}
}

/* Promises that were made before have been kept: the messages are forgotten. */
static void toy_keep_promises(struct toy_shard *toy)
{
	for (uint32_t i = 0; i < 4; i++) {
		toy_put(toy, toy->promised[i]);
		toy->promised[i] = 0;
	}
}

/* For the comparison too: the change may be another shard's, whose own telling is in a later commit. */
static void toy_retained_again(struct toy_shard *toy)
{
	store_checkpoint_again(toy->store, true);
	for (uint32_t topic = 0; topic < TOY_TOPICS; topic++) {
		uint8_t packet[TOY_PACKET_MAX];
		char name = (char)('a' + topic);
		struct journal_message message = toy_told(toy->retained->topics[topic].body, 1, packet);
		message.publication.retain = 1;
		struct journal_retained retained = {.number = toy->retained->topics[topic].number,
						    .topic = slice_of(&name, 1),
						    .message = &message};
		if (toy->retained->topics[topic].body != 0)
			TELL(toy, retained, &retained);
	}
	store_checkpoint_again(toy->store, false);
}

void toy_shard_checkpoint(struct toy_shard *toy)
{
	if (toy->checkpoint_next == 0) {
		uint32_t wanted = store_wants_checkpoint(toy->store);
		if (wanted == 0)
			return;
		toy->checkpoint = wanted;
		toy->checkpoint_next = 1;
		toy_begin(toy);
		store_checkpoint_begin(toy->store, wanted);
		toy_end_turn(toy);
		return;
	}
	toy_begin(toy);
	if (toy->checkpoint_next <= TOY_SESSIONS) {
		store_checkpoint_again(toy->store, true);
		if (toy->sessions[toy->checkpoint_next].open)
			toy_session_again(toy, toy->checkpoint_next);
		store_checkpoint_again(toy->store, false);
		toy->checkpoint_next++;
	} else {
		toy_keep_promises(toy);
		if (toy->store->number == 0)
			toy_retained_again(toy);
		store_checkpoint_end(toy->store);
		toy->checkpoint_next = 0;
	}
	toy_end_turn(toy);
}

void toy_shard_let_go(struct toy_shard *toy)
{
	uint64_t safe = STORE_JOURNAL_SAFETY.safe(toy->store, toy->store->number);
	for (uint32_t name = 1; name <= TOY_MESSAGES; name++) {
		struct toy_message *message = &toy->messages[name];
		if (message->references != 0 && message->kept_in <= safe && toy_random(toy, 4) == 0)
			message->absent = true;
	}
}
