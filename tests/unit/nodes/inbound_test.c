/* Messages of a peer: to which shards they go, when they are safe, and that nothing is believed. The test is the
 * shards. */
#include "cluster/publish/publish_message.h"
#include "deliver/record.h"
#include "nodes/interest/interest.h"
#include "nodes/publish/inbound.h"
#include "runtime/nodes/node_filters.h"
#include "runtime/nodes/node_mail.h"
#include "topics/index/rcu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SHARDS 2u
#define SLOT 3u
#define OWN_RUN 100u
#define PEER_RUN 200u

struct scene {
	struct mailbox mailboxes[SHARDS + 1];
	struct outbox shards[SHARDS];
	struct gateway_parts parts;
	struct interest *interest;
	struct inbound inbound;
	bool retains;
	uint64_t retained_ticket;
};

static bool retain(void *context, const struct publication *publication, const uint8_t *packet, struct stamp stamp,
		   uint64_t ticket)
{
	struct scene *scene = context;
	assert_true(publication->retain && packet != NULL && !stamp_is_none(stamp));
	scene->retained_ticket = ticket;
	return scene->retains;
}

static int scene_open(void **state)
{
	struct scene *scene = aligned_alloc(64, sizeof(*scene));
	assert_non_null(scene);
	memset(scene, 0, sizeof(*scene));
	for (uint16_t i = 0; i < SHARDS; i++)
		assert_int_equal(mailbox_open(&scene->mailboxes[i]), ERROR_OK);
	struct hash_key key = {{1}};
	scene->parts = (struct gateway_parts){
		.mailboxes = scene->mailboxes,
		.index = index_new(SHARDS, &key, NULL),
		.nodes = node_port_new(scene->mailboxes, SHARDS, "test"),
		.shard_count = SHARDS,
	};
	struct index_watcher watcher = {node_filters_changed, scene->parts.nodes->filters};
	assert_int_equal(index_watch(scene->parts.index, &watcher, true, NULL), ERROR_OK);
	reader_register();
	for (uint16_t i = 0; i < SHARDS; i++) {
		assert_int_equal(
			outbox_init(&scene->shards[i], scene->mailboxes, node_port_numbers(scene->parts.nodes), i),
			ERROR_OK);
		outbox_share(&scene->shards[i], SHARDS);
	}
	scene->interest = interest_new(&scene->parts);
	assert_int_equal(inbound_init(&scene->inbound, &scene->parts, scene->interest), ERROR_OK);
	scene->inbound.retain = retain;
	scene->inbound.retain_context = scene;
	inbound_begin(&scene->inbound, SLOT, OWN_RUN, PEER_RUN);
	inbound_run(&scene->inbound, 1000);
	*state = scene;
	return 0;
}

static int scene_close(void **state)
{
	struct scene *scene = *state;
	assert_int_equal(scene->inbound.outbox.out_batches, 0);
	inbound_fini(&scene->inbound);
	interest_free(scene->interest);
	for (uint16_t i = 0; i < SHARDS; i++)
		outbox_fini(&scene->shards[i]);
	node_port_free(scene->parts.nodes);
	reader_unregister();
	index_free(scene->parts.index);
	for (uint16_t i = 0; i < SHARDS; i++)
		mailbox_close(&scene->mailboxes[i]);
	free(scene);
	return 0;
}

static void subscribe(struct scene *scene, const char *filter, uint16_t shard, route_bits own)
{
	struct index_slot slot = index_find(scene->parts.index, slice_string(filter), true);
	assert_int_equal(index_set_route(slot, shard, route_make(ROUTE_ONE, shard, 1, 7) | own), ERROR_OK);
	index_leave(slot);
}

static void unsubscribe(struct scene *scene, const char *filter, uint16_t shard)
{
	struct index_slot slot = index_find(scene->parts.index, slice_string(filter), false);
	assert_int_equal(index_set_route(slot, shard, 0), ERROR_OK);
	index_leave(slot);
}

/* PUBLISH on "t" with payload "x". */
static const uint8_t QOS_0[] = {0x30, 4, 0, 1, 't', 'x'};
static const uint8_t QOS_1[] = {0x32, 6, 0, 1, 't', 0, 9, 'x'};

