#include "relay/session/session_link.h"

#include "base/check.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "mqtt/field/reason.h"
#include "transport/tls_connect.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define UNSUBSCRIBE_ID 1u
#define SUBSCRIBE_ID 2u /* and the filter's place among the topics */
#define NEVER_EXPIRES UINT32_MAX
/* What a CONNECT and a SUBSCRIBE have besides their texts. */
#define CONNECT_BYTES 128u
#define SUBSCRIBE_BYTES 32u
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

void session_link_open_to(struct session_link *link, int fd, const struct session_peer *peer,
			  const struct mqtt_connect *connect)
{
	CHECK(link->state == SESSION_CLOSED && fd >= 0);
	link->fd = fd;
	link->peer = *peer;
	if (link->peer.name == NULL)
		link->peer.name = "the gateway";
	link->version = connect->version;
	link->state = SESSION_CONNECTING;
	link->connack = mqtt_connack_default();
	link->refused = 0;
	link->notice[0] = '\0';
	link->read_at = 0;
	link->answers_due = 0;
	link->pongs_due = 0;
	link->is_blocked = false;
	link->fault[0] = '\0';
	bytes_clear(&link->in, KEEP_BYTES);
	bytes_clear(&link->out, KEEP_BYTES);
	size_t size = CONNECT_BYTES + connect->client_id.size + connect->user_name.size + connect->password.size;
	uint8_t *room = packet_room(link, size);
	if (room != NULL)
		link->out.size += mqtt_connect_encode(connect, room, size);
}

static void open_session(struct session_link *link, int fd, struct slice client_id, uint32_t expiry_s)
{
	const struct session_peer gateway = {.streams = NULL};
	const struct mqtt_connect connect = {
		.client_id = client_id,
		.version = MQTT_VERSION_5,
		.session_expiry_s = expiry_s,
		.clean_start = expiry_s == 0,
		.receive_max = UINT16_MAX,
		.packet_bytes_max = MQTT_BODY_BYTES_MAX + MQTT_HEADER_BYTES_MAX,
		.request_problem_info = true,
	};
	CHECK_LE(client_id.size, ITEM_CLIENT_BYTES_MAX);
	session_link_open_to(link, fd, &gateway, &connect);
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
			link->out.size += mqtt_disconnect_encode(0, slice_of(NULL, 0), slice_of(NULL, 0), link->version,
								 room, MQTT_HEADER_BYTES_MAX);
		session_link_flush(link);
	}
	if (link->peer.streams != NULL)
		stream_close(link->peer.streams, link->peer.stream);
	else
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
	link->out.size += mqtt_unsubscribe_encode(UNSUBSCRIBE_ID, stale, count, link->version, room, size);
	link->state = SESSION_SUBSCRIBING;
	link->answers_due++;
}

/* A packet for each filter, since the identifier is the packet's. */
static void subscribe_to(struct session_link *link, const struct session_filter *filter, size_t number)
{
	size_t size = SUBSCRIBE_BYTES + filter->subscription.filter.size;
	uint8_t *room = packet_room(link, size);
	if (room == NULL)
		return;
	link->out.size += mqtt_subscribe_encode((uint16_t)(SUBSCRIBE_ID + number), filter->identifier,
						&filter->subscription, 1, link->version, room, size);
	link->answers_due++;
}

void session_link_subscribe_filters(struct session_link *link, const struct session_filter *filters, size_t count,
				    const struct slice *stale, size_t stale_count)
{
	CHECK(link->state == SESSION_CONNECTED && count != 0 && count <= SESSION_FILTERS_MAX);
	CHECK_LE(stale_count, SESSION_STALE_MAX);
	link->state = SESSION_SUBSCRIBING;
	for (size_t i = 0; i < count; i++)
		subscribe_to(link, &filters[i], i);
	/* Afterwards: what both match does not get lost in between. */
	if (stale_count != 0)
		session_link_withdraw(link, stale, stale_count);
}

void session_link_subscribe(struct session_link *link, const struct topics *topics, uint8_t qos,
			    const struct slice *stale, size_t stale_count)
{
	struct session_filter filters[TOPICS_MAX];
	CHECK_LE(topics->count, TOPICS_MAX);
	for (uint32_t i = 0; i < topics->count; i++) {
		const char *filter = topics->filters[i];
		filters[i] = (struct session_filter){
			.subscription = {.filter = slice_string(filter),
					 .qos = qos,
					 .retain_as_published = true,
					 .retain_handling = RETAINED_NOT_SENT},
			.identifier = topics->count > 1 ? topics_identifier(filter) : 0,
		};
	}
	session_link_subscribe_filters(link, filters, topics->count, stale, stale_count);
}

/* ---- reading ---- */

static ssize_t receive_some(struct session_link *link, uint8_t *to, bool *more)
{
	if (link->peer.streams != NULL)
		return stream_receive(link->peer.streams, link->peer.stream, to, SESSION_READ_BYTES, more);
	ssize_t got = recv(link->fd, to, SESSION_READ_BYTES, 0);
	*more = got == (ssize_t)SESSION_READ_BYTES;
	return got;
}

