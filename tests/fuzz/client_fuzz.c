/* The client state machine: an input is a play of up to three clients on one or two shards. Its bytes say who signs in,
 * with which CONNECT, what they send in which pieces, who reads and who does not, who vanishes, how time passes, and
 * whether the shards drain at the end. What the server sends must be whole packets that its version allows, CONNACK
 * first; and when all clients have gone, nothing may be left of them. */
#include "fuzz.h"

#include "../unit/shard_scene.h"
#include "base/log.h"
#include "mqtt/decode.h"

#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS 3
#define SESSION_EXPIRY_MAX_S 60u
#define STEPS_MAX 400
#define SEND_BUFFER_BYTES 4096 /* the server's: small, so that output is blocked soon */
#define UNREAD_BYTES_MAX (1u << 21)

struct actor {
	int fd; /* -1: not there */
	uint8_t version;
	bool greeted;
	uint32_t packet_bytes_max;
	uint8_t *unread; /* what came and is no whole packet yet */
	size_t unread_bytes;
};

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

/* ---- what the server may say ---- */

static void check_body(const struct actor *actor, struct mqtt_header header, struct slice body)
{
	struct mqtt_connack connack;
	struct mqtt_publish publish;
	struct mqtt_suback suback;
	struct mqtt_ack ack;
	struct mqtt_disconnect disconnect;
	switch (header.type) {
	case MQTT_CONNACK:
		CHECK(mqtt_connack_decode(body, actor->version, &connack) == ERROR_OK && connack.reason == 0);
		return;
	case MQTT_PUBLISH:
		CHECK(mqtt_publish_decode(body, header.flags, actor->version, true, &publish) == ERROR_OK);
		CHECK(publish.topic.size != 0 || publish.topic_alias != 0);
		return;
	case MQTT_PUBACK:
	case MQTT_PUBREC:
	case MQTT_PUBREL:
	case MQTT_PUBCOMP:
		CHECK(mqtt_ack_decode(body, header.type, actor->version, &ack) == ERROR_OK);
		return;
	case MQTT_SUBACK:
	case MQTT_UNSUBACK:
		CHECK(mqtt_suback_decode(body, header.type, actor->version, &suback) == ERROR_OK);
		return;
	case MQTT_DISCONNECT:
		CHECK(actor->version == MQTT_VERSION_5);
		CHECK(mqtt_disconnect_decode(body, actor->version, true, &disconnect) == ERROR_OK);
		return;
	default:
		CHECK(header.type == MQTT_PINGRESP && body.size == 0);
	}
}

/* One packet off the front; false when none is whole. */
static bool check_packet(struct actor *actor, struct slice *bytes)
{
	struct mqtt_header header;
	enum error error = mqtt_header_decode(bytes->data, bytes->size, &header);
	CHECK(error == ERROR_OK || error == ERROR_MORE);
	if (error == ERROR_MORE)
		return false;
	size_t size = (size_t)header.header_bytes + header.body_bytes;
	CHECK(mqtt_header_check(header) == ERROR_OK);
	if (bytes->size < size)
		return false;
	CHECK((header.type == MQTT_CONNACK) == !actor->greeted);
	/* A client that takes no two bytes has asked for no answer to its ping. */
	bool least = header.type == MQTT_CONNACK || header.type == MQTT_PINGRESP;
	CHECK(least || size <= actor->packet_bytes_max);
	actor->greeted = true;
	check_body(actor, header, slice_of(bytes->data + header.header_bytes, header.body_bytes));
	*bytes = slice_of(bytes->data + size, bytes->size - size);
	return true;
}

static void check_unread(struct actor *actor)
{
	struct slice rest = slice_of(actor->unread, actor->unread_bytes);
	while (check_packet(actor, &rest))
		;
	memmove(actor->unread, rest.data, rest.size);
	actor->unread_bytes = rest.size;
}

/* ---- what clients do ---- */

