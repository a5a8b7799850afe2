/* The clients' ends of a shard scene: what they say is put together, what they are told is taken apart and checked
 * packet by packet; a test names only what matters to it. One thread.
 *
 * Where a peer expects something and has read nothing of it yet, the scene settles first. */
#ifndef TESTS_UNIT_PEER_H
#define TESTS_UNIT_PEER_H

#include "mqtt/field/reason.h"
#include "mqtt/packet.h"
#include "shard_scene.h"

struct far_peer {
	struct shard_scene *scene;
	int fd; /* -1: not there */
	uint8_t version;
	uint8_t *unread; /* what came, from `taken` on not looked at yet; on the heap */
	size_t unread_bytes;
	size_t unread_capacity;
	size_t taken;
};

/* What a CONNECT says; all 0: version 5, client id "peer", no clean start, a session that ends with its connection. */
struct peer_connect {
	const char *id;
	uint8_t version;
	uint16_t shard;
	bool clean;
	bool bridge; /* version 3: with MQTT_LEVEL_BRIDGE */
	uint32_t expiry_s;
	uint16_t receive_max;      /* 0: not said */
	uint32_t packet_bytes_max; /* 0: not said */
	uint16_t alias_max;
	uint16_t keepalive_s;
	int send_bytes;         /* of the server's send buffer, 0: as the system has it */
	struct slice rest;      /* what is sent behind it */
	const char *will_topic; /* NULL: no will */
	const char *will_payload;
	struct slice will_properties;
	uint32_t will_delay_s;
	uint8_t will_qos;
	bool will_retain;
};

/* Sends CONNECT; nothing of the answer is read. */
struct far_peer peer_connect(struct shard_scene *scene, const struct peer_connect *connect);
/* And reads CONNACK, which must accept, with this session present flag. */
struct far_peer peer_sign_in(struct shard_scene *scene, const struct peer_connect *connect, bool present);
#define PEER_CONNECT(...) (&(struct peer_connect){__VA_ARGS__})

/* Vanishes, and the scene takes no turn. */
void peer_drop(struct far_peer *peer);
/* Vanishes; the scene settles. */
void peer_vanish(struct far_peer *peer);
/* The same with DISCONNECT first: all is over in order. */
void peer_leave(struct far_peer *peer);
/* DISCONNECT with a reason and a Session Expiry Interval (version 5); the server then closes. */
void peer_disconnect(struct far_peer *peer, uint8_t reason, uint32_t expiry_s);

/* ---- saying ---- */

/* Where the socket does not take it all the scene settles. */
void peer_say(const struct far_peer *peer, const void *bytes, size_t size);
/* Publishes "payload". packet_id: not looked at at QoS 0. */
void peer_publish(const struct far_peer *peer, const char *topic, const char *payload, uint8_t qos, uint16_t packet_id);
void peer_publish_as(const struct far_peer *peer, const struct mqtt_publish *publish);
/* PUBACK, PUBREC, PUBREL, PUBCOMP. */
void peer_ack(const struct far_peer *peer, uint8_t type, uint16_t packet_id);
void peer_ack_with(const struct far_peer *peer, uint8_t type, uint16_t packet_id, uint8_t reason);
/* Sends SUBSCRIBE; the answer is not read. */
void peer_ask(const struct far_peer *peer, const struct mqtt_subscription *asked, uint32_t identifier);
/* And reads SUBACK, which must grant what was asked for. */
void peer_subscribe(struct far_peer *peer, const char *filter, uint8_t qos);
void peer_subscribe_as(struct far_peer *peer, const struct mqtt_subscription *asked, uint32_t identifier);
/* And reads UNSUBACK. */
void peer_unsubscribe(struct far_peer *peer, const char *filter);

/* ---- hearing ---- */

/* A packet; what it points to is good until the next is taken. */
struct heard {
	struct mqtt_header header;
	struct slice body;
	struct mqtt_publish publish; /* if it is one, and so on */
	struct mqtt_ack ack;
	struct mqtt_suback suback;
	struct mqtt_connack connack;
	struct mqtt_disconnect disconnect;
};

/* The next packet; false: there is none. Fails the test where the server says what its version does not allow. */
bool peer_hears(struct far_peer *peer, struct heard *heard);
/* The same of what is there already: the scene takes no turn. */
bool peer_heard(struct far_peer *peer, struct heard *heard);
/* The next packet is a PUBLISH like this; its DUP and retain flags are the caller's to look at. */
struct mqtt_publish peer_hears_publish(struct far_peer *peer, const char *topic, const char *payload, uint8_t qos);
void peer_hears_ack(struct far_peer *peer, uint8_t type, uint16_t packet_id, uint8_t reason);
void peer_hears_nothing(struct far_peer *peer);
/* DISCONNECT with this reason, and the end. */
void peer_hears_disconnect(struct far_peer *peer, uint8_t reason);
/* The end, without a word. */
void peer_hears_end(struct far_peer *peer);
/* Takes a message to its end: PUBACK, or PUBREC, PUBREL and PUBCOMP. */
void peer_completes(struct far_peer *peer, const struct mqtt_publish *publish);
/* How many packets of a type come now; all are taken. */
uint32_t peer_counts(struct far_peer *peer, uint8_t type);

#endif
