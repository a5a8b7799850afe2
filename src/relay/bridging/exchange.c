#include "relay/bridging/exchange.h"

#include "base/check.h"
#include "mqtt/encode.h"
#include "mqtt/field/reason.h"
#include "mqtt/field/topic.h"
#include "relay/entry/message.h"

#include <stdio.h>

#define FAILURE_LEAST 0x80u

static void hear_local_ack(void *context, uint8_t type, const struct mqtt_ack *ack);
static void hear_remote_ack(void *context, uint8_t type, const struct mqtt_ack *ack);

void exchange_init(struct exchange *exchange, const struct mqtt_bridge *bridge)
{
	*exchange = (struct exchange){.bridge = bridge, .local = {.fd = -1}, .remote = {.fd = -1}};
	copies_init(&exchange->copies);
	exchange->local.acknowledged = hear_local_ack;
	exchange->local.published_context = exchange;
	exchange->remote.acknowledged = hear_remote_ack;
	exchange->remote.published_context = exchange;
	exchange->remote.forgives = true;
}

/* What is under way is in the sessions, but for what the other side never heard of, which is sent again. */
void exchange_close(struct exchange *exchange)
{
	static const struct packet_ids NONE;
	exchange->is_open = false;
	session_link_close(&exchange->local);
	session_link_close(&exchange->remote);
	exchange->up.absorbed = exchange->up.lowered = exchange->up.clearing = NONE;
	exchange->down.absorbed = exchange->down.lowered = exchange->down.clearing = NONE;
}

void exchange_forget(struct exchange_ids *ids)
{
	static const struct packet_ids NONE;
	ids->cleared = NONE;
}

void exchange_fini(struct exchange *exchange)
{
	CHECK(exchange->local.state == SESSION_CLOSED && exchange->remote.state == SESSION_CLOSED);
	mapping_free(&exchange->mapping);
}

/* ---- what does not go over ---- */

static void exchange_note_poison(struct exchange *exchange, struct slice topic, const char *why)
{
	int shown = (int)(topic.size < 80 ? topic.size : 80);
	snprintf(exchange->poison, sizeof(exchange->poison), "a message to %.*s does not go over: %s", shown,
		 (const char *)topic.data, why);
}

/* Tells the side that sent it that it is done with. */
static void absorb(struct session_link *from, struct exchange_ids *ids, const struct mqtt_publish *publish)
{
	if (publish->qos == 1)
		session_link_send_ack(from, MQTT_PUBACK, publish->packet_id, 0);
	if (publish->qos != 2)
		return;
	packet_ids_note(&ids->absorbed, publish->packet_id);
	session_link_send_ack(from, MQTT_PUBREC, publish->packet_id, 0);
}

static const char *mapping_words(enum mapping_result result)
{
	switch (result) {
	case MAPPING_NO_WAY:
		return "no filter of the bridge brings this topic";
	case MAPPING_TOO_LONG:
		return "its topic would be longer than topics may be";
	case MAPPING_LOOPED:
		return "it has passed too many bridges, which are in a circle";
	case MAPPING_NO_MEMORY:
		return error_sentence(ERROR_NO_MEMORY);
	case MAPPING_DONE:
		break;
	}
	CHECK(false);
	return NULL;
}

/* ---- messages ---- */

/* A message that was never sent before has an identifier that its sender holds for free. If the receiver holds an older
 * message of it, since one of both sessions is not what it was, it would take this one for that: so PUBREL comes first,
 * once, which is answered even where there is none [4.3.3]. */
static void clear_identifier(struct session_link *to, struct exchange_ids *ids, const struct mqtt_publish *publish)
{
	if (publish->qos != 2 || packet_ids_include(&ids->cleared, publish->packet_id))
		return;
	packet_ids_note(&ids->cleared, publish->packet_id);
	if (publish->dup)
		return;
	packet_ids_note(&ids->clearing, publish->packet_id);
	session_link_send_ack(to, MQTT_PUBREL, publish->packet_id, 0);
}

static bool fits(const struct session_link *to, const struct mqtt_publish *publish)
{
	size_t size = mqtt_publish_size(publish, to->version), most = to->connack.packet_bytes_max;
	return size != 0 && (most == 0 || size <= most);
}

/* What the broker takes of it. Returns whether it is sent at QoS 0 though it was not. */
static bool lower(struct exchange *exchange, struct mqtt_publish *publish)
{
	const struct mqtt_connack *connack = &exchange->remote.connack;
	publish->retain = publish->retain && !exchange->bridge->no_retain && connack->retain_available;
	if (publish->qos <= connack->qos_max)
		return false;
	if (connack->qos_max == 0) {
		publish->qos = 0;
		publish->packet_id = 0;
		publish->dup = false;
		return true;
	}
	packet_ids_note(&exchange->up.lowered, publish->packet_id);
	publish->qos = 1;
	return false;
}

