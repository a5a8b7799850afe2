/* What a session has under way at QoS 1 and 2, against a plain array of entries: appended, sent, acknowledged, sent
 * again after a lost connection, dropped, handed to another member; counts, bytes and references right at every step.
 */
#include "publication_sample.h"
#include "random.h"
#include "session/flow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MESSAGES 8u
#define ENTRIES_MAX 150u
#define PLACES_MAX 70000u /* entries that are done keep theirs for a while */
#define SUBSCRIPTIONS 3u
#define WINDOW 100u
#define NOW_S 1000u

static const struct flow_bounds OPEN = {WINDOW, UINT32_MAX};

struct model_entry {
	uint32_t message;      /* which of the scene's, from 1; 0: it will not be sent again */
	uint32_t subscription; /* if shared; or the identifier */
	uint16_t packet_id;
	uint8_t state;
	uint8_t qos;
	bool shared;
};

struct scene {
	struct slab slab;
	struct messages messages;
	struct flow_store store;
	struct flow flow;
	struct random random;
	struct message_ref refs[MESSAGES + 1];
	/* the model */
	struct model_entry entries[ENTRIES_MAX];
	uint32_t count;
	uint32_t sent; /* of them, in front */
	uint16_t packet_id;
};

static int scene_open(void **state)
{
	static struct scene scene;
	static struct sample sample;
	scene = (struct scene){.random = {71}};
	assert_int_equal(slab_open(&scene.slab, (size_t)8 << 20), ERROR_OK);
	messages_init(&scene.messages, &scene.slab);
	assert_int_equal(flow_store_open(&scene.store, NULL, &scene.messages, PLACES_MAX), ERROR_OK);
	for (uint32_t i = 1; i <= MESSAGES; i++) {
		static const uint8_t PAYLOAD[100];
		sample_plain(&sample, "t", slice_of(PAYLOAD, i * 11), 1);
		sample.publication.expires_s = i % 3 == 0 ? NOW_S : 0;
		scene.refs[i] = messages_new(&scene.messages, &sample.publication, sample.packet);
	}
	*state = &scene;
	return 0;
}

static int scene_close(void **state)
{
	struct scene *scene = *state;
	flow_clear(&scene->flow, &scene->store, UINT32_MAX);
	assert_int_equal(scene->store.entries.used, 0);
	for (uint32_t i = 1; i <= MESSAGES; i++)
		messages_put(&scene->messages, scene->refs[i]);
	assert_int_equal(scene->messages.count, 0);
	assert_int_equal(scene->slab.used_bytes, 0);
	flow_store_close(&scene->store);
	slab_close(&scene->slab);
	return 0;
}

/* ---- the model ---- */

static uint16_t id_after(uint16_t packet_id)
{
	return packet_id == UINT16_MAX ? 1 : (uint16_t)(packet_id + 1);
}

static uint16_t id_before(uint16_t packet_id)
{
	return packet_id == 1 ? UINT16_MAX : (uint16_t)(packet_id - 1);
}

static void model_remove(struct scene *scene, uint32_t at)
{
	scene->count--;
	if (at < scene->sent)
		scene->sent--;
	memmove(&scene->entries[at], &scene->entries[at + 1], (scene->count - at) * sizeof(scene->entries[0]));
}

/* An entry without an identifier may be sent if the next one is nobody's. */
static bool model_can_send(const struct scene *scene, uint32_t window)
{
	if (scene->sent >= window)
		return false;
	if (scene->sent < scene->count && scene->entries[scene->sent].packet_id != 0)
		return true;
	for (uint32_t i = 0; i < scene->count; i++) {
		if (scene->entries[i].packet_id == id_after(scene->packet_id))
			return false;
	}
	return true;
}

static uint32_t message_bytes(const struct scene *scene, uint32_t message)
{
	return message != 0 ? message_at(&scene->messages, scene->refs[message])->publication.packet_bytes : 0;
}

static void assert_entry(const struct scene *scene, const struct flow_entry *entry, const struct model_entry *model)
{
	assert_true(message_ref_equal(entry->message, scene->refs[model->message]));
	assert_int_equal(entry->identifier, model->subscription);
	assert_int_equal(entry->packet_id, model->packet_id);
	assert_int_equal(entry->state, model->state);
	assert_int_equal(entry->qos, model->qos);
	assert_int_equal(entry->shared, model->shared);
}