/* is_end: it was a plain end; else errno says why. */
static bool closed_by_peer(struct session_link *link, bool is_end)
{
	const struct session_peer *peer = &link->peer;
	if (is_end)
		return session_fail(link, "%s closed the connection", peer->name);
	const char *why =
		peer->streams != NULL ? tls_stream_fault(peer->streams, peer->stream, errno) : strerror(errno);
	return session_fail(link, "%s closed the connection: %s", peer->name, why);
}

bool session_link_read(struct session_link *link, bool *more)
{
	CHECK(link->state != SESSION_CLOSED);
	*more = false;
	bytes_drop(&link->in, link->read_at);
	link->read_at = 0;
	if (!bytes_reserve(&link->in, SESSION_READ_BYTES))
		return session_fail(link, "%s", error_sentence(ERROR_NO_MEMORY));
	ssize_t got = receive_some(link, link->in.data + link->in.size, more);
	if (got > 0) {
		link->in.size += (size_t)got;
		return true;
	}
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	return closed_by_peer(link, got == 0);
}

/* Before version 5 there are five return codes [3.2.2.3 of 3.1.1]. */
static const char *refusal_name(uint8_t reason, uint8_t version)
{
	static const char *const NAMES[] = {"",
					    "Unacceptable protocol version",
					    "Identifier rejected",
					    "Server unavailable",
					    "Bad user name or password",
					    "Not authorized"};
	if (version == MQTT_VERSION_5)
		return mqtt_reason_name(reason);
	return reason < sizeof(NAMES) / sizeof(NAMES[0]) ? NAMES[reason] : "unknown";
}

static void read_connack(struct session_link *link, struct slice body)
{
	struct mqtt_connack connack;
	const char *name = link->peer.name;
	if (link->state != SESSION_CONNECTING || mqtt_connack_decode(body, link->version, &connack) != ERROR_OK) {
		session_fail(link, "%s sent a CONNACK that does not belong there", name);
		return;
	}
	if (connack.reason != 0) {
		link->refused = connack.reason;
		session_fail(link, "%s refused the session with reason 0x%02x, %s", name, connack.reason,
			     refusal_name(connack.reason, link->version));
		return;
	}
	link->state = SESSION_CONNECTED;
	link->connack = connack;
	/* They point into what was read. */
	const struct slice none = slice_of(NULL, 0);
	link->connack.assigned_client_id = link->connack.reason_string = link->connack.response_information = none;
	link->connack.auth_method = link->connack.server_reference = none;
	link->connack.user_name = link->connack.user_value = none;
}

/* Returns whether that ends the connection. */
static bool refuse_filter(struct session_link *link, uint16_t packet_id, uint8_t reason)
{
	char text[SESSION_FAULT_BYTES];
	snprintf(text, sizeof(text), "%s refused topic filter %d with reason 0x%02x", link->peer.name,
		 (int)packet_id - (int)SUBSCRIBE_ID + 1, reason);
	if (!link->forgives)
		return !session_fail(link, "%s", text);
	memcpy(link->notice, text, sizeof(text));
	return false;
}

static void read_suback(struct session_link *link, struct slice body, uint8_t type)
{
	struct mqtt_suback suback;
	if (link->answers_due == 0 || mqtt_suback_decode(body, type, link->version, &suback) != ERROR_OK) {
		session_fail(link, "%s sent an answer that does not belong there", link->peer.name);
		return;
	}
	for (size_t i = 0; i < suback.codes.size; i++) {
		if (suback.codes.data[i] >= FAILURE_LEAST &&
		    refuse_filter(link, suback.packet_id, suback.codes.data[i]))
			return;
	}
	if (--link->answers_due == 0)
		link->state = SESSION_READY;
}

static void read_disconnect(struct session_link *link, struct slice body)
{
	struct mqtt_disconnect disconnect = {0};
	if (mqtt_disconnect_decode(body, link->version, true, &disconnect) != ERROR_OK)
		disconnect.reason = 0x80;
	session_fail(link, "%s ended the connection with reason 0x%02x, %s", link->peer.name, disconnect.reason,
		     mqtt_reason_name(disconnect.reason));
}

/* At QoS 2 the message is the gateway's from PUBREC on, and its identifier is free from PUBCOMP on [4.3.3]. */
static void read_published(struct session_link *link, struct slice body, uint8_t type)
{
	struct mqtt_ack ack;
	bool is_wanted = link->acknowledged != NULL || (link->published != NULL && type != MQTT_PUBREL);
	if (!is_wanted || mqtt_ack_decode(body, type, link->version, &ack) != ERROR_OK) {
		session_fail(link, "%s sent an acknowledgement that does not belong there", link->peer.name);
		return;
	}
	if (link->acknowledged != NULL) {
		link->acknowledged(link->published_context, type, &ack);
		return;
	}
	if (type != MQTT_PUBREC || ack.reason >= FAILURE_LEAST) {
		link->published(link->published_context, ack.packet_id, ack.reason);
		return;
	}
	session_link_send_ack(link, MQTT_PUBREL, ack.packet_id, 0);
}

