#include "doctor/plan/test_clients.h"

#include "base/check.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define ANSWER_S_MAX 5
/* Connections in progress at the same time: well below the server's backlog, and enough to keep it busy. */
#define BATCH 256u
/* One pair of addresses has 28 thousand ports by default, and the kernel's search slows down past half of them. */
#define CLIENTS_PER_SOURCE 8000u
/* From 127.240.0.1 on: addresses that `roost bench` does not use. */
#define SOURCE_FIRST 0x7FF00001u
#define SMALL_PACKET_BYTES 256u
#define VERSION MQTT_VERSION_3_1_1

static bool fail(struct test_clients *clients, const char *what)
{
	snprintf(clients->fault, sizeof(clients->fault), "%s: %s", what, strerror(errno));
	return false;
}

/* Of what lies over TCP. */
static bool fail_carriage(struct test_clients *clients, const char *what)
{
	snprintf(clients->fault, sizeof(clients->fault), "%s: %.*s", what, TEST_CLIENTS_FAULT_BYTES - 40,
		 clients->carriage.fault);
	return false;
}

static bool is_plain(const struct test_clients *clients)
{
	return clients->carriage.transport == PLAN_TCP;
}

bool test_clients_open(struct test_clients *clients, enum plan_transport transport, uint16_t port, uint32_t capacity)
{
	CHECK(capacity > 0);
	*clients = (struct test_clients){
		.server = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
		.capacity = capacity,
		.items = calloc(capacity, sizeof(*clients->items)),
		.scratch = malloc(TEST_CLIENTS_PACKET_BYTES_MAX),
		.epoll = epoll_create1(EPOLL_CLOEXEC),
	};
	bool made = clients->items != NULL && clients->scratch != NULL && clients->epoll >= 0;
	if (made && carriage_open(&clients->carriage, transport, capacity))
		return true;
	if (made)
		fail_carriage(clients, "cannot make clients");
	else
		fail(clients, "cannot make clients");
	test_clients_close(clients);
	return false;
}