static void leave(struct actor *actor)
{
	if (actor->fd >= 0)
		close(actor->fd);
	actor->fd = -1;
	actor->unread_bytes = 0;
}

static void read_some(struct actor *actor, size_t wanted)
{
	if (actor->fd < 0)
		return;
	size_t room = UNREAD_BYTES_MAX - actor->unread_bytes;
	ssize_t some = recv(actor->fd, actor->unread + actor->unread_bytes, wanted < room ? wanted : room, 0);
	if (some > 0) {
		actor->unread_bytes += (size_t)some;
		check_unread(actor);
	} else if (some == 0) {
		leave(actor);
	}
}

static void say(struct actor *actor, const void *bytes, size_t size)
{
	if (actor->fd >= 0 && size != 0)
		send(actor->fd, bytes, size, MSG_NOSIGNAL);
}

static void sign_in_with(struct play *play, struct actor *actor, struct slice bytes, uint8_t shard)
{
	leave(actor);
	struct mqtt_header header;
	struct mqtt_connect connect;
	if (mqtt_header_decode(bytes.data, bytes.size, &header) != ERROR_OK)
		return;
	actor->fd = shard_scene_connect(play->scene, play->one_shard ? 0 : shard & 1, bytes, SEND_BUFFER_BYTES);
	if (actor->fd < 0)
		return;
	CHECK(mqtt_connect_decode(slice_of(bytes.data + header.header_bytes, header.body_bytes), &connect) == ERROR_OK);
	actor->version = connect.version;
	actor->packet_bytes_max = connect.packet_bytes_max;
	actor->greeted = false;
}

static size_t put_string(uint8_t *out, const char *text)
{
	size_t size = strlen(text);
	out[0] = 0;
	out[1] = (uint8_t)size;
	memcpy(out + 2, text, size);
	return size + 2;
}

/* A good CONNECT from one byte and a few names, so that clients meet: version, will, one of four ids. */
static void sign_in(struct play *play, struct actor *actor)
{
	static const char *const IDS[] = {"a", "b", "c", ""};
	uint8_t kind = take_byte(play);
	bool five = kind & 1, will = kind & 2, small = kind & 4;
	uint8_t packet[256] = {0x10, 0, 0, 4, 'M', 'Q', 'T', 'T', five ? 5 : 4, will ? 6 : 2, 0, kind >> 5};
	size_t size = 12;
	if (five) {
		packet[size++] = small ? 5 : 0;
		if (small) {
			memcpy(packet + size, "\x27\0\0\0\x28", 5);
			size += 5;
		}
	}
	size += put_string(packet + size, IDS[kind >> 3 & 3]);
	if (will) {
		if (five)
			packet[size++] = 0;
		size += put_string(packet + size, "t/w");
		size += put_string(packet + size, "gone");
	}
	packet[1] = (uint8_t)(size - 2);
	struct slice rest = take_bytes(play, take_byte(play) % 32);
	memcpy(packet + size, rest.data, rest.size);
	sign_in_with(play, actor, slice_of(packet, size + rest.size), kind >> 3);
}

static void subscribe(struct play *play, struct actor *actor)
{
	static const char *const FILTERS[] = {"t/1", "t/2", "#", "t/+", "+/1", "t/w", "t/#", "$share/g/t"};
	uint8_t kind = take_byte(play);
	uint8_t packet[64] = {kind & 0x80 ? 0xa2 : 0x82, 0, 0, 1};
	size_t size = 4;
	if (actor->version == MQTT_VERSION_5)
		packet[size++] = 0;
	size += put_string(packet + size, FILTERS[kind & 7]);
	if ((kind & 0x80) == 0)
		packet[size++] = actor->version == MQTT_VERSION_5 ? kind >> 3 & 0x0e : 0;
	packet[1] = (uint8_t)(size - 2);
	say(actor, packet, size);
}

