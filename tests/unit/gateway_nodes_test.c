/* Messages for other nodes: which get a record, what is in it, and when the publisher is answered. The test is the
 * nodes thread. */
#include "deliver/record.h"
#include "peer.h"
#include "runtime/nodes/node_filters.h"
#include "runtime/nodes/node_mail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SHARDS 2u

struct nodes_scene {
	struct shard_scene *scene;
	struct outbox outbox; /* the nodes thread's */
	struct batch *batch;  /* received, and not given back */
};

static int scene_open(void **state)
{
	static struct nodes_scene nodes;
	nodes = (struct nodes_scene){.scene = shard_scene_new(SHARDS)};
	shard_scene_join_cluster(nodes.scene);
	uint16_t numbers = node_port_numbers(nodes.scene->nodes);
	assert_int_equal(outbox_init(&nodes.outbox, nodes.scene->mailboxes, numbers, (uint16_t)(numbers - 1)),
			 ERROR_OK);
	outbox_share(&nodes.outbox, SHARDS);
	*state = &nodes;
	return 0;
}

static int scene_close(void **state)
{
	struct nodes_scene *nodes = *state;
	shard_scene_settle(nodes->scene);
	/* A node that wants everything hears that the clients have gone, too. */
	for (struct batch *batch; (batch = outbox_receive(&nodes->outbox)) != NULL;)
		outbox_return(&nodes->outbox, batch);
	shard_scene_settle(nodes->scene);
	shard_scene_check_empty(nodes->scene);
	outbox_fini(&nodes->outbox);
	shard_scene_free(nodes->scene);
	return 0;
}

static struct node_filters *filters_of(struct nodes_scene *nodes)
{
	return nodes->scene->nodes->filters;
}

static void know(struct nodes_scene *nodes, uint32_t slot)
{
	node_filters_set(&filters_of(nodes)->known, slot, true);
}

static void peer_wants(struct nodes_scene *nodes, uint8_t slot, const char *filter, bool wants)
{
	struct index_slot place = index_find(nodes->scene->index, slice_string(filter), wants);
	if (place.node != 0)
		assert_int_equal(index_set_peer(place, slot, wants), ERROR_OK);
	index_leave(place);
}

static void peer_wants_exactly(struct nodes_scene *nodes, uint8_t slot, const char *filter)
{
	struct node_filters *filters = filters_of(nodes);
	uint32_t fingerprint = node_filters_fingerprint(filters, slice_string(filter));
	assert_int_equal(digest_add(&filters->digests[slot], fingerprint), ERROR_OK);
	node_filters_set(&filters->has_digest, slot, true);
}

/* The next record, which must be the only one of its batch. NULL: none has come. */
static const struct record *next_record(struct nodes_scene *nodes, uint32_t *slot)
{
	shard_scene_settle(nodes->scene);
	assert_null(nodes->batch);
	nodes->batch = outbox_receive(&nodes->outbox);
	if (nodes->batch == NULL)
		return NULL;
	const struct record *record = (const void *)nodes->batch->bytes;
	assert_int_equal(record->record_bytes, nodes->batch->used_bytes);
	assert_in_range(nodes->batch->receiver, SHARDS, SHARDS + NODES_MAX - 1);
	*slot = nodes->batch->receiver - SHARDS;
	return record;
}

static void give_back(struct nodes_scene *nodes)
{
	outbox_return(&nodes->outbox, nodes->batch);
	nodes->batch = NULL;
	shard_scene_settle(nodes->scene);
}

static void assert_record(const struct record *record, const char *topic, const char *payload)
{
	assert_non_null(record);
	struct publication_parts parts =
		publication_parts(&record->publication, (const uint8_t *)&record->routes[record->route_count]);
	assert_true(slice_equal(parts.topic, slice_string(topic)));
	assert_true(slice_equal(parts.payload, slice_string(payload)));
}

