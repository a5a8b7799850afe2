/* Publishers wait for a subscriber that reads, on whatever shard they are, so that it loses nothing; nobody waits for
 * one that does not, whatever it pretends. */
#include "base/log.h"
#include "deliver/congestion.h"
#include "mqtt/encode.h"
#include "peer.h"
#include "state/account.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>

#include <cmocka.h>

#define QUEUE 20u
#define WINDOW 10u
#define PUBLISHERS_MAX 40
#define MESSAGES_MAX 10000

static int open_one(void **state)
{
	*state = shard_scene_new(1);
	return 0;
}

static int open_two(void **state)
{
	*state = shard_scene_new(2);
	return 0;
}

static int scene_close(void **state)
{
	struct shard_scene *scene = *state;
	for (int i = 0; i < 200; i++) { /* what waits for a time goes on */
		shard_scene_pass_ms(scene, 100);
		shard_scene_settle(scene);
	}
	shard_scene_check_empty(scene);
	shard_scene_free(scene);
	return 0;
}

static uint64_t counted(const struct shard_scene *scene, enum counter counter)
{
	uint64_t sum = 0;
	for (uint16_t i = 0; i < scene->shard_count; i++)
		sum += shard_scene_counter(scene, i, counter);
	return sum;
}

static void pass_ms(struct shard_scene *scene, uint64_t ms)
{
	shard_scene_pass_ms(scene, ms);
	shard_scene_settle(scene);
}

/* ---- a publisher that writes as much as its socket takes ---- */

struct writer {
	struct far_peer peer;
	uint32_t number;
	uint32_t next;
	uint32_t count;
	uint8_t qos;
	uint8_t packet[64]; /* under way, what is left of it */
	size_t size;
	uint16_t releases[MESSAGES_MAX]; /* PUBRELs to be sent */
	uint32_t release_count;
	uint32_t acknowledged;
};

static void encode_next(struct writer *writer)
{
	char payload[32];
	snprintf(payload, sizeof(payload), "%u %u", writer->number, writer->next);
	struct mqtt_publish publish = {
		.topic = slice_string("t"),
		.payload = slice_string(payload),
		.packet_id = (uint16_t)(1 + writer->next),
		.qos = writer->qos,
	};
	writer->size = mqtt_publish_encode(&publish, writer->peer.version, writer->packet, sizeof(writer->packet));
}

/* The packet that is to be sent next; false: there is none. */
static bool next_packet(struct writer *writer)
{
	if (writer->release_count != 0) {
		uint16_t packet_id = writer->releases[--writer->release_count];
		const uint8_t packet[] = {0x62, 2, (uint8_t)(packet_id >> 8), (uint8_t)packet_id};
		memcpy(writer->packet, packet, sizeof(packet));
		writer->size = sizeof(packet);
		return true;
	}
	if (writer->next == writer->count)
		return false;
	encode_next(writer);
	writer->next++;
	return true;
}

/* Never waits for the server. */
static void write_some(struct writer *writer)
{
	struct heard heard;
	while (peer_heard(&writer->peer, &heard)) {
		if (heard.header.type == MQTT_PUBREC)
			writer->releases[writer->release_count++] = heard.ack.packet_id;
		else
			writer->acknowledged++;
	}
	while (writer->size != 0 || next_packet(writer)) {
		ssize_t sent = send(writer->peer.fd, writer->packet, writer->size, MSG_NOSIGNAL);
		if (sent < 0)
			break;
		writer->size -= (size_t)sent;
		memmove(writer->packet, writer->packet + sent, writer->size);
	}
}

/* ---- a subscriber ---- */

struct reader {
	struct far_peer peer;
	uint32_t next[PUBLISHERS_MAX]; /* by publisher: the message that is due */
	uint32_t count;
};

