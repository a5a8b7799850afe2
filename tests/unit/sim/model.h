/* What a server may do, as a plain model: which messages each session is owed, which it may get, and which it must not.
 * The model knows what clients have said and what they were answered, and nothing of the server's insides.
 *
 * A message is owed to a session that had a matching subscription, acknowledged and left alone, from before it was
 * published until it was acknowledged, both at QoS 1 or 2. Everything else that somebody asked for may come. Never:
 * what a session did not ask for, more copies at QoS 2 than it has subscriptions, more of them on one connection at QoS
 * 1, one publisher's messages to one topic in another order [MQTT-4.6.0-5]. A break of these prints what it is and
 * aborts.
 */
#ifndef TESTS_SIM_MODEL_H
#define TESTS_SIM_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_CLIENTS 5u
#define MODEL_TOPICS 4u
#define MODEL_FILTERS 6u
#define MODEL_MESSAGES_MAX 4096u
#define MODEL_RECEIVING_MAX 64u

enum certainty { MODEL_NO, MODEL_MAYBE, MODEL_YES };

struct model_subscription {
	enum certainty there;
	uint8_t qos;
	bool asked;    /* ever, by this session */
	uint32_t asks; /* SUBSCRIBE and UNSUBSCRIBE so far: tells whether one came between */
};

struct model_session {
	enum certainty there;
	uint32_t serial; /* counts the sessions of this client id */
	struct model_subscription subscriptions[MODEL_FILTERS];
	bool owed[MODEL_MESSAGES_MAX];
	uint8_t seen[MODEL_MESSAGES_MAX];
	uint8_t seen_at_2[MODEL_MESSAGES_MAX];
	uint8_t seen_here[MODEL_MESSAGES_MAX]; /* at QoS 0 and 1, on this connection */
	uint32_t newest[MODEL_CLIENTS][MODEL_TOPICS];
	/* At QoS 2: what came and is not released. */
	struct {
		uint16_t packet_id;
		uint32_t message;
	} receiving[MODEL_RECEIVING_MAX];
	uint32_t receiving_count;
};

struct model_message {
	uint8_t publisher;
	uint8_t topic;
	uint8_t qos;
	bool free; /* retained, or a will: it may come at any time and again */
	uint8_t resent;
	bool doubtful; /* resent to what may be another session than the one that had it */
	/* Of each session: a subscription that it had when the message was published; asks 0: none. */
	struct {
		uint8_t filter;
		uint32_t asks;
		uint32_t serial;
	} subscribed[MODEL_CLIENTS];
};

struct model {
	struct model_session sessions[MODEL_CLIENTS];
	struct model_message messages[MODEL_MESSAGES_MAX];
	uint32_t message_count; /* message 0 is none */
};

const char *model_topic(uint32_t topic);
const char *model_filter(uint32_t filter);

/* Aborts with a sentence. */
_Noreturn void violation(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The client's session is another one from here on, or there is none. */
void sim_session_new(struct model *model, uint32_t client, enum certainty there);
/* It may be another one, or none: nothing is owed to it for sure. */
void model_session_doubtful(struct model *model, uint32_t client);
void model_connection_new(struct model *model, uint32_t client);

/* Before a PUBLISH is sent. Returns the message's number, which is its payload; 0: no more fit. */
uint32_t model_publish(struct model *model, uint32_t publisher, uint32_t topic, uint8_t qos, bool free);
/* Its number and, for some, much more. */
void model_payload(uint32_t message, char *payload);
size_t model_payload_bytes(uint32_t message);
/* It was acknowledged as taken. */
void model_published(struct model *model, uint32_t message);

/* Before a SUBSCRIBE or UNSUBSCRIBE is sent. Returns what model_subscribed() takes. */
uint32_t model_ask(struct model *model, uint32_t client, uint32_t filter);
void model_subscribed(struct model *model, uint32_t client, uint32_t filter, uint32_t asks, enum certainty there,
		      uint8_t qos);

/* The client has heard a PUBLISH. */
void model_heard(struct model *model, uint32_t client, uint32_t message, uint32_t topic, uint8_t qos,
		 uint16_t packet_id);
void model_released(struct model *model, uint32_t client, uint16_t packet_id);

/* How many messages sessions are owed and did not get; each is told about if so asked. */
uint32_t model_missing(const struct model *model, bool tell);

#endif
