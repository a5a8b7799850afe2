/* The model: what records mean, one by one and where they contradict each other. */
#include "log_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SHARD 2u

struct scene {
	struct model *model;
	uint32_t offset; /* of the next record */
};

static int set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	scene->model = model_new();
	assert_non_null(scene->model);
	*state = scene;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *scene = *state;
	model_free(&scene->model);
	assert_null(scene->model);
	free(scene);
	return 0;
}

static void apply_on(struct scene *scene, uint16_t shard, const struct store_record *record)
{
	struct store_place place = {.segment = 1, .offset = scene->offset++};
	assert_int_equal(model_apply(scene->model, shard, record, place), ERROR_OK);
}

#define APPLY(scene, ...) apply_on(scene, SHARD, &(const struct store_record){__VA_ARGS__})

static struct slice text(const char *string)
{
	return slice_string(string);
}

static void keep_from(struct scene *scene, uint32_t name, const char *payload, uint32_t flags, uint32_t publisher,
		      uint32_t generation, uint16_t packet_id)
{
	struct publication publication;
	struct slice packet = log_scene_packet("a/b", payload, packet_id, &publication);
	struct store_record record = {.kind = STORE_KEPT,
				      .message = name,
				      .expires_at_s = STORE_NEVER_S,
				      .publisher = publisher,
				      .publisher_shard = SHARD,
				      .publisher_generation = generation,
				      .body = packet};
	store_record_set_publication(&record, &publication);
	record.flags |= flags;
	apply_on(scene, SHARD, &record);
	free((void *)(uintptr_t)packet.data);
}

static void keep(struct scene *scene, uint32_t name, const char *payload)
{
	keep_from(scene, name, payload, 0, 0, 0, 1);
}

static void open_session(struct scene *scene, uint32_t name, const char *client_id)
{
	APPLY(scene, .kind = STORE_OPENED, .session = name, .text = text(client_id));
	APPLY(scene, .kind = STORE_CONNECTED, .session = name, .expiry_s = 60, .publisher_generation = 10);
}

static const struct model_session *finish(struct scene *scene, const char *client_id)
{
	assert_int_equal(model_finish(scene->model), ERROR_OK);
	return log_scene_session(scene->model, client_id);
}

static void assert_received(const struct model_session *session, uint32_t count, const uint16_t *packet_ids)
{
	assert_int_equal(session->received_count, count);
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(session->received[i], packet_ids[i]);
}

/* ---- sessions ---- */

static void test_a_session_with_all_it_has(void **state)
{
	struct scene *scene = *state;
	open_session(scene, 5, "client");
	APPLY(scene, .kind = STORE_PRINCIPAL, .session = 5, .flags = STORE_FLAG_USES_AUTH | STORE_FLAG_HAS_RULES,
	      .expires_at_s = 99, .token_hash = 7, .user_hash = 8, .text = text("user"));
	keep(scene, 1, "will");
	APPLY(scene, .kind = STORE_WILL_SET, .session = 5, .message = 1, .delay_s = 3, .expiry_s = 4);
	APPLY(scene, .kind = STORE_SUBSCRIBED, .session = 5, .subscription = 9, .count = 1, .text = text("x"));
	APPLY(scene, .kind = STORE_SUBSCRIBED, .session = 5, .subscription = 8, .identifier = 6, .text = text("y"));
	APPLY(scene, .kind = STORE_SUBSCRIBED, .session = 5, .subscription = 9, .count = 2, .text = text("x"));
	APPLY(scene, .kind = STORE_OWED, .session = 5, .subscription = 8, .count = 2);
	APPLY(scene, .kind = STORE_LEFT, .session = 5, .expiry_s = 61, .ends_at_s = 1000, .will_at_s = 900);
	const struct model_session *session = finish(scene, "client");
	assert_non_null(session);
	assert_false(session->connected);
	assert_int_equal(session->expiry_s, 61);
	assert_int_equal(session->ends_at_s, 1000);
	assert_int_equal(session->will_at_s, 900);
	assert_true(session->has_principal && session->uses_auth && !session->is_bridge);
	assert_true(slice_equal(session->user, text("user")));
	assert_non_null(session->rules.data); /* there are rules, and they are empty */
	assert_int_equal(session->rules.size, 0);
	assert_int_equal(session->token_expires_at_s, 99);
	assert_int_equal(session->will->references, 1);
	assert_int_equal(session->will_delay_s, 3);
	assert_int_equal(session->will_expiry_s, 4);
	const struct model_subscription *first = session->subscriptions;
	assert_true(slice_equal(first->filter, text("x")));
	assert_int_equal(first->options, 2);
	assert_int_equal(first->next->identifier, 6);
	assert_int_equal(first->next->owed, 2);
	assert_null(first->next->next);
	assert_int_equal(scene->model->subscription_count, 2);
}

