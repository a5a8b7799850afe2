/* The client state machine: an input is a play of up to three clients on one or two shards. Its bytes say who signs in,
 * with which CONNECT, what they send in which pieces, what they acknowledge, who reads and who does not, who vanishes
 * and comes back, how time passes, and whether the shards drain at the end. What the server sends must be whole packets
 * that its version and the client's own limits allow, CONNACK first; and when all clients have gone and their sessions'
 * time is over, nothing may be left of them. */
#include "fuzz.h"
#include "shard/loop.h"

#include "../unit/shard_scene.h"
#include "base/log.h"
#include "client_actor.h"
#include "mqtt/packet.h"

#include <sys/socket.h>

#define CLIENTS 3
#define STEPS_MAX 400
#define SEND_BUFFER_BYTES 4096   /* the server's: small, so that output is blocked soon */
#define HELD_MS 256u             /* longer than a publisher is held back at a time */
#define HELD_TIMES_MAX 100       /* more than a socket's buffer has pieces */
#define SESSION_EXPIRY_MAX_S 60u /* also of those that ask for ever: so much time passes at the end */

struct play {
	struct shard_scene *scene;
	bool one_shard; /* all clients on it; the other one is empty */
	struct actor actors[CLIENTS];
	const uint8_t *data;
	size_t size;
};

static uint8_t take_byte(struct play *play)
{
	if (play->size == 0)
		return 0;
	play->size--;
	return *play->data++;
}

static struct slice take_bytes(struct play *play, size_t wanted)
{
	size_t size = wanted < play->size ? wanted : play->size;
	struct slice bytes = slice_of(play->data, size);
	play->data += size;
	play->size -= size;
	return bytes;
}

/* ---- what clients do ---- */

static void sign_in_with(struct play *play, struct actor *actor, struct slice bytes, uint8_t shard)
{
	actor_leave(actor);
	int fd = shard_scene_connect(play->scene, play->one_shard ? 0 : shard & 1, bytes, SEND_BUFFER_BYTES);
	if (fd >= 0)
		actor_begin(actor, fd, bytes, play->scene->settings.inflight_max);
}

/* ---- what clients say ---- */

/* A packet that is put together: fields behind a fixed header of one byte for the type and one for the length. */
struct draft {
	uint8_t bytes[256];
	size_t size;
};

static void put(struct draft *draft, const void *bytes, size_t size)
{
	CHECK(draft->size + size <= sizeof(draft->bytes));
	memcpy(draft->bytes + draft->size, bytes, size);
	draft->size += size;
}

static void put_u8(struct draft *draft, unsigned value)
{
	put(draft, &(uint8_t){(uint8_t)value}, 1);
}

static void put_u16(struct draft *draft, unsigned value)
{
	put_u8(draft, value >> 8);
	put_u8(draft, value);
}

static void put_u32(struct draft *draft, uint32_t value)
{
	put_u16(draft, value >> 16);
	put_u16(draft, value & 0xffffu);
}

static void put_string(struct draft *draft, const char *text)
{
	put_u16(draft, (unsigned)strlen(text));
	put(draft, text, strlen(text));
}

static struct draft draft_of(unsigned first)
{
	return (struct draft){.bytes = {(uint8_t)first}, .size = 2};
}

static struct slice done(struct draft *draft)
{
	CHECK(draft->size < 130);
	draft->bytes[1] = (uint8_t)(draft->size - 2);
	return slice_of(draft->bytes, draft->size);
}

/* One of four names, so that clients meet. */
static const char *const IDS[] = {"a", "b", "c", ""};

/* Version 5's properties of a CONNECT, each from some bits. */
static void put_connect_properties(struct draft *draft, bool small, uint8_t kind)
{
	static const uint32_t EXPIRIES_S[] = {0, 1, 30, UINT32_MAX};
	static const uint16_t RECEIVE_MAX[] = {0, 1, 2, 5};
	size_t length_at = draft->size;
	put_u8(draft, 0);
	if (small) {
		put_u8(draft, 0x27);
		put_u32(draft, 40);
	}
	if ((kind & 3) != 0) {
		put_u8(draft, 0x11);
		put_u32(draft, EXPIRIES_S[kind & 3]);
	}
	if ((kind >> 2 & 3) != 0) {
		put_u8(draft, 0x21);
		put_u16(draft, RECEIVE_MAX[kind >> 2 & 3]);
	}
	if ((kind & 0x10) != 0) {
		put_u8(draft, 0x22);
		put_u16(draft, 2);
	}
	draft->bytes[length_at] = (uint8_t)(draft->size - length_at - 1);
}

