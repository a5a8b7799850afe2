#include "clients.h"

#include "base/check.h"
#include "mqtt/encode.h"
#include "mqtt/field/reason.h"

#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

/* Of a client that is not read from: no more than some of what its socket holds. */
#define OUTPUT_BYTES_MAX 60000

/* ---- hearing ---- */

void sim_lose(struct sim *sim, uint32_t number)
{
	struct sim_client *client = &sim->clients[number];
	actor_leave(&client->actor);
	if (!client->connected)
		return;
	if (!client->ends)
		client->left_ms = sim->now_ms;
	client->connected = client->ends = false;
	client->request_count = 0;
	if (!client->lasting) {
		sim_session_new(sim->model, number, MODEL_NO);
		client->outbox_count = 0;
	}
}

static bool may_end(const struct sim *sim, const struct sim_client *client)
{
	return client->ends || sim->hooks->memory_fails || sim->play->impatient ||
	       (sim->play->faults & FAULT_RESET) != 0;
}

void sim_hear(struct sim *sim, uint32_t number, size_t bytes)
{
	struct sim_client *client = &sim->clients[number];
	if (client->actor.fd < 0)
		return;
	actor_read(&client->actor, bytes);
	if (client->actor.fd >= 0 || !client->connected)
		return;
	if (!may_end(sim, client))
		violation("the connection of client %u is ended for nothing", number);
	sim_lose(sim, number);
}

static struct sent *find_sent(struct sim_client *client, uint16_t packet_id)
{
	for (uint32_t i = 0; i < client->outbox_count; i++) {
		if (client->outbox[i].packet_id == packet_id)
			return &client->outbox[i];
	}
	return NULL;
}

static void forget_sent(struct sim_client *client, const struct sent *sent)
{
	uint32_t at = (uint32_t)(sent - client->outbox);
	CHECK_LT(at, client->outbox_count);
	client->outbox_count--;
	memmove(&client->outbox[at], &client->outbox[at + 1], (client->outbox_count - at) * sizeof(*sent));
}

/* Of what it has published. */
static void heard_ack(struct sim *sim, uint32_t number, uint8_t type, const struct mqtt_ack *ack)
{
	struct sim_client *client = &sim->clients[number];
	struct sent *sent = find_sent(client, ack->packet_id);
	if (type == MQTT_PUBREL) {
		model_released(sim->model, number, ack->packet_id);
		return;
	}
	if (sent == NULL || (type == MQTT_PUBCOMP && !sent->received) ||
	    (type == MQTT_PUBACK) != (sim->model->messages[sent->message].qos == 1))
		violation("client %u hears an acknowledgement of type %u for what it did not send", number, type);
	bool known = ack->reason == MQTT_REASON_PACKET_ID_NOT_FOUND && type == MQTT_PUBCOMP && sent->repeats;
	/* Nobody had room for it. */
	bool full = ack->reason == MQTT_REASON_QUOTA_EXCEEDED && sim->play->tight;
	if (ack->reason >= MQTT_REASON_UNSPECIFIED_ERROR && !known && !full && !sim->hooks->memory_fails)
		violation("client %u hears reason %u", number, ack->reason);
	if (ack->reason < MQTT_REASON_UNSPECIFIED_ERROR && type != MQTT_PUBCOMP && !sent->received)
		model_published(sim->model, sent->message);
	if (type != MQTT_PUBREC || ack->reason >= MQTT_REASON_UNSPECIFIED_ERROR) {
		forget_sent(client, sent);
		return;
	}
	sent->received = true;
	actor_say_ack(&client->actor, MQTT_PUBREL, ack->packet_id);
}

static void heard_suback(struct sim *sim, uint32_t number, uint8_t type, const struct mqtt_suback *suback)
{
	struct sim_client *client = &sim->clients[number];
	uint32_t at = 0;
	while (at < client->request_count && client->requests[at].packet_id != suback->packet_id)
		at++;
	if (at == client->request_count)
		violation("client %u hears an answer to what it did not ask", number);
	struct request request = client->requests[at];
	client->requests[at] = client->requests[--client->request_count];
	if (request.serial != sim->model->sessions[number].serial)
		return;
	if (type == MQTT_UNSUBACK) {
		model_subscribed(sim->model, number, request.filter, request.asks, MODEL_NO, 0);
		return;
	}
	uint8_t code = suback->codes.data[0];
	if (code > 2 && !sim->hooks->memory_fails)
		violation("client %u is refused a subscription: %u", number, code);
	model_subscribed(sim->model, number, request.filter, request.asks, code > 2 ? MODEL_MAYBE : MODEL_YES, code);
}