/* Takes up to `most` messages, each the next one of its publisher, and acknowledges them. */
static void read_some(struct reader *reader, uint32_t most)
{
	struct heard heard;
	while (most-- != 0 && peer_heard(&reader->peer, &heard)) {
		unsigned number, message;
		if (heard.header.type == MQTT_PUBREL) {
			peer_ack(&reader->peer, MQTT_PUBCOMP, heard.ack.packet_id);
			continue;
		}
		assert_int_equal(heard.header.type, MQTT_PUBLISH);
		char payload[32] = {0};
		memcpy(payload, heard.publish.payload.data, heard.publish.payload.size);
		assert_int_equal(sscanf(payload, "%u %u", &number, &message), 2);
		assert_int_equal(message, reader->next[number]++);
		reader->count++;
		peer_ack(&reader->peer, heard.publish.qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, heard.publish.packet_id);
	}
}

static void run(struct shard_scene *scene, struct writer *writers, int writer_count, struct reader *reader,
		uint32_t messages, uint32_t a_step)
{
	for (int step = 0; reader->count < messages; step++) {
		if (step > 20000)
			fail_msg("%u of %u came", reader->count, messages);
		for (int i = 0; i < writer_count; i++)
			write_some(&writers[i]);
		pass_ms(scene, 1);
		read_some(reader, a_step);
	}
	for (int i = 0; i < writer_count; i++) {
		for (int step = 0; step < 5; step++) {
			write_some(&writers[i]);
			pass_ms(scene, 1);
		}
		assert_int_equal(writers[i].acknowledged, writers[i].count);
	}
}

struct play {
	int writers;
	uint32_t count; /* of each */
	uint8_t qos;
	uint16_t reader_shard;
	bool mixed; /* publishers on all shards rather than on the first */
	bool stays; /* the subscriber's session outlives its connection */
};

static void play(struct shard_scene *scene, const struct play *play)
{
	static struct writer writers[PUBLISHERS_MAX];
	struct reader reader = {.peer = peer_sign_in(scene,
						     PEER_CONNECT(.id = "reader", .shard = play->reader_shard,
								  .expiry_s = play->stays ? 3600 : 0),
						     false)};
	peer_subscribe(&reader.peer, "t", 2);
	for (int i = 0; i < play->writers; i++) {
		char id[16];
		snprintf(id, sizeof(id), "w%d", i);
		uint16_t shard = (uint16_t)(play->mixed ? i % scene->shard_count : 0);
		writers[i] = (struct writer){
			.peer = peer_sign_in(scene, PEER_CONNECT(.id = id, .version = 4, .clean = true, .shard = shard),
					     false),
			.number = (uint32_t)i,
			.count = play->count,
			.qos = play->qos};
	}
	run(scene, writers, play->writers, &reader, (uint32_t)play->writers * play->count, WINDOW);
	assert_int_equal(counted(scene, COUNTER_messages_dropped_queue_full), 0);
	assert_int_not_equal(counted(scene, COUNTER_subscriber_pauses), 0);
	assert_int_equal(counted(scene, COUNTER_congestions_stuck), 0);
	for (int i = 0; i < play->writers; i++)
		peer_vanish(&writers[i].peer);
	peer_disconnect(&reader.peer, 0, 0);
	peer_vanish(&reader.peer);
}

static void test_burst_on_one_shard(void **state)
{
	for (uint8_t qos = 1; qos <= 2; qos++)
		play(*state, &(struct play){.writers = 1, .count = 2000, .qos = qos});
}

static void test_burst_to_a_session_that_stays(void **state)
{
	for (uint8_t qos = 1; qos <= 2; qos++)
		play(*state, &(struct play){.writers = 1, .count = 2000, .qos = qos, .stays = true});
}

static void test_burst_across_shards(void **state)
{
	for (uint8_t qos = 1; qos <= 2; qos++)
		play(*state, &(struct play){.writers = 1, .count = 5000, .qos = qos, .reader_shard = 1});
}

static void test_many_publishers_on_all_shards(void **state)
{
	play(*state, &(struct play){.writers = PUBLISHERS_MAX, .count = 200, .qos = 1, .mixed = true});
}