static void test_connected_forgets_who_it_was(void **state)
{
	struct scene *scene = *state;
	open_session(scene, 5, "client");
	APPLY(scene, .kind = STORE_PRINCIPAL, .session = 5, .user_hash = 8, .text = text("user"));
	APPLY(scene, .kind = STORE_LEFT, .session = 5, .expiry_s = 61, .ends_at_s = 1000);
	APPLY(scene, .kind = STORE_CONNECTED, .session = 5, .expiry_s = 7, .flags = STORE_FLAG_IS_BRIDGE);
	const struct model_session *session = finish(scene, "client");
	assert_true(session->connected && session->is_bridge && !session->has_principal);
	assert_int_equal(session->user.size, 0);
	assert_null(session->rules.data);
	assert_int_equal(session->user_hash, 0);
	assert_int_equal(session->expiry_s, 7);
}

static void test_what_ends_with_a_session(void **state)
{
	struct scene *scene = *state;
	open_session(scene, 5, "client");
	open_session(scene, 6, "other");
	keep(scene, 1, "one");
	APPLY(scene, .kind = STORE_SUBSCRIBED, .session = 5, .subscription = 9, .text = text("x"));
	APPLY(scene, .kind = STORE_QUEUED, .session = 5, .entry = 1, .message = 1);
	APPLY(scene, .kind = STORE_QUEUED, .session = 6, .entry = 2, .message = 1);
	APPLY(scene, .kind = STORE_ENDED, .session = 5);
	/* Their names are free. */
	APPLY(scene, .kind = STORE_QUEUED, .session = 6, .entry = 1, .message = 1);
	APPLY(scene, .kind = STORE_SUBSCRIBED, .session = 6, .subscription = 9, .text = text("z"));
	assert_null(finish(scene, "client"));
	const struct model_session *other = log_scene_session(scene->model, "other");
	assert_int_equal(other->queue_count, 2);
	assert_int_equal(other->queue->message->references, 2);
	assert_int_equal(scene->model->session_count, 1);
	assert_int_equal(scene->model->message_count, 1);
	assert_int_equal(scene->model->subscription_count, 1);
}

static void test_a_session_that_is_opened_again_is_replaced(void **state)
{
	struct scene *scene = *state;
	open_session(scene, 5, "client");
	keep(scene, 1, "one");
	APPLY(scene, .kind = STORE_QUEUED, .session = 5, .entry = 1, .message = 1);
	open_session(scene, 5, "new"); /* by its name */
	apply_on(scene, 1, &(const struct store_record){.kind = STORE_OPENED, .session = 5, .text = text("new")});
	APPLY(scene, .kind = STORE_ENDED, .session = 5); /* of the one that was replaced: nothing */
	const struct model_session *session = finish(scene, "new");
	assert_non_null(session);
	assert_int_equal(scene->model->session_count, 1);
	assert_int_equal(session->queue_count, 0);
	assert_int_equal(scene->model->message_count, 0);
}

static void test_names_are_a_shards_own(void **state)
{
	struct scene *scene = *state;
	open_session(scene, 5, "client");
	for (uint16_t shard = 3; shard < 200; shard++) {
		char client_id[16];
		snprintf(client_id, sizeof(client_id), "c%u", shard);
		apply_on(scene, shard,
			 &(const struct store_record){.kind = STORE_OPENED, .session = 5, .text = text(client_id)});
		apply_on(scene, shard,
			 &(const struct store_record){.kind = STORE_NUMBERED, .session = 5, .packet_id = shard});
	}
	assert_int_equal(finish(scene, "client")->packet_id, 0);
	assert_int_equal(log_scene_session(scene->model, "c77")->packet_id, 77);
	assert_int_equal(scene->model->session_count, 198);
}

/* ---- queues ---- */