static void send_up(struct exchange *exchange, const struct mqtt_publish *publish, struct mqtt_publish *changed)
{
	struct session_link *remote = &exchange->remote;
	if (!fits(remote, changed)) {
		exchange->counts.dead++;
		exchange_note_poison(exchange, publish->topic, "it is larger than the broker takes packets");
		absorb(&exchange->local, &exchange->up, publish);
		return;
	}
	if (lower(exchange, changed))
		absorb(&exchange->local, &exchange->up, publish);
	clear_identifier(remote, &exchange->up, changed);
	session_link_publish(remote, changed);
	exchange->counts.sent += changed->qos == 0;
	exchange->counts.sent_bytes += changed->topic.size + changed->payload.size;
}

static void pass_up(struct exchange *exchange, const struct mqtt_publish *publish)
{
	const struct bridge_ways *ways = &exchange->bridge->up;
	struct relay_message message;
	struct mqtt_publish changed = *publish;
	relay_message_read(publish, &message);
	if (copies_is_one(&exchange->copies, &ways->filters, &message)) {
		absorb(&exchange->local, &exchange->up, publish);
		return;
	}
	changed.properties = message.properties;
	const struct bridge_way *way = mapping_way(ways, publish->topic, message.subscription);
	enum mapping_result result = mapping_apply(&exchange->mapping, way, &changed);
	if (result == MAPPING_DONE) {
		send_up(exchange, publish, &changed);
		return;
	}
	exchange->counts.looped += result == MAPPING_LOOPED;
	exchange->counts.dead += result != MAPPING_LOOPED;
	exchange_note_poison(exchange, publish->topic, mapping_words(result));
	absorb(&exchange->local, &exchange->up, publish);
}

static void refuse_down(struct exchange *exchange, const struct mqtt_publish *publish, const char *why)
{
	exchange->counts.refused++;
	exchange_note_poison(exchange, publish->topic, why);
	absorb(&exchange->remote, &exchange->down, publish);
}

static void pass_down(struct exchange *exchange, const struct mqtt_publish *publish)
{
	const struct bridge_ways *ways = &exchange->bridge->down;
	struct mqtt_publish changed = *publish;
	const struct bridge_way *way = mapping_way(ways, publish->topic, 0);
	enum mapping_result result = mapping_apply(&exchange->mapping, way, &changed);
	changed.retain = publish->retain && !exchange->bridge->no_retain;
	if (result == MAPPING_LOOPED) {
		exchange->counts.looped++;
		exchange_note_poison(exchange, publish->topic, mapping_words(result));
		absorb(&exchange->remote, &exchange->down, publish);
	} else if (result != MAPPING_DONE) {
		refuse_down(exchange, publish, mapping_words(result));
	} else if (mqtt_topic_is_reserved(changed.topic)) {
		refuse_down(exchange, publish, error_sentence(ERROR_TOPIC_RESERVED));
	} else if (!fits(&exchange->local, &changed)) {
		refuse_down(exchange, publish, "it is larger than packet-bytes-max");
	} else {
		clear_identifier(&exchange->local, &exchange->down, &changed);
		session_link_publish(&exchange->local, &changed);
		exchange->counts.received += changed.qos == 0;
		exchange->counts.received_bytes += changed.topic.size + changed.payload.size;
	}
}

/* ---- acknowledgements ---- */

/* The broker has refused a message for good: it goes on with the next one. */
static void count_settled(struct exchange *exchange, const struct mqtt_ack *ack, bool is_done)
{
	if (ack->reason < FAILURE_LEAST) {
		exchange->counts.sent += is_done;
		return;
	}
	exchange->counts.dead++;
	snprintf(exchange->poison, sizeof(exchange->poison), "the broker refused a message with reason 0x%02x, %s",
		 ack->reason, mqtt_reason_name(ack->reason));
}

/* The gateway wants to know only whether it was refused. */
static uint8_t plain_reason(const struct mqtt_ack *ack)
{
	return ack->reason >= FAILURE_LEAST ? FAILURE_LEAST : 0;
}

