#include "nodes/publish/spool.h"

#include "base/check.h"
#include "base/log.h"
#include "cluster/wire/wire.h"
#include "control/internal.h"
#include "mqtt/encode.h"
#include "mqtt/field/property.h"
#include "mqtt/field/topic.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_MS 1000u
#define QOS 1u /* a message's own QoS is in its property */
#define FLIGHTS_MIN 256u
/* Of the property's value, before it is written in hexadecimal digits: run, number, QoS, and the head of the message.
 */
#define FRONT_BYTES (8u + 8u + 1u)
#define VALUE_BYTES_MAX (FRONT_BYTES + PUBLISH_HEAD_BYTES_MAX)
#define PROPERTY_NAME "roost-node"
_Static_assert(VALUE_BYTES_MAX * 2 <= UINT16_MAX, "a property has 16 bits for its length");
_Static_assert((FLIGHTS_MIN & (FLIGHTS_MIN - 1)) == 0, "a mask finds the place");

bool spool_init(struct spool *spool, struct gateway *gateway, const char *name, uint64_t run)
{
	char fault[ITEM_FAULT_BYTES_MAX];
	*spool = (struct spool){.gateway = gateway, .run = run, .link.fd = -1};
	int size = snprintf(spool->id, sizeof(spool->id), SPOOL_ID_PREFIX "%s", name);
	return size < (int)sizeof(spool->id) && topics_add(&spool->topics, spool->id, fault);
}

static void close_link(struct spool *spool, uint64_t now_ms)
{
	session_link_close(&spool->link);
	spool->state = SPOOL_CLOSED;
	spool->retry_ms = now_ms + RETRY_MS;
	spool->first = spool->count = 0;
	spool->flight_bytes = 0;
	spool->has_asked = spool->is_empty = false;
}

void spool_fini(struct spool *spool)
{
	close_link(spool, 0);
	free(spool->flights);
	bytes_free(&spool->packet);
}

void spool_restart(struct spool *spool)
{
	if (spool->state != SPOOL_CLOSED)
		close_link(spool, 0);
	spool->retry_ms = 0;
}

/* ---- writing ---- */

route_bits spool_route(const struct spool *spool, struct index *index, uint16_t shards)
{
	struct index_slot slot = index_find(index, slice_string(spool->id), false);
	route_bits route = 0;
	for (uint16_t shard = 0; slot.node != 0 && route == 0 && shard < shards; shard++)
		route = index_route(slot, shard);
	index_leave(slot);
	return route;
}

static void append_hex(struct bytes *out, const uint8_t *value, size_t size)
{
	static const char DIGITS[] = "0123456789abcdef";
	for (size_t i = 0; i < size; i++) {
		uint8_t pair[2] = {(uint8_t)DIGITS[value[i] >> 4], (uint8_t)DIGITS[value[i] & 15]};
		bytes_append(out, pair, sizeof(pair));
	}
}

void spool_origin(struct spool *spool, const struct publish_message *message, uint8_t qos, struct bytes *out)
{
	uint8_t value[VALUE_BYTES_MAX];
	uint8_t *at = wire_put_u64(value, spool->run);
	at = wire_put_u64(at, ++spool->written);
	at = wire_put_u8(at, qos);
	at += publish_message_head(message, at);
	size_t size = (size_t)(at - value) * 2;
	CHECK_LE(size, (size_t)VALUE_BYTES_MAX * 2);
	uint8_t front[1 + 2] = {MQTT_PROPERTY_USER_PROPERTY, 0, sizeof(PROPERTY_NAME) - 1};
	uint8_t length[2] = {(uint8_t)(size >> 8), (uint8_t)size};
	bytes_clear(out, SIZE_MAX);
	bytes_append(out, front, sizeof(front));
	bytes_append(out, PROPERTY_NAME, sizeof(PROPERTY_NAME) - 1);
	bytes_append(out, length, sizeof(length));
	append_hex(out, value, size / 2);
}