static void test_what_was_sent_stands_in_front(void **state)
{
	struct scene *scene = *state;
	open_session(scene, 5, "client");
	keep(scene, 1, "one");
	for (uint32_t entry = 1; entry <= 5; entry++)
		APPLY(scene, .kind = STORE_QUEUED, .session = 5, .entry = entry, .message = 1, .identifier = entry);
	APPLY(scene, .kind = STORE_SENT, .entry = 3, .packet_id = 30);
	APPLY(scene, .kind = STORE_SENT, .entry = 1, .packet_id = 10);
	APPLY(scene, .kind = STORE_SENT, .entry = 2, .packet_id = 20);
	APPLY(scene, .kind = STORE_DONE, .entry = 1);
	APPLY(scene, .kind = STORE_MOVED, .entry = 4, .entry_to = 40);
	APPLY(scene, .kind = STORE_DROPPED, .entry = 4); /* means nothing: it has another name */
	APPLY(scene, .kind = STORE_SENT, .entry = 40, .packet_id = 40);
	APPLY(scene, .kind = STORE_RELEASED, .entry = 2);
	const struct model_session *session = finish(scene, "client");
	static const uint32_t ORDER[] = {3, 2, 4, 5};
	const struct model_entry *entry = session->queue;
	for (size_t i = 0; i < 4; i++, entry = entry->next) {
		assert_int_equal(entry->identifier, ORDER[i]);
		assert_int_equal(entry->packet_id, i == 3 ? 0 : ORDER[i] * 10);
		assert_int_equal(entry->released, ORDER[i] == 2);
		assert_int_equal(entry->message == NULL, ORDER[i] == 2);
	}
	assert_null(entry);
	assert_int_equal(session->queue_count, 4);
	assert_int_equal(session->packet_id, 40);
	assert_int_equal(session->queue->message->references, 3);
}

static void test_what_names_nothing_means_nothing(void **state)
{
	struct scene *scene = *state;
	for (int kind = STORE_OPENED; kind < STORE_KIND_COUNT; kind++) {
		if (kind == STORE_OPENED || kind == STORE_KEPT || store_kind_is_retained((enum store_kind)kind))
			continue;
		APPLY(scene, .kind = (enum store_kind)kind, .session = 1, .entry = 2, .entry_to = 3, .message = 4,
		      .subscription = 5, .packet_id = 6, .publisher = 7, .topic_bytes = 1, .header_bytes = 2,
		      .packet_bytes = 9);
	}
	assert_null(finish(scene, "client"));
	assert_int_equal(scene->model->session_count, 0);
	assert_int_equal(scene->model->message_count, 0);
	assert_int_equal(scene->model->retained_count, 0);
	assert_null(scene->model->promised);
}

static void test_a_message_has_its_place(void **state)
{
	struct scene *scene = *state;
	open_session(scene, 5, "client");
	scene->offset = 100;
	keep(scene, 1, "one");
	keep(scene, 2, "two");
	APPLY(scene, .kind = STORE_QUEUED, .session = 5, .entry = 1, .message = 1);
	APPLY(scene, .kind = STORE_QUEUED, .session = 5, .entry = 2, .message = 2);
	APPLY(scene, .kind = STORE_KEPT_AT, .message = 2, .flags = STORE_FLAG_AGAIN, .segment = 7, .offset = 70,
	      .topic_bytes = 3, .header_bytes = 2, .packet_bytes = 12);
	const struct model_session *session = finish(scene, "client");
	assert_int_equal(session->queue->message->place.segment, 1);
	assert_int_equal(session->queue->message->place.offset, 100);
	assert_int_equal(session->queue->next->message->place.segment, 7);
	assert_int_equal(session->queue->next->message->place.offset, 70);
}

/* ---- promises ---- */

static void test_what_was_handed_on_is_promised(void **state)
{
	struct scene *scene = *state;
	open_session(scene, 5, "client");
	keep(scene, 1, "one");
	keep(scene, 2, "two");
	APPLY(scene, .kind = STORE_SUBSCRIBED, .session = 5, .subscription = 3, .text = text("$share/g/#"));
	for (uint32_t entry = 1; entry <= 3; entry++)
		APPLY(scene, .kind = STORE_QUEUED, .session = 5, .entry = entry, .message = entry == 3 ? 2 : 1,
		      .subscription = 3, .flags = STORE_FLAG_SHARED);
	APPLY(scene, .kind = STORE_HANDED_ON, .entry = 1);
	APPLY(scene, .kind = STORE_UNSUBSCRIBED, .session = 5, .subscription = 3);
	APPLY(scene, .kind = STORE_HANDED_ON, .entry = 3); /* its filter is known still */
	APPLY(scene, .kind = STORE_FORGOTTEN, .message = 2);
	const struct model_session *session = finish(scene, "client");
	assert_int_equal(session->queue->subscription, 0);
	assert_non_null(scene->model->promised);
	assert_true(slice_equal(scene->model->promised->filter, text("$share/g/#")));
	assert_true(scene->model->promised->message == session->queue->message);
	assert_int_equal(session->queue->message->references, 2);
	assert_null(scene->model->promised->next);
}

