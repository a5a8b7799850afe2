/* Retained messages in a cluster: a shard stamps what its clients set, and tells its journal of what other nodes have
 * set. The test is the nodes thread. */
#include "cluster/common/retained_format.h"
#include "journal_recorded.h"
#include "peer.h"
#include "publication_sample.h"
#include "route/retained_mail.h"
#include "runtime/nodes/node_mail.h"
#include "topics/retained_changes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SHARDS 2u
#define WALL_MS 1700000000000u

static const struct hash_key CLUSTER_KEY = {{4}};

static int scene_open(void **state)
{
	struct shard_scene *scene = shard_scene_new(SHARDS);
	shard_scene_join_cluster(scene);
	assert_int_equal(retained_stamp(scene->retained, &CLUSTER_KEY, 1, NULL), ERROR_OK);
	node_port_open(scene->nodes);
	*state = scene;
	return 0;
}

static int scene_close(void **state)
{
	struct shard_scene *scene = *state;
	shard_scene_settle(scene);
	node_port_close(scene->nodes);
	shard_scene_check_empty(scene);
	shard_scene_free(scene);
	return 0;
}

static struct retained_item find(struct shard_scene *scene, const char *topic)
{
	struct retained_item item = {0};
	retained_find(scene->retained, hash_slice(&CLUSTER_KEY, slice_string(topic)), &item);
	return item;
}

static uint64_t told(const struct shard_scene *scene, uint32_t shard)
{
	return scene->records[shard].seen[JOURNAL_EVENT(retained)];
}

static void publish(struct shard_scene *scene, struct far_peer *peer, const char *topic, const char *payload)
{
	struct mqtt_publish message = {.topic = slice_string(topic), .payload = slice_string(payload), .retain = true};
	peer_publish_as(peer, &message);
	shard_scene_settle(scene);
}

/* As the nodes thread does with what another node has set. */
static void take(struct shard_scene *scene, uint16_t shard, const char *topic, const char *payload, struct stamp stamp,
		 uint64_t ticket)
{
	struct sample sample;
	sample_plain(&sample, topic, slice_string(payload), 1);
	struct retained_change change = {.wall_ms = WALL_MS, .now_s = scene->shards[shard].loop.now_s, .stamp = stamp};
	struct retained_result result;
	assert_int_equal(retained_apply(scene->retained, &sample.publication, sample.packet, &change, &result),
			 ERROR_OK);
	assert_int_not_equal(result.number, 0);
	uint32_t bytes = sample.publication.packet_bytes;
	struct node_mail *mail = node_mail_new(RETAINED_TELL, (uint32_t)sizeof(struct retained_mail) + bytes);
	struct retained_mail *tell = (struct retained_mail *)(void *)mail->body;
	*tell = (struct retained_mail){.number = result.number,
				       .stamp = stamp,
				       .ticket = ticket,
				       .publication = sample.publication,
				       .awaits = true};
	memcpy(tell->packet, sample.packet, bytes);
	node_port_post(scene->nodes, shard, mail);
}

/* Among what is said of sessions. */
static void assert_comes_back(struct shard_scene *scene, uint64_t ticket)
{
	struct node_mail *mail = node_box_take(&scene->nodes->to_nodes);
	uint32_t found = 0;
	while (mail != NULL) {
		struct node_mail *next = mail->next;
		if (mail->kind == RETAINED_TOLD) {
			assert_int_equal(((const struct retained_mail *)(const void *)mail->body)->ticket, ticket);
			found++;
		}
		node_mail_free(mail);
		mail = next;
	}
	assert_int_equal(found, 1);
}

static void test_a_shard_stamps_what_its_clients_set(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = "a"), false);
	publish(scene, &peer, "t", "one");
	struct stamp first = find(scene, "t").stamp;
	assert_int_equal(first.node, 1);
	publish(scene, &peer, "t", "two");
	assert_true(stamp_compare(first, find(scene, "t").stamp) < 0);
	publish(scene, &peer, "t", "");
	assert_true(find(scene, "t").is_cleared);
	peer_vanish(&peer);
}

static void test_a_shard_tells_what_others_have_set(void **state)
{
	struct shard_scene *scene = *state;
	struct stamp stamp = {.time = (uint64_t)WALL_MS << STAMP_COUNTER_BITS, .node = 9};
	uint64_t before = told(scene, 1);
	take(scene, 1, "far", "value", stamp, 77);
	assert_null(node_box_take(&scene->nodes->to_nodes));
	shard_scene_settle(scene);
	assert_comes_back(scene, 77);
	assert_int_equal(told(scene, 1), before + 1);
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = "a"), false);
	peer_subscribe(&peer, "far", 0);
	peer_hears_publish(&peer, "far", "value", 0);
	stamp.time++;
	take(scene, 0, "far", "", stamp, 78);
	shard_scene_settle(scene);
	assert_comes_back(scene, 78);
	peer_vanish(&peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_shard_stamps_what_its_clients_set, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_a_shard_tells_what_others_have_set, scene_open, scene_close),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