/* One or many messages; some larger than a read. */
static void publish(struct play *play, struct actor *actor)
{
	static uint8_t packet[100000];
	static const uint32_t SIZES[] = {0, 10, 100, 1000, 4000, 16000, 65530, 90000};
	uint8_t kind = take_byte(play);
	uint32_t body = SIZES[kind & 7] + 5 + (actor->version == MQTT_VERSION_5);
	size_t size = 0;
	packet[size++] = 0x30;
	for (uint32_t rest = body; size == 1 || rest != 0; rest >>= 7)
		packet[size++] = (uint8_t)(rest & 0x7f) | (rest > 0x7f ? 0x80 : 0);
	size += put_string(packet + size, kind & 8 ? "t/1" : "t/2");
	if (actor->version == MQTT_VERSION_5)
		packet[size++] = 0;
	size_t whole = size + SIZES[kind & 7];
	for (int times = kind & 0x10 ? 40 : 1; times != 0; times--)
		say(actor, packet, kind & 0x20 ? whole - whole / 3 : whole);
}

static void turns(struct play *play, uint8_t kind)
{
	for (int count = 1 + (kind & 7); count != 0; count--) {
		for (uint16_t shard = 0; shard < play->scene->shard_count; shard++) {
			if ((kind >> (4 + shard) & 1) == 0)
				shard_scene_turn_one(play->scene, shard);
		}
	}
}

/* What an input says next. */
static void step(struct play *play)
{
	static const uint32_t TIMES_MS[] = {1, 100, 128, 1000, 5000, 20000, 140000, 1000000};
	uint8_t what = take_byte(play);
	struct actor *actor = &play->actors[what / 16 % CLIENTS];
	struct slice bytes;
	switch (what % 16) {
	case 0:
	case 1:
		sign_in(play, actor);
		break;
	case 2:
		bytes = take_bytes(play, take_byte(play));
		sign_in_with(play, actor, bytes, what >> 7);
		break;
	case 3:
	case 4:
	case 5:
		bytes = take_bytes(play, take_byte(play));
		say(actor, bytes.data, bytes.size);
		break;
	case 6:
	case 7:
		subscribe(play, actor);
		break;
	case 8:
	case 9:
		publish(play, actor);
		break;
	case 10:
		read_some(actor, (size_t)1 << (take_byte(play) % 20));
		break;
	case 11:
		shard_scene_pass_ms(play->scene, TIMES_MS[take_byte(play) & 7]);
		break;
	case 12:
		leave(actor);
		break;
	case 13:
		if (actor->fd >= 0)
			shutdown(actor->fd, take_byte(play) & 1 ? SHUT_WR : SHUT_RD);
		break;
	default:
		turns(play, take_byte(play));
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
					read_some(&play->actors[i], UNREAD_BYTES_MAX);
			}
		}
	}
	for (int i = 0; i < CLIENTS; i++) {
		for (int times = 0; times < 8; times++)
			read_some(&play->actors[i], UNREAD_BYTES_MAX);
		leave(&play->actors[i]);
	}
	shard_scene_settle(scene);
	/* Sessions that outlive their connection are over by then, and their wills published. */
	shard_scene_pass_ms(scene, (SESSION_EXPIRY_MAX_S + 2) * 1000);
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct shard_scene *scene;
	static uint8_t unread[CLIENTS][UNREAD_BYTES_MAX];
	if (scene == NULL)
		scene = shard_scene_new(2);
	log_level_set(LOG_ERROR);
	struct play play = {.scene = scene, .data = data, .size = size};
	uint8_t flags = take_byte(&play);
	play.one_shard = flags & 1;
	scene->settings.queue_bytes_max = flags & 2 ? 1024 : 65536;
	scene->settings.session_expiry_max_s = SESSION_EXPIRY_MAX_S;
	for (int i = 0; i < CLIENTS; i++)
		play.actors[i] = (struct actor){.fd = -1, .version = 4, .unread = unread[i]};
	for (int steps = 0; steps < STEPS_MAX && play.size != 0; steps++)
		step(&play);
	finish(&play, flags & 4);
	shard_scene_restart(scene);
	return 0;
}