/* Returns whether it is a PUBLISH. */
static bool read_packet(struct session_link *link, struct mqtt_header header, struct slice body,
			struct mqtt_publish *publish)
{
	switch (header.type) {
	case MQTT_PUBLISH:
		if (mqtt_publish_decode(body, header.flags, link->version, true, publish) == ERROR_OK &&
		    publish->topic.size != 0 && (publish->qos < 2 || link->acknowledged != NULL))
			return true;
		return session_fail(link, "%s sent a PUBLISH that cannot be read", link->peer.name);
	case MQTT_CONNACK:
		read_connack(link, body);
		return false;
	case MQTT_SUBACK:
	case MQTT_UNSUBACK:
		read_suback(link, body, header.type);
		return false;
	case MQTT_PINGRESP:
		if (link->pongs_due == 0)
			return session_fail(link, "%s sent a PINGRESP that nobody asked for", link->peer.name);
		link->pongs_due--;
		return false;
	case MQTT_PUBACK:
	case MQTT_PUBREC:
	case MQTT_PUBREL:
	case MQTT_PUBCOMP:
		read_published(link, body, header.type);
		return false;
	case MQTT_DISCONNECT:
		read_disconnect(link, body);
		return false;
	default:
		return session_fail(link, "%s sent a packet of type %u", link->peer.name, header.type);
	}
}

bool session_link_next(struct session_link *link, struct mqtt_publish *publish)
{
	struct mqtt_header header;
	while (!session_link_is_broken(link)) {
		size_t left = link->in.size - link->read_at;
		const uint8_t *at = left != 0 ? link->in.data + link->read_at : NULL; /* there may be no memory yet */
		enum error error = left != 0 ? mqtt_header_decode(at, left, &header) : ERROR_MORE;
		size_t most = link->peer.packet_bytes_max;
		if (error == ERROR_OK && most != 0 && header.header_bytes + header.body_bytes > most)
			error = ERROR_PACKET_TOO_LARGE;
		if (error == ERROR_MORE || (error == ERROR_OK && left - header.header_bytes < header.body_bytes))
			return false;
		if (error != ERROR_OK)
			return session_fail(link, "%s sent no MQTT: %s", link->peer.name, error_sentence(error));
		link->read_at += header.header_bytes + header.body_bytes;
		if (read_packet(link, header, slice_of(at + header.header_bytes, header.body_bytes), publish))
			return true;
		/* What comes behind it may have to wait for what the caller makes of it. */
		if (header.type == MQTT_CONNACK && link->acknowledged != NULL)
			return false;
	}
	return false;
}

/* ---- writing ---- */

void session_link_send_ack(struct session_link *link, uint8_t type, uint16_t packet_id, uint8_t reason)
{
	const struct mqtt_ack ack = {.packet_id = packet_id, .reason = reason};
	uint8_t *room = packet_room(link, ACK_BYTES_MAX);
	if (room != NULL)
		link->out.size += mqtt_ack_encode(&ack, type, link->version, room, ACK_BYTES_MAX);
}

void session_link_acknowledge(struct session_link *link, uint16_t packet_id)
{
	session_link_send_ack(link, MQTT_PUBACK, packet_id, 0);
}

void session_link_be_ready(struct session_link *link)
{
	CHECK(link->state == SESSION_CONNECTED);
	link->state = SESSION_READY;
}

void session_link_publish(struct session_link *link, const struct mqtt_publish *publish)
{
	size_t size = mqtt_publish_size(publish, link->version);
	CHECK(link->state >= SESSION_CONNECTED && size != 0 && (publish->qos == 0) == (publish->packet_id == 0));
	uint8_t *room = packet_room(link, size);
	if (room != NULL)
		link->out.size += mqtt_publish_encode(publish, link->version, room, size);
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

static ssize_t session_link_send_some(struct session_link *link, struct slice bytes)
{
	if (link->peer.streams != NULL)
		return stream_send(link->peer.streams, link->peer.stream, bytes.data, bytes.size);
	return send(link->fd, bytes.data, bytes.size, MSG_NOSIGNAL);
}

bool session_link_flush(struct session_link *link)
{
	size_t sent = 0;
	link->is_blocked = false;
	while (sent < link->out.size && !link->is_blocked) {
		ssize_t taken = session_link_send_some(link, slice_of(link->out.data + sent, link->out.size - sent));
		if (taken > 0)
			sent += (size_t)taken;
		else if (errno == EAGAIN)
			link->is_blocked = true;
		else if (errno != EINTR)
			return closed_by_peer(link, false);
	}
	bytes_drop(&link->out, sent);
	if (link->out.size == 0)
		bytes_clear(&link->out, KEEP_BYTES);
	return true;
}
