#include "model.h"

#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const TOPICS[MODEL_TOPICS] = {"t/0", "t/1", "u/0", "u/1"};
static const char *const FILTERS[MODEL_FILTERS] = {"t/0", "t/1", "t/+", "u/0", "u/#", "$share/g/t/+"};
static const bool MATCHES[MODEL_FILTERS][MODEL_TOPICS] = {
	{true, false, false, false}, {false, true, false, false}, {true, true, false, false},
	{false, false, true, false}, {false, false, true, true},  {true, true, false, false},
};
#define FILTER_SHARED 5u

const char *model_topic(uint32_t topic)
{
	CHECK_LT(topic, MODEL_TOPICS);
	return TOPICS[topic];
}

const char *model_filter(uint32_t filter)
{
	CHECK_LT(filter, MODEL_FILTERS);
	return FILTERS[filter];
}

void violation(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	fputs("the server did what it may not do: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	abort();
}

void sim_session_new(struct model *model, uint32_t client, enum certainty there)
{
	struct model_session *session = &model->sessions[client];
	uint32_t serial = session->serial + 1;
	memset(session, 0, sizeof(*session));
	session->serial = serial;
	session->there = there;
}

void model_session_doubtful(struct model *model, uint32_t client)
{
	struct model_session *session = &model->sessions[client];
	session->there = MODEL_MAYBE;
	memset(session->owed, 0, sizeof(session->owed));
	for (uint32_t filter = 0; filter < MODEL_FILTERS; filter++) {
		session->subscriptions[filter].there = MODEL_MAYBE;
		session->subscriptions[filter].asks++;
	}
}

void model_connection_new(struct model *model, uint32_t client)
{
	memset(model->sessions[client].seen_here, 0, sizeof(model->sessions[client].seen_here));
}

/* ---- publishing ---- */

uint32_t model_publish(struct model *model, uint32_t publisher, uint32_t topic, uint8_t qos, bool free)
{
	if (model->message_count + 1 == MODEL_MESSAGES_MAX)
		return 0;
	uint32_t number = ++model->message_count;
	struct model_message *message = &model->messages[number];
	*message = (struct model_message){
		.publisher = (uint8_t)publisher, .topic = (uint8_t)topic, .qos = qos, .free = free};
	for (uint32_t client = 0; client < MODEL_CLIENTS; client++) {
		const struct model_session *session = &model->sessions[client];
		for (uint32_t filter = 0; filter < FILTER_SHARED; filter++) {
			const struct model_subscription *subscription = &session->subscriptions[filter];
			if (session->there != MODEL_YES || !MATCHES[filter][topic] ||
			    subscription->there != MODEL_YES || subscription->qos == 0)
				continue;
			message->subscribed[client].filter = (uint8_t)filter;
			message->subscribed[client].asks = subscription->asks;
			message->subscribed[client].serial = session->serial;
		}
	}
	return number;
}

size_t model_payload_bytes(uint32_t message)
{
	return message % 31 == 0 ? 20000 : message % 7 == 0 ? 3000 : message % 3 == 0 ? 300 : 8;
}

void model_payload(uint32_t message, char *payload)
{
	size_t bytes = model_payload_bytes(message);
	memset(payload, 'x', bytes);
	char number[16];
	int digits = snprintf(number, sizeof(number), "%u", message);
	CHECK(digits > 0 && (size_t)digits <= bytes);
	memcpy(payload, number, (size_t)digits);
}

void model_published(struct model *model, uint32_t number)
{
	const struct model_message *message = &model->messages[number];
	CHECK(number != 0 && message->qos != 0);
	for (uint32_t client = 0; client < MODEL_CLIENTS; client++) {
		struct model_session *session = &model->sessions[client];
		uint32_t asks = message->subscribed[client].asks;
		if (asks != 0 && session->there == MODEL_YES && session->serial == message->subscribed[client].serial &&
		    session->subscriptions[message->subscribed[client].filter].asks == asks)
			session->owed[number] = true;
	}
}

/* ---- subscribing ---- */

uint32_t model_ask(struct model *model, uint32_t client, uint32_t filter)
{
	struct model_subscription *subscription = &model->sessions[client].subscriptions[filter];
	subscription->asked = true;
	subscription->there = MODEL_MAYBE;
	return ++subscription->asks;
}

void model_subscribed(struct model *model, uint32_t client, uint32_t filter, uint32_t asks, enum certainty there,
		      uint8_t qos)
{
	struct model_subscription *subscription = &model->sessions[client].subscriptions[filter];
	if (subscription->asks != asks)
		return;
	subscription->there = there;
	subscription->qos = qos;
}

/* ---- hearing ---- */

static uint32_t copies_allowed(const struct model_session *session, uint32_t topic)
{
	uint32_t count = 0;
	for (uint32_t filter = 0; filter < MODEL_FILTERS; filter++)
		count += session->subscriptions[filter].asked && MATCHES[filter][topic];
	return count;
}

/* At QoS 2: whether this is what came before under this identifier. */
static bool is_repeated(struct model_session *session, uint32_t client, uint32_t message, uint16_t packet_id)
{
	for (uint32_t i = 0; i < session->receiving_count; i++) {
		if (session->receiving[i].packet_id != packet_id)
			continue;
		if (session->receiving[i].message != message)
			violation("client %u hears message %u under identifier %u, which is that of message %u", client,
				  message, packet_id, session->receiving[i].message);
		return true;
	}
	if (session->receiving_count == MODEL_RECEIVING_MAX)
		violation("client %u has more under way than it takes", client);
	session->receiving[session->receiving_count].packet_id = packet_id;
	session->receiving[session->receiving_count++].message = message;
	return false;
}

static void check_order(struct model_session *session, uint32_t client, uint32_t number,
			const struct model_message *message)
{
	bool shared = session->subscriptions[FILTER_SHARED].asked && MATCHES[FILTER_SHARED][message->topic];
	uint32_t *newest = &session->newest[message->publisher][message->topic];
	/* What is sent again at QoS 1 is routed again, and those who came meanwhile get it then. */
	if (session->seen[number] != 0 || shared || message->resent != 0)
		return;
	if (number < *newest)
		violation("client %u hears message %u of client %u after %u", client, number, message->publisher,
			  *newest);
	*newest = number;
}

void model_heard(struct model *model, uint32_t client, uint32_t number, uint32_t topic, uint8_t qos, uint16_t packet_id)
{
	struct model_session *session = &model->sessions[client];
	const struct model_message *message = &model->messages[number];
	uint32_t allowed = copies_allowed(session, topic);
	if (number == 0 || number > model->message_count || message->topic != topic)
		violation("client %u hears message %u to %s, which nobody has sent", client, number,
			  model_topic(topic));
	if (allowed == 0)
		violation("client %u hears message %u to %s, which it did not ask for", client, number,
			  model_topic(topic));
	if (qos > message->qos)
		violation("client %u hears message %u at QoS %u", client, number, qos);
	if (qos == 2 && is_repeated(session, client, number, packet_id))
		return;
	if (qos != 0 && !message->free)
		check_order(session, client, number, message);
	uint32_t copies = qos == 2 ? ++session->seen_at_2[number] : ++session->seen_here[number];
	bool shared = session->subscriptions[FILTER_SHARED].asked && topic < 2;
	if (!message->free && !shared &&
	    copies > allowed * (1u + (qos == 2 && !message->doubtful ? 0u : message->resent)))
		violation("client %u hears message %u at QoS %u %u times", client, number, qos, copies);
	if (session->seen[number] != UINT8_MAX)
		session->seen[number]++;
}

void model_released(struct model *model, uint32_t client, uint16_t packet_id)
{
	struct model_session *session = &model->sessions[client];
	for (uint32_t i = 0; i < session->receiving_count; i++) {
		if (session->receiving[i].packet_id == packet_id) {
			session->receiving[i] = session->receiving[--session->receiving_count];
			return;
		}
	}
}

uint32_t model_missing(const struct model *model, bool tell)
{
	uint32_t missing = 0;
	for (uint32_t client = 0; client < MODEL_CLIENTS; client++) {
		const struct model_session *session = &model->sessions[client];
		for (uint32_t number = 1; number <= model->message_count && session->there == MODEL_YES; number++) {
			if (!session->owed[number] || session->seen[number] != 0)
				continue;
			missing++;
			if (tell)
				fprintf(stderr, "client %u does not get message %u of client %u to %s at QoS %u\n",
					client, number, model->messages[number].publisher,
					model_topic(model->messages[number].topic), model->messages[number].qos);
		}
	}
	return missing;
}
