/* The least that one must understand of MQTT to relay it. Deliberately without mqtt/: a floor has no checks. */
#include "bench/relay.h"

#include "mqtt/packet.h"

struct packet {
	uint8_t *start;
	const uint8_t *body;
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

static void relay_publish(struct relay *relay, const struct packet *packet)
{
	size_t size = be16(packet->body);
	if (size + 2 > packet->body_size)
		return;
	uint32_t topic = topic_number(packet->body + 2, size);
	uint32_t to = topic != RELAY_NONE ? relay->topics[topic] : RELAY_NONE;
	while (to != RELAY_NONE) {
		uint32_t next = relay->sockets[to].next_of_topic;
		relay_send(relay, to, packet->start, packet->size);
		to = next;
	}
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

/* SUBSCRIBE of version 5 has properties before the filter; the bench sends none, so their length is one byte. The
 * answer is written over the question, which is longer and lives in the arena until the end of the turn. */
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
	uint8_t high = packet->body[0];
	uint8_t low = packet->body[1];
	size_t answer_size = 0;
	suback[answer_size++] = MQTT_SUBACK << 4;
	suback[answer_size++] = (uint8_t)(3 + properties);
	suback[answer_size++] = high;
	suback[answer_size++] = low;
	if (properties > 0)
		suback[answer_size++] = 0;
	suback[answer_size++] = topic != RELAY_NONE ? 0 : 0x80;
	if (topic != RELAY_NONE)
		relay_subscribe(relay, socket, topic);
	relay_send(relay, socket, suback, answer_size);
	return true;
}

/* False: the socket is to be closed. */
static bool take_packet(struct relay *relay, uint32_t socket, const struct packet *packet)
{
	static const uint8_t pingresp[] = {MQTT_PINGRESP << 4, 0};
	switch (packet->start[0] >> 4) {
	case MQTT_PUBLISH:
		if (packet->body_size >= 2)
			relay_publish(relay, packet);
		return true;
	case MQTT_CONNECT:
		return answer_connect(relay, socket, packet);
	case MQTT_SUBSCRIBE:
		return answer_subscribe(relay, socket, packet);
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
		if (whole < 0 || !take_packet(relay, socket, &packet)) {
			relay_drop(relay, socket);
			return size;
		}
		used += packet.size;
		if (!relay->sockets[socket].open)
			return size;
	}
	return used;
}