static void hear_remote_ack(void *context, uint8_t type, const struct mqtt_ack *ack)
{
	struct exchange *exchange = context;
	struct session_link *local = &exchange->local;
	uint16_t id = ack->packet_id;
	if (!exchange->is_open)
		return;
	switch (type) {
	case MQTT_PUBACK:
		count_settled(exchange, ack, true);
		session_link_send_ack(local, packet_ids_include(&exchange->up.lowered, id) ? MQTT_PUBREC : MQTT_PUBACK,
				      id, plain_reason(ack));
		if (ack->reason >= FAILURE_LEAST)
			packet_ids_take(&exchange->up.lowered, id);
		break;
	case MQTT_PUBREC:
		count_settled(exchange, ack, false);
		session_link_send_ack(local, MQTT_PUBREC, id, plain_reason(ack));
		break;
	case MQTT_PUBCOMP:
		if (packet_ids_take(&exchange->up.clearing, id))
			break;
		exchange->counts.sent++;
		session_link_send_ack(local, MQTT_PUBCOMP, id, 0);
		break;
	case MQTT_PUBREL:
		if (packet_ids_take(&exchange->down.absorbed, id))
			session_link_send_ack(&exchange->remote, MQTT_PUBCOMP, id, 0);
		else
			session_link_send_ack(local, MQTT_PUBREL, id, 0);
		break;
	default:
		CHECK(false);
	}
}

/* Before version 5 there is no word for it: the broker takes it for taken. */
static void hear_refusal(struct exchange *exchange, uint8_t type, const struct mqtt_ack *ack)
{
	exchange->counts.refused++;
	snprintf(exchange->poison, sizeof(exchange->poison), "this gateway refused a message with reason 0x%02x, %s",
		 ack->reason, mqtt_reason_name(ack->reason));
	if (type == MQTT_PUBREC && exchange->remote.version != MQTT_VERSION_5)
		packet_ids_note(&exchange->down.absorbed, ack->packet_id);
}

static void hear_local_ack(void *context, uint8_t type, const struct mqtt_ack *ack)
{
	struct exchange *exchange = context;
	struct session_link *remote = &exchange->remote;
	uint16_t id = ack->packet_id;
	bool is_refused = ack->reason >= FAILURE_LEAST;
	if (!exchange->is_open)
		return;
	switch (type) {
	case MQTT_PUBACK:
	case MQTT_PUBREC:
		if (is_refused)
			hear_refusal(exchange, type, ack);
		exchange->counts.received += type == MQTT_PUBACK && !is_refused;
		session_link_send_ack(remote, type, id, is_refused ? ack->reason : 0);
		break;
	case MQTT_PUBCOMP:
		if (packet_ids_take(&exchange->down.clearing, id))
			break;
		exchange->counts.received++;
		session_link_send_ack(remote, MQTT_PUBCOMP, id, 0);
		break;
	case MQTT_PUBREL: {
		bool is_absorbed = packet_ids_take(&exchange->up.absorbed, id);
		bool is_lowered = packet_ids_take(&exchange->up.lowered, id) || remote->connack.qos_max < 2;
		if (is_lowered || is_absorbed)
			session_link_send_ack(&exchange->local, MQTT_PUBCOMP, id, 0);
		else
			session_link_send_ack(remote, MQTT_PUBREL, id, 0);
		break;
	}
	default:
		CHECK(false);
	}
}

/* ---- reading ---- */

/* Until the exchange is open a side is heard for what belongs to opening it; the gateway sends messages then that come
 * again, and what the broker sends stays unread. */
bool exchange_wants_local(const struct exchange *exchange)
{
	return exchange->local.state != SESSION_CLOSED &&
	       (!exchange->is_open || exchange->remote.out.size < EXCHANGE_OUTPUT_BYTES_MAX);
}

bool exchange_wants_remote(const struct exchange *exchange)
{
	return exchange->remote.state == SESSION_CONNECTING ||
	       (exchange->is_open && exchange->local.state >= SESSION_CONNECTED &&
		exchange->local.out.size < EXCHANGE_OUTPUT_BYTES_MAX);
}

static bool read_side(struct exchange *exchange, struct session_link *from, bool *is_stalled,
		      bool (*wants)(const struct exchange *exchange),
		      void (*pass)(struct exchange *exchange, const struct mqtt_publish *publish))
{
	struct mqtt_publish publish;
	bool more = true;
	*is_stalled = false;
	while (wants(exchange)) {
		enum session_state before = from->state;
		/* The wish is asked first: what session_link_next() has passed is not read again. */
		if (session_link_next(from, &publish)) {
			if (exchange->is_open)
				pass(exchange, &publish);
			continue;
		}
		if (session_link_is_broken(from))
			return false;
		if (before == SESSION_CONNECTING && from->state == SESSION_CONNECTED)
			continue;
		if (!more)
			return true;
		if (!session_link_read(from, &more))
			return false;
	}
	*is_stalled = true;
	return true;
}

bool exchange_read_local(struct exchange *exchange)
{
	return read_side(exchange, &exchange->local, &exchange->local_stalled, exchange_wants_local, pass_up);
}

bool exchange_read_remote(struct exchange *exchange)
{
	return read_side(exchange, &exchange->remote, &exchange->remote_stalled, exchange_wants_remote, pass_down);
}
