/* Clients with sessions that last do what comes to a random mind, on two shards, while the wall clock is set now and
 * then. After each step the journal has to say what the shards are; at the end nothing may be left, and each event must
 * have come. A play is made from its seed alone, which is printed first. */
#include "base/log.h"
#include "mover.h"
#include "peer.h"
#include "random.h"
#include "tries.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define CLIENTS 6u
#define PLAYS (TRIES_STEP == 1 ? 24u : 12u)
#define STEPS 1500u
#define EXPIRY_MAX_S 600u
#define HEARD_MAX 64u

/* A message of QoS 1 or 2 that a client has heard and not taken to its end. */
struct under_way {
	uint16_t packet_id;
	uint8_t qos;
	bool received; /* it has sent PUBREC */
};

struct actor {
	struct far_peer peer;
	uint16_t shard;
	bool here;
	struct under_way heard[HEARD_MAX];
	uint32_t heard_count;
	uint16_t packet_id; /* of its own messages */
	bool published[8];  /* at QoS 2, by packet_id % 8: not released */
	uint16_t published_id[8];
};

struct play {
	struct shard_scene *scene;
	uint64_t *seen; /* events, by kind */
	struct random random;
	struct actor actors[CLIENTS];
	uint32_t moved;
};

static const char *const IDS[CLIENTS] = {"a", "b", "c", "d", "e", "f"};
static const char *const TOPICS[] = {"t/1", "t/2", "u/1", "u/2"};
static const char *const FILTERS[] = {"t/1", "t/2", "t/+", "#", "u/#", "$share/g/t/+", "$share/g/u/1", "$share/h/#"};

static uint32_t any(struct play *play, uint32_t limit)
{
	return random_below(&play->random, limit);
}

static bool one_in(struct play *play, uint32_t times)
{
	return any(play, times) == 0;
}

/* ---- coming and going ---- */

static void leave_as_it_is(struct actor *actor)
{
	peer_drop(&actor->peer);
	actor->here = false;
	actor->heard_count = 0;
	memset(actor->published, 0, sizeof(actor->published));
}

static void sign_in(struct play *play, struct actor *actor)
{
	static const uint32_t EXPIRIES_S[] = {0, 5, 60, EXPIRY_MAX_S, UINT32_MAX};
	static const uint8_t EXPIRES[] = {0x02, 0, 0, 0, 20};
	if (actor->here && !one_in(play, 4))
		return;
	leave_as_it_is(actor);
	uint16_t place = (uint16_t)(actor - play->actors);
	actor->shard = shard_scene_of(play->scene, IDS[place]);
	actor->peer = peer_connect(
		play->scene,
		PEER_CONNECT(.id = IDS[place], .shard = actor->shard, .clean = one_in(play, 8),
			     .expiry_s = EXPIRIES_S[any(play, 20) == 0 ? 0 : 1 + any(play, 4)],
			     .receive_max = (uint16_t)any(play, 4), .packet_bytes_max = one_in(play, 6) ? 30 : 0,
			     .version = one_in(play, 4) ? 4 : 5, .bridge = false,
			     .will_topic = one_in(play, 2) ? TOPICS[any(play, 4)] : NULL,
			     .will_delay_s = any(play, 3) * 10, .will_qos = (uint8_t)any(play, 3),
			     .will_retain = one_in(play, 3),
			     .will_properties = slice_of(EXPIRES, one_in(play, 2) ? sizeof(EXPIRES) : 0)));
	actor->here = true;
}

static void disconnect(struct play *play, struct actor *actor)
{
	static const uint32_t EXPIRIES_S[] = {0, 1, 30, UINT32_MAX};
	if (!actor->here)
		return;
	if (one_in(play, 3) && actor->peer.version == MQTT_VERSION_5)
		peer_disconnect(&actor->peer, one_in(play, 2) ? 4 : 0, EXPIRIES_S[any(play, 4)]);
	else if (one_in(play, 2))
		peer_say(&actor->peer, "\xe0", 2);
	leave_as_it_is(actor);
}

/* ---- saying ---- */

static void subscribe(struct play *play, struct actor *actor)
{
	const char *filter = FILTERS[any(play, 8)];
	bool five = actor->peer.version == MQTT_VERSION_5;
	struct mqtt_subscription asked = {
		.filter = slice_string(filter),
		.qos = (uint8_t)any(play, 3),
		.no_local = five && filter[0] != '$' && one_in(play, 4),
		.retain_as_published = five && one_in(play, 2),
	};
	peer_ask(&actor->peer, &asked, five && one_in(play, 2) ? 1 + any(play, 9) : 0);
}

