#include "doctor/crowd.h"

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
/* In progress at the same time: well below the server's backlog, and enough to keep it busy. */
#define BATCH 256u
/* A port range has 28 k ports for one pair of addresses, and the kernel's search slows down past half of them. */
#define CLIENTS_PER_SOURCE 8000u
/* 127.240.0.1 and on: none that `roost bench` uses. */
#define SOURCE_FIRST 0x7FF00001u
#define SMALL_PACKET_BYTES 256u
#define VERSION MQTT_VERSION_3_1_1

static bool fail(struct crowd *crowd, const char *what)
{
	snprintf(crowd->fault, sizeof(crowd->fault), "%s: %s", what, strerror(errno));
	return false;
}

bool crowd_open(struct crowd *crowd, uint16_t port, uint32_t capacity)
{
	*crowd = (struct crowd){
		.server = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
		.capacity = capacity,
		.clients = calloc(capacity, sizeof(*crowd->clients)),
		.scratch = malloc(CROWD_PACKET_BYTES_MAX),
		.epoll = epoll_create1(EPOLL_CLOEXEC),
	};
	if (crowd->clients != NULL && crowd->scratch != NULL && crowd->epoll >= 0)
		return true;
	fail(crowd, "cannot make clients");
	crowd_close(crowd);
	return false;
}