static void test_a_will_that_was_published_is_promised(void **state)
{
	struct scene *scene = *state;
	open_session(scene, 5, "client");
	open_session(scene, 6, "other");
	keep(scene, 1, "one");
	keep(scene, 2, "two");
	APPLY(scene, .kind = STORE_WILL_SET, .session = 5, .message = 1);
	APPLY(scene, .kind = STORE_WILL_SET, .session = 6, .message = 2);
	APPLY(scene, .kind = STORE_WILL_PUBLISHED, .session = 5, .expires_at_s = 77);
	APPLY(scene, .kind = STORE_WILL_DROPPED, .session = 6);
	APPLY(scene, .kind = STORE_ENDED, .session = 5);
	assert_null(finish(scene, "other")->will);
	assert_int_equal(scene->model->promised->filter.size, 0);
	assert_int_equal(scene->model->promised->message->expires_at_s, 77);
	assert_null(scene->model->promised->next);
	assert_int_equal(scene->model->message_count, 1);
}

/* ---- what publishers may send again ---- */

static void test_received_identifiers(void **state)
{
	struct scene *scene = *state;
	open_session(scene, 5, "client");
	for (uint16_t packet_id = 40; packet_id > 0; packet_id--)
		APPLY(scene, .kind = STORE_RECEIVED, .session = 5, .packet_id = packet_id);
	for (uint16_t packet_id = 1; packet_id <= 40; packet_id++)
		if (packet_id % 10 != 0)
			APPLY(scene, .kind = STORE_COMPLETED, .session = 5, .packet_id = packet_id);
	APPLY(scene, .kind = STORE_RECEIVED, .session = 5, .packet_id = 20);
	APPLY(scene, .kind = STORE_RECEIVED, .session = 5, .packet_id = 65535);
	assert_received(finish(scene, "client"), 5, (const uint16_t[]){10, 20, 30, 40, 65535});
}

static void assert_claims(const struct model_session *session, uint32_t count, const uint16_t *packet_ids)
{
	uint32_t found = 0;
	for (const struct model_claim *at = session->claims; at != NULL; at = at->next) {
		uint32_t place = 0;
		while (place < count && packet_ids[place] != at->packet_id)
			place++;
		assert_in_range(place, 0, count - 1);
		found++;
	}
	assert_int_equal(found, count);
}

/* The message is kept, and queued for session 6. */
static void queue_from(struct scene *scene, uint32_t name, uint32_t flags, uint32_t generation, uint16_t packet_id)
{
	keep_from(scene, name, "x", flags, 5, generation, packet_id);
	APPLY(scene, .kind = STORE_QUEUED, .session = 6, .entry = name, .message = name, .flags = 2 | flags);
}

static void test_a_message_that_is_safe_is_claimed_by_its_publisher(void **state)
{
	struct scene *scene = *state;
	queue_from(scene, 1, 0, 10, 100);    /* before anybody is known */
	open_session(scene, 5, "publisher"); /* generation 10 */
	open_session(scene, 6, "receiver");
	APPLY(scene, .kind = STORE_CONNECTED, .session = 5, .expiry_s = 60, .publisher_generation = 12);
	queue_from(scene, 2, 0, 11, 101);
	queue_from(scene, 3, 0, 9, 102);  /* another session's */
	queue_from(scene, 4, 0, 13, 103); /* a later one's */
	queue_from(scene, 5, 0, 12, 104);
	APPLY(scene, .kind = STORE_COMPLETED, .session = 5, .packet_id = 104);
	queue_from(scene, 6, 0, 12, 105);
	APPLY(scene, .kind = STORE_RECEIVED, .session = 5, .packet_id = 105);
	queue_from(scene, 7, STORE_FLAG_AGAIN, 12, 106);
	queue_from(scene, 8, 0, 12, 107);
	APPLY(scene, .kind = STORE_DONE, .entry = 8); /* it has had it */
	keep_from(scene, 9, "nobody's", 0, 5, 12, 108);
	assert_claims(finish(scene, "publisher"), 3, (const uint16_t[]){100, 101, 107});
	assert_received(log_scene_session(scene->model, "publisher"), 1, (const uint16_t[]){105});
	assert_null(log_scene_session(scene->model, "receiver")->claims);
}

