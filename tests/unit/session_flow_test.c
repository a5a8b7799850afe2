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
#define ENTRIES_MAX 60u
#define SUBSCRIPTIONS 3u
#define WINDOW 20u

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
	uint32_t refs[MESSAGES + 1];
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
	assert_int_equal(slab_open(&scene.slab, (size_t)1 << 20), ERROR_OK);
	messages_init(&scene.messages, &scene.slab);
	assert_int_equal(flow_store_open(&scene.store, &scene.messages, ENTRIES_MAX), ERROR_OK);
	for (uint32_t i = 1; i <= MESSAGES; i++) {
		static const uint8_t PAYLOAD[100];
		sample_plain(&sample, "t", slice_of(PAYLOAD, i * 11), 1);
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
	assert_int_equal(entry->message, scene->refs[model->message]);
	assert_int_equal(entry->identifier, model->subscription);
	assert_int_equal(entry->packet_id, model->packet_id);
	assert_int_equal(entry->state, model->state);
	assert_int_equal(entry->qos, model->qos);
	assert_int_equal(entry->shared, model->shared);
}

static void assert_like_model(const struct scene *scene)
{
	const struct flow *flow = &scene->flow;
	uint32_t references[MESSAGES + 1] = {0};
	uint32_t queued_bytes = 0;
	uint32_t index = flow->first;
	uint32_t last = 0;
	for (uint32_t i = 0; i < scene->count; i++) {
		assert_int_not_equal(index, 0);
		const struct flow_entry *entry = flow_entry_at(&scene->store, index);
		assert_entry(scene, entry, &scene->entries[i]);
		if (i == scene->sent)
			assert_int_equal(flow->unsent, index);
		if (i >= scene->sent)
			queued_bytes += message_bytes(scene, scene->entries[i].message);
		references[scene->entries[i].message]++;
		last = index;
		index = entry->next;
	}
	assert_int_equal(index, 0);
	assert_int_equal(flow->last, last);
	if (scene->sent == scene->count)
		assert_int_equal(flow->unsent, 0);
	assert_int_equal(flow->inflight, scene->sent);
	assert_int_equal(flow->queued, scene->count - scene->sent);
	assert_int_equal(flow->queued_bytes, queued_bytes);
	assert_int_equal(flow->packet_id, scene->packet_id);
	assert_int_equal(scene->store.entries.used, scene->count);
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
	uint32_t index = flow_append(&scene->flow, &scene->store, &entry);
	if (scene->count == ENTRIES_MAX) {
		assert_int_equal(index, 0);
		if (message != 0)
			messages_put(&scene->messages, scene->refs[message]); /* it is still ours */
		return;
	}
	assert_int_not_equal(index, 0);
	scene->entries[scene->count++] = (struct model_entry){
		.message = message, .subscription = subscription, .state = FLOW_QUEUED, .qos = qos, .shared = shared};
}

static void append_at_random(struct scene *scene)
{
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

struct taken {
	struct scene *scene;
	uint32_t subscription;
	struct flow_entry entries[ENTRIES_MAX];
	uint32_t count;
};

static bool takes(void *context, const struct flow_entry *entry)
{
	struct taken *taken = context;
	if (entry->subscription != taken->subscription)
		return false;
	taken->entries[taken->count++] = *entry;
	return true;
}

/* All that may go of one of its subscriptions, in order. */
static void take_shared(struct scene *scene)
{
	static struct taken taken;
	taken.scene = scene;
	taken.subscription = 1 + random_below(&scene->random, SUBSCRIPTIONS);
	taken.count = 0;
	flow_offer_shared(&scene->flow, &scene->store, takes, &taken);
	uint32_t found = 0;
	for (uint32_t at = 0; at < scene->count;) {
		const struct model_entry *entry = &scene->entries[at];
		bool may_go = entry->state != FLOW_RELEASED && (entry->qos == 1 || entry->packet_id == 0);
		if (!entry->shared || entry->subscription != taken.subscription || !may_go) {
			at++;
			continue;
		}
		assert_true(found < taken.count);
		assert_entry(scene, &taken.entries[found], entry);
		messages_put(&scene->messages, taken.entries[found++].message);
		model_remove(scene, at);
	}
	assert_int_equal(found, taken.count);
}

static void forget_subscription(struct scene *scene)
{
	uint32_t subscription = 1 + random_below(&scene->random, SUBSCRIPTIONS);
	flow_forget_subscription(&scene->flow, &scene->store, subscription);
	for (uint32_t i = 0; i < scene->count; i++) {
		if (scene->entries[i].shared && scene->entries[i].subscription == subscription)
			scene->entries[i].subscription = 0;
	}
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
	if (what < 330)
		append_at_random(scene);
	else if (what < 600)
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
	else if (what < 980)
		rewind_all(scene);
	else if (what < 990)
		go_round(scene);
	else if (what < 995)
		forget_subscription(scene);
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
		if (flow_can_send(&scene->flow, &scene->store, window) != model_can_send(scene, window))
			fail_msg("step %d: %u of %u sent, next identifier %u", i, scene->sent, scene->count,
				 id_after(scene->packet_id));
	}
}

/* ---- identifiers that come round to one that is still in use ---- */

static void send_and_complete(struct scene *scene)
{
	append(scene, 1, 1, false, 0);
	assert_true(flow_can_send(&scene->flow, &scene->store, WINDOW));
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
	assert_int_equal(flow_entry_at(&scene->store, scene->flow.first)->packet_id, 1);
	for (uint32_t i = 2; i <= UINT16_MAX; i++)
		send_and_complete(scene);
	assert_int_equal(scene->flow.packet_id, UINT16_MAX);
	/* Neither one that waits nor one that comes anew gets the oldest's. */
	assert_false(flow_can_send(&scene->flow, &scene->store, WINDOW));
	append(scene, 1, 3, false, 0);
	assert_false(flow_can_send(&scene->flow, &scene->store, WINDOW));
	assert_int_equal(flow_acknowledge(&scene->flow, &scene->store, MQTT_PUBACK, 1, false), FLOW_ACK_DONE);
	assert_true(flow_can_send(&scene->flow, &scene->store, WINDOW));
	flow_sent(&scene->flow, &scene->store);
	assert_int_equal(flow_entry_at(&scene->store, scene->flow.first)->packet_id, 1);
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
		IN_SCENE(test_cost_of_a_queued_message),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
