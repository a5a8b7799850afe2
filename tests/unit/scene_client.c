#include "scene_client.h"

#include "access/handshake.h"
#include "base/check.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct slice text(const char *string)
{
	return string != NULL ? slice_string(string) : slice_of(NULL, 0);
}

static size_t connect_bytes(const struct visitor *visitor, uint8_t *out)
{
	uint8_t version = visitor->version != 0 ? visitor->version : 5;
	struct mqtt_connect connect = {
		.client_id = slice_string(visitor->id != NULL ? visitor->id : ""),
		.user_name = text(visitor->user),
		.password = text(visitor->password),
		.session_expiry_s = visitor->stays ? 3600 : 0,
		.packet_bytes_max = MQTT_BODY_BYTES_MAX + MQTT_HEADER_BYTES_MAX,
		.receive_max = UINT16_MAX,
		.keepalive_s = visitor->keepalive_s,
		.version = version,
		.clean_start = !visitor->stays,
		.has_will = visitor->will_topic != NULL,
		.has_user_name = visitor->user != NULL,
		.has_password = visitor->password != NULL,
		.request_problem_info = true,
	};
	if (visitor->token != NULL) {
		connect.auth_method = slice_string(AUTH_METHOD_TOKEN);
		connect.auth_data = slice_string(visitor->token);
	}
	if (visitor->will_topic != NULL)
		connect.will =
			(struct mqtt_will){.topic = slice_string(visitor->will_topic), .payload = slice_string("gone")};
	size_t size = mqtt_connect_encode(&connect, out, SCENE_PACKET_BYTES_MAX);
	CHECK(size != 0);
	return size;
}

int scene_come(struct shard_scene *scene, uint16_t shard, const struct visitor *visitor)
{
	uint8_t bytes[SCENE_PACKET_BYTES_MAX];
	return shard_scene_connect(scene, shard, slice_of(bytes, connect_bytes(visitor, bytes)), 0);
}

int scene_sign_in(struct shard_scene *scene, uint16_t shard, const struct visitor *visitor)
{
	int fd = scene_come(scene, shard, visitor);
	if (fd < 0)
		fail_msg("%s was refused: %s", visitor->id, error_name(scene->refusal));
	shard_scene_settle(scene);
	struct slice body = scene_expect(fd, MQTT_CONNACK);
	assert_int_equal(body.data[1], 0);
	return fd;
}

void scene_say(int fd, struct slice bytes)
{
	assert_int_equal(send(fd, bytes.data, bytes.size, MSG_NOSIGNAL), bytes.size);
}

void scene_subscribe(int fd, uint8_t version, const char *filter, uint8_t qos)
{
	uint8_t bytes[SCENE_PACKET_BYTES_MAX];
	struct mqtt_subscription wanted = {.filter = slice_string(filter), .qos = qos};
	size_t size = mqtt_subscribe_encode(1, 0, &wanted, 1, version, bytes, sizeof(bytes));
	scene_say(fd, slice_of(bytes, size));
}

void scene_publish(int fd, uint8_t version, const char *topic, const char *payload, uint8_t qos)
{
	uint8_t bytes[SCENE_PACKET_BYTES_MAX];
	struct mqtt_publish message = {
		.topic = slice_string(topic), .payload = slice_string(payload), .qos = qos, .packet_id = 7};
	size_t size = mqtt_publish_encode(&message, version, bytes, sizeof(bytes));
	scene_say(fd, slice_of(bytes, size));
}

void scene_renew(int fd, const char *method, const char *token)
{
	uint8_t bytes[SCENE_PACKET_BYTES_MAX];
	struct mqtt_auth auth = {
		.reason = 0x19,
		.method = slice_string(method != NULL ? method : AUTH_METHOD_TOKEN),
		.data = slice_string(token),
	};
	size_t size = mqtt_auth_encode(&auth, bytes, sizeof(bytes));
	scene_say(fd, slice_of(bytes, size));
}

static bool take(int fd, uint8_t *bytes, size_t size)
{
	return size == 0 || recv(fd, bytes, size, 0) == (ssize_t)size;
}

struct heard scene_hear(int fd)
{
	static uint8_t bytes[SCENE_PACKET_BYTES_MAX];
	errno = 0;
	ssize_t got = recv(fd, bytes, 2, 0);
	if (got < 0 && errno == EAGAIN)
		return (struct heard){.type = HEARD_NOTHING};
	if (got <= 0)
		return (struct heard){.type = HEARD_END};
	assert_int_equal(got, 2);
	size_t header = 2;
	while ((bytes[header - 1] & 0x80) != 0)
		assert_true(take(fd, bytes + header++, 1));
	struct mqtt_header decoded;
	assert_int_equal(mqtt_header_decode(bytes, header, &decoded), ERROR_OK);
	assert_true(header + decoded.body_bytes <= sizeof(bytes));
	assert_true(take(fd, bytes + header, decoded.body_bytes));
	return (struct heard){decoded.type, decoded.flags, slice_of(bytes + header, decoded.body_bytes)};
}

struct slice scene_expect(int fd, uint8_t type)
{
	struct heard heard = scene_hear(fd);
	assert_int_equal(heard.type, type);
	return heard.body;
}

void scene_expect_nothing(int fd)
{
	assert_int_equal(scene_hear(fd).type, HEARD_NOTHING);
}

void scene_expect_end(int fd, uint8_t reason)
{
	struct slice body = scene_expect(fd, MQTT_DISCONNECT);
	assert_int_equal(body.size != 0 ? body.data[0] : 0, reason);
	assert_int_equal(scene_hear(fd).type, HEARD_END);
	close(fd);
}