static void test_claims_say_who_has_the_message(void **state)
{
	struct scene *scene = *state;
	open_session(scene, 5, "publisher");
	open_session(scene, 6, "receiver");
	keep_from(scene, 1, "x", 0, 5, 10, 7);
	APPLY(scene, .kind = STORE_SUBSCRIBED, .session = 6, .subscription = 3, .text = text("$share/g/a/b"));
	APPLY(scene, .kind = STORE_QUEUED, .session = 6, .entry = 1, .message = 1, .subscription = 3,
	      .flags = 2 | STORE_FLAG_SHARED);
	APPLY(scene, .kind = STORE_UNSUBSCRIBED, .session = 6, .subscription = 3);
	APPLY(scene, .kind = STORE_QUEUED, .session = 6, .entry = 2, .message = 1, .flags = 2);
	APPLY(scene, .kind = STORE_RECEIVED_FROM, .publisher = 5, .publisher_shard = SHARD, .publisher_generation = 10,
	      .packet_id = 7, .flags = STORE_FLAG_SHARED, .text = text("$share/h/#"));
	/* Through a subscription that is not known, and for a session that ends. */
	APPLY(scene, .kind = STORE_QUEUED, .session = 6, .entry = 3, .message = 1, .subscription = 4,
	      .flags = 2 | STORE_FLAG_SHARED);
	APPLY(scene, .kind = STORE_QUEUED, .session = 8, .entry = 4, .message = 1, .flags = 2);
	uint32_t groups = 0, sessions = 0;
	for (const struct model_claim *at = finish(scene, "publisher")->claims; at != NULL; at = at->next) {
		assert_int_equal(at->packet_id, 7);
		groups += at->is_group && (slice_equal(at->receiver, text("$share/g/a/b")) ||
					   slice_equal(at->receiver, text("$share/h/#")));
		sessions += !at->is_group && slice_equal(at->receiver, text("receiver"));
	}
	assert_true(groups == 2 && sessions == 1);
}

static void test_generations_wrap(void **state)
{
	struct scene *scene = *state;
	APPLY(scene, .kind = STORE_OPENED, .session = 5, .text = text("publisher"));
	APPLY(scene, .kind = STORE_CONNECTED, .session = 5, .expiry_s = 60, .publisher_generation = 65534);
	APPLY(scene, .kind = STORE_CONNECTED, .session = 5, .expiry_s = 60, .publisher_generation = 1);
	open_session(scene, 6, "receiver");
	queue_from(scene, 1, 0, 65533, 1);
	queue_from(scene, 2, 0, 65535, 2);
	queue_from(scene, 3, 0, 1, 3);
	queue_from(scene, 4, 0, 2, 4);
	assert_claims(finish(scene, "publisher"), 2, (const uint16_t[]){2, 3});
}

static void test_told_again_a_session_keeps_its_connections(void **state)
{
	struct scene *scene = *state;
	open_session(scene, 5, "publisher"); /* generation 10 */
	open_session(scene, 6, "receiver");
	queue_from(scene, 1, 0, 10, 1);
	APPLY(scene, .kind = STORE_OPENED, .session = 5, .flags = STORE_FLAG_AGAIN, .text = text("publisher"));
	APPLY(scene, .kind = STORE_CONNECTED, .session = 5, .expiry_s = 60, .publisher_generation = 11);
	queue_from(scene, 2, 0, 9, 2);
	assert_claims(finish(scene, "publisher"), 1, (const uint16_t[]){1});
}

/* A log that begins with a checkpoint does not know since when. */
static void test_first_told_again_a_session_has_any_connection_before(void **state)
{
	struct scene *scene = *state;
	queue_from(scene, 1, 0, 8, 1);
	APPLY(scene, .kind = STORE_OPENED, .session = 5, .flags = STORE_FLAG_AGAIN, .text = text("publisher"));
	APPLY(scene, .kind = STORE_CONNECTED, .session = 5, .expiry_s = 60, .publisher_generation = 11);
	open_session(scene, 6, "receiver");
	queue_from(scene, 2, 0, 12, 2);
	assert_claims(finish(scene, "publisher"), 1, (const uint16_t[]){1});
}

/* ---- retained messages ---- */

static void retain(struct scene *scene, uint16_t shard, uint64_t number, const char *topic, const char *payload)
{
	struct publication publication;
	struct slice packet = log_scene_packet(topic, payload, 1, &publication);
	struct store_record record = {.kind = STORE_RETAINED, .number = number, .text = text(topic), .body = packet};
	store_record_set_publication(&record, &publication);
	apply_on(scene, shard, &record);
	free((void *)(uintptr_t)packet.data);
}