static void unsubscribe(struct play *play, const struct actor *actor)
{
	uint8_t packet[64] = {0xa2};
	const char *filter = FILTERS[any(play, 8)];
	size_t size = strlen(filter);
	size_t at = 2;
	packet[at++] = 0;
	packet[at++] = 9;
	if (actor->peer.version == MQTT_VERSION_5)
		packet[at++] = 0;
	packet[at++] = 0;
	packet[at++] = (uint8_t)size;
	memcpy(packet + at, filter, size);
	packet[1] = (uint8_t)(at + size - 2);
	peer_say(&actor->peer, packet, at + size);
}

static void publish(struct play *play, struct actor *actor)
{
	static const char TEXT[] = "a payload that is too long for who takes little";
	static const uint8_t EXPIRES[] = {0x02, 0, 0, 0, 15};
	uint8_t qos = (uint8_t)any(play, 3);
	bool five = actor->peer.version == MQTT_VERSION_5;
	actor->packet_id = actor->packet_id == 2000 ? 1 : (uint16_t)(actor->packet_id + 1);
	if (qos == 2 && actor->published[actor->packet_id % 8])
		return;
	struct mqtt_publish message = {
		.topic = slice_string(TOPICS[any(play, 4)]),
		.payload = slice_of(TEXT, one_in(play, 6) ? 0 : 1 + any(play, sizeof(TEXT) - 1)),
		.properties = slice_of(EXPIRES, five && one_in(play, 3) ? sizeof(EXPIRES) : 0),
		.packet_id = actor->packet_id,
		.qos = qos,
		.retain = one_in(play, 4),
	};
	message.has_message_expiry = message.properties.size != 0;
	message.message_expiry_s = 15;
	peer_publish_as(&actor->peer, &message);
	if (qos == 2) {
		actor->published[actor->packet_id % 8] = true;
		actor->published_id[actor->packet_id % 8] = actor->packet_id;
	}
}

static void release(struct play *play, struct actor *actor)
{
	uint32_t place = any(play, 8);
	if (!actor->published[place])
		return;
	actor->published[place] = false;
	peer_ack(&actor->peer, MQTT_PUBREL, actor->published_id[place]);
}

/* ---- hearing ---- */

/* False: the connection has ended. */
static bool hear(struct actor *actor)
{
	struct heard heard;
	while (peer_heard(&actor->peer, &heard)) {
		if (heard.header.type == MQTT_DISCONNECT)
			return false;
		bool fits =
			heard.header.type == MQTT_PUBLISH && heard.publish.qos != 0 && actor->heard_count < HEARD_MAX;
		if (fits)
			actor->heard[actor->heard_count++] =
				(struct under_way){.packet_id = heard.publish.packet_id, .qos = heard.publish.qos};
		if (heard.header.type == MQTT_PUBREL)
			peer_ack(&actor->peer, MQTT_PUBCOMP, heard.ack.packet_id);
	}
	return true;
}

static void acknowledge(struct play *play, struct actor *actor)
{
	if (actor->heard_count == 0)
		return;
	uint32_t at = one_in(play, 2) ? 0 : any(play, actor->heard_count);
	struct under_way under_way = actor->heard[at];
	actor->heard_count--;
	memmove(&actor->heard[at], &actor->heard[at + 1], (actor->heard_count - at) * sizeof(under_way));
	bool fails = actor->peer.version == MQTT_VERSION_5 && one_in(play, 12);
	uint8_t type = under_way.qos == 1 ? MQTT_PUBACK : MQTT_PUBREC;
	peer_ack_with(&actor->peer, type, under_way.packet_id, fails ? MQTT_REASON_QUOTA_EXCEEDED : 0);
}

/* ---- the play ---- */

/* Whether the server has closed, with something still to be read or not. */
static bool has_ended(const struct actor *actor)
{
	struct pollfd end = {.fd = actor->peer.fd, .events = POLLRDHUP};
	return poll(&end, 1, 0) != 0;
}

static void act(struct play *play, struct actor *actor)
{
	uint32_t what = any(play, 32);
	if (actor->here && has_ended(actor))
		leave_as_it_is(actor);
	if (!actor->here || what < 3) {
		sign_in(play, actor);
	} else if (what < 5) {
		disconnect(play, actor);
	} else if (what < 9) {
		subscribe(play, actor);
	} else if (what < 10) {
		unsubscribe(play, actor);
	} else if (what < 20) {
		publish(play, actor);
	} else if (what < 22) {
		release(play, actor);
	} else if (!hear(actor)) {
		leave_as_it_is(actor);
	} else {
		acknowledge(play, actor);
	}
}