static void put_will(struct draft *draft, bool five, uint8_t kind)
{
	static const char *const TOPICS[] = {"t/w", "t/1"};
	if (five) {
		put_u8(draft, kind & 0x40 ? 5 : 0);
		if (kind & 0x40) {
			put_u8(draft, 0x18);
			put_u32(draft, 20);
		}
	}
	put_string(draft, TOPICS[kind >> 7]);
	put_string(draft, "gone");
}

/* A good CONNECT from two bytes: version, will, id, clean start; then what version 5 adds. */
static void sign_in(struct play *play, struct actor *actor)
{
	uint8_t kind = take_byte(play);
	uint8_t more = take_byte(play);
	bool five = kind & 1;
	bool will = kind & 2;
	const char *id = IDS[kind >> 3 & 3];
	bool clean = kind & 0x20 || id[0] == '\0';
	unsigned flags = (clean ? 2u : 0) | (will ? 4u | (more & 3u) % 3u << 3 | (more & 0x20u) : 0);
	struct draft draft = draft_of(0x10);
	put_string(&draft, "MQTT");
	put_u8(&draft, five ? 5 : 4);
	put_u8(&draft, flags);
	put_u16(&draft, kind >> 6);
	if (five)
		put_connect_properties(&draft, kind & 4, more);
	put_string(&draft, id);
	if (will)
		put_will(&draft, five, more);
	struct slice packet = done(&draft);
	struct slice rest = take_bytes(play, take_byte(play) % 32);
	put(&draft, rest.data, rest.size);
	sign_in_with(play, actor, slice_of(draft.bytes, packet.size + rest.size), kind >> 3);
}

static void subscribe(struct play *play, struct actor *actor)
{
	static const char *const FILTERS[] = {"t/1", "t/2", "#",          "t/+",          "+/1",         "t/w",
					      "t/#", "+",   "$share/g/#", "$share/h/t/1", "$share/g/t/+"};
	uint8_t kind = take_byte(play);
	uint8_t more = take_byte(play);
	bool five = actor->version == MQTT_VERSION_5;
	bool ends = kind & 0x80;
	const char *filter = FILTERS[(kind & 15) % 11];
	struct draft draft = draft_of(ends ? 0xa2 : 0x82);
	put_u16(&draft, 1);
	if (five) {
		put_u8(&draft, !ends && more & 0x40 ? 2 : 0);
		if (!ends && more & 0x40)
			put(&draft, "\x0b\7", 2);
	}
	put_string(&draft, filter);
	unsigned options = (more & 3u) % 3u;
	if (five) /* retain handling, retain as published, no local */
		options |= (more >> 2 & 3u) % 3u << 4 | (more & 0x10u) >> 1 | (filter[0] != '$' ? more >> 3 & 4u : 0);
	if (!ends)
		put_u8(&draft, options);
	actor_say(actor, done(&draft));
}

/* Many messages, or such as are larger than a read, at QoS 0. */
static void publish_many(struct play *play, struct actor *actor)
{
	static uint8_t packet[100000];
	static const uint32_t SIZES[] = {0, 10, 100, 1000, 4000, 16000, 65530, 90000};
	uint8_t kind = take_byte(play);
	uint32_t body = SIZES[kind & 7] + 5 + (actor->version == MQTT_VERSION_5);
	size_t size = 0;
	packet[size++] = 0x30;
	for (uint32_t rest = body; size == 1 || rest != 0; rest >>= 7)
		packet[size++] = (uint8_t)(rest & 0x7f) | (rest > 0x7f ? 0x80 : 0);
	memcpy(packet + size, kind & 8 ? "\0\3t/1" : "\0\3t/2", 5);
	size += 5;
	if (actor->version == MQTT_VERSION_5)
		packet[size++] = 0;
	size_t whole = size + SIZES[kind & 7];
	actor->careless = actor->careless || kind & 0x20; /* what follows is something else */
	for (int times = kind & 0x10 ? 40 : 1; times != 0; times--)
		actor_say(actor, slice_of(packet, kind & 0x20 ? whole - whole / 3 : whole));
}