/* A client that is congested and free again, many times before its shard looks, is in the list once. */
static void test_congested_again_and_again(void **state)
{
	struct shard_scene *scene = *state;
	struct reader reader = {.peer = peer_sign_in(scene, PEER_CONNECT(.id = "reader"), false)};
	peer_subscribe(&reader.peer, "t", 1);
	for (unsigned number = 0; number < PUBLISHERS_MAX; number++) {
		struct writer writer = {
			.peer = peer_sign_in(scene, PEER_CONNECT(.id = "w"), false),
			.number = number,
			.count = WINDOW + QUEUE / 2 + 1,
			.qos = 1,
		};
		write_some(&writer);
		shard_scene_settle(scene);
		assert_int_equal(counted(scene, COUNTER_congestions), number + 1);
		assert_int_equal(scene->shards[0].routing.congestion.congested.count, 1);
		while (reader.next[number] < writer.count) {
			shard_scene_settle(scene);
			read_some(&reader, WINDOW);
		}
		shard_scene_settle(scene);
		assert_int_equal(scene->shards[0].routing.congestion.congested.count, 0);
		peer_vanish(&writer.peer);
	}
	peer_vanish(&reader.peer);
}

/* Each publishes to the other, and acknowledges behind what it publishes. */
static void test_two_that_publish_to_each_other(void **state)
{
	struct shard_scene *scene = *state;
	static struct writer writers[2];
	struct reader readers[2] = {0};
	for (uint32_t i = 0; i < 2; i++) {
		readers[i].peer = peer_sign_in(scene, PEER_CONNECT(.id = i == 0 ? "a" : "b", .expiry_s = 3600), false);
		struct mqtt_subscription asked = {.filter = slice_string("t"), .qos = 1, .no_local = true};
		peer_subscribe_as(&readers[i].peer, &asked, 0);
		writers[i] = (struct writer){.peer = readers[i].peer, .number = i, .count = 500, .qos = 1};
	}
	for (int step = 0; readers[0].count + readers[1].count < 1000; step++) {
		assert_true(step < 5000);
		for (uint32_t i = 0; i < 2; i++) {
			struct heard heard;
			readers[i].peer.fd = writers[i].peer.fd;
			for (int n = 0; n < 20 && writers[i].next < writers[i].count; n++) {
				encode_next(&writers[i]);
				if (send(writers[i].peer.fd, writers[i].packet, writers[i].size, MSG_NOSIGNAL) < 0)
					break;
				writers[i].next++;
			}
			while (peer_heard(&readers[i].peer, &heard)) {
				if (heard.header.type != MQTT_PUBLISH)
					continue;
				readers[i].count++;
				peer_ack(&readers[i].peer, MQTT_PUBACK, heard.publish.packet_id);
			}
		}
		pass_ms(scene, 1);
	}
	assert_int_equal(counted(scene, COUNTER_messages_dropped_queue_full), 0);
	for (uint32_t i = 0; i < 2; i++) {
		peer_disconnect(&readers[i].peer, 0, 0);
		peer_vanish(&readers[i].peer);
	}
}

/* ---- who is not waited for ---- */

/* How many messages were taken from the publisher after so long. a_second: what the subscriber acknowledges. */
static uint32_t taken_after(struct shard_scene *scene, struct writer *writer, struct reader *reader, uint32_t ms,
			    uint32_t a_second)
{
	uint32_t read = 0;
	for (uint32_t at_ms = 0; at_ms < ms; at_ms++) {
		write_some(writer);
		pass_ms(scene, 1);
		if (reader != NULL && read < a_second * at_ms / 1000) {
			struct heard heard;
			if (peer_heard(&reader->peer, &heard))
				peer_ack(&reader->peer, MQTT_PUBACK, heard.publish.packet_id);
			read++;
		}
	}
	return writer->acknowledged;
}