/* The next entry that is not done; 0: there is none. */
static uint32_t skip_done(const struct scene *scene, uint32_t index)
{
	while (index != 0 && flow_entry_at(&scene->store, index)->state == FLOW_DONE)
		index = flow_next(&scene->flow, &scene->store, index);
	return index;
}

static void assert_like_model(const struct scene *scene)
{
	const struct flow *flow = &scene->flow;
	uint32_t references[MESSAGES + 1] = {0};
	uint32_t bytes[2] = {0};
	struct flow_repeats repeats = {0};
	uint32_t index = flow_first(flow, &scene->store);
	if (index != 0)
		assert_int_not_equal(flow_entry_at(&scene->store, index)->state, FLOW_DONE);
	for (uint32_t i = 0; i < scene->count; i++) {
		index = skip_done(scene, index);
		assert_int_not_equal(index, 0);
		assert_entry(scene, flow_entry_at(&scene->store, index), &scene->entries[i]);
		if (i == scene->sent)
			assert_int_equal(flow->unsent, index);
		bytes[i >= scene->sent] += message_bytes(scene, scene->entries[i].message);
		if (i >= scene->sent && scene->entries[i].packet_id != 0) {
			repeats.messages++;
			repeats.bytes += message_bytes(scene, scene->entries[i].message);
			repeats.last = index;
		}
		references[scene->entries[i].message]++;
		index = flow_next(flow, &scene->store, index);
	}
	assert_int_equal(skip_done(scene, index), 0);
	if (scene->sent == scene->count)
		assert_int_equal(flow->unsent, 0);
	assert_int_equal(flow->inflight, scene->sent);
	assert_int_equal(flow->queued, scene->count - scene->sent);
	assert_int_equal(flow->sent_bytes, bytes[0]);
	struct flow_repeats told = flow_repeats(flow, &scene->store);
	assert_memory_equal(&told, &repeats, sizeof(told));
	assert_int_equal(flow->queued_bytes, bytes[1]);
	assert_int_equal(flow->packet_id, scene->packet_id);
	if (scene->count == 0)
		assert_int_equal(scene->store.entries.used, 0);
	for (uint32_t i = 1; i <= MESSAGES; i++)
		assert_int_equal(message_at(&scene->messages, scene->refs[i])->references, references[i] + 1);
}

/* ---- what happens to both ---- */

static void append(struct scene *scene, uint8_t qos, uint32_t message, bool shared, uint32_t subscription)
{
	struct flow_entry entry = {
		.message = scene->refs[message],
		.identifier = subscription,
		.packet_id = 99, /* not looked at, like the two below */
		.next = 12345,
		.state = FLOW_SENT,
		.qos = qos & 3u,
		.shared = shared,
	};
	if (message != 0)
		messages_get(&scene->messages, scene->refs[message]);
	assert_int_not_equal(flow_append(&scene->flow, &scene->store, &entry), 0);
	scene->entries[scene->count++] = (struct model_entry){
		.message = message, .subscription = subscription, .state = FLOW_QUEUED, .qos = qos, .shared = shared};
}

static void append_at_random(struct scene *scene)
{
	if (scene->count == ENTRIES_MAX)
		return;
	uint8_t qos = (uint8_t)(random_below(&scene->random, 8) == 0 ? 0 : 1 + random_below(&scene->random, 2));
	uint32_t message = 1 + random_below(&scene->random, MESSAGES);
	bool shared = qos != 0 && random_below(&scene->random, 3) == 0;
	append(scene, qos, message, shared, 1 + random_below(&scene->random, SUBSCRIPTIONS));
}

static void number(struct scene *scene)
{
	struct model_entry *entry = &scene->entries[scene->sent];
	if (entry->packet_id == 0)
		entry->packet_id = scene->packet_id = id_after(scene->packet_id);
}

static void drop_unsent(struct scene *scene)
{
	if (scene->sent == scene->count)
		return;
	flow_drop_unsent(&scene->flow, &scene->store);
	model_remove(scene, scene->sent);
}