/* One message or some in a row, each with what the second byte says: QoS, retain, DUP, alias, expiry. */
static void publish(struct play *play, struct actor *actor)
{
	static const char *const TOPICS[] = {"t/1", "t/2", "t/w", "other/1"};
	uint8_t kind = take_byte(play);
	uint8_t more = take_byte(play);
	unsigned qos = (more & 3u) % 3u;
	bool five = actor->version == MQTT_VERSION_5;
	bool alias = five && more & 0x20;
	for (unsigned i = 0; i <= (kind >> 6) * 5u; i++) {
		struct draft draft = draft_of(0x30u | qos << 1 | (more >> 2 & 1u) | (qos != 0 ? more & 8u : 0));
		put_string(&draft, alias && kind & 4 ? "" : TOPICS[kind & 3]);
		if (qos != 0)
			put_u16(&draft, 1 + ((kind >> 3 & 7u) + i) % 12);
		if (five) {
			put_u8(&draft, (alias ? 3u : 0) + (more & 0x40 ? 5u : 0));
			if (alias)
				put(&draft, "\x23\0\1", 3);
			if (more & 0x40) {
				put_u8(&draft, 2);
				put_u32(&draft, more >> 7 ? 5 : 0);
			}
		}
		put(&draft, "payload", more & 0x10 ? 0 : 7);
		actor_say(actor, done(&draft));
	}
}

/* Does its part for those it has heard of, or acknowledges what it likes. */
static void acknowledge(struct play *play, struct actor *actor)
{
	uint8_t kind = take_byte(play);
	uint8_t type = (uint8_t)(MQTT_PUBACK + (kind >> 5 & 3));
	if ((kind & 0x80) == 0) {
		actor_acknowledge(actor, 1 + (kind & 15), kind & 0x40);
		return;
	}
	actor_say_ack(actor, type, 1 + (kind & 15));
	/* PUBREL is about what it has sent itself. */
	actor->careless = actor->careless || type != MQTT_PUBREL;
}

/* With a reason, and with how long its session is to last from here. */
static void disconnect(struct play *play, struct actor *actor)
{
	static const uint32_t EXPIRIES_S[] = {0, 1, 30, UINT32_MAX};
	uint8_t kind = take_byte(play);
	struct draft draft = draft_of(0xe0);
	if (actor->version == MQTT_VERSION_5 && kind & 1) {
		put_u8(&draft, kind & 2 ? 4 : 0);
		put_u8(&draft, kind & 4 ? 5 : 0);
		if (kind & 4) {
			put_u8(&draft, 0x11);
			put_u32(&draft, EXPIRIES_S[kind >> 3 & 3]);
		}
	}
	actor_say(actor, done(&draft));
}

static void turns(struct play *play, uint8_t kind)
{
	for (int count = 1 + (kind & 7); count != 0; count--) {
		for (uint16_t shard = 0; shard < play->scene->shard_count; shard++) {
			if ((kind >> (4 + shard) & 1) == 0)
				shard_scene_turn_one(play->scene, shard);
		}
	}
	journal_model_check(&play->scene->journal);
}

/* Bytes as they are. */
static void say_bytes(struct play *play, struct actor *actor)
{
	struct slice bytes = take_bytes(play, take_byte(play));
	actor->careless = true;
	actor_say(actor, bytes);
}

