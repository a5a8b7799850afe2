/* A client in a play of client_fuzz.c or of unit/sim: what it has said and heard on its connection, and the check of
 * everything that it hears: whole packets that its version and its own limits allow, CONNACK first, no more messages
 * under way than it takes, each with an identifier of its own. */
#ifndef TESTS_FUZZ_CLIENT_ACTOR_H
#define TESTS_FUZZ_CLIENT_ACTOR_H

#include "base/slice.h"
#include "mqtt/packet.h"

#include <stdbool.h>

#define ACTOR_UNREAD_BYTES_MAX (1u << 21)
#define ACTOR_ALIASES_MAX 4u
#define ACTOR_HEARD_MAX 16u

/* A message of QoS 1 or 2 that an actor has heard and not taken to its end. */
struct heard {
	uint16_t packet_id;
	uint8_t qos;
	bool received; /* it has sent PUBREC */
	bool released; /* it has heard PUBREL */
};

struct actor;

/* A packet that an actor has heard and found to be right. */
struct actor_packet {
	struct mqtt_header header;
	struct mqtt_connack connack; /* if it is one, and so on */
	struct mqtt_publish publish;
	struct mqtt_ack ack;
	struct mqtt_suback suback;
	struct mqtt_disconnect disconnect;
};

/* Who wants to know of each packet. */
struct actor_observer {
	void (*heard)(void *context, struct actor *actor, const struct actor_packet *packet);
	void *context;
};

struct actor {
	int fd; /* -1: not there */
	uint8_t version;
	bool greeted;
	bool clean;
	bool may_be_refused; /* its CONNACK may say no */
	bool careless;       /* it has sent what may acknowledge anything: its own account is not to be relied on */
	uint32_t packet_bytes_max;
	uint32_t window; /* messages under way to it, at most */
	uint16_t alias_max;
	bool aliases[ACTOR_ALIASES_MAX + 1]; /* that it was told of */
	struct heard heard[ACTOR_HEARD_MAX];
	uint32_t heard_count;
	struct actor_observer observer;
	uint8_t *unread; /* what came and is no whole packet yet */
	size_t unread_bytes;
};

/* A connection begins with this CONNECT, and with what is sent behind it. inflight_max: the server's. */
void actor_begin(struct actor *actor, int fd, struct slice bytes, uint32_t inflight_max);
/* Its connection is over, if it has one. */
void actor_leave(struct actor *actor);
void actor_say(struct actor *actor, struct slice bytes);
/* Reads once, up to so much. */
void actor_read(struct actor *actor, size_t wanted);
/* PUBACK, PUBREC, PUBREL or PUBCOMP. */
void actor_say_ack(struct actor *actor, uint8_t type, uint16_t packet_id);
/* Does its part for some of the messages that it has heard of: oldest first, or newest. */
void actor_acknowledge(struct actor *actor, uint32_t count, bool newest);

#endif