static void drop_oldest(struct scene *scene)
{
	uint32_t at = scene->sent;
	while (at < scene->count && scene->entries[at].packet_id != 0)
		at++;
	assert_int_equal(flow_drop_oldest(&scene->flow, &scene->store), at < scene->count);
	if (at < scene->count)
		model_remove(scene, at);
}

/* Where its identifier is free; like a server, which gives up some after they were numbered. */
static void send_next(struct scene *scene)
{
	if (scene->sent == scene->count)
		return;
	if (scene->entries[scene->sent].qos == 0) {
		drop_unsent(scene);
		return;
	}
	if (!model_can_send(scene, WINDOW))
		return;
	if (random_below(&scene->random, 20) == 0) {
		flow_number(&scene->flow, &scene->store);
		number(scene);
		drop_unsent(scene);
		return;
	}
	number(scene);
	if (scene->entries[scene->sent].state == FLOW_QUEUED)
		scene->entries[scene->sent].state = FLOW_SENT;
	scene->sent++;
	flow_sent(&scene->flow, &scene->store);
}

/* A new one goes past the queue, and is found not to be fit for its receiver. */
static void send_and_abandon(struct scene *scene)
{
	if (scene->sent != scene->count || scene->count == ENTRIES_MAX || !model_can_send(scene, WINDOW))
		return;
	append(scene, 2, random_below(&scene->random, MESSAGES + 1), false, 0);
	number(scene);
	flow_sent(&scene->flow, &scene->store);
	assert_int_equal(flow_entry_at(&scene->store, scene->flow.last)->packet_id, scene->packet_id);
	flow_abandon_last(&scene->flow, &scene->store);
	scene->count--;
}

/* What the standard makes of an acknowledgement [4.3]; applied to the model. */
static enum flow_ack model_acknowledge(struct scene *scene, uint8_t type, uint16_t packet_id, bool failed)
{
	uint32_t at = 0;
	while (at < scene->sent && scene->entries[at].packet_id != packet_id)
		at++;
	if (at == scene->sent)
		return FLOW_ACK_UNKNOWN;
	struct model_entry *entry = &scene->entries[at];
	if (entry->qos == 1 ? type != MQTT_PUBACK : type == MQTT_PUBACK)
		return FLOW_ACK_UNEXPECTED;
	if (type == MQTT_PUBREC && !failed) {
		entry->state = FLOW_RELEASED;
		entry->message = 0;
		return FLOW_ACK_RELEASE;
	}
	if (type == MQTT_PUBCOMP && entry->state != FLOW_RELEASED)
		return FLOW_ACK_UNEXPECTED;
	model_remove(scene, at);
	return FLOW_ACK_DONE;
}

static void acknowledge(struct scene *scene)
{
	static const uint8_t TYPES[] = {MQTT_PUBACK, MQTT_PUBREC, MQTT_PUBCOMP};
	uint8_t type = TYPES[random_below(&scene->random, 3)];
	bool failed = random_below(&scene->random, 6) == 0;
	uint16_t packet_id = (uint16_t)(1 + random_below(&scene->random, UINT16_MAX));
	if (scene->count != 0 && random_below(&scene->random, 8) != 0)
		packet_id = scene->entries[random_below(&scene->random, scene->count)].packet_id;
	if (packet_id == 0)
		return; /* such a packet is not let in */
	enum flow_ack expected = model_acknowledge(scene, type, packet_id, failed);
	assert_int_equal(flow_acknowledge(&scene->flow, &scene->store, type, packet_id, failed), expected);
}

static void rewind_all(struct scene *scene)
{
	flow_rewind(&scene->flow, &scene->store);
	for (uint32_t i = 0; i < scene->sent; i++) {
		if (scene->entries[i].state == FLOW_SENT)
			scene->entries[i].state = FLOW_QUEUED;
	}
	scene->sent = 0;
}

static bool model_may_go(const struct model_entry *entry)
{
	return entry->shared && entry->message != 0 && entry->state != FLOW_RELEASED &&
	       (entry->qos == 1 || entry->packet_id == 0);
}

