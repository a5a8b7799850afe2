/* The clients of a calibration: MQTT 3.1.1 over sockets that block, driven in rounds by one thread, so that all that is
 * under way is known at every moment. Each client has a topic of its own, as those of `roost bench hold` have.
 *
 * A function that returns false has written into crowd->fault why. Owned by one thread. */
#ifndef DOCTOR_CROWD_H
#define DOCTOR_CROWD_H

#include "base/slice.h"

#include <netinet/in.h>

#define CROWD_PACKET_BYTES_MAX (256u * 1024u)
#define CROWD_FAULT_BYTES 128u

/* What a client has seen, each counted. */
enum crowd_sign {
	CROWD_CONNACK,
	CROWD_SUBACK,
	CROWD_MESSAGE,      /* at QoS 2: when it is released */
	CROWD_ACKNOWLEDGED, /* what it published: PUBACK, PUBCOMP */
	CROWD_PINGRESP,
	CROWD_SIGNS,
};

struct crowd_client {
	int fd;
	uint8_t granted; /* QoS of the last SUBACK */
	uint32_t seen[CROWD_SIGNS];
};

struct crowd {
	struct sockaddr_in server;
	struct crowd_client *clients;
	uint32_t count;
	uint32_t capacity;
	int epoll; /* nothing waits on it: it makes this end of a connection cost the kernel what the server's does */
	uint8_t *scratch;
	char fault[CROWD_FAULT_BYTES];
};

/* port: of 127.0.0.1. */
bool crowd_open(struct crowd *crowd, uint16_t port, uint32_t capacity);
/* Closes with a reset, so that no socket is left behind in TIME_WAIT. */
void crowd_close(struct crowd *crowd);

/* One batch of clients connects, signs in and subscribes; at most `more`, fewer than capacity are left. */
bool crowd_connect(struct crowd *crowd, uint32_t more);

/* Each sends one packet; nothing is awaited. */
bool crowd_subscribe(struct crowd *crowd, uint32_t index, struct slice filter, uint8_t qos);
bool crowd_publish(struct crowd *crowd, uint32_t index, struct slice topic, struct slice payload, uint8_t qos);
bool crowd_ping(struct crowd *crowd, uint32_t index);

/* Reads, and answers what has to be answered, until the client has seen `times` of these. At most 5 s for each read. */
bool crowd_await(struct crowd *crowd, uint32_t index, enum crowd_sign sign, uint32_t times);

/* Handles the whole packets at the start of bytes as `client` would, without a socket where client->fd is -1. Returns
 * how many bytes they were, or -1 where the server said what no server may say. */
ssize_t crowd_take(struct crowd *crowd, struct crowd_client *client, const uint8_t *bytes, size_t size);

#endif