/* ---- the connection ---- */

static void open_link(struct spool *spool, uint64_t now_ms)
{
	CHECK_EQ(spool->state, SPOOL_CLOSED);
	int fd = gateway_open_internal(spool->gateway);
	if (fd < 0) {
		spool->retry_ms = now_ms + RETRY_MS;
		return;
	}
	session_link_open(&spool->link, fd, slice_string(spool->id));
	spool->state = SPOOL_OPENING;
	spool->wants_more = true;
}

static void spool_go_on(struct spool *spool)
{
	if (spool->link.state == SESSION_CONNECTED)
		session_link_subscribe(&spool->link, &spool->topics, QOS, NULL, 0);
	if (spool->link.state == SESSION_READY && spool->state == SPOOL_OPENING) {
		spool->state = SPOOL_READY;
		spool->is_made = true;
	}
}

/* While the peer is not there: a session that has something to send is one that was made before. */
static void read_opening(struct spool *spool)
{
	struct mqtt_publish publish;
	bool more;
	spool->wants_more = true;
	if (!session_link_read(&spool->link, &more))
		return;
	if (session_link_next(&spool->link, &publish))
		spool->is_made = true;
	else
		spool_go_on(spool);
}

static void ask_for_more(struct spool *spool)
{
	if (spool->has_asked || spool->is_empty || spool->count != 0)
		return;
	session_link_ping(&spool->link);
	spool->has_asked = true;
}

static void read_some(struct spool *spool)
{
	bool more;
	spool->wants_more = false;
	session_link_read(&spool->link, &more);
}

void spool_run(struct spool *spool, bool drains, uint64_t now_ms)
{
	bool wanted = drains || !spool->is_made;
	if (spool->state == SPOOL_CLOSED) {
		if (wanted && now_ms >= spool->retry_ms)
			open_link(spool, now_ms);
	} else if (!wanted && spool->count == 0) {
		close_link(spool, now_ms);
		spool->retry_ms = 0;
	}
	if (spool->state == SPOOL_OPENING && !drains)
		read_opening(spool);
	else if (spool->state != SPOOL_CLOSED && spool->wants_more)
		read_some(spool);
	if (spool->state == SPOOL_CLOSED)
		return;
	if (!session_link_is_broken(&spool->link))
		session_link_flush(&spool->link);
	if (!session_link_is_broken(&spool->link))
		return;
	log_write(LOG_WARNING, "session %s: %s", spool->id, spool->link.fault);
	close_link(spool, now_ms);
}

bool spool_poll(const struct spool *spool, struct pollfd *fd)
{
	if (spool->state == SPOOL_CLOSED)
		return false;
	/* What is not taken out yet must not wake the thread again and again. */
	short events = (short)((spool->wants_more ? POLLIN : 0) | (spool->link.is_blocked ? POLLOUT : 0));
	*fd = (struct pollfd){.fd = spool->link.fd, .events = events};
	return true;
}

/* ---- reading ---- */