/* Walks over all that may go to another member, and takes some of them out. */
static void take_shared(struct scene *scene)
{
	struct flow_walk walk = {0};
	const struct flow_entry *entry;
	uint32_t at = 0;
	while ((entry = flow_next_shared(&scene->flow, &scene->store, &walk)) != NULL) {
		while (at < scene->count && !model_may_go(&scene->entries[at]))
			at++;
		assert_true(at < scene->count);
		assert_entry(scene, entry, &scene->entries[at]);
		if (random_below(&scene->random, 2) == 0) {
			messages_put(&scene->messages, flow_take_shared(&scene->flow, &scene->store, &walk));
			model_remove(scene, at);
		} else {
			at++;
		}
	}
	while (at < scene->count)
		assert_false(model_may_go(&scene->entries[at++]));
}

/* Takes some out; with time enough, all that are to go, and none of the others. */
static void drop_expired(struct scene *scene)
{
	uint32_t entries_max = 1 + random_below(&scene->random, ENTRIES_MAX);
	uint32_t before = scene->flow.queued;
	bool whole = false;
	for (int i = 0; !whole; i++) {
		assert_true(i < 300);
		flow_drop_expired(&scene->flow, &scene->store, NOW_S - 1, entries_max, &whole);
	}
	assert_int_equal(scene->flow.queued, before);
	uint32_t dropped = 0;
	do
		dropped += flow_drop_expired(&scene->flow, &scene->store, NOW_S, entries_max, &whole);
	while (!whole);
	uint32_t gone = 0;
	for (uint32_t at = scene->sent; at < scene->count;) {
		bool goes = scene->entries[at].packet_id == 0 && scene->entries[at].message % 3 == 0;
		if (goes)
			model_remove(scene, at);
		else
			at++;
		gone += goes;
	}
	assert_int_equal(dropped, gone);
}

/* As if so many had been sent and acknowledged that the next round of identifiers comes near the oldest. */
static void go_round(struct scene *scene)
{
	uint16_t oldest = scene->count != 0 ? scene->entries[0].packet_id : 0;
	if (oldest == 0)
		oldest = (uint16_t)(1 + random_below(&scene->random, UINT16_MAX));
	scene->packet_id = id_before(oldest);
	if (random_below(&scene->random, 2) == 0 && scene->count < 2)
		scene->packet_id = id_before(scene->packet_id);
	scene->flow.packet_id = scene->packet_id;
}

static void step(struct scene *scene)
{
	uint32_t what = random_below(&scene->random, 1000);
	if (what < 400)
		append_at_random(scene);
	else if (what < 720)
		send_next(scene);
	else if (what < 900)
		acknowledge(scene);
	else if (what < 930)
		send_and_abandon(scene);
	else if (what < 940)
		drop_unsent(scene);
	else if (what < 950)
		drop_oldest(scene);
	else if (what < 970)
		take_shared(scene);
	else if (what < 978)
		rewind_all(scene);
	else if (what < 990)
		go_round(scene);
	else if (what < 996)
		drop_expired(scene);
	else if (what < 997) {
		flow_clear(&scene->flow, &scene->store, UINT32_MAX);
		scene->count = scene->sent = 0;
	}
}

static void test_random_steps_against_a_model(void **state)
{
	struct scene *scene = *state;
	for (int i = 0; i < 300000; i++) {
		step(scene);
		assert_like_model(scene);
		uint32_t window = random_below(&scene->random, 2) == 0 ? WINDOW : random_below(&scene->random, 4);
		if (flow_can_send(&scene->flow, &scene->store, (struct flow_bounds){window, UINT32_MAX}) !=
		    model_can_send(scene, window))
			fail_msg("step %d: %u of %u sent, next identifier %u", i, scene->sent, scene->count,
				 id_after(scene->packet_id));
	}
}

/* ---- identifiers that come round to one that is still in use ---- */

static void send_and_complete(struct scene *scene)
{
	append(scene, 1, 1, false, 0);
	assert_true(flow_can_send(&scene->flow, &scene->store, OPEN));
	flow_sent(&scene->flow, &scene->store);
	uint16_t packet_id = flow_entry_at(&scene->store, scene->flow.last)->packet_id;
	assert_int_equal(packet_id, scene->flow.packet_id);
	assert_int_equal(flow_acknowledge(&scene->flow, &scene->store, MQTT_PUBACK, packet_id, false), FLOW_ACK_DONE);
	scene->count = 0;
}