static void test_one_that_takes_nothing_is_not_waited_for(void **state)
{
	struct shard_scene *scene = *state;
	struct reader reader = {.peer = peer_sign_in(scene, PEER_CONNECT(.id = "stuck", .shard = 0), false)};
	peer_subscribe(&reader.peer, "t", 1);
	uint16_t shard = (uint16_t)(scene->shard_count - 1);
	static struct writer writer;
	writer = (struct writer){
		.peer = peer_sign_in(scene, PEER_CONNECT(.id = "w", .shard = shard), false), .count = 3000, .qos = 1};
	uint32_t taken = taken_after(scene, &writer, NULL, CONGESTION_PERIOD_MS - 10, 0);
	assert_true(taken < writer.count); /* it has its time */
	taken = taken_after(scene, &writer, NULL, 100, 0);
	assert_int_equal(taken, writer.count);
	assert_int_equal(counted(scene, COUNTER_congestions_stuck), 1);
	uint64_t dropped = counted(scene, COUNTER_messages_dropped_queue_full);
	assert_int_equal(dropped, writer.count - WINDOW - QUEUE);
	/* And nobody waits for it again before long. */
	writer.count = 4000;
	assert_int_equal(taken_after(scene, &writer, NULL, 20, 0), 4000);
	peer_vanish(&writer.peer);
	peer_vanish(&reader.peer);
}

/* One a second is not enough to have anyone wait. */
static void test_one_that_pretends_is_not_waited_for(void **state)
{
	struct shard_scene *scene = *state;
	struct reader reader = {.peer = peer_sign_in(scene, PEER_CONNECT(.id = "pretends", .shard = 0), false)};
	peer_subscribe(&reader.peer, "t", 1);
	uint16_t shard = (uint16_t)(scene->shard_count - 1);
	static struct writer writer;
	writer = (struct writer){
		.peer = peer_sign_in(scene, PEER_CONNECT(.id = "w", .shard = shard), false), .count = 10000, .qos = 1};
	assert_int_equal(taken_after(scene, &writer, &reader, 5000, 2), 10000);
	assert_int_equal(counted(scene, COUNTER_congestions), 1);
	peer_vanish(&writer.peer);
	peer_vanish(&reader.peer);
}

/* Nor are many that take nothing, one after another, again and again. */
static void test_many_that_take_nothing_are_not_waited_for(void **state)
{
	struct shard_scene *scene = *state;
	enum { STUCK = 40, EACH = 5 };
	struct far_peer stuck[STUCK];
	uint16_t shard = (uint16_t)(scene->shard_count - 1);
	static struct writer writer;
	writer = (struct writer){.peer = peer_sign_in(scene, PEER_CONNECT(.id = "w", .shard = shard), false), .qos = 1};
	uint32_t ms = 0;
	for (int i = 0; i < STUCK; i++) {
		char id[16];
		snprintf(id, sizeof(id), "s%d", i);
		stuck[i] = peer_sign_in(scene, PEER_CONNECT(.id = id), false);
		peer_subscribe(&stuck[i], "t", 1);
		for (writer.count += EACH; writer.acknowledged < writer.count; ms++)
			taken_after(scene, &writer, NULL, 1, 0);
	}
	for (writer.count += 1000; writer.acknowledged < writer.count; ms++)
		taken_after(scene, &writer, NULL, 1, 0);
	assert_true(ms < 4 * CONGESTION_PERIOD_MS + STUCK * 20);
	/* Their queues are full and stay so: nobody waits for them when their time is over either. */
	pass_ms(scene, 2000u * CONGESTION_DENIED_S);
	writer.count += 1000;
	assert_int_equal(taken_after(scene, &writer, NULL, 30, 0), writer.count);
	peer_vanish(&writer.peer);
	for (int i = 0; i < STUCK; i++)
		peer_vanish(&stuck[i]);
}

/* A session without a connection has nobody wait. */
static void test_absent_session_is_not_waited_for(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = "absent", .expiry_s = 1), false);
	peer_subscribe(&peer, "t", 1);
	peer_vanish(&peer);
	static struct writer writer;
	writer = (struct writer){.peer = peer_sign_in(scene, PEER_CONNECT(.id = "w"), false), .count = 1000, .qos = 1};
	while (writer.acknowledged < 1000) {
		write_some(&writer);
		shard_scene_settle(scene); /* no time passes */
	}
	assert_int_equal(counted(scene, COUNTER_congestions), 0);
	assert_int_equal(counted(scene, COUNTER_messages_dropped_queue_full), 1000 - QUEUE);
	peer_vanish(&writer.peer);
}

