#include "bench/fleet_io.h"
#include "bench/fleet_packets.h"

#include "base/check.h"
#include "mqtt/decode.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

static void become_ready(struct fleet *fleet, uint32_t index)
{
	fleet_set_state(fleet, &fleet->clients[index], CLIENT_READY);
	if (fleet->events.ready != NULL)
		fleet->events.ready(fleet->owner, index);
}

static void take_connack(struct fleet *fleet, uint32_t index, struct slice body)
{
	struct client *client = &fleet->clients[index];
	struct mqtt_connack connack;
	if (client->state != CLIENT_GREETING || mqtt_connack_decode(body, fleet->plan->version, &connack) != ERROR_OK) {
		fleet_lose(fleet, index, LOSS_PROTOCOL, 0);
		return;
	}
	if (connack.reason != 0) {
		fleet_lose(fleet, index, LOSS_REFUSED, connack.reason);
		return;
	}
	if (connack.receive_max < fleet->receive_max)
		fleet->receive_max = connack.receive_max;
	uint32_t topic = fleet_topic_of(fleet, index);
	if (topic == FLEET_NO_TOPIC) {
		become_ready(fleet, index);
		return;
	}
	uint8_t packet[FLEET_SUBSCRIBE_BYTES_MAX];
	size_t size = fleet->plan->pipeline ? 0 : fleet_subscribe_encode(fleet->plan, topic, packet, sizeof(packet));
	if (size == 0 || fleet_write(fleet, index, packet, size))
		fleet_set_state(fleet, client, CLIENT_SUBSCRIBING);
}

static void take_suback(struct fleet *fleet, uint32_t index, struct slice body)
{
	struct mqtt_suback suback;
	enum error fault = mqtt_suback_decode(body, MQTT_SUBACK, fleet->plan->version, &suback);
	if (fleet->clients[index].state != CLIENT_SUBSCRIBING || fault != ERROR_OK || suback.codes.size != 1)
		fleet_lose(fleet, index, LOSS_PROTOCOL, 0);
	else if (suback.codes.data[0] >= 0x80)
		fleet_lose(fleet, index, LOSS_SUBSCRIBE, suback.codes.data[0]);
	else if (suback.codes.data[0] != fleet->plan->qos)
		fleet_lose(fleet, index, LOSS_GRANTED, 0);
	else
		become_ready(fleet, index);
}

/* Goes out with those of the whole read. */
static void answer(struct fleet *fleet, uint8_t first_byte, uint16_t packet_id)
{
	uint8_t *ack = fleet->answers + fleet->answers_size;
	fleet->answers_size += 4;
	CHECK(fleet->answers_size <= FLEET_PACKET_BYTES_MAX);
	ack[0] = first_byte;
	ack[1] = 2;
	ack[2] = (uint8_t)(packet_id >> 8);
	ack[3] = (uint8_t)packet_id;
}

static void take_publish(struct fleet *fleet, uint32_t index, uint8_t flags, struct slice body)
{
	struct mqtt_publish publish;
	if (mqtt_publish_decode(body, flags, fleet->plan->version, true, &publish) != ERROR_OK) {
		fleet_lose(fleet, index, LOSS_PROTOCOL, 0);
		return;
	}
	if (publish.qos == 1)
		answer(fleet, MQTT_PUBACK << 4, publish.packet_id);
	if (publish.qos == 2) {
		answer(fleet, MQTT_PUBREC << 4, publish.packet_id);
		fleet->received_qos_2++;
	}
	if (fleet->events.message != NULL)
		fleet->events.message(fleet->owner, index, &publish);
}

/* PUBACK, PUBREC and PUBCOMP for what the client has published, PUBREL for what it has received. */
static void take_ack(struct fleet *fleet, uint32_t index, uint8_t first_byte, struct slice body)
{
	uint8_t type = first_byte >> 4;
	struct mqtt_ack ack;
	bool good = mqtt_ack_decode(body, type, fleet->plan->version, &ack) == ERROR_OK;
	if (good && type == MQTT_PUBREL) {
		good = fleet->released < fleet->received_qos_2;
		fleet->released += good;
	} else if (good && ack.reason >= 0x80) {
		fleet_lose(fleet, index, LOSS_PUBLISH, ack.reason);
		return;
	} else if (good) {
		good = fleet->events.acknowledged != NULL &&
		       fleet->events.acknowledged(fleet->owner, index, type, ack.packet_id);
	}
	if (!good)
		fleet_lose(fleet, index, LOSS_PROTOCOL, 0);
	else if (type == MQTT_PUBREL)
		answer(fleet, MQTT_PUBCOMP << 4, ack.packet_id);
	else if (type == MQTT_PUBREC)
		answer(fleet, MQTT_PUBREL << 4 | 2, ack.packet_id);
}

