/* The clients of a calibration: MQTT 3.1.1 over sockets that block, driven in rounds by one thread, which thus knows at
 * every moment all that is in flight. Each client has a topic of its own, like those of `roost bench hold`.
 *
 * A function that returns false has written the reason into clients->fault. Owned by one thread. */
#ifndef DOCTOR_PLAN_TEST_CLIENTS_H
#define DOCTOR_PLAN_TEST_CLIENTS_H

#include "base/slice.h"
#include "doctor/plan/carriage.h"

#include <netinet/in.h>

#define TEST_CLIENTS_PACKET_BYTES_MAX (256u * 1024u)
#define TEST_CLIENTS_FAULT_BYTES 128u

/* What a client has seen, each counted. */
enum test_client_sign {
	TEST_CLIENT_CONNACK,
	TEST_CLIENT_SUBACK,
	TEST_CLIENT_MESSAGE,      /* at QoS 2: when it is released */
	TEST_CLIENT_ACKNOWLEDGED, /* of what it published: PUBACK, PUBCOMP */
	TEST_CLIENT_PINGRESP,
	TEST_CLIENT_SIGNS,
};

struct test_client {
	int fd;
	struct stream stream; /* over it, where the carriage is not TCP by itself */
	uint8_t granted;      /* QoS of the last SUBACK */
	uint32_t seen[TEST_CLIENT_SIGNS];
};

struct test_clients {
	struct sockaddr_in server;
	struct carriage carriage;
	struct test_client *items; /* on the heap */
	uint32_t count;
	uint32_t capacity;
	int epoll; /* never waited on: it makes this end of a connection cost the kernel as much as the server's end */
	uint8_t *scratch;
	char fault[TEST_CLIENTS_FAULT_BYTES];
};

/* port: on 127.0.0.1. capacity: 1 or more. */
bool test_clients_open(struct test_clients *clients, enum plan_transport transport, uint16_t port, uint32_t capacity);
/* Closes with a reset, so that no socket stays in TIME_WAIT. */
void test_clients_close(struct test_clients *clients);

/* Another batch of clients connects, signs in and subscribes: at most `more`, and no more than capacity allows. */
bool test_clients_connect(struct test_clients *clients, uint32_t more);

/* Those that connect from now on resume the TLS session of the one before. False: the server has sent no ticket. */
bool test_clients_resume(struct test_clients *clients);

/* Each sends one packet and waits for nothing. */
bool test_clients_subscribe(struct test_clients *clients, uint32_t index, struct slice filter, uint8_t qos);
bool test_clients_publish(struct test_clients *clients, uint32_t index, struct slice topic, struct slice payload,
			  uint8_t qos);
bool test_clients_ping(struct test_clients *clients, uint32_t index);

/* Reads, and answers what must be answered, until the client has seen this sign so many times. Each read may take 5 s.
 */
bool test_clients_await(struct test_clients *clients, uint32_t index, enum test_client_sign sign, uint32_t times);

/* Handles the whole packets at the start of bytes as `client` would; sends nothing where client->fd is -1. Returns the
 * number of their bytes, or -1 where the server sent what no server may send. */
ssize_t test_clients_take(struct test_clients *clients, struct test_client *client, const uint8_t *bytes, size_t size);

#endif