/* Who waits goes on when the one that he waits for is gone. */
static void test_the_subscriber_goes_away(void **state)
{
	struct shard_scene *scene = *state;
	struct reader reader = {.peer = peer_sign_in(scene, PEER_CONNECT(.id = "goes", .shard = 0), false)};
	peer_subscribe(&reader.peer, "t", 1);
	uint16_t shard = (uint16_t)(scene->shard_count - 1);
	static struct writer writer;
	writer = (struct writer){
		.peer = peer_sign_in(scene, PEER_CONNECT(.id = "w", .shard = shard), false), .count = 2000, .qos = 1};
	assert_true(taken_after(scene, &writer, NULL, 20, 0) < 2000);
	peer_vanish(&reader.peer);
	assert_int_equal(taken_after(scene, &writer, NULL, 20, 0), 2000);
	peer_vanish(&writer.peer);
}

/* And a publisher that goes while he waits leaves nothing behind: his place may be another's. */
static void test_the_publisher_goes_away(void **state)
{
	struct shard_scene *scene = *state;
	struct reader reader = {.peer = peer_sign_in(scene, PEER_CONNECT(.id = "reads", .shard = 0), false)};
	peer_subscribe(&reader.peer, "t", 1);
	uint16_t shard = (uint16_t)(scene->shard_count - 1);
	for (int i = 0; i < 3; i++) {
		static struct writer writer;
		writer = (struct writer){.peer = peer_sign_in(scene, PEER_CONNECT(.id = "w", .shard = shard), false),
					 .count = 2000,
					 .qos = 1};
		taken_after(scene, &writer, NULL, 5, 0);
		peer_vanish(&writer.peer);
		struct far_peer other = peer_sign_in(scene, PEER_CONNECT(.id = "o", .shard = shard), false);
		peer_publish(&other, "elsewhere", "x", 1, 1);
		peer_hears_ack(&other, MQTT_PUBACK, 1, 0x10);
		peer_vanish(&other);
	}
	peer_vanish(&reader.peer);
}

/* ---- who lost something is known ---- */

static void test_losses_are_counted_by_client(void **state)
{
	struct shard_scene *scene = *state;
	struct far_peer stuck = peer_sign_in(scene, PEER_CONNECT(.id = "stuck", .send_bytes = 4096), false);
	peer_subscribe(&stuck, "t", 0);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	static uint8_t payload[8192];
	struct mqtt_publish publish = {.topic = slice_string("t"), .payload = slice_of(payload, sizeof(payload))};
	for (int i = 0; i < 100; i++)
		peer_publish_as(&from, &publish);
	shard_scene_settle(scene);
	uint64_t dropped = counted(scene, COUNTER_messages_dropped_queue_full);
	assert_in_range(dropped, 1, 99);
	struct shard *shard = &scene->shards[0];
	uint64_t of_client = 0;
	for (uint32_t i = 1; i <= shard->mem.clients.touched; i++) {
		const struct account *account = account_of(shard, shard_client(shard, (struct client_ref){i}));
		of_client += account != NULL ? account->dropped : 0;
	}
	assert_int_equal(of_client, dropped);
	peer_vanish(&from);
	peer_vanish(&stuck);
}

/* ---- expiry ---- */

static void publish_with_expiry(struct far_peer *from, uint32_t expiry_s, uint32_t count, uint16_t first)
{
	uint8_t properties[] = {0x02, 0, 0, 0, (uint8_t)expiry_s};
	for (uint16_t i = 0; i < count; i++) {
		struct mqtt_publish publish = {
			.topic = slice_string("t"),
			.payload = slice_string(expiry_s != 0 ? "short" : "long"),
			.properties = slice_of(properties, expiry_s != 0 ? sizeof(properties) : 0),
			.packet_id = (uint16_t)(first + i),
			.qos = 1,
		};
		peer_publish_as(from, &publish);
		peer_hears_ack(from, MQTT_PUBACK, publish.packet_id, 0);
	}
}