static bool comes(struct scene *scene, struct publish_message message, const uint8_t *packet, size_t size)
{
	uint8_t body[PUBLISH_HEAD_BYTES_MAX + 64];
	size_t head = publish_message_head(&message, body);
	memcpy(body + head, packet, size);
	bool sound = inbound_receive(&scene->inbound, SLOT, slice_of(body, head + size));
	inbound_run(&scene->inbound, 1000);
	inbound_send(&scene->inbound);
	return sound;
}

#define PLAIN(...) ((struct publish_message){.is_plain = true, __VA_ARGS__})

/* What the shard gets; NULL: nothing. */
static struct batch *receive(struct scene *scene, uint16_t shard)
{
	return outbox_receive(&scene->shards[shard]);
}

static void give_back(struct scene *scene, uint16_t shard, struct batch *batch)
{
	outbox_return(&scene->shards[shard], batch);
	inbound_run(&scene->inbound, 1000);
}

static uint64_t owed(struct scene *scene)
{
	uint64_t number = 0;
	return inbound_owe(&scene->inbound, SLOT, &number) ? number : 0;
}

static void test_safe_when_all_shards_have_it(void **state)
{
	struct scene *scene = *state;
	subscribe(scene, "t", 0, 0);
	subscribe(scene, "+", 1, 0);
	assert_true(comes(scene, PLAIN(), QOS_1, sizeof(QOS_1)));
	struct batch *first = receive(scene, 0);
	struct batch *second = receive(scene, 1);
	assert_non_null(first);
	assert_non_null(second);
	const struct record *record = (const void *)first->bytes;
	assert_int_equal(record->route_count, 1);
	assert_int_equal(record->publication.qos, 1);
	assert_int_not_equal(record->publisher.index, 0); /* which leads back here: nodes/publish/far_waits.h */
	assert_int_equal(record->publisher.shard, scene->inbound.outbox.self);
	assert_memory_equal(&record->routes[1], QOS_1, sizeof(QOS_1));
	assert_int_equal(owed(scene), 0);
	give_back(scene, 1, second);
	assert_int_equal(owed(scene), 0);
	give_back(scene, 0, first);
	assert_int_equal(owed(scene), 1);
	inbound_have_told(&scene->inbound, SLOT, 1);
	assert_int_equal(owed(scene), 0);
	assert_true(inbound_are_done(&scene->inbound));
	unsubscribe(scene, "t", 0);
	unsubscribe(scene, "+", 1);
}

/* A later one that is safe earlier does not count before the earlier one; at QoS 0 nobody waits. */
static void test_numbers_are_in_order(void **state)
{
	struct scene *scene = *state;
	subscribe(scene, "t", 0, 0);
	assert_true(comes(scene, PLAIN(), QOS_1, sizeof(QOS_1)));
	struct batch *batch = receive(scene, 0);
	unsubscribe(scene, "t", 0);
	assert_true(comes(scene, PLAIN(), QOS_1, sizeof(QOS_1)));
	assert_int_equal(scene->inbound.figures.unwanted, 1);
	assert_int_equal(owed(scene), 0);
	give_back(scene, 0, batch);
	assert_int_equal(owed(scene), 2);
	inbound_have_told(&scene->inbound, SLOT, 2);
	assert_true(comes(scene, PLAIN(), QOS_0, sizeof(QOS_0)));
	assert_int_equal(owed(scene), 0);
	assert_true(inbound_are_done(&scene->inbound));
}

static void test_own_clients_and_groups_get_nothing(void **state)
{
	struct scene *scene = *state;
	subscribe(scene, "t", 0, ROUTE_OWN);
	struct index_slot slot = index_find_group(scene->parts.index, slice_string("g"), slice_string("t"), true);
	assert_int_equal(index_set_route(slot, 1, route_make(ROUTE_ONE, 1, 1, 8)), ERROR_OK);
	index_leave(slot);
	assert_true(comes(scene, PLAIN(), QOS_1, sizeof(QOS_1)));
	assert_null(receive(scene, 0));
	assert_null(receive(scene, 1));
	slot = index_find_group(scene->parts.index, slice_string("g"), slice_string("t"), false);
	assert_int_equal(index_set_route(slot, 1, 0), ERROR_OK);
	index_leave(slot);
	unsubscribe(scene, "t", 0);
}

static void test_retained_waits_for_the_tree(void **state)
{
	struct scene *scene = *state;
	struct publish_message message = PLAIN(.has_stamp = true, .stamp = {.time = 5, .node = 6});
	scene->retains = true;
	assert_true(comes(scene, message, QOS_1, sizeof(QOS_1)));
	assert_int_equal(owed(scene), 0);
	inbound_release(&scene->inbound, (uint32_t)scene->retained_ticket);
	assert_int_equal(owed(scene), 1);
	scene->retains = false;
	assert_true(comes(scene, message, QOS_1, sizeof(QOS_1)));
	assert_int_equal(owed(scene), 2);
}

