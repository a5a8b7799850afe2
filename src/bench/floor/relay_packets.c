/* The least that one must understand of MQTT to relay it. It does not use mqtt/, on purpose: a floor has no checks. */
#include "bench/floor/relay.h"

#include "base/check.h"
#include "mqtt/packet.h"

#include <string.h>

struct packet {
	uint8_t *start;
	uint8_t *body;
	size_t size; /* with the fixed header */
	size_t body_size;
};

static size_t be16(const uint8_t *bytes)
{
	return (size_t)bytes[0] << 8 | bytes[1];
}

/* 1: a whole packet, 0: more bytes are needed, -1: not MQTT. */
static int cut_packet(uint8_t *bytes, size_t size, struct packet *out)
{
	size_t body_size = 0;
	for (size_t i = 1; i <= 4; i++) {
		if (i >= size)
			return 0;
		body_size |= (size_t)(bytes[i] & 0x7Fu) << (7 * (i - 1));
		if ((bytes[i] & 0x80u) == 0) {
			*out = (struct packet){bytes, bytes + i + 1, i + 1 + body_size, body_size};
			return out->size <= size;
		}
	}
	return -1;
}

/* The number that the name ends in. */
static uint32_t topic_number(const uint8_t *name, size_t size)
{
	uint32_t number = 0;
	uint32_t scale = 1;
	while (size > 0 && (uint8_t)(name[size - 1] - '0') <= 9 && scale <= RELAY_TOPICS_MAX) {
		number += (uint32_t)(name[--size] - '0') * scale;
		scale *= 10;
	}
	return number < RELAY_TOPICS_MAX ? number : RELAY_NONE;
}

static uint16_t next_packet_id(struct relay *relay)
{
	relay->packet_id = relay->packet_id == UINT16_MAX ? 1 : (uint16_t)(relay->packet_id + 1);
	return relay->packet_id;
}

/* Above QoS 0 the sender's packet identifier is overwritten with one of our own, so that all receivers get the same
 * bytes. */
static void hand_on(struct relay *relay, const struct packet *packet, uint32_t topic)
{
	CHECK(topic < RELAY_TOPICS_MAX);
	uint32_t to = relay->topics[topic];
	if (to != RELAY_NONE && relay->sockets[to].shared) {
		relay_rotate(relay, topic);
		relay_send(relay, to, packet->start, packet->size);
		return;
	}
	while (to != RELAY_NONE) {
		uint32_t next = relay->sockets[to].next_of_topic;
		relay_send(relay, to, packet->start, packet->size);
		to = next;
	}
}

/* Returns false if the socket must be closed. */
static bool relay_publish(struct relay *relay, uint32_t socket, const struct packet *packet)
{
	uint8_t qos = packet->start[0] >> 1 & 3u;
	size_t size = packet->body_size >= 2 ? be16(packet->body) : SIZE_MAX - 4;
	if (size + 2 + (qos > 0 ? 2 : 0) > packet->body_size)
		return false;
	if (qos > 0) {
		uint8_t *packet_id = packet->body + 2 + size;
		relay_acknowledge(relay, socket, qos == 1 ? MQTT_PUBACK << 4 : MQTT_PUBREC << 4, packet_id);
		uint16_t ours = next_packet_id(relay);
		packet_id[0] = (uint8_t)(ours >> 8);
		packet_id[1] = (uint8_t)ours;
	}
	uint32_t topic = topic_number(packet->body + 2, size);
	if (topic != RELAY_NONE)
		hand_on(relay, packet, topic);
	return true;
}

static bool answer_connect(struct relay *relay, uint32_t socket, const struct packet *packet)
{
	static const uint8_t connack[] = {MQTT_CONNACK << 4, 2, 0, 0};
	static const uint8_t connack_5[] = {MQTT_CONNACK << 4, 3, 0, 0, 0};
	size_t name_size = packet->body_size >= 8 ? be16(packet->body) : SIZE_MAX - 2;
	if (name_size + 2 >= packet->body_size)
		return false;
	uint8_t version = packet->body[2 + name_size];
	relay->sockets[socket].version = version;
	if (version == MQTT_VERSION_5)
		relay_send(relay, socket, connack_5, sizeof(connack_5));
	else
		relay_send(relay, socket, connack, sizeof(connack));
	return true;
}

/* A version 5 SUBSCRIBE has properties before the filter. The bench sends none, so their length takes one byte. SUBACK
 * overwrites SUBSCRIBE, which is longer and stays in the arena until the end of the turn. */
static bool answer_subscribe(struct relay *relay, uint32_t socket, const struct packet *packet)
{
	size_t properties = relay->sockets[socket].version == MQTT_VERSION_5;
	size_t at = 2 + properties;
	if (packet->body_size < at + 2 || relay->sockets[socket].topic != RELAY_NONE)
		return false;
	size_t size = be16(packet->body + at);
	if (at + 2 + size + 1 > packet->body_size)
		return false;
	uint32_t topic = topic_number(packet->body + at + 2, size);
	uint8_t *suback = packet->start;
	uint8_t qos = packet->body[at + 2 + size] & 3u;
	relay->sockets[socket].shared = size >= 7 && memcmp(packet->body + at + 2, "$share/", 7) == 0;
	uint8_t high = packet->body[0];
	uint8_t low = packet->body[1];
	size_t answer_size = 0;
	suback[answer_size++] = MQTT_SUBACK << 4;
	suback[answer_size++] = (uint8_t)(3 + properties);
	suback[answer_size++] = high;
	suback[answer_size++] = low;
	if (properties > 0)
		suback[answer_size++] = 0;
	suback[answer_size++] = topic != RELAY_NONE ? qos : 0x80;
	if (topic != RELAY_NONE)
		relay_subscribe(relay, socket, topic);
	relay_send(relay, socket, suback, answer_size);
	return true;
}

static bool answer_ack(struct relay *relay, uint32_t socket, const struct packet *packet, uint8_t first_byte)
{
	if (packet->body_size < 2)
		return false;
	relay_acknowledge(relay, socket, first_byte, packet->body);
	return true;
}

/* Returns false if the socket must be closed. */
static bool relay_take_packet(struct relay *relay, uint32_t socket, const struct packet *packet)
{
	static const uint8_t pingresp[] = {MQTT_PINGRESP << 4, 0};
	switch (packet->start[0] >> 4) {
	case MQTT_PUBLISH:
		return relay_publish(relay, socket, packet);
	case MQTT_CONNECT:
		return answer_connect(relay, socket, packet);
	case MQTT_SUBSCRIBE:
		return answer_subscribe(relay, socket, packet);
	case MQTT_PUBACK:
	case MQTT_PUBCOMP:
		return true;
	case MQTT_PUBREC:
		return answer_ack(relay, socket, packet, MQTT_PUBREL << 4 | 2);
	case MQTT_PUBREL:
		return answer_ack(relay, socket, packet, MQTT_PUBCOMP << 4);
	case MQTT_PINGREQ:
		relay_send(relay, socket, pingresp, sizeof(pingresp));
		return true;
	default:
		return false;
	}
}

size_t relay_packets(struct relay *relay, uint32_t socket, uint8_t *bytes, size_t size)
{
	size_t used = 0;
	struct packet packet;
	while (used < size) {
		int whole = cut_packet(bytes + used, size - used, &packet);
		if (whole == 0)
			break;
		if (whole < 0 || !relay_take_packet(relay, socket, &packet)) {
			relay_drop(relay, socket);
			return size;
		}
		used += packet.size;
		CHECK(used <= size);
		if (!relay->sockets[socket].open)
			return size;
	}
	return used;
}