static void note_seen(struct play *play)
{
	for (uint16_t shard = 0; shard < play->scene->shard_count; shard++) {
		for (size_t i = 0; i < JOURNAL_EVENTS; i++)
			play->seen[i] += play->scene->records[shard].seen[i];
	}
}

/* The gateway starts again, with other shards. */
static void crash(struct play *play)
{
	note_seen(play);
	if (!shard_scene_crash(play->scene, (uint16_t)(1 + any(play, SCENE_SHARDS_MAX))))
		return;
	for (uint32_t i = 0; i < CLIENTS; i++)
		leave_as_it_is(&play->actors[i]);
}

/* A session goes to another node and comes back at once. */
static void move(struct play *play, struct actor *actor)
{
	uint16_t place = (uint16_t)(actor - play->actors);
	for (uint16_t shard = 0; shard < play->scene->shard_count; shard++)
		play->scene->records[shard].has_no_room = false;
	shard_scene_settle(play->scene);
	if (mover_move(play->scene, shard_scene_of(play->scene, IDS[place]), IDS[place], 1 + any(play, 2000)))
		play->moved++;
}

static void step(struct play *play)
{
	static const uint32_t TIMES_MS[] = {1, 100, 1000, 5000, 20000, 70000};
	act(play, &play->actors[any(play, CLIENTS)]);
	if (one_in(play, 12))
		shard_scene_pass_ms(play->scene, TIMES_MS[any(play, 6)]);
	if (one_in(play, 100))
		shard_scene_set_wall((int64_t)any(play, 200000) - 100000);
	if (one_in(play, 60))
		shard_scene_want_checkpoint(play->scene);
	for (uint16_t shard = 0; shard < play->scene->shard_count; shard++)
		play->scene->records[shard].has_no_room = one_in(play, 4);
	if (one_in(play, 20))
		move(play, &play->actors[any(play, CLIENTS)]);
	if (one_in(play, 150))
		crash(play);
	for (uint32_t turns = any(play, 4); turns != 0; turns--)
		shard_scene_turn_one(play->scene, (uint16_t)any(play, play->scene->shard_count));
	journal_model_check(&play->scene->journal);
}

static void play_once(struct shard_scene *scene, uint64_t seed, uint64_t *seen)
{
	struct play play = {.scene = scene, .random = {seed}, .seen = seen};
	for (uint32_t i = 0; i < CLIENTS; i++)
		play.actors[i].peer.fd = -1;
	printf("# seed %llu\n", (unsigned long long)seed);
	for (uint32_t steps = 0; steps < STEPS; steps++)
		step(&play);
	for (uint16_t shard = 0; shard < scene->shard_count; shard++)
		scene->records[shard].has_no_room = false;
	shard_scene_settle(scene);
	for (uint32_t i = 0; i < CLIENTS; i++)
		peer_drop(&play.actors[i].peer);
	/* A publisher that is held back is read a piece at a time. */
	for (int times = 0; times < 100; times++) {
		shard_scene_pass_ms(scene, 256);
		shard_scene_settle(scene);
	}
	shard_scene_pass_ms(scene, 2000u * EXPIRY_MAX_S);
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
	assert_true(play.moved > 10);
	note_seen(&play);
	shard_scene_restart(scene);
}

static void test_the_journal_says_what_the_shards_are(void **state)
{
	(void)state;
	uint64_t seen[JOURNAL_EVENTS] = {0};
	log_level_set(LOG_ERROR);
	struct shard_scene *scene = shard_scene_new(2);
	for (uint64_t seed = 1; seed <= PLAYS; seed++) {
		scene->settings.session_expiry_max_s = EXPIRY_MAX_S;
		scene->settings.queue_messages_max = seed % 2 == 0 ? 3 : 20;
		scene->settings.queue_drops_newest = seed % 4 == 0;
		scene->settings.queue_bytes_max = seed % 3 == 0 ? 300 : 65536;
		scene->settings.inflight_max = seed % 5 == 0 ? 2 : 10;
		scene->settings.sessions_offline_max = seed % 6 == 0 ? 2 : 100;
		play_once(scene, seed, seen);
	}
	shard_scene_free(scene);
	for (size_t i = 0; i < JOURNAL_EVENTS; i++) {
		/* Nobody signs in with anything here; gateway_principal_test.c does. Nor is anything told again. */
		bool comes = i > JOURNAL_EVENT(end) && i != JOURNAL_EVENT(principal);
		if (comes && seen[i] == 0)
			fail_msg("event %zu did not come", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_journal_says_what_the_shards_are),
	};
	return cmocka_run_group_tests_name("plays with a journal", tests, NULL, NULL);
}
