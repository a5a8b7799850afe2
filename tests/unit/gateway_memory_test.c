/* Without memory for a message nobody gets it, and nobody is told that all did. */
#include "base/log.h"
#include "peer.h"
#include "reactor/mailbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

/* Batches are the only blocks of their size: a record's memory is refused, and nothing else. */
static bool batches_refused;

/* NOLINTBEGIN(bugprone-reserved-identifier): the linker's names (--wrap) */
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size)
{
	bool refused = batches_refused && size >= BATCH_BYTES && size < 2 * BATCH_BYTES;
	return refused ? NULL : __real_malloc(size);
}
/* NOLINTEND(bugprone-reserved-identifier) */

static int scene_open(void **state)
{
	batches_refused = false;
	*state = shard_scene_new(2);
	return 0;
}

static int scene_close(void **state)
{
	struct shard_scene *scene = *state;
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
	shard_scene_free(scene);
	return 0;
}

static void publish_without_memory(const struct far_peer *from, uint8_t qos)
{
	peer_publish(from, "t", "x", qos, 1);
	batches_refused = true;
	shard_scene_turn_one(from->scene, 0);
	batches_refused = false;
}

/* Subscribers are on both shards: the one at hand gets nothing either. */
static void publish_to_both(struct shard_scene *scene, uint8_t version, uint8_t qos)
{
	struct far_peer here = peer_sign_in(scene, PEER_CONNECT(.id = "here"), false);
	struct far_peer there = peer_sign_in(scene, PEER_CONNECT(.id = "there", .shard = 1), false);
	struct far_peer from =
		peer_sign_in(scene, PEER_CONNECT(.id = "from", .version = version, .clean = true), false);
	peer_subscribe(&here, "t", 2);
	peer_subscribe(&there, "t", 2);
	publish_without_memory(&from, qos);
	peer_hears_nothing(&here);
	peer_hears_nothing(&there);
	if (qos == 0) {
		assert_int_equal(shard_scene_counter(scene, 0, COUNTER_messages_dropped_memory), 1);
		peer_hears_nothing(&from);
	} else if (version == 5) {
		peer_hears_ack(&from, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, 1, MQTT_REASON_QUOTA_EXCEEDED);
	} else {
		assert_int_equal(shard_scene_ends(scene, 0, ERROR_NO_MEMORY), 1);
		peer_hears_end(&from);
		from = peer_sign_in(scene, PEER_CONNECT(.id = "from", .version = version, .clean = true), false);
	}
	/* The next one finds memory, and the identifier free. */
	peer_publish(&from, "t", "again", qos, 1);
	if (qos != 0)
		peer_hears_ack(&from, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, 1, 0);
	peer_hears_publish(&here, "t", "again", qos);
	peer_hears_publish(&there, "t", "again", qos);
	peer_vanish(&from);
	peer_vanish(&here);
	peer_vanish(&there);
}

static void test_at_qos_0_it_is_dropped_and_counted(void **state)
{
	publish_to_both(*state, 4, 0);
}

static void test_version_5_is_told_at_qos_1(void **state)
{
	publish_to_both(*state, 5, 1);
}

static void test_version_5_is_told_at_qos_2(void **state)
{
	publish_to_both(*state, 5, 2);
}

static void test_3_1_1_is_not_told_a_lie_at_qos_1(void **state)
{
	publish_to_both(*state, 4, 1);
}

static void test_3_1_1_is_not_told_a_lie_at_qos_2(void **state)
{
	publish_to_both(*state, 4, 2);
}

#define LARGE_BYTES 20000u /* with a batch of its own */

static void publish_large(const struct far_peer *from, uint8_t qos, uint16_t packet_id, bool dup)
{
	static uint8_t payload[LARGE_BYTES];
	peer_publish_as(from, &(struct mqtt_publish){
				      .topic = slice_string("t"),
				      .payload = slice_of(payload, sizeof(payload)),
				      .packet_id = packet_id,
				      .qos = qos,
				      .dup = dup,
			      });
}

/* The other shard's inbox is full, so that the last message waits for room; when there is room there is no memory. */
static uint16_t fill_and_refuse(struct shard_scene *scene, const struct far_peer *from, uint8_t qos)
{
	uint64_t pauses = shard_scene_counter(scene, 0, COUNTER_publisher_pauses);
	uint16_t packet_id = 0;
	while (shard_scene_counter(scene, 0, COUNTER_publisher_pauses) == pauses) {
		publish_large(from, qos, ++packet_id, false);
		shard_scene_turn_one(scene, 0);
	}
	batches_refused = true;
	for (int i = 0; i < 100; i++) {
		shard_scene_turn_one(scene, 1);
		shard_scene_turn_one(scene, 0);
	}
	batches_refused = false;
	return packet_id;
}

/* Those before it are acknowledged, it is not, and the client can send it again: it was not taken for one that is
 * there. */
static void routing_without_memory(struct shard_scene *scene, uint8_t version, uint8_t qos)
{
	uint8_t answer = qos == 1 ? MQTT_PUBACK : MQTT_PUBREC;
	scene->settings.receive_max = 1000;
	scene->settings.queue_bytes_max = 16 << 20;
	scene->settings.queue_messages_max = 1000;
	scene->settings.inflight_max = 1000;
	struct far_peer to = peer_sign_in(scene, PEER_CONNECT(.id = "to", .shard = 1), false);
	peer_subscribe(&to, "t", 1);
	struct far_peer from =
		peer_sign_in(scene, PEER_CONNECT(.id = "from", .version = version, .expiry_s = 100), false);
	uint16_t last = fill_and_refuse(scene, &from, qos);
	for (uint16_t id = 1; id < last; id++)
		peer_hears_ack(&from, answer, id, 0);
	if (version == 5) {
		peer_hears_ack(&from, answer, last, MQTT_REASON_QUOTA_EXCEEDED);
	} else {
		peer_hears_end(&from);
		from = peer_sign_in(scene, PEER_CONNECT(.id = "from", .version = version), true);
	}
	assert_int_equal(peer_counts(&to, MQTT_PUBLISH), last - 1);
	publish_large(&from, qos, last, version != 5);
	peer_hears_ack(&from, answer, last, 0);
	assert_int_equal(peer_counts(&to, MQTT_PUBLISH), 1);
	peer_vanish(&from);
	from = peer_sign_in(scene, PEER_CONNECT(.id = "from", .clean = true), false);
	peer_vanish(&from);
	peer_vanish(&to);
}

static void test_no_memory_when_there_is_room(void **state)
{
	for (uint8_t version = 4; version <= 5; version++) {
		routing_without_memory(*state, version, 1);
		routing_without_memory(*state, version, 2);
	}
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void)
{
	log_level_set(LOG_ERROR);
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_at_qos_0_it_is_dropped_and_counted), IN_SCENE(test_version_5_is_told_at_qos_1),
		IN_SCENE(test_version_5_is_told_at_qos_2),         IN_SCENE(test_3_1_1_is_not_told_a_lie_at_qos_1),
		IN_SCENE(test_3_1_1_is_not_told_a_lie_at_qos_2),   IN_SCENE(test_no_memory_when_there_is_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
