/* A sender and a receiver that do their part, as the standard has it, and lose their connections at every point: what
 * is sent at QoS 2 is received exactly once and in order, at QoS 1 at least once and the first times in order. */
#include "base/log.h"
#include "peer.h"
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define EXPIRY_S 3600u
#define MESSAGES_MAX 60000u
#define WINDOW 8u
#define STEPS 12000

/* Sent and not acknowledged, oldest first. */
struct outgoing {
	uint32_t number;
	uint16_t packet_id;
	bool released;           /* QoS 2: PUBREC came */
	uint64_t receiver_turns; /* that the receiver's shard had taken when it was sent first */
};

struct play {
	struct shard_scene *scene;
	struct random random;
	struct far_peer sender;
	struct far_peer receiver;
	/* the sender's session */
	struct outgoing outgoing[WINDOW];
	uint32_t outgoing_count;
	uint32_t next_number;
	uint16_t packet_id;
	/* the receiver's session */
	bool received[65536]; /* QoS 2: by identifier, until it is released */
	uint8_t times[MESSAGES_MAX];
	uint32_t last[3]; /* by QoS: the highest number so far, counted from 1 */
};

/* Every third message is at QoS 1. */
static uint8_t qos_of(uint32_t number)
{
	return number % 3 == 0 ? 1 : 2;
}

/* ---- the sender ---- */

static void send_message(const struct play *play, const struct outgoing *outgoing, bool dup)
{
	struct mqtt_publish publish = {
		.topic = slice_string("t"),
		.payload = slice_of(&outgoing->number, sizeof(outgoing->number)),
		.packet_id = outgoing->packet_id,
		.qos = qos_of(outgoing->number),
		.dup = dup,
	};
	peer_publish_as(&play->sender, &publish);
}

static void send_new(struct play *play)
{
	if (play->outgoing_count == WINDOW || play->next_number == MESSAGES_MAX)
		return;
	play->packet_id = play->packet_id == UINT16_MAX ? 1 : (uint16_t)(play->packet_id + 1);
	struct outgoing *outgoing = &play->outgoing[play->outgoing_count++];
	*outgoing = (struct outgoing){
		.number = play->next_number++,
		.packet_id = play->packet_id,
		.receiver_turns = shard_scene_counter(play->scene, 1, COUNTER_turns),
	};
	send_message(play, outgoing, false);
}

static void sender_takes(struct play *play, const struct heard *heard)
{
	uint32_t i = 0;
	while (i < play->outgoing_count && play->outgoing[i].packet_id != heard->ack.packet_id)
		i++;
	assert_true(i < play->outgoing_count);
	/* It was released, but the answer was lost with its connection [4.3.3]. */
	bool released_before =
		heard->header.type == MQTT_PUBCOMP && heard->ack.reason == MQTT_REASON_PACKET_ID_NOT_FOUND;
	assert_true(heard->ack.reason < MQTT_REASON_UNSPECIFIED_ERROR || released_before);
	/* Nobody answers for a message that its receiver's shard cannot have seen yet. */
	assert_true(shard_scene_counter(play->scene, 1, COUNTER_turns) > play->outgoing[i].receiver_turns);
	if (heard->header.type == MQTT_PUBREC) {
		play->outgoing[i].released = true;
		peer_ack(&play->sender, MQTT_PUBREL, heard->ack.packet_id);
		return;
	}
	assert_int_equal(heard->header.type, qos_of(play->outgoing[i].number) == 1 ? MQTT_PUBACK : MQTT_PUBCOMP);
	play->outgoing_count--;
	memmove(&play->outgoing[i], &play->outgoing[i + 1], (play->outgoing_count - i) * sizeof(play->outgoing[0]));
}

/* [MQTT-4.4.0-1] */
static void send_again(struct play *play)
{
	for (uint32_t i = 0; i < play->outgoing_count; i++) {
		if (play->outgoing[i].released)
			peer_ack(&play->sender, MQTT_PUBREL, play->outgoing[i].packet_id);
		else
			send_message(play, &play->outgoing[i], true);
	}
}

/* ---- the receiver ---- */

static void receive(struct play *play, uint32_t number, uint8_t qos)
{
	assert_in_range(number, 0, play->next_number - 1);
	assert_int_equal(qos, qos_of(number));
	if (play->times[number] == 0) {
		assert_true(number + 1 > play->last[qos]);
		play->last[qos] = number + 1;
	} else {
		assert_int_equal(qos, 1);
	}
	play->times[number] = 1;
}