static void test_oldest_holds_its_identifier_for_a_whole_round(void **state)
{
	struct scene *scene = *state;
	append(scene, 1, 2, false, 0);
	flow_sent(&scene->flow, &scene->store);
	assert_int_equal(flow_entry_at(&scene->store, flow_first(&scene->flow, &scene->store))->packet_id, 1);
	for (uint32_t i = 2; i <= UINT16_MAX; i++)
		send_and_complete(scene);
	assert_int_equal(scene->flow.packet_id, UINT16_MAX);
	/* Neither one that waits nor one that comes anew gets the oldest's. */
	assert_false(flow_can_send(&scene->flow, &scene->store, OPEN));
	append(scene, 1, 3, false, 0);
	assert_false(flow_can_send(&scene->flow, &scene->store, OPEN));
	assert_int_equal(flow_acknowledge(&scene->flow, &scene->store, MQTT_PUBACK, 1, false), FLOW_ACK_DONE);
	assert_true(flow_can_send(&scene->flow, &scene->store, OPEN));
	flow_sent(&scene->flow, &scene->store);
	assert_int_equal(flow_entry_at(&scene->store, flow_first(&scene->flow, &scene->store))->packet_id, 1);
}

/* ---- bounds ---- */

static void send_many(struct scene *scene, uint32_t count, uint8_t qos)
{
	for (uint32_t i = 0; i < count; i++) {
		append(scene, qos, 0, false, 0);
		scene->count = 0; /* too many for the model */
		assert_true(flow_can_send(&scene->flow, &scene->store, (struct flow_bounds){UINT16_MAX, UINT32_MAX}));
		flow_sent(&scene->flow, &scene->store);
	}
}

/* In whatever order they are acknowledged: all are found, and what they held is given back. */
static void test_a_whole_window_acknowledged_in_any_order(void **state)
{
	struct scene *scene = *state;
	static uint16_t ids[UINT16_MAX];
	for (int order = 0; order < 4; order++) {
		send_many(scene, UINT16_MAX, 1);
		assert_false(
			flow_can_send(&scene->flow, &scene->store, (struct flow_bounds){UINT16_MAX + 1u, UINT32_MAX}));
		for (uint32_t i = 0; i < UINT16_MAX; i++)
			ids[i] = (uint16_t)(order == 1 || order == 3 ? UINT16_MAX - i : i + 1);
		for (uint32_t i = 0; order >= 2 && i < UINT16_MAX; i++) {
			uint32_t other = order == 2 ? random_below(&scene->random, UINT16_MAX) : i ^ 1u;
			uint16_t id = ids[i];
			if (other < UINT16_MAX) {
				ids[i] = ids[other];
				ids[other] = id;
			}
		}
		for (uint32_t i = 0; i < UINT16_MAX; i++) {
			assert_int_equal(flow_acknowledge(&scene->flow, &scene->store, MQTT_PUBACK, ids[i], false),
					 FLOW_ACK_DONE);
			assert_int_equal(flow_acknowledge(&scene->flow, &scene->store, MQTT_PUBACK, ids[i], false),
					 FLOW_ACK_UNKNOWN);
		}
		assert_int_equal(scene->store.entries.used, 0);
		assert_int_equal(scene->flow.window, 0);
	}
}

/* At QoS 2 a client answers all with PUBREC before it answers the first with PUBCOMP. */
static void test_a_window_of_qos_2_in_two_rounds(void **state)
{
	struct scene *scene = *state;
	send_many(scene, 20000, 2);
	for (uint32_t i = 1; i <= 20000; i++)
		assert_int_equal(flow_acknowledge(&scene->flow, &scene->store, MQTT_PUBREC, (uint16_t)i, false),
				 FLOW_ACK_RELEASE);
	for (uint32_t i = 1; i <= 20000; i++)
		assert_int_equal(flow_acknowledge(&scene->flow, &scene->store, MQTT_PUBCOMP, (uint16_t)i, false),
				 FLOW_ACK_DONE);
	assert_int_equal(scene->store.entries.used, 0);
}