void test_clients_close(struct test_clients *clients)
{
	static const struct linger reset = {.l_onoff = 1, .l_linger = 0};
	CHECK(clients->count <= clients->capacity);
	for (uint32_t i = 0; i < clients->count; i++) {
		setsockopt(clients->items[i].fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		if (is_plain(clients) || !stream_exists(clients->items[i].stream))
			close(clients->items[i].fd);
		else
			stream_close(&clients->carriage.streams, clients->items[i].stream);
	}
	clients->count = 0;
	carriage_close(&clients->carriage);
	if (clients->epoll >= 0)
		close(clients->epoll);
	free(clients->items);
	free(clients->scratch);
	clients->items = NULL;
	clients->scratch = NULL;
}

static bool send_all(struct test_clients *clients, const struct test_client *client, const uint8_t *bytes, size_t size)
{
	if (!is_plain(clients))
		return carriage_send(&clients->carriage, client->stream, bytes, size) ||
		       fail_carriage(clients, "cannot send to the server");
	while (size > 0 && client->fd >= 0) {
		ssize_t sent = send(client->fd, bytes, size, MSG_NOSIGNAL);
		if (sent < 0 && errno != EINTR)
			return fail(clients, "cannot send to the server");
		bytes += sent > 0 ? sent : 0;
		size -= sent > 0 ? (size_t)sent : 0;
	}
	return true;
}

/* ---- what comes ---- */

static bool answer(struct test_clients *clients, const struct test_client *client, uint8_t type, uint16_t packet_id)
{
	uint8_t packet[SMALL_PACKET_BYTES];
	struct mqtt_ack ack = {.packet_id = packet_id};
	size_t size = mqtt_ack_encode(&ack, type, VERSION, packet, sizeof(packet));
	CHECK(size > 0);
	return send_all(clients, client, packet, size);
}

static bool take_publish(struct test_clients *clients, struct test_client *client, uint8_t flags, struct slice body)
{
	struct mqtt_publish publish;
	if (mqtt_publish_decode(body, flags, VERSION, true, &publish) != ERROR_OK)
		return false;
	if (publish.qos == 2)
		return answer(clients, client, MQTT_PUBREC, publish.packet_id);
	client->seen[TEST_CLIENT_MESSAGE]++;
	return publish.qos == 0 || answer(clients, client, MQTT_PUBACK, publish.packet_id);
}

static bool take_ack(struct test_clients *clients, struct test_client *client, uint8_t type, struct slice body)
{
	struct mqtt_ack ack;
	if (mqtt_ack_decode(body, type, VERSION, &ack) != ERROR_OK)
		return false;
	if (type == MQTT_PUBREC)
		return answer(clients, client, MQTT_PUBREL, ack.packet_id);
	if (type == MQTT_PUBREL) {
		client->seen[TEST_CLIENT_MESSAGE]++;
		return answer(clients, client, MQTT_PUBCOMP, ack.packet_id);
	}
	client->seen[TEST_CLIENT_ACKNOWLEDGED]++;
	return true;
}

static bool take_suback(struct test_client *client, struct slice body)
{
	struct mqtt_suback suback;
	if (mqtt_suback_decode(body, MQTT_SUBACK, VERSION, &suback) != ERROR_OK || suback.codes.size != 1 ||
	    suback.codes.data[0] > 2)
		return false;
	client->granted = suback.codes.data[0];
	client->seen[TEST_CLIENT_SUBACK]++;
	return true;
}

static bool take_packet(struct test_clients *clients, struct test_client *client, struct mqtt_header header,
			struct slice body)
{
	struct mqtt_connack connack;
	switch (header.type) {
	case MQTT_CONNACK:
		if (mqtt_connack_decode(body, VERSION, &connack) != ERROR_OK || connack.reason != 0)
			return false;
		client->seen[TEST_CLIENT_CONNACK]++;
		return true;
	case MQTT_SUBACK:
		return take_suback(client, body);
	case MQTT_PUBLISH:
		return take_publish(clients, client, header.flags, body);
	case MQTT_PUBACK:
	case MQTT_PUBREC:
	case MQTT_PUBREL:
	case MQTT_PUBCOMP:
		return take_ack(clients, client, header.type, body);
	case MQTT_PINGRESP:
		client->seen[TEST_CLIENT_PINGRESP]++;
		return mqtt_empty_decode(body) == ERROR_OK;
	default:
		return false;
	}
}

ssize_t test_clients_take(struct test_clients *clients, struct test_client *client, const uint8_t *bytes, size_t size)
{
	size_t used = 0;
	while (used < size) {
		struct mqtt_header header;
		enum error error = mqtt_header_decode(bytes + used, size - used, &header);
		size_t whole = error == ERROR_OK ? (size_t)header.header_bytes + header.body_bytes : 0;
		if (error == ERROR_MORE ||
		    (error == ERROR_OK && whole > size - used && whole <= TEST_CLIENTS_PACKET_BYTES_MAX))
			break;
		if (error != ERROR_OK || whole > size - used || mqtt_header_check(header) != ERROR_OK)
			return -1;
		struct slice body = slice_of(bytes + used + header.header_bytes, header.body_bytes);
		if (!take_packet(clients, client, header, body))
			return -1;
		used += whole;
	}
	CHECK(used <= size);
	return (ssize_t)used;
}

bool test_clients_await(struct test_clients *clients, uint32_t index, enum test_client_sign sign, uint32_t times)
{
	CHECK(index < clients->count && sign < TEST_CLIENT_SIGNS);
	struct test_client *client = &clients->items[index];
	size_t kept = 0;
	while (client->seen[sign] < times || kept > 0) {
		CHECK(kept < TEST_CLIENTS_PACKET_BYTES_MAX); /* a read of nothing would look like the end */
		size_t room = TEST_CLIENTS_PACKET_BYTES_MAX - kept;
		ssize_t got = is_plain(clients) ? recv(client->fd, clients->scratch + kept, room, 0)
						: carriage_receive(&clients->carriage, client->stream,
								   clients->scratch + kept, room);
		if (got < 0 && is_plain(clients) && errno == EINTR)
			continue;
		if (got < 0 && !is_plain(clients))
			return fail_carriage(clients, "no answer from the server");
		if (got == 0)
			errno = ECONNRESET;
		if (got <= 0)
			return fail(clients, "no answer from the server");
		size_t size = kept + (size_t)got;
		ssize_t used = test_clients_take(clients, client, clients->scratch, size);
		if (used < 0) {
			errno = EPROTO;
			return fail(clients, "the server refused, or sent what it may not send");
		}
		kept = size - (size_t)used;
		memmove(clients->scratch, clients->scratch + used, kept);
	}
	return true;
}

/* ---- what is sent ---- */

static size_t encode_greeting(uint32_t number, uint8_t packet[SMALL_PACKET_BYTES])
{
	char id[24];
	char topic[24];
	/* As long as the names in `roost bench hold` with its defaults and some hundred thousand clients. */
	snprintf(id, sizeof(id), "doctor-%05u", number);
	snprintf(topic, sizeof(topic), "doctor/%05u", number);
	struct mqtt_connect connect = {
		.client_id = slice_string(id),
		.packet_bytes_max = MQTT_BODY_BYTES_MAX + MQTT_HEADER_BYTES_MAX,
		.receive_max = UINT16_MAX,
		.version = VERSION,
		.clean_start = true,
		.request_problem_info = true,
	};
	struct mqtt_subscription subscription = {.filter = slice_string(topic)};
	size_t size = mqtt_connect_encode(&connect, packet, SMALL_PACKET_BYTES);
	CHECK(size > 0);
	size_t second =
		mqtt_subscribe_encode(1, 0, &subscription, 1, VERSION, packet + size, SMALL_PACKET_BYTES - size);
	CHECK(second > 0);
	return size + second;
}

/* On loopback the TCP handshake is over when connect() returns. */
static bool dial(struct test_clients *clients, uint32_t index)
{
	static const int on = 1;
	static const struct timeval timeout = {.tv_sec = ANSWER_S_MAX};
	struct sockaddr_in source = {.sin_family = AF_INET};
	uint8_t packet[SMALL_PACKET_BYTES];
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.u32 = index};
	CHECK(index == clients->count && index < clients->capacity);
	struct test_client *client = &clients->items[index];
	client->stream = STREAM_NONE;
	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (client->fd < 0)
		return fail(clients, "cannot make a socket");
	clients->count = index + 1;
	source.sin_addr.s_addr = htonl(SOURCE_FIRST + index / CLIENTS_PER_SOURCE);
	setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(client->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	if (bind(client->fd, (struct sockaddr *)&source, sizeof(source)) != 0 ||
	    connect(client->fd, (struct sockaddr *)&clients->server, sizeof(clients->server)) != 0 ||
	    epoll_ctl(clients->epoll, EPOLL_CTL_ADD, client->fd, &event) != 0)
		return fail(clients, "cannot connect to the server");
	if (!is_plain(clients)) {
		client->stream = carriage_over(&clients->carriage, client->fd);
		if (!stream_exists(client->stream))
			return fail_carriage(clients, "cannot connect to the server");
	}
	return send_all(clients, client, packet, encode_greeting(index, packet));
}

bool test_clients_connect(struct test_clients *clients, uint32_t more)
{
	uint32_t first = clients->count;
	uint32_t count = more < BATCH ? more : BATCH;
	if (count > clients->capacity - first)
		count = clients->capacity - first;
	for (uint32_t i = 0; i < count; i++) {
		if (!dial(clients, first + i))
			return false;
	}
	for (uint32_t i = 0; i < count; i++) {
		if (!test_clients_await(clients, first + i, TEST_CLIENT_SUBACK, 1))
			return false;
	}
	return true;
}

bool test_clients_resume(struct test_clients *clients)
{
	clients->carriage.resumes = true;
	return clients->carriage.ticket != NULL;
}

bool test_clients_subscribe(struct test_clients *clients, uint32_t index, struct slice filter, uint8_t qos)
{
	CHECK(index < clients->count && qos <= 2);
	uint8_t packet[SMALL_PACKET_BYTES];
	struct mqtt_subscription subscription = {.filter = filter, .qos = qos};
	size_t size = mqtt_subscribe_encode(2, 0, &subscription, 1, VERSION, packet, sizeof(packet));
	CHECK(size > 0);
	return send_all(clients, &clients->items[index], packet, size);
}

bool test_clients_publish(struct test_clients *clients, uint32_t index, struct slice topic, struct slice payload,
			  uint8_t qos)
{
	CHECK(index < clients->count && qos <= 2);
	/* A client has one message in flight at a time, so one packet identifier is enough. */
	struct mqtt_publish publish = {.topic = topic, .payload = payload, .qos = qos, .packet_id = qos > 0 ? 1 : 0};
	size_t size = mqtt_publish_encode(&publish, VERSION, clients->scratch, TEST_CLIENTS_PACKET_BYTES_MAX);
	CHECK(size > 0);
	return send_all(clients, &clients->items[index], clients->scratch, size);
}

bool test_clients_ping(struct test_clients *clients, uint32_t index)
{
	CHECK(index < clients->count);
	uint8_t packet[2];
	CHECK(mqtt_empty_encode(MQTT_PINGREQ, packet, sizeof(packet)) == sizeof(packet));
	return send_all(clients, &clients->items[index], packet, sizeof(packet));
}