static void test_a_copy_counts_once(void **state)
{
	struct scene *scene = *state;
	subscribe(scene, "t", 0, 0);
	assert_true(comes(scene, PLAIN(), QOS_1, sizeof(QOS_1)));
	give_back(scene, 0, receive(scene, 0));
	struct publish_message copy = PLAIN(.is_copy = true, .run = OWN_RUN, .sender = PEER_RUN, .number = 1);
	assert_true(comes(scene, copy, QOS_1, sizeof(QOS_1)));
	assert_null(receive(scene, 0));
	copy.number = 3; /* this one has not come */
	assert_true(comes(scene, copy, QOS_1, sizeof(QOS_1)));
	give_back(scene, 0, receive(scene, 0));
	assert_int_equal(scene->inbound.figures.copies, 1);
	/* The peer has begun anew, and has the message of its last run in its spool. */
	inbound_begin(&scene->inbound, SLOT, OWN_RUN, PEER_RUN + 1);
	copy.number = 2;
	assert_true(comes(scene, copy, QOS_1, sizeof(QOS_1)));
	assert_null(receive(scene, 0));
	assert_int_equal(owed(scene), 1);
	copy.run = OWN_RUN + 1; /* it went to another run of ours */
	assert_true(comes(scene, copy, QOS_1, sizeof(QOS_1)));
	give_back(scene, 0, receive(scene, 0));
	unsubscribe(scene, "t", 0);
}

/* A shard that stands still: what has no room waits, in order, and comes when there is some. */
static void test_a_full_shard(void **state)
{
	struct scene *scene = *state;
	static uint8_t packet[1 + 4 + 3 + 2 + 40000] = {0x32, 0xc5, 0xb8, 0x02, 0, 1, 't', 0, 1};
	size_t size = 4 + 40005;
	subscribe(scene, "t", 0, 0);
	for (uint32_t i = 0; i < 60; i++) {
		uint8_t body[PUBLISH_HEAD_BYTES_MAX];
		size_t head = publish_message_head(&PLAIN(), body);
		uint8_t *whole = malloc(head + size);
		memcpy(whole, body, head);
		memcpy(whole + head, packet, size);
		whole[head + size - 1] = (uint8_t)i;
		assert_true(inbound_receive(&scene->inbound, SLOT, slice_of(whole, head + size)));
		free(whole);
	}
	assert_non_null(scene->inbound.peers[SLOT].first);
	inbound_send(&scene->inbound);
	uint32_t next = 0;
	for (struct batch *batch; (batch = receive(scene, 0)) != NULL;) {
		const struct record *record = (const void *)batch->bytes;
		const uint8_t *bytes = (const uint8_t *)&record->routes[1];
		assert_int_equal(bytes[size - 1], next);
		next++;
		give_back(scene, 0, batch);
		inbound_send(&scene->inbound);
	}
	assert_int_equal(next, 60);
	assert_int_equal(owed(scene), 60);
	assert_null(scene->inbound.peers[SLOT].first);
	unsubscribe(scene, "t", 0);
}

/* The same with more than may wait. At QoS 0, which its sender does not count, it is dropped, and what comes at QoS 1
 * waits all the same. */
static void test_a_flood_at_qos_0_costs_nothing_else(void **state)
{
	struct scene *scene = *state;
	static uint8_t body[PUBLISH_HEAD_BYTES_MAX + 4 + (1u << 20)];
	static const uint8_t HEAD[] = {0x30, 0x83, 0x80, 0x40, 0, 1, 't'};
	size_t head = publish_message_head(&PLAIN(), body);
	memcpy(body + head, HEAD, sizeof(HEAD));
	subscribe(scene, "t", 0, 0);
	for (uint32_t i = 0; i < 600; i++)
		assert_true(inbound_receive(&scene->inbound, SLOT, slice_of(body, head + 4 + (1u << 20) + 3)));
	assert_true(scene->inbound.peers[SLOT].waiting_bytes <= INBOUND_WAITING_QOS_0_BYTES_MAX + sizeof(body));
	assert_true(scene->inbound.figures.dropped > 500);
	assert_true(comes(scene, PLAIN(), QOS_1, sizeof(QOS_1)));
	assert_true(owed(scene) < 601);
	uint32_t found = 0;
	for (struct batch *batch; (batch = receive(scene, 0)) != NULL;) {
		found += ((const struct record *)(const void *)batch->bytes)->publication.qos == 1;
		give_back(scene, 0, batch);
		inbound_send(&scene->inbound);
	}
	assert_int_equal(found, 1);
	assert_int_equal(owed(scene), 601);
	unsubscribe(scene, "t", 0);
}