/* Messages that expired make room for new ones, also where the new one would be refused. */
static void test_expired_messages_make_room(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.queue_drops_newest = true;
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = "s", .expiry_s = 3600), false);
	peer_subscribe(&peer, "t", 1);
	peer_vanish(&peer);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	publish_with_expiry(&from, 1, QUEUE, 1);
	pass_ms(scene, 2000);
	publish_with_expiry(&from, 0, QUEUE, 101);
	assert_int_equal(counted(scene, COUNTER_messages_expired), QUEUE);
	assert_int_equal(counted(scene, COUNTER_messages_dropped_queue_full), 0);
	peer = peer_sign_in(scene, PEER_CONNECT(.id = "s", .expiry_s = 0), true);
	for (uint32_t i = 0; i < QUEUE; i++) {
		struct mqtt_publish publish = peer_hears_publish(&peer, "t", "long", 1);
		peer_ack(&peer, MQTT_PUBACK, publish.packet_id);
	}
	peer_vanish(&peer);
	peer_vanish(&from);
}

/* And leave an absent session's queue although nothing more comes. */
static void test_expired_messages_do_not_stay(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.queue_messages_max = 5000;
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = "s", .expiry_s = 3600), false);
	peer_subscribe(&peer, "t", 1);
	peer_vanish(&peer);
	struct far_peer from = peer_sign_in(scene, PEER_CONNECT(.id = "from"), false);
	publish_with_expiry(&from, 0, 1, 1);
	publish_with_expiry(&from, 5, 3000, 2);
	assert_int_equal(scene->shards[0].mem.messages.count, 3001);
	for (int s = 0; s < 125; s++)
		pass_ms(scene, 1000);
	assert_int_equal(scene->shards[0].mem.messages.count, 1);
	assert_int_equal(counted(scene, COUNTER_messages_expired), 3000);
	peer = peer_sign_in(scene, PEER_CONNECT(.id = "s", .expiry_s = 0), true);
	peer_hears_publish(&peer, "t", "long", 1);
	peer_hears_nothing(&peer);
	peer_vanish(&peer);
	peer_vanish(&from);
}

#define ON_ONE(test) cmocka_unit_test_setup_teardown(test, open_one, scene_close)
#define ON_TWO(test) cmocka_unit_test_setup_teardown(test, open_two, scene_close)

int main(void)
{
	log_level_set(LOG_ERROR);
	const struct CMUnitTest tests[] = {
		ON_ONE(test_burst_on_one_shard),
		ON_ONE(test_burst_to_a_session_that_stays),
		ON_TWO(test_burst_on_one_shard),
		ON_TWO(test_burst_across_shards),
		ON_ONE(test_many_publishers_on_all_shards),
		ON_TWO(test_many_publishers_on_all_shards),
		ON_ONE(test_congested_again_and_again),
		ON_ONE(test_two_that_publish_to_each_other),
		ON_ONE(test_one_that_takes_nothing_is_not_waited_for),
		ON_TWO(test_one_that_takes_nothing_is_not_waited_for),
		ON_ONE(test_one_that_pretends_is_not_waited_for),
		ON_TWO(test_one_that_pretends_is_not_waited_for),
		ON_ONE(test_many_that_take_nothing_are_not_waited_for),
		ON_TWO(test_many_that_take_nothing_are_not_waited_for),
		ON_ONE(test_absent_session_is_not_waited_for),
		ON_ONE(test_the_subscriber_goes_away),
		ON_TWO(test_the_subscriber_goes_away),
		ON_ONE(test_the_publisher_goes_away),
		ON_TWO(test_the_publisher_goes_away),
		ON_ONE(test_losses_are_counted_by_client),
		ON_ONE(test_expired_messages_make_room),
		ON_ONE(test_expired_messages_do_not_stay),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