static void take_packet(struct fleet *fleet, uint32_t index, uint8_t first_byte, struct slice body)
{
	struct mqtt_disconnect disconnect;
	switch (first_byte >> 4) {
	case MQTT_PUBLISH:
		take_publish(fleet, index, first_byte & 0x0Fu, body);
		break;
	case MQTT_PUBACK:
	case MQTT_PUBREC:
	case MQTT_PUBREL:
	case MQTT_PUBCOMP:
		take_ack(fleet, index, first_byte, body);
		break;
	case MQTT_PINGRESP:
		fleet->clients[index].ping_pending = false;
		break;
	case MQTT_CONNACK:
		take_connack(fleet, index, body);
		break;
	case MQTT_SUBACK:
		take_suback(fleet, index, body);
		break;
	case MQTT_DISCONNECT:
		if (mqtt_disconnect_decode(body, fleet->plan->version, true, &disconnect) == ERROR_OK) {
			fleet_lose(fleet, index, LOSS_DISCONNECT, disconnect.reason);
			break;
		}
		/* fall through */
	default:
		fleet_lose(fleet, index, LOSS_PROTOCOL, 0);
	}
}

/* Takes whole packets off bytes. Returns how many bytes that were; the client may be gone afterwards. */
static size_t take_packets(struct fleet *fleet, uint32_t index, const uint8_t *bytes, size_t size)
{
	struct client *client = &fleet->clients[index];
	size_t used = 0;
	while (client->state != CLIENT_GONE && used < size) {
		struct mqtt_header header;
		enum error error = mqtt_header_decode(bytes + used, size - used, &header);
		size_t whole = error == ERROR_OK ? (size_t)header.header_bytes + header.body_bytes : 0;
		if ((error != ERROR_OK && error != ERROR_MORE) || whole > FLEET_PACKET_BYTES_MAX) {
			fleet_lose(fleet, index, LOSS_PROTOCOL, 0);
			break;
		}
		if (error == ERROR_MORE || whole > size - used)
			break;
		take_packet(fleet, index, bytes[used], slice_of(bytes + used + header.header_bytes, header.body_bytes));
		used += whole;
	}
	return used;
}

/* Keeps the start of a packet for the next read. */
static void keep_unread(struct fleet *fleet, uint32_t index, const uint8_t *bytes, size_t size)
{
	struct client *client = &fleet->clients[index];
	if (size == 0)
		return;
	client->unread = malloc(sizeof(*client->unread) + size);
	if (client->unread == NULL) {
		fleet_lose(fleet, index, LOSS_RESET, ENOMEM);
		return;
	}
	memcpy(client->unread->bytes, bytes, size);
	client->unread->size = (uint32_t)size;
}

static size_t restore_unread(struct client *client, uint8_t *out)
{
	if (client->unread == NULL)
		return 0;
	size_t size = client->unread->size;
	memcpy(out, client->unread->bytes, size);
	free(client->unread);
	client->unread = NULL;
	return size;
}

/* What one read brought: size bytes in scratch. */
static void take_read(struct fleet *fleet, uint32_t index, size_t size)
{
	const struct client *client = &fleet->clients[index];
	fleet->answers_size = 0;
	size_t used = take_packets(fleet, index, fleet->scratch, size);
	if (client->state != CLIENT_GONE && fleet->answers_size > 0)
		fleet_write(fleet, index, fleet->answers, fleet->answers_size);
	if (client->state != CLIENT_GONE)
		keep_unread(fleet, index, fleet->scratch + used, size - used);
}

/* As recv(); also says when the bytes arrived, if the kernel does. Of several segments it tells the last one's time. */
static ssize_t receive(struct fleet *fleet, int fd, uint8_t *out, size_t room)
{
	union {
		struct cmsghdr header; /* for its alignment */
		uint8_t bytes[CMSG_SPACE(sizeof(struct timespec))];
	} control;
	struct iovec into = {.iov_base = out, .iov_len = room};
	struct msghdr message = {
		.msg_iov = &into, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	if (!fleet->plan->arrivals)
		return recv(fd, out, room, 0);
	ssize_t got = recvmsg(fd, &message, 0);
	const struct cmsghdr *first = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	struct timespec arrived;
	fleet->arrived_ns = 0;
	if (first == NULL || first->cmsg_level != SOL_SOCKET || first->cmsg_type != SCM_TIMESTAMPNS)
		return got;
	memcpy(&arrived, CMSG_DATA(first), sizeof(arrived));
	fleet->arrived_ns = (uint64_t)arrived.tv_sec * 1000000000u + (uint64_t)arrived.tv_nsec;
	return got;
}

/* Reads until a short read says that the socket is empty: this saves the call that would return EAGAIN. Where epoll
 * says that the connection has ended, that call is made: it tells how. */
void fleet_read(struct fleet *fleet, uint32_t index, uint32_t events)
{
	struct client *client = &fleet->clients[index];
	bool has_ended = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
	bool emptied = false;
	while (!emptied && client->state != CLIENT_GONE) {
		size_t kept = restore_unread(client, fleet->scratch);
		size_t room = FLEET_PACKET_BYTES_MAX - kept;
		ssize_t got = receive(fleet, client->fd, fleet->scratch + kept, room);
		if (got == 0) {
			fleet_lose(fleet, index, LOSS_CLOSED, 0);
			return;
		}
		if (got < 0 && errno != EAGAIN && errno != EINTR) {
			fleet_lose(fleet, index, client->state == CLIENT_CONNECTING ? LOSS_CONNECT : LOSS_RESET,
				   (uint32_t)errno);
			return;
		}
		emptied = got < 0 ? errno == EAGAIN : got < (ssize_t)room && !has_ended;
		take_read(fleet, index, kept + (got > 0 ? (size_t)got : 0));
	}
}