/* At QoS 1 nothing is dropped. A link whose peer sends too much is over, and what it sent is not said to be safe. */
static void test_a_flood_at_qos_1_ends_the_link(void **state)
{
	struct scene *scene = *state;
	static uint8_t body[PUBLISH_HEAD_BYTES_MAX + 4 + (1u << 20)];
	static const uint8_t HEAD[] = {0x32, 0x83, 0x80, 0x40, 0, 1, 't', 0, 1};
	size_t head = publish_message_head(&PLAIN(), body);
	memcpy(body + head, HEAD, sizeof(HEAD));
	subscribe(scene, "t", 0, 0);
	struct inbound_peer *peer = &scene->inbound.peers[SLOT];
	peer->waiting_bytes = INBOUND_WAITING_BYTES_MAX - 1; /* as if so many waited */
	for (uint32_t i = 0; i < 5; i++)
		assert_true(inbound_receive(&scene->inbound, SLOT, slice_of(body, head + 4 + (1u << 20) + 3)));
	assert_true(scene->inbound.wants_new_links);
	assert_int_equal(scene->inbound.figures.refused, 1);
	uint64_t received = peer->received;
	assert_true(received < 5);
	inbound_send(&scene->inbound);
	for (struct batch *batch; (batch = receive(scene, 0)) != NULL;) {
		give_back(scene, 0, batch);
		inbound_send(&scene->inbound);
	}
	assert_true(inbound_are_done(&scene->inbound));
	assert_int_equal(owed(scene), 0);
	/* On the next link the first that was not taken is no copy. */
	peer->waiting_bytes = 0;
	inbound_begin(&scene->inbound, SLOT, OWN_RUN + 1, PEER_RUN);
	struct publish_message copy = PLAIN(.is_copy = true, .run = OWN_RUN, .sender = PEER_RUN, .number = received);
	assert_true(comes(scene, copy, QOS_1, sizeof(QOS_1)));
	assert_null(receive(scene, 0));
	copy.number++;
	assert_true(comes(scene, copy, QOS_1, sizeof(QOS_1)));
	give_back(scene, 0, receive(scene, 0));
	assert_int_equal(owed(scene), 2);
	unsubscribe(scene, "t", 0);
}

static void test_what_is_no_message(void **state)
{
	struct scene *scene = *state;
	static const uint8_t BAD[][12] = {
		{0x30, 5, 0, 1, 't', 'x'},                                /* longer than it is */
		{0x10, 4, 0, 1, 't', 'x'},                                /* no PUBLISH */
		{0x31, 4, 0, 1, 't', 'x'},                                /* flags of one connection */
		{0x30, 4, 0, 1, '#', 'x'},                                /* no topic */
		{0x30, 4, 0, 0, 't', 'x'},                                /* nor this */
		{0x36, 4, 0, 1, 't', 'x'},                                /* QoS 3 */
		{0x30, 10, 0, 7, '$', 'S', 'Y', 'S', '/', 'u', 'p', 'x'}, /* it does not leave a node */
	};
	subscribe(scene, "#", 0, 0);
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
		assert_false(comes(scene, PLAIN(), BAD[i], i == 6 ? 12 : 6));
	uint8_t nothing[1] = {0};
	assert_false(inbound_receive(&scene->inbound, SLOT, slice_of(nothing, 0)));
	assert_null(receive(scene, 0));
	assert_int_equal(scene->inbound.figures.unsound, 8);
	/* They had numbers, so that later ones are understood. */
	assert_int_equal(owed(scene), 8);
	unsubscribe(scene, "#", 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_safe_when_all_shards_have_it, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_numbers_are_in_order, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_own_clients_and_groups_get_nothing, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_retained_waits_for_the_tree, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_a_copy_counts_once, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_a_full_shard, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_a_flood_at_qos_0_costs_nothing_else, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_a_flood_at_qos_1_ends_the_link, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_what_is_no_message, scene_open, scene_close),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