static void heard_publish(struct sim *sim, uint32_t number, const struct mqtt_publish *publish)
{
	char text[16] = {0};
	size_t most = sizeof(text) - 1;
	memcpy(text, publish->payload.data, publish->payload.size < most ? publish->payload.size : most);
	uint32_t message = (uint32_t)strtoul(text, NULL, 10);
	if (publish->payload.size != model_payload_bytes(message))
		violation("client %u hears %zu bytes of message %u", number, publish->payload.size, message);
	for (uint32_t topic = 0; topic < MODEL_TOPICS; topic++) {
		if (slice_equal(publish->topic, slice_string(model_topic(topic)))) {
			model_heard(sim->model, number, message, topic, publish->qos, publish->packet_id);
			return;
		}
	}
	violation("client %u hears of a topic that nobody has used", number);
}

void sim_heard_packet(void *context, struct actor *actor, const struct actor_packet *packet)
{
	struct sim *sim = context;
	uint32_t number = 0;
	sim->heard++;
	while (&sim->clients[number].actor != actor)
		number++;
	switch (packet->header.type) {
	case MQTT_CONNACK:
		sim->clients[number].present = packet->connack.session_present;
		sim->clients[number].refused = packet->connack.reason != 0;
		return;
	case MQTT_PUBLISH:
		heard_publish(sim, number, &packet->publish);
		return;
	case MQTT_PUBACK:
	case MQTT_PUBREC:
	case MQTT_PUBREL:
	case MQTT_PUBCOMP:
		heard_ack(sim, number, packet->header.type, &packet->ack);
		return;
	case MQTT_SUBACK:
	case MQTT_UNSUBACK:
		heard_suback(sim, number, packet->header.type, &packet->suback);
		return;
	default:
		return;
	}
}

/* ---- saying ---- */

static uint16_t next_packet_id(struct sim_client *client)
{
	client->packet_id = client->packet_id == UINT16_MAX ? 1 : (uint16_t)(client->packet_id + 1u);
	return client->packet_id;
}

void sim_say_publish(struct sim *sim, uint32_t number, uint32_t message, uint16_t packet_id, bool again)
{
	static uint8_t packet[PACKET_BYTES_MAX];
	static char payload[PACKET_BYTES_MAX];
	struct sim_client *client = &sim->clients[number];
	model_payload(message, payload);
	struct mqtt_publish publish = {
		.topic = slice_string(model_topic(sim->model->messages[message].topic)),
		.payload = slice_of(payload, model_payload_bytes(message)),
		.qos = sim->model->messages[message].qos,
		.packet_id = packet_id,
		.retain = sim->model->messages[message].free,
		.dup = again,
	};
	size_t size = mqtt_publish_encode(&publish, client->actor.version, packet, sizeof(packet));
	CHECK(size != 0);
	actor_say(&client->actor, slice_of(packet, size));
}

/* More than the server reads waits in the socket, and the rest would be cut off. */
static bool is_full(const struct actor *actor)
{
	int bytes = 0;
	return ioctl(actor->fd, SIOCOUTQ, &bytes) != 0 || bytes > OUTPUT_BYTES_MAX;
}

void sim_publish(struct sim *sim, uint32_t number, uint32_t bits)
{
	struct sim_client *client = &sim->clients[number];
	uint32_t count = 1 + (bits >> 8 & 3u);
	uint8_t qos = (uint8_t)((bits >> 4 & 3u) % 3u);
	for (uint32_t i = 0; i < count && (qos == 0 || client->outbox_count < OUTBOX_MAX); i++) {
		if (is_full(&client->actor))
			return;
		uint32_t message = model_publish(sim->model, number, bits % MODEL_TOPICS, qos, (bits >> 10 & 15u) == 0);
		if (message == 0)
			return;
		uint16_t packet_id = qos != 0 ? next_packet_id(client) : 0;
		if (qos != 0)
			client->outbox[client->outbox_count++] =
				(struct sent){.message = message, .packet_id = packet_id};
		sim_say_publish(sim, number, message, packet_id, false);
	}
}

void sim_subscribe(struct sim *sim, uint32_t number, uint32_t bits, bool ends)
{
	static uint8_t packet[PACKET_BYTES_MAX];
	struct sim_client *client = &sim->clients[number];
	if (client->request_count == REQUESTS_MAX)
		return;
	uint8_t filter = (uint8_t)(bits % MODEL_FILTERS);
	struct request request = {next_packet_id(client), filter, model_ask(sim->model, number, filter),
				  sim->model->sessions[number].serial};
	client->requests[client->request_count++] = request;
	struct mqtt_subscription wanted = {.filter = slice_string(model_filter(filter)),
					   .qos = (uint8_t)((bits >> 8 & 3u) % 3u)};
	size_t size = ends ? mqtt_unsubscribe_encode(request.packet_id, &wanted.filter, 1, client->actor.version,
						     packet, sizeof(packet))
			   : mqtt_subscribe_encode(request.packet_id, 0, &wanted, 1, client->actor.version, packet,
						   sizeof(packet));
	CHECK(size != 0);
	actor_say(&client->actor, slice_of(packet, size));
}