/* A table grows with the way from the oldest to the newest, also where identifiers begin again. */
static void test_a_table_across_the_end_of_identifiers(void **state)
{
	struct scene *scene = *state;
	for (uint32_t ahead = 0; ahead < 600; ahead += 7) {
		scene->flow.packet_id = (uint16_t)(UINT16_MAX - ahead);
		send_many(scene, 40, 1);
		uint16_t last = scene->flow.packet_id;
		assert_int_equal(flow_acknowledge(&scene->flow, &scene->store, MQTT_PUBACK, last, false),
				 FLOW_ACK_DONE);
		send_many(scene, 600, 1);
		uint16_t id = (uint16_t)(UINT16_MAX - ahead);
		for (uint32_t i = 0; i < 640; i++) {
			id = id_after(id);
			enum flow_ack expected = id == last ? FLOW_ACK_UNKNOWN : FLOW_ACK_DONE;
			assert_int_equal(flow_acknowledge(&scene->flow, &scene->store, MQTT_PUBACK, id, false),
					 expected);
		}
		assert_int_equal(scene->store.entries.used, 0);
	}
}

/* What is kept until it is acknowledged is bounded in bytes; one message always goes. */
static void test_window_in_bytes(void **state)
{
	struct scene *scene = *state;
	const struct flow_bounds window = {WINDOW, 2 * message_bytes(scene, 1)};
	for (uint32_t i = 0; i < 3; i++)
		append(scene, 1, 1, false, 0);
	for (uint32_t i = 0; i < 2; i++) {
		assert_true(flow_can_send(&scene->flow, &scene->store, window));
		flow_sent(&scene->flow, &scene->store);
	}
	assert_false(flow_can_send(&scene->flow, &scene->store, window));
	assert_int_equal(flow_acknowledge(&scene->flow, &scene->store, MQTT_PUBACK, 1, false), FLOW_ACK_DONE);
	assert_true(flow_can_send(&scene->flow, &scene->store, window));
	assert_int_equal(flow_acknowledge(&scene->flow, &scene->store, MQTT_PUBACK, 2, false), FLOW_ACK_DONE);
	assert_true(flow_can_send(&scene->flow, &scene->store, (struct flow_bounds){1, 1}));
}

static void test_no_place_is_left(void **state)
{
	struct scene *scene = *state;
	struct flow_entry entry = {.qos = 1};
	for (uint32_t i = 0; i < PLACES_MAX; i++)
		assert_int_not_equal(flow_append(&scene->flow, &scene->store, &entry), 0);
	entry.message = scene->refs[1];
	assert_int_equal(flow_append(&scene->flow, &scene->store, &entry), 0);
	assert_int_equal(message_at(&scene->messages, scene->refs[1])->references, 1); /* it is still the caller's */
}

static void test_cost_of_a_queued_message(void **state)
{
	struct scene *scene = *state;
	static struct sample sample;
	static const uint8_t PAYLOAD[240];
	for (size_t bytes = 0; bytes <= 200; bytes++) {
		size_t before = scene->slab.used_bytes;
		sample_plain(&sample, "sensors/temperature", slice_of(PAYLOAD, bytes), 1);
		struct flow_entry entry = {
			.message = messages_new(&scene->messages, &sample.publication, sample.packet), .qos = 1};
		assert_int_not_equal(flow_append(&scene->flow, &scene->store, &entry), 0);
		size_t cost = scene->slab.used_bytes - before + scene->store.entries.object_bytes;
		assert_in_range(cost, sample.publication.packet_bytes, sample.publication.packet_bytes + 48);
		flow_clear(&scene->flow, &scene->store, UINT32_MAX);
		assert_int_equal(scene->slab.used_bytes, before);
	}
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_random_steps_against_a_model),
		IN_SCENE(test_oldest_holds_its_identifier_for_a_whole_round),
		IN_SCENE(test_a_whole_window_acknowledged_in_any_order),
		IN_SCENE(test_a_window_of_qos_2_in_two_rounds),
		IN_SCENE(test_a_table_across_the_end_of_identifiers),
		IN_SCENE(test_window_in_bytes),
		IN_SCENE(test_no_place_is_left),
		IN_SCENE(test_cost_of_a_queued_message),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