static void test_a_filter_with_wildcards(void **state)
{
	struct nodes_scene *nodes = *state;
	struct far_peer from = peer_sign_in(nodes->scene, PEER_CONNECT(.id = "from"), false);
	uint32_t slot;
	peer_wants(nodes, 3, "a/#", true);
	peer_wants(nodes, 3, "+/b", true);
	peer_publish(&from, "a/b", "unknown", 1, 1);
	assert_null(next_record(nodes, &slot)); /* such a node is not known */
	peer_hears_ack(&from, MQTT_PUBACK, 1, MQTT_REASON_NO_MATCHING_SUBSCRIBERS);
	know(nodes, 3);
	know(nodes, 4);
	peer_publish(&from, "a/b", "1", 1, 2);
	const struct record *record = next_record(nodes, &slot);
	assert_record(record, "a/b", "1");
	assert_int_equal(slot, 3);
	assert_int_equal(record->route_count, 1);
	assert_int_equal(route_index(record->routes[0]), 0);
	assert_int_equal(record->origin_bytes, 0);
	struct heard heard;
	assert_false(peer_heard(&from, &heard)); /* it is not safe there yet */
	give_back(nodes);
	peer_hears_ack(&from, MQTT_PUBACK, 2, 0);
	peer_publish(&from, "b", "2", 1, 3);
	assert_null(next_record(nodes, &slot));
	peer_hears_ack(&from, MQTT_PUBACK, 3, MQTT_REASON_NO_MATCHING_SUBSCRIBERS);
	peer_wants(nodes, 3, "a/#", false);
	peer_wants(nodes, 3, "+/b", false);
	peer_vanish(&from);
}

/* Beside subscribers on both shards; each of several nodes has its record. */
static void test_an_exact_filter(void **state)
{
	struct nodes_scene *nodes = *state;
	struct far_peer from = peer_sign_in(nodes->scene, PEER_CONNECT(.id = "from"), false);
	struct far_peer here = peer_sign_in(nodes->scene, PEER_CONNECT(.id = "here"), false);
	struct far_peer there = peer_sign_in(nodes->scene, PEER_CONNECT(.id = "there", .shard = 1), false);
	uint32_t slot;
	peer_subscribe(&here, "t", 0);
	peer_subscribe(&there, "t", 0);
	peer_wants_exactly(nodes, 0, "t");
	peer_wants_exactly(nodes, 63, "t");
	peer_wants_exactly(nodes, 7, "u");
	know(nodes, 0);
	know(nodes, 63);
	know(nodes, 7);
	peer_publish(&from, "t", "x", 2, 9);
	assert_record(next_record(nodes, &slot), "t", "x");
	assert_int_equal(slot, 0);
	peer_hears_publish(&here, "t", "x", 0);
	peer_hears_publish(&there, "t", "x", 0);
	give_back(nodes);
	struct heard heard;
	assert_false(peer_heard(&from, &heard));
	assert_record(next_record(nodes, &slot), "t", "x");
	assert_int_equal(slot, 63);
	give_back(nodes);
	peer_hears_ack(&from, MQTT_PUBREC, 9, 0);
	assert_null(next_record(nodes, &slot));
	node_filters_set(&filters_of(nodes)->unknown, 7, true);
	peer_publish(&from, "v", "y", 0, 0);
	assert_record(next_record(nodes, &slot), "v", "y");
	assert_int_equal(slot, 7);
	give_back(nodes);
	peer_vanish(&from);
	peer_vanish(&here);
	peer_vanish(&there);
}

static void test_what_a_node_says_of_itself_stays(void **state)
{
	struct nodes_scene *nodes = *state;
	struct far_peer from = peer_sign_in(nodes->scene, PEER_CONNECT(.id = "from"), false);
	uint32_t slot;
	know(nodes, 1);
	node_filters_set(&filters_of(nodes)->unknown, 1, true);
	peer_wants(nodes, 1, "$SYS/#", true);
	peer_publish(&from, "$SYS/x", "1", 0, 0);
	peer_publish(&from, "$roost/x", "1", 0, 0);
	assert_null(next_record(nodes, &slot));
	peer_publish(&from, "$other", "2", 0, 0);
	assert_record(next_record(nodes, &slot), "$other", "2");
	give_back(nodes);
	peer_wants(nodes, 1, "$SYS/#", false);
	peer_vanish(&from);
}

/* All nodes have it, whether they have subscribers or not, with room for its stamp. */
static void test_a_retained_message(void **state)
{
	struct nodes_scene *nodes = *state;
	struct far_peer from = peer_sign_in(nodes->scene, PEER_CONNECT(.id = "from"), false);
	struct mqtt_publish publish = {
		.topic = slice_string("r"), .payload = slice_string("kept"), .qos = 1, .retain = true, .packet_id = 4};
	uint32_t slot;
	know(nodes, 2);
	know(nodes, 5);
	for (int round = 0; round < 2; round++) {
		peer_publish_as(&from, &publish);
		for (uint32_t wanted = 2; wanted <= 5; wanted += 3) {
			const struct record *record = next_record(nodes, &slot);
			assert_record(record, "r", round == 0 ? "kept" : "");
			assert_int_equal(slot, wanted);
			assert_true(record->publication.retain);
			assert_int_equal(record->origin_bytes, RECORD_STAMP_BYTES);
			give_back(nodes);
		}
		peer_hears_ack(&from, MQTT_PUBACK, 4, 0);
		publish.payload = slice_string("");
	}
	peer_vanish(&from);
}

