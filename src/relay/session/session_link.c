#include "relay/session/session_link.h"

#include "base/check.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "mqtt/field/reason.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define UNSUBSCRIBE_ID 1u
#define SUBSCRIBE_ID 2u /* and the filter's place among the topics */
#define NEVER_EXPIRES UINT32_MAX
/* A CONNECT has the client id, and some bytes. */
#define CONNECT_BYTES_MAX (128u + ITEM_CLIENT_BYTES_MAX)
#define SUBSCRIBE_BYTES_MAX (32u + TOPICS_FILTER_BYTES_MAX)
#define RETAINED_NOT_SENT 2u /* Retain Handling [3.8.3.1] */
/* Of what an empty buffer keeps. */
#define KEEP_BYTES (2 * SESSION_READ_BYTES)
#define FAILURE_LEAST 0x80u
#define ACK_BYTES_MAX 8u /* of one without properties */

static bool session_fail(struct session_link *link, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool session_fail(struct session_link *link, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(link->fault, sizeof(link->fault), format, arguments);
	va_end(arguments);
	CHECK(link->fault[0] != '\0');
	return false;
}

/* Room for a packet at the end of the output. NULL: memory is short, which breaks the link. */
static uint8_t *packet_room(struct session_link *link, size_t size)
{
	if (bytes_reserve(&link->out, size))
		return link->out.data + link->out.size;
	session_fail(link, "%s", error_sentence(ERROR_NO_MEMORY));
	return NULL;
}

/* ---- opening and closing ---- */

static void open_session(struct session_link *link, int fd, struct slice client_id, uint32_t expiry_s)
{
	const struct mqtt_connect connect = {
		.client_id = client_id,
		.version = MQTT_VERSION_5,
		.session_expiry_s = expiry_s,
		.clean_start = expiry_s == 0,
		.receive_max = UINT16_MAX,
		.packet_bytes_max = MQTT_BODY_BYTES_MAX + MQTT_HEADER_BYTES_MAX,
		.request_problem_info = true,
	};
	CHECK(link->state == SESSION_CLOSED && fd >= 0 && client_id.size <= ITEM_CLIENT_BYTES_MAX);
	link->fd = fd;
	link->state = SESSION_CONNECTING;
	link->read_at = 0;
	link->answers_due = 0;
	link->pongs_due = 0;
	link->is_blocked = false;
	link->fault[0] = '\0';
	bytes_clear(&link->in, KEEP_BYTES);
	bytes_clear(&link->out, KEEP_BYTES);
	uint8_t *room = packet_room(link, CONNECT_BYTES_MAX);
	if (room != NULL)
		link->out.size += mqtt_connect_encode(&connect, room, CONNECT_BYTES_MAX);
}

void session_link_open(struct session_link *link, int fd, struct slice client_id)
{
	open_session(link, fd, client_id, NEVER_EXPIRES);
}

void session_link_open_fleeting(struct session_link *link, int fd, struct slice client_id)
{
	open_session(link, fd, client_id, 0);
}

void session_link_close(struct session_link *link)
{
	if (link->state == SESSION_CLOSED)
		return;
	if (!session_link_is_broken(link)) {
		uint8_t *room = packet_room(link, MQTT_HEADER_BYTES_MAX);
		if (room != NULL)
			link->out.size += mqtt_disconnect_encode(0, slice_of(NULL, 0), slice_of(NULL, 0),
								 MQTT_VERSION_5, room, MQTT_HEADER_BYTES_MAX);
		session_link_flush(link);
	}
	close(link->fd);
	link->fd = -1;
	link->state = SESSION_CLOSED;
	bytes_free(&link->in);
	bytes_free(&link->out);
}

/* ---- subscribing ---- */

void session_link_withdraw(struct session_link *link, const struct slice *stale, size_t count)
{
	size_t size = 16;
	CHECK(count != 0 && count <= SESSION_STALE_MAX);
	for (size_t i = 0; i < count; i++)
		size += stale[i].size + 2;
	uint8_t *room = packet_room(link, size);
	if (room == NULL)
		return;
	link->out.size += mqtt_unsubscribe_encode(UNSUBSCRIBE_ID, stale, count, MQTT_VERSION_5, room, size);
	link->state = SESSION_SUBSCRIBING;
	link->answers_due++;
}

/* A packet for each filter where there are several, since the identifier is the packet's. */
static void subscribe_to(struct session_link *link, const struct topics *topics, uint8_t qos, uint32_t number)
{
	const char *filter = topics->filters[number];
	uint32_t identifier = topics->count > 1 ? topics_identifier(filter) : 0;
	const struct mqtt_subscription subscription = {
		.filter = slice_string(filter),
		.qos = qos,
		.retain_as_published = true,
		.retain_handling = RETAINED_NOT_SENT,
	};
	uint8_t *room = packet_room(link, SUBSCRIBE_BYTES_MAX);
	if (room == NULL)
		return;
	link->out.size += mqtt_subscribe_encode((uint16_t)(SUBSCRIBE_ID + number), identifier, &subscription, 1,
						MQTT_VERSION_5, room, SUBSCRIBE_BYTES_MAX);
	link->answers_due++;
}

void session_link_subscribe(struct session_link *link, const struct topics *topics, uint8_t qos,
			    const struct slice *stale, size_t stale_count)
{
	CHECK(link->state == SESSION_CONNECTED && topics->count != 0 && stale_count <= SESSION_STALE_MAX);
	link->state = SESSION_SUBSCRIBING;
	for (uint32_t i = 0; i < topics->count; i++)
		subscribe_to(link, topics, qos, i);
	/* Afterwards: what both match does not get lost in between. */
	if (stale_count != 0)
		session_link_withdraw(link, stale, stale_count);
}

/* ---- reading ---- */

bool session_link_read(struct session_link *link, bool *more)
{
	CHECK(link->state != SESSION_CLOSED);
	*more = false;
	bytes_drop(&link->in, link->read_at);
	link->read_at = 0;
	if (!bytes_reserve(&link->in, SESSION_READ_BYTES))
		return session_fail(link, "%s", error_sentence(ERROR_NO_MEMORY));
	ssize_t got = recv(link->fd, link->in.data + link->in.size, SESSION_READ_BYTES, 0);
	if (got > 0) {
		link->in.size += (size_t)got;
		*more = (size_t)got == SESSION_READ_BYTES;
		return true;
	}
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	return session_fail(link, "the gateway closed the connection%s%s", got < 0 ? ": " : "",
			    got < 0 ? strerror(errno) : "");
}

static void read_connack(struct session_link *link, struct slice body)
{
	struct mqtt_connack connack;
	if (link->state != SESSION_CONNECTING || mqtt_connack_decode(body, MQTT_VERSION_5, &connack) != ERROR_OK)
		session_fail(link, "the gateway sent a CONNACK that does not belong there");
	else if (connack.reason != 0)
		session_fail(link, "the gateway refused the session with reason 0x%02x", connack.reason);
	else
		link->state = SESSION_CONNECTED;
	link->receive_max = connack.receive_max;
}

static void read_suback(struct session_link *link, struct slice body, uint8_t type)
{
	struct mqtt_suback suback;
	if (link->answers_due == 0 || mqtt_suback_decode(body, type, MQTT_VERSION_5, &suback) != ERROR_OK) {
		session_fail(link, "the gateway sent an answer that does not belong there");
		return;
	}
	for (size_t i = 0; i < suback.codes.size; i++) {
		if (suback.codes.data[i] >= FAILURE_LEAST) {
			session_fail(link, "the gateway refused topic filter %d with reason 0x%02x",
				     (int)suback.packet_id - (int)SUBSCRIBE_ID + 1, suback.codes.data[i]);
			return;
		}
	}
	if (--link->answers_due == 0)
		link->state = SESSION_READY;
}

static void read_disconnect(struct session_link *link, struct slice body)
{
	struct mqtt_disconnect disconnect = {0};
	if (mqtt_disconnect_decode(body, MQTT_VERSION_5, true, &disconnect) != ERROR_OK)
		disconnect.reason = 0x80;
	session_fail(link, "the gateway ended the connection with reason 0x%02x", disconnect.reason);
}

/* At QoS 2 the message is the gateway's from PUBREC on, and its identifier is free from PUBCOMP on [4.3.3]. */
static void read_published(struct session_link *link, struct slice body, uint8_t type)
{
	struct mqtt_ack ack;
	if (link->published == NULL || mqtt_ack_decode(body, type, MQTT_VERSION_5, &ack) != ERROR_OK) {
		session_fail(link, "the gateway sent an acknowledgement that does not belong there");
		return;
	}
	if (type != MQTT_PUBREC || ack.reason >= FAILURE_LEAST) {
		link->published(link->published_context, ack.packet_id, ack.reason);
		return;
	}
	const struct mqtt_ack release = {.packet_id = ack.packet_id};
	uint8_t *room = packet_room(link, ACK_BYTES_MAX);
	if (room != NULL)
		link->out.size += mqtt_ack_encode(&release, MQTT_PUBREL, MQTT_VERSION_5, room, ACK_BYTES_MAX);
}

/* Returns whether it is a PUBLISH. */
static bool read_packet(struct session_link *link, struct mqtt_header header, struct slice body,
			struct mqtt_publish *publish)
{
	switch (header.type) {
	case MQTT_PUBLISH:
		if (mqtt_publish_decode(body, header.flags, MQTT_VERSION_5, true, publish) == ERROR_OK &&
		    publish->topic.size != 0 && publish->qos < 2)
			return true;
		return session_fail(link, "the gateway sent a PUBLISH that cannot be read");
	case MQTT_CONNACK:
		read_connack(link, body);
		return false;
	case MQTT_SUBACK:
	case MQTT_UNSUBACK:
		read_suback(link, body, header.type);
		return false;
	case MQTT_PINGRESP:
		if (link->pongs_due == 0)
			return session_fail(link, "the gateway sent a PINGRESP that nobody asked for");
		link->pongs_due--;
		return false;
	case MQTT_PUBACK:
	case MQTT_PUBREC:
	case MQTT_PUBCOMP:
		read_published(link, body, header.type);
		return false;
	case MQTT_DISCONNECT:
		read_disconnect(link, body);
		return false;
	default:
		return session_fail(link, "the gateway sent a packet of type %u", header.type);
	}
}

bool session_link_next(struct session_link *link, struct mqtt_publish *publish)
{
	struct mqtt_header header;
	while (!session_link_is_broken(link)) {
		const uint8_t *at = link->in.data + link->read_at;
		size_t left = link->in.size - link->read_at;
		enum error error = left != 0 ? mqtt_header_decode(at, left, &header) : ERROR_MORE;
		if (error == ERROR_MORE || (error == ERROR_OK && left - header.header_bytes < header.body_bytes))
			return false;
		if (error != ERROR_OK)
			return session_fail(link, "the gateway sent no MQTT: %s", error_sentence(error));
		link->read_at += header.header_bytes + header.body_bytes;
		if (read_packet(link, header, slice_of(at + header.header_bytes, header.body_bytes), publish))
			return true;
	}
	return false;
}

/* ---- writing ---- */

void session_link_acknowledge(struct session_link *link, uint16_t packet_id)
{
	const struct mqtt_ack ack = {.packet_id = packet_id};
	uint8_t *room = packet_room(link, ACK_BYTES_MAX);
	if (room != NULL)
		link->out.size += mqtt_ack_encode(&ack, MQTT_PUBACK, MQTT_VERSION_5, room, ACK_BYTES_MAX);
}

void session_link_be_ready(struct session_link *link)
{
	CHECK(link->state == SESSION_CONNECTED);
	link->state = SESSION_READY;
}

void session_link_publish(struct session_link *link, const struct mqtt_publish *publish)
{
	size_t size = mqtt_publish_size(publish, MQTT_VERSION_5);
	CHECK(link->state == SESSION_READY && size != 0 && (publish->qos == 0) == (publish->packet_id == 0));
	uint8_t *room = packet_room(link, size);
	if (room != NULL)
		link->out.size += mqtt_publish_encode(publish, MQTT_VERSION_5, room, size);
}

void session_link_ping(struct session_link *link)
{
	CHECK(link->state == SESSION_READY);
	uint8_t *room = packet_room(link, MQTT_HEADER_BYTES_MIN);
	if (room == NULL)
		return;
	link->out.size += mqtt_empty_encode(MQTT_PINGREQ, room, MQTT_HEADER_BYTES_MIN);
	link->pongs_due++;
}

bool session_link_flush(struct session_link *link)
{
	size_t sent = 0;
	link->is_blocked = false;
	while (sent < link->out.size && !link->is_blocked) {
		ssize_t taken = send(link->fd, link->out.data + sent, link->out.size - sent, MSG_NOSIGNAL);
		if (taken > 0)
			sent += (size_t)taken;
		else if (errno == EAGAIN)
			link->is_blocked = true;
		else if (errno != EINTR)
			return session_fail(link, "the gateway closed the connection: %s", strerror(errno));
	}
	bytes_drop(&link->out, sent);
	if (link->out.size == 0)
		bytes_clear(&link->out, KEEP_BYTES);
	return true;
}
