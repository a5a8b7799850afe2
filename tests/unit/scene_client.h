/* Clients of a shard's scene, said in structs rather than bytes: what they sign in with, say and hear. */
#ifndef TESTS_UNIT_SCENE_CLIENT_H
#define TESTS_UNIT_SCENE_CLIENT_H

#include "mqtt/packet.h"
#include "shard_scene.h"

#define SCENE_PACKET_BYTES_MAX 4096u

/* What a client says of itself; what is 0 is left out. */
struct visitor {
	const char *id;
	const char *user;
	const char *password;
	const char *token; /* authentication data of the method "token", version 5 */
	const char *will_topic;
	uint16_t keepalive_s;
	uint8_t version; /* 0: 5 */
	bool stays;      /* its session outlives its connection */
};

/* Hands it over; -1: it was refused, and scene->refusal says why. What it hears first is for scene_hear(). */
int scene_come(struct shard_scene *scene, uint16_t shard, const struct visitor *visitor);
/* Comes, settles the scene and has heard that it is welcome. */
int scene_sign_in(struct shard_scene *scene, uint16_t shard, const struct visitor *visitor);

void scene_say(int fd, struct slice bytes);
void scene_subscribe(int fd, uint8_t version, const char *filter, uint8_t qos);
void scene_publish(int fd, uint8_t version, const char *topic, const char *payload, uint8_t qos);
/* AUTH, Re-authenticate. method NULL: "token". */
void scene_renew(int fd, const char *method, const char *token);

#define HEARD_NOTHING 0u
#define HEARD_END 0xFFu

/* The next packet, in static storage. */
struct heard {
	uint8_t type; /* enum mqtt_type, HEARD_NOTHING or HEARD_END */
	uint8_t flags;
	struct slice body;
};

struct heard scene_hear(int fd);
/* The next packet is one of this type. */
struct slice scene_expect(int fd, uint8_t type);
void scene_expect_nothing(int fd);
/* A DISCONNECT of version 5 for this reason, and then the end; fd is closed. */
void scene_expect_end(int fd, uint8_t reason);

#endif