/* A shared subscription with members on another node alone: that node's name of it is in the record. */
static void test_a_member_on_another_node(void **state)
{
	struct nodes_scene *nodes = *state;
	struct far_peer from = peer_sign_in(nodes->scene, PEER_CONNECT(.id = "from"), false);
	struct index_members members = {1, 1};
	uint32_t slot;
	know(nodes, 6);
	struct index_slot place = index_find_group(nodes->scene->index, slice_string("g"), slice_string("s/+"), true);
	assert_int_equal(index_set_peer_group(place, 6, route_make(ROUTE_ONE, SHARDS + 6, 3, 4711), members), ERROR_OK);
	index_leave(place);
	peer_publish(&from, "s/1", "one", 1, 1);
	const struct record *record = next_record(nodes, &slot);
	assert_record(record, "s/1", "one");
	assert_int_equal(slot, 6);
	assert_int_equal(record->route_count, 1);
	assert_int_equal(route_index(record->routes[0]), 4711);
	assert_int_equal(route_generation(record->routes[0]), 3);
	give_back(nodes);
	peer_hears_ack(&from, MQTT_PUBACK, 1, 0);
	peer_wants(nodes, 6, "s/1/#", true); /* both: one record with two routes */
	peer_publish(&from, "s/1", "two", 0, 0);
	record = next_record(nodes, &slot);
	assert_record(record, "s/1", "two");
	assert_int_equal(record->route_count, 2);
	give_back(nodes);
	place = index_find_group(nodes->scene->index, slice_string("g"), slice_string("s/+"), false);
	assert_int_equal(index_set_peer_group(place, 6, 0, members), ERROR_OK);
	index_leave(place);
	peer_wants(nodes, 6, "s/1/#", false);
	peer_vanish(&from);
}

/* The nodes thread's side: a record of its own to a shard comes back with its ticket. */
static uint32_t returned_ticket;

static void on_returned(void *context, const struct batch *batch, const uint32_t *tickets)
{
	(void)context;
	assert_int_equal(batch->ticket_count, 1);
	returned_ticket = tickets[0];
}

static void test_a_message_that_arrives(void **state)
{
	struct nodes_scene *nodes = *state;
	struct far_peer to = peer_sign_in(nodes->scene, PEER_CONNECT(.id = "to", .shard = 1), false);
	peer_subscribe(&to, "t/+", 1);
	shard_scene_settle(nodes->scene);
	struct routes routes = {.scope = ROUTES_ARRIVED, .units_left = 1000};
	struct index_place place = {0};
	assert_int_equal(index_match(nodes->scene->index, slice_string("t/1"), &place, &routes), ERROR_OK);
	assert_int_equal(routes.count, 1);
	static const uint8_t PACKET[] = {0x32, 9, 0, 3, 't', '/', '1', 0, 1, 'h', 'i'};
	struct publication publication = {
		.packet_bytes = sizeof(PACKET), .topic_bytes = 3, .header_bytes = 2, .qos = 1};
	uint32_t bytes = (uint32_t)record_bytes(1, sizeof(PACKET));
	struct record *record = outbox_write(&nodes->outbox, 1, bytes);
	*record = (struct record){
		.record_bytes = (bytes + 7u) & ~7u,
		.publisher = {.shard = nodes->outbox.self},
		.publication = publication,
		.route_count = 1,
	};
	record->routes[0] = routes.items[0];
	memcpy(&record->routes[1], PACKET, sizeof(PACKET));
	outbox_attach(&nodes->outbox, 1, 77);
	nodes->outbox.returned = on_returned;
	returned_ticket = 0;
	outbox_send(&nodes->outbox);
	struct mqtt_publish publish = peer_hears_publish(&to, "t/1", "hi", 1);
	shard_scene_settle(nodes->scene);
	assert_true(outbox_collect(&nodes->outbox));
	assert_int_equal(returned_ticket, 77);
	peer_completes(&to, &publish);
	routes_fini(&routes);
	peer_vanish(&to);
}