static void test_the_highest_number_is_retained(void **state)
{
	struct scene *scene = *state;
	retain(scene, 0, 5, "a", "five");
	retain(scene, 1, 4, "a", "four");
	retain(scene, 0, 7, "b", "seven");
	apply_on(scene, 2, &(const struct store_record){.kind = STORE_RETAINED_GONE, .number = 9, .text = text("b")});
	retain(scene, 0, 8, "b", "eight");
	apply_on(scene, 2, &(const struct store_record){.kind = STORE_RETAINED_GONE, .number = 3, .text = text("a")});
	apply_on(scene, 2, &(const struct store_record){.kind = STORE_RETAINED_GONE, .number = 12, .text = text("c")});
	retain(scene, 1, 11, "c", "eleven");
	assert_null(finish(scene, "none"));
	assert_int_equal(scene->model->retained_count, 1);
	const struct model_retained *retained = scene->model->retained;
	assert_true(slice_equal(retained->topic, text("a")));
	assert_int_equal(retained->number, 5);
	assert_memory_equal(retained->packet + retained->publication.packet_bytes - 4, "five", 4);
	assert_int_equal(scene->model->retained_number, 12);
}

static void test_stamps_are_kept_of_messages_and_of_what_was_taken_away(void **state)
{
	struct scene *scene = *state;
	struct publication publication;
	struct slice packet = log_scene_packet("a", "five", 1, &publication);
	struct store_record record = {.kind = STORE_RETAINED_STAMPED,
				      .number = 5,
				      .stamp_time = 50,
				      .stamp_node = 2,
				      .text = text("a"),
				      .body = packet};
	store_record_set_publication(&record, &publication);
	apply_on(scene, 0, &record);
	retain(scene, 0, 7, "b", "seven");
	apply_on(scene, 1,
		 &(const struct store_record){
			 .kind = STORE_RETAINED_CLEARED, .number = 9, .stamp_time = 90, .text = text("b")});
	apply_on(scene, 1,
		 &(const struct store_record){.kind = STORE_RETAINED_CLEARED, .number = 10, .stamp_time = 70});
	record.text = text("c");
	retain(scene, 0, 11, "c", "eleven");
	apply_on(scene, 1, &(const struct store_record){.kind = STORE_RETAINED_GONE, .number = 12, .text = text("c")});
	free((void *)(uintptr_t)packet.data);
	assert_null(finish(scene, "none"));
	assert_int_equal(scene->model->retained_count, 1);
	assert_int_equal(scene->model->retained->stamp.time, 50);
	assert_int_equal(scene->model->retained->stamp.node, 2);
	const struct model_retained *cleared = scene->model->retained_cleared;
	assert_int_equal(cleared->topic.size, 0);
	assert_int_equal(cleared->stamp.time, 70);
	assert_true(slice_equal(cleared->next->topic, text("b")));
	assert_int_equal(cleared->next->stamp.time, 90);
	assert_null(cleared->next->next);
}

static void test_an_epoch_forgets_the_one_before(void **state)
{
	struct scene *scene = *state;
	open_session(scene, 5, "client");
	retain(scene, 0, 5, "a", "five");
	assert_int_equal(model_begin_epoch(scene->model, 2), ERROR_OK);
	assert_null(finish(scene, "client"));
	assert_int_equal(scene->model->retained_count, 0);
	assert_int_equal(scene->model->retained_number, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_session_with_all_it_has),
		TEST(connected_forgets_who_it_was),
		TEST(what_ends_with_a_session),
		TEST(a_session_that_is_opened_again_is_replaced),
		TEST(names_are_a_shards_own),
		TEST(what_was_sent_stands_in_front),
		TEST(what_names_nothing_means_nothing),
		TEST(a_message_has_its_place),
		TEST(what_was_handed_on_is_promised),
		TEST(a_will_that_was_published_is_promised),
		TEST(received_identifiers),
		TEST(a_message_that_is_safe_is_claimed_by_its_publisher),
		TEST(claims_say_who_has_the_message),
		TEST(generations_wrap),
		TEST(told_again_a_session_keeps_its_connections),
		TEST(first_told_again_a_session_has_any_connection_before),
		TEST(the_highest_number_is_retained),
		TEST(stamps_are_kept_of_messages_and_of_what_was_taken_away),
		TEST(an_epoch_forgets_the_one_before),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