static void receiver_takes(struct play *play, const struct heard *heard)
{
	if (heard->header.type == MQTT_PUBREL) {
		assert_int_equal(heard->ack.reason, 0);
		play->received[heard->ack.packet_id] = false;
		peer_ack(&play->receiver, MQTT_PUBCOMP, heard->ack.packet_id);
		return;
	}
	assert_int_equal(heard->header.type, MQTT_PUBLISH);
	const struct mqtt_publish *publish = &heard->publish;
	uint32_t number;
	memcpy(&number, publish->payload.data, sizeof(number));
	if (publish->qos == 1 || !play->received[publish->packet_id])
		receive(play, number, publish->qos);
	play->received[publish->packet_id] = publish->qos == 2;
	peer_ack(&play->receiver, publish->qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, publish->packet_id);
}

/* ---- both ---- */

/* Vanishes first, or is taken over by its next connection. */
static void reconnect(struct play *play, struct far_peer *peer, const struct peer_connect *connect)
{
	struct far_peer older = *peer;
	bool first = random_below(&play->random, 2) == 0;
	if (first)
		peer_vanish(&older);
	*peer = peer_sign_in(play->scene, connect, true);
	if (!first)
		peer_vanish(&older);
}

static const struct peer_connect SENDER = {.id = "sender", .expiry_s = EXPIRY_S};
static const struct peer_connect RECEIVER = {.id = "receiver", .shard = 1, .expiry_s = EXPIRY_S, .alias_max = 2};

static void take_some(struct play *play, uint32_t most)
{
	struct heard heard;
	for (uint32_t i = 0; i < most && peer_heard(&play->sender, &heard); i++)
		sender_takes(play, &heard);
	for (uint32_t i = 0; i < most && peer_heard(&play->receiver, &heard); i++)
		receiver_takes(play, &heard);
}

static void step(struct play *play)
{
	uint32_t what = random_below(&play->random, 100);
	if (what < 45) {
		send_new(play);
	} else if (what < 70) {
		take_some(play, 1 + random_below(&play->random, 6));
	} else if (what < 74) {
		reconnect(play, &play->sender, &SENDER);
		send_again(play);
	} else if (what < 78) {
		reconnect(play, &play->receiver, &RECEIVER);
	} else {
		shard_scene_turn_one(play->scene, (uint16_t)(what % play->scene->shard_count));
	}
}

static void finish(struct play *play)
{
	for (int rounds = 0; play->outgoing_count != 0; rounds++) {
		assert_true(rounds < 1000);
		shard_scene_settle(play->scene);
		take_some(play, UINT32_MAX);
	}
	for (int rounds = 0; rounds < 10; rounds++) {
		shard_scene_settle(play->scene);
		take_some(play, UINT32_MAX);
	}
	for (uint32_t number = 0; number < play->next_number; number++)
		assert_int_equal(play->times[number], 1);
}

static void play_with(struct shard_scene *scene, uint64_t seed)
{
	static struct play play;
	play = (struct play){.scene = scene, .random = {seed}};
	play.sender = peer_sign_in(scene, &SENDER, false);
	play.receiver = peer_sign_in(scene, &RECEIVER, false);
	peer_subscribe(&play.receiver, "t", 2);
	for (int i = 0; i < STEPS; i++)
		step(&play);
	finish(&play);
	assert_true(play.next_number > STEPS / 10);
	/* Nothing is under way any more. */
	for (uint16_t shard = 0; shard < scene->shard_count; shard++)
		assert_int_equal(scene->shards[shard].mem.flows.entries.used + scene->shards[shard].mem.messages.count,
				 0);
	peer_disconnect(&play.sender, 0, 0);
	peer_disconnect(&play.receiver, 0, 0);
	peer_hears_end(&play.sender);
	peer_hears_end(&play.receiver);
	shard_scene_check_empty(scene);
}

static void test_exactly_once_whatever_happens(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct shard_scene *scene = shard_scene_new(2);
		scene->settings.queue_messages_max = MESSAGES_MAX;
		scene->settings.queue_bytes_max = 16 << 20;
		play_with(scene, seed);
		shard_scene_free(scene);
	}
}

int main(void)
{
	log_level_set(LOG_ERROR);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exactly_once_whatever_happens),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