/* What clients subscribe to is noted for the nodes thread. */
static void write_note(struct nodes_scene *nodes, uint16_t shard, uint32_t index, uint16_t generation)
{
	struct record *note = outbox_write(&nodes->outbox, shard, sizeof(*note));
	assert_non_null(note);
	*note = (struct record){
		.record_bytes = sizeof(*note),
		.publisher = {index, shard, generation},
		.note = {.shard = SHARDS, .place = 200},
	};
	nodes->outbox.returned = NULL;
	outbox_send(&nodes->outbox);
	shard_scene_settle(nodes->scene);
	outbox_collect(&nodes->outbox);
}

/* For a subscriber on another node; whatever that node calls the publisher. */
static void test_a_publisher_waits(void **state)
{
	struct nodes_scene *nodes = *state;
	struct shard_scene *scene = nodes->scene;
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from", .shard = 1), false);
	struct far_peer other = peer_sign_in(scene, PEER_CONNECT(.id = "other", .shard = 1), false);
	struct slice id = slice_string("from");
	struct client_ref ref =
		registry_find(&scene->shards[1].sessions.registry, (uint32_t)hash_slice(&scene->key, id), id);
	uint16_t generation = shard_client(&scene->shards[1], ref)->conn.generation;
	static const uint32_t STRANGE[] = {0, 1000, UINT32_MAX - 1, UINT32_MAX};
	_Atomic uint16_t *count = &scene->boards[SHARDS].congested[200];
	struct heard heard;
	atomic_store(count, 1);
	for (size_t i = 0; i < sizeof(STRANGE) / sizeof(*STRANGE); i++)
		write_note(nodes, 1, STRANGE[i], generation);
	write_note(nodes, 1, ref.index, (uint16_t)(generation + 1));
	peer_publish(&from, "t", "before", 1, 1);
	peer_hears_ack(&from, MQTT_PUBACK, 1, MQTT_REASON_NO_MATCHING_SUBSCRIBERS);
	write_note(nodes, 1, ref.index, generation);
	peer_publish(&from, "t", "held", 1, 2);
	peer_publish(&other, "t", "not held", 1, 1);
	peer_hears_ack(&other, MQTT_PUBACK, 1, MQTT_REASON_NO_MATCHING_SUBSCRIBERS);
	shard_scene_settle(scene);
	assert_false(peer_heard(&from, &heard));
	atomic_store(count, 0);
	shard_scene_pass_ms(scene, 10);
	shard_scene_settle(scene);
	peer_hears_ack(&from, MQTT_PUBACK, 2, MQTT_REASON_NO_MATCHING_SUBSCRIBERS);
	peer_vanish(&from);
	peer_vanish(&other);
}

static void test_filters_are_noted(void **state)
{
	struct nodes_scene *nodes = *state;
	struct node_filters *filters = filters_of(nodes);
	struct far_peer to = peer_sign_in(nodes->scene, PEER_CONNECT(.id = "to", .shard = 1), false);
	peer_subscribe(&to, "before", 0);
	shard_scene_settle(nodes->scene);
	assert_int_equal(atomic_load(&filters->told), 0); /* nobody has asked yet */
	while (index_tell_some(nodes->scene->index))
		;
	peer_subscribe(&to, "after", 0);
	peer_subscribe(&to, "$SYS/stays", 0);
	peer_subscribe(&to, "w/+", 0);
	peer_subscribe(&to, "$share/g/after", 0);
	peer_unsubscribe(&to, "w/+");
	shard_scene_settle(nodes->scene);
	uint32_t exact = 0;
	char others[256] = "";
	for (uint32_t part = 0; part < INDEX_WATCH_PARTS; part++) {
		struct filter_notes notes = {.exact = NULL};
		node_filters_take(filters, nodes->scene->index, part, &notes, NULL, NULL);
		exact += notes.exact_count;
		for (uint32_t i = 0; i < notes.other_count; i++) {
			const struct filter_note *note = notes.others[i];
			size_t at = strlen(others);
			snprintf(others + at, sizeof(others) - at, "%c%.*s ", note->begins ? '+' : '-',
				 note->text_bytes, (const char *)note->text);
		}
		assert_false(notes.is_lost);
		filter_notes_free(&notes);
	}
	assert_int_equal(atomic_load(&filters->told), 0);
	assert_int_equal(exact, 2);
	assert_string_equal(others, "+$share/g/after +w/+ - ");
	index_tell_no_more(nodes->scene->index);
	peer_vanish(&to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_filter_with_wildcards, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_an_exact_filter, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_what_a_node_says_of_itself_stays, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_a_retained_message, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_a_member_on_another_node, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_a_message_that_arrives, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_a_publisher_waits, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_filters_are_noted, scene_open, scene_close),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