static int spool_hex_digit(uint8_t digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

static bool read_hex(struct slice text, uint8_t *value, size_t *size)
{
	if (text.size % 2 != 0 || text.size / 2 > VALUE_BYTES_MAX)
		return false;
	*size = text.size / 2;
	for (size_t i = 0; i < *size; i++) {
		int high = spool_hex_digit(text.data[2 * i]);
		int low = spool_hex_digit(text.data[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		value[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* Takes what spool_origin() has written off the properties. False: there is none. */
static bool spool_take_origin(struct spool *spool, struct slice *properties, struct publish_message *message,
			      uint8_t *qos)
{
	uint8_t value[VALUE_BYTES_MAX];
	size_t size;
	struct mqtt_property property;
	struct slice rest = *properties;
	if (mqtt_property_next(&rest, &property) != ERROR_OK || property.id != MQTT_PROPERTY_USER_PROPERTY ||
	    !slice_equal(property.data, slice_string(PROPERTY_NAME)) || !read_hex(property.value, value, &size))
		return false;
	struct wire_reader reader = wire_read(slice_of(value, size));
	uint64_t run = wire_get_u64(&reader);
	uint64_t number = wire_get_u64(&reader);
	*qos = wire_get_u8(&reader);
	if (reader.failed || *qos > 2 || !publish_message_read(reader.rest, message))
		return false;
	if (run == spool->run) {
		spool->drained = number;
		spool->older = 0; /* they came first */
	} else if (spool->older != 0) {
		spool->older--;
	}
	*properties = rest;
	return true;
}

/* The packet as its publisher might have sent it, in version 5. */
static bool make_packet(struct spool *spool, struct mqtt_publish *publish, uint8_t qos, struct publish_message *message)
{
	publish->qos = qos;
	publish->packet_id = 1;
	publish->retain = publish->dup = false;
	size_t size = mqtt_publish_size(publish, MQTT_VERSION_5);
	bytes_clear(&spool->packet, SIZE_MAX);
	if (size == 0 || !bytes_reserve(&spool->packet, size))
		return false;
	spool->packet.size = mqtt_publish_encode(publish, MQTT_VERSION_5, spool->packet.data, size);
	message->packet = bytes_slice(&spool->packet);
	message->is_5 = true;
	message->has_expiry = publish->has_message_expiry;
	message->expires_s = publish->message_expiry_s;
	return spool->packet.size == size;
}

bool spool_next(struct spool *spool, struct publish_message *message, uint16_t *packet_id)
{
	struct mqtt_publish publish;
	while (spool->state != SPOOL_CLOSED && session_link_next(&spool->link, &publish)) {
		uint8_t qos = publish.qos;
		spool->is_empty = spool->has_asked = false;
		*packet_id = publish.packet_id;
		if (!spool_take_origin(spool, &publish.properties, message, &qos))
			*message = (struct publish_message){.is_plain = true};
		if (publish.qos != 0 && make_packet(spool, &publish, qos, message))
			return true;
		if (publish.qos != 0)
			session_link_acknowledge(&spool->link, publish.packet_id);
	}
	if (spool->state == SPOOL_CLOSED || session_link_is_broken(&spool->link))
		return false;
	spool->wants_more = true;
	spool_go_on(spool);
	if (spool->state != SPOOL_READY)
		return false;
	if (spool->has_asked && spool->link.pongs_due == 0) {
		spool->has_asked = false;
		spool->is_empty = true;
	}
	ask_for_more(spool);
	return false;
}

bool spool_sent(struct spool *spool, uint16_t packet_id, uint64_t number, size_t bytes)
{
	if (spool->count == spool->capacity) {
		uint32_t capacity = spool->capacity == 0 ? FLIGHTS_MIN : spool->capacity * 2;
		struct spool_flight *grown = malloc(capacity * sizeof(*grown));
		if (grown == NULL) {
			spool_restart(spool);
			return false;
		}
		for (uint32_t i = 0; i < spool->count; i++)
			grown[i] = spool->flights[(spool->first + i) & (spool->capacity - 1)];
		free(spool->flights);
		spool->flights = grown;
		spool->capacity = capacity;
		spool->first = 0;
	}
	spool->flights[(spool->first + spool->count++) & (spool->capacity - 1)] =
		(struct spool_flight){.number = number, .bytes = (uint32_t)bytes, .packet_id = packet_id};
	spool->flight_bytes += bytes;
	return true;
}

void spool_is_safe(struct spool *spool, uint64_t number)
{
	while (spool->count != 0) {
		struct spool_flight first = spool->flights[spool->first & (spool->capacity - 1)];
		if (first.number > number)
			return;
		CHECK_GE(spool->flight_bytes, first.bytes);
		spool->first++;
		spool->count--;
		spool->flight_bytes -= first.bytes;
		if (spool->state != SPOOL_CLOSED)
			session_link_acknowledge(&spool->link, first.packet_id);
	}
}