void crowd_close(struct crowd *crowd)
{
	static const struct linger reset = {.l_onoff = 1, .l_linger = 0};
	for (uint32_t i = 0; i < crowd->count; i++) {
		setsockopt(crowd->clients[i].fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(crowd->clients[i].fd);
	}
	crowd->count = 0;
	if (crowd->epoll >= 0)
		close(crowd->epoll);
	free(crowd->clients);
	free(crowd->scratch);
	crowd->clients = NULL;
	crowd->scratch = NULL;
}

static bool send_all(struct crowd *crowd, const struct crowd_client *client, const uint8_t *bytes, size_t size)
{
	while (size > 0 && client->fd >= 0) {
		ssize_t sent = send(client->fd, bytes, size, MSG_NOSIGNAL);
		if (sent < 0 && errno != EINTR)
			return fail(crowd, "cannot send to the server");
		bytes += sent > 0 ? sent : 0;
		size -= sent > 0 ? (size_t)sent : 0;
	}
	return true;
}

/* ---- what comes ---- */

static bool answer(struct crowd *crowd, const struct crowd_client *client, uint8_t type, uint16_t packet_id)
{
	uint8_t packet[SMALL_PACKET_BYTES];
	struct mqtt_ack ack = {.packet_id = packet_id};
	size_t size = mqtt_ack_encode(&ack, type, VERSION, packet, sizeof(packet));
	CHECK(size > 0);
	return send_all(crowd, client, packet, size);
}

static bool take_publish(struct crowd *crowd, struct crowd_client *client, uint8_t flags, struct slice body)
{
	struct mqtt_publish publish;
	if (mqtt_publish_decode(body, flags, VERSION, true, &publish) != ERROR_OK)
		return false;
	if (publish.qos == 2)
		return answer(crowd, client, MQTT_PUBREC, publish.packet_id);
	client->seen[CROWD_MESSAGE]++;
	return publish.qos == 0 || answer(crowd, client, MQTT_PUBACK, publish.packet_id);
}

static bool take_ack(struct crowd *crowd, struct crowd_client *client, uint8_t type, struct slice body)
{
	struct mqtt_ack ack;
	if (mqtt_ack_decode(body, type, VERSION, &ack) != ERROR_OK)
		return false;
	if (type == MQTT_PUBREC)
		return answer(crowd, client, MQTT_PUBREL, ack.packet_id);
	if (type == MQTT_PUBREL) {
		client->seen[CROWD_MESSAGE]++;
		return answer(crowd, client, MQTT_PUBCOMP, ack.packet_id);
	}
	client->seen[CROWD_ACKNOWLEDGED]++;
	return true;
}

static bool take_suback(struct crowd_client *client, struct slice body)
{
	struct mqtt_suback suback;
	if (mqtt_suback_decode(body, MQTT_SUBACK, VERSION, &suback) != ERROR_OK || suback.codes.size != 1 ||
	    suback.codes.data[0] > 2)
		return false;
	client->granted = suback.codes.data[0];
	client->seen[CROWD_SUBACK]++;
	return true;
}

static bool take_packet(struct crowd *crowd, struct crowd_client *client, struct mqtt_header header, struct slice body)
{
	struct mqtt_connack connack;
	switch (header.type) {
	case MQTT_CONNACK:
		if (mqtt_connack_decode(body, VERSION, &connack) != ERROR_OK || connack.reason != 0)
			return false;
		client->seen[CROWD_CONNACK]++;
		return true;
	case MQTT_SUBACK:
		return take_suback(client, body);
	case MQTT_PUBLISH:
		return take_publish(crowd, client, header.flags, body);
	case MQTT_PUBACK:
	case MQTT_PUBREC:
	case MQTT_PUBREL:
	case MQTT_PUBCOMP:
		return take_ack(crowd, client, header.type, body);
	case MQTT_PINGRESP:
		client->seen[CROWD_PINGRESP]++;
		return mqtt_empty_decode(body) == ERROR_OK;
	default:
		return false;
	}
}

ssize_t crowd_take(struct crowd *crowd, struct crowd_client *client, const uint8_t *bytes, size_t size)
{
	size_t used = 0;
	while (used < size) {
		struct mqtt_header header;
		enum error error = mqtt_header_decode(bytes + used, size - used, &header);
		size_t whole = error == ERROR_OK ? (size_t)header.header_bytes + header.body_bytes : 0;
		if (error == ERROR_MORE ||
		    (error == ERROR_OK && whole > size - used && whole <= CROWD_PACKET_BYTES_MAX))
			break;
		if (error != ERROR_OK || whole > size - used || mqtt_header_check(header) != ERROR_OK)
			return -1;
		struct slice body = slice_of(bytes + used + header.header_bytes, header.body_bytes);
		if (!take_packet(crowd, client, header, body))
			return -1;
		used += whole;
	}
	return (ssize_t)used;
}

bool crowd_await(struct crowd *crowd, uint32_t index, enum crowd_sign sign, uint32_t times)
{
	struct crowd_client *client = &crowd->clients[index];
	size_t kept = 0;
	while (client->seen[sign] < times || kept > 0) {
		ssize_t got = recv(client->fd, crowd->scratch + kept, CROWD_PACKET_BYTES_MAX - kept, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got == 0)
			errno = ECONNRESET;
		if (got <= 0)
			return fail(crowd, "no answer from the server");
		size_t size = kept + (size_t)got;
		ssize_t used = crowd_take(crowd, client, crowd->scratch, size);
		if (used < 0) {
			errno = EPROTO;
			return fail(crowd, "the server refused or said what it may not");
		}
		kept = size - (size_t)used;
		memmove(crowd->scratch, crowd->scratch + used, kept);
	}
	return true;
}

/* ---- what is sent ---- */

static size_t encode_greeting(uint32_t number, uint8_t packet[SMALL_PACKET_BYTES])
{
	char id[24];
	char topic[24];
	/* As long as the names of `roost bench hold` with its defaults and some hundred thousand clients. */
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
	size += mqtt_subscribe_encode(1, 0, &subscription, 1, VERSION, packet + size, SMALL_PACKET_BYTES - size);
	return size;
}

/* On loopback the handshake is over when connect() returns. */
static bool dial(struct crowd *crowd, uint32_t index)
{
	static const int on = 1;
	static const struct timeval patience = {.tv_sec = ANSWER_S_MAX};
	struct sockaddr_in source = {.sin_family = AF_INET};
	uint8_t packet[SMALL_PACKET_BYTES];
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.u32 = index};
	struct crowd_client *client = &crowd->clients[index];
	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (client->fd < 0)
		return fail(crowd, "cannot make a socket");
	crowd->count = index + 1;
	source.sin_addr.s_addr = htonl(SOURCE_FIRST + index / CLIENTS_PER_SOURCE);
	setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(client->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	if (bind(client->fd, (struct sockaddr *)&source, sizeof(source)) != 0 ||
	    connect(client->fd, (struct sockaddr *)&crowd->server, sizeof(crowd->server)) != 0 ||
	    epoll_ctl(crowd->epoll, EPOLL_CTL_ADD, client->fd, &event) != 0)
		return fail(crowd, "cannot connect to the server");
	return send_all(crowd, client, packet, encode_greeting(index, packet));
}

bool crowd_connect(struct crowd *crowd, uint32_t more)
{
	uint32_t first = crowd->count;
	uint32_t count = more < BATCH ? more : BATCH;
	if (count > crowd->capacity - first)
		count = crowd->capacity - first;
	for (uint32_t i = 0; i < count; i++) {
		if (!dial(crowd, first + i))
			return false;
	}
	for (uint32_t i = 0; i < count; i++) {
		if (!crowd_await(crowd, first + i, CROWD_SUBACK, 1))
			return false;
	}
	return true;
}

bool crowd_subscribe(struct crowd *crowd, uint32_t index, struct slice filter, uint8_t qos)
{
	uint8_t packet[SMALL_PACKET_BYTES];
	struct mqtt_subscription subscription = {.filter = filter, .qos = qos};
	size_t size = mqtt_subscribe_encode(2, 0, &subscription, 1, VERSION, packet, sizeof(packet));
	CHECK(size > 0);
	return send_all(crowd, &crowd->clients[index], packet, size);
}

bool crowd_publish(struct crowd *crowd, uint32_t index, struct slice topic, struct slice payload, uint8_t qos)
{
	/* One message of a client is under way at a time, so one packet identifier is enough. */
	struct mqtt_publish publish = {.topic = topic, .payload = payload, .qos = qos, .packet_id = qos > 0 ? 1 : 0};
	size_t size = mqtt_publish_encode(&publish, VERSION, crowd->scratch, CROWD_PACKET_BYTES_MAX);
	CHECK(size > 0);
	return send_all(crowd, &crowd->clients[index], crowd->scratch, size);
}

bool crowd_ping(struct crowd *crowd, uint32_t index)
{
	uint8_t packet[2];
	CHECK(mqtt_empty_encode(MQTT_PINGREQ, packet, sizeof(packet)) == sizeof(packet));
	return send_all(crowd, &crowd->clients[index], packet, sizeof(packet));
}