/* What an input says next. */
static void step(struct play *play)
{
	static const uint32_t TIMES_MS[] = {1, 100, 128, 1000, 5000, 20000, 140000, 1000000};
	uint8_t what = take_byte(play);
	struct actor *actor = &play->actors[what / 16 % CLIENTS];
	switch (what % 16) {
	case 0:
	case 1:
		sign_in(play, actor);
		break;
	case 2:
		sign_in_with(play, actor, take_bytes(play, take_byte(play)), what >> 7);
		break;
	case 3:
		say_bytes(play, actor);
		break;
	case 4:
		acknowledge(play, actor);
		break;
	case 5:
	case 9:
		publish(play, actor);
		break;
	case 6:
	case 7:
		subscribe(play, actor);
		break;
	case 8:
		publish_many(play, actor);
		break;
	case 10:
		actor_read(actor, (size_t)1 << (take_byte(play) % 20));
		break;
	case 11:
		shard_scene_pass_ms(play->scene, TIMES_MS[take_byte(play) & 7]);
		break;
	case 12:
		actor_leave(actor);
		break;
	case 13:
		if (what & 0x80)
			disconnect(play, actor);
		else if (actor->fd >= 0)
			shutdown(actor->fd, take_byte(play) & 1 ? SHUT_WR : SHUT_RD);
		break;
	default:
		turns(play, take_byte(play));
	}
}

static bool has_connections(const struct shard_scene *scene)
{
	uint64_t open = 0;
	for (uint16_t shard = 0; shard < scene->shard_count; shard++)
		open += shard_scene_counter(scene, shard, COUNTER_connections_open);
	return open != 0;
}

/* Until all have gone whose connection has ended. Time that passes between turns is lag to a shard, so that it may hold
 * publishers back: it reads what is left of them, and then the end, a piece at a time. */
static void await_ends(struct shard_scene *scene)
{
	shard_scene_settle(scene);
	for (int times = 0; times < HELD_TIMES_MAX && has_connections(scene); times++) {
		shard_scene_pass_ms(scene, HELD_MS);
		shard_scene_settle(scene);
	}
}

/* All that they still get is read, so that their last words are checked too. */
static void finish(struct play *play, bool drained)
{
	struct shard_scene *scene = play->scene;
	shard_scene_settle(scene);
	if (drained) {
		for (uint16_t shard = 0; shard < scene->shard_count; shard++) {
			shard_stop(&scene->shards[shard], UINT64_MAX);
			/* A client with output that waits is waited for: it reads. */
			for (int turns_left = 2000; shard_scene_turn_one(scene, shard); turns_left--) {
				CHECK(turns_left != 0);
				for (int i = 0; i < CLIENTS; i++)
					actor_read(&play->actors[i], ACTOR_UNREAD_BYTES_MAX);
			}
		}
	}
	for (int i = 0; i < CLIENTS; i++) {
		for (int times = 0; times < 8; times++)
			actor_read(&play->actors[i], ACTOR_UNREAD_BYTES_MAX);
		actor_leave(&play->actors[i]);
	}
	await_ends(scene);
	shard_scene_pass_ms(scene, 2000u * SESSION_EXPIRY_MAX_S);
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
}

/* What else is as the first byte says. */
static void choose_settings(struct settings *settings, uint8_t flags)
{
	settings->session_expiry_max_s = SESSION_EXPIRY_MAX_S;
	settings->topic_alias_max = ACTOR_ALIASES_MAX;
	settings->queue_bytes_max = flags & 2 ? 1024 : 65536;
	settings->queue_drops_newest = flags & 8;
	settings->inflight_max = flags & 0x10 ? 2 : 10;
	settings->queue_messages_max = flags & 0x20 ? 3 : 20;
	settings->sessions_offline_max = flags & 0x40 ? 1 : 100;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct shard_scene *scene;
	static uint8_t unread[CLIENTS][ACTOR_UNREAD_BYTES_MAX];
	if (scene == NULL)
		scene = shard_scene_new(2);
	log_level_set(LOG_ERROR);
	struct play play = {.scene = scene, .data = data, .size = size};
	uint8_t flags = take_byte(&play);
	play.one_shard = flags & 1;
	choose_settings(&scene->settings, flags);
	for (int i = 0; i < CLIENTS; i++)
		play.actors[i] = (struct actor){.fd = -1, .version = 4, .unread = unread[i]};
	for (int steps = 0; steps < STEPS_MAX && play.size != 0; steps++)
		step(&play);
	finish(&play, flags & 4);
	shard_scene_restart(scene);
	return 0;
}
