/* One MQTT client of the bench: the plan, which all clients of a run share, and the client's state. A client takes 24
 * bytes and owns a buffer only while a packet is half read or half sent. Types only. */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include "bench/client/credentials.h"
#include "bench/dial/dial.h"

#include "net/stream.h"

#include <stdbool.h>
#include <stdint.h>

#define CLIENT_PREFIX_BYTES_MAX 64u
#define CLIENT_PACKET_BYTES_MAX (256u * 1024u)
/* If more than this waits for room in a socket, the server does not read at all. */
#define CLIENT_UNSENT_BYTES_MAX (256u * 1024u * 1024u)
#define CLIENT_NO_TOPIC UINT32_MAX
/* Flag in the number of a topic: the client subscribes to CLIENT_SHARE_PREFIX and the topic, a shared subscription. */
#define CLIENT_TOPIC_SHARED (1u << 31)
#define CLIENT_SHARE_PREFIX "$share/bench/"

/* What all pools of a run share. Constant while they live. */
struct client_plan {
	struct dial dial;
	const char *client_prefix;             /* followed by the client's number */
	const char *topic_prefix;              /* followed by the topic's number */
	const char *topic_suffix;              /* follows that; NULL: nothing */
	const struct credentials *credentials; /* NULL: none */
	uint16_t keepalive_s;
	uint8_t version;           /* enum mqtt_version */
	uint8_t qos;               /* of subscriptions */
	bool topic_fixed;          /* the topic is the prefix alone */
	uint32_t session_expiry_s; /* version 5: the session is kept and resumed; 0: each connection starts a new one */
	bool arrivals;             /* the kernel stamps what arrives: pool->arrived_ns */
	bool pipeline;             /* SUBSCRIBE goes out with CONNECT, before CONNACK */
	bool writes; /* keep what a full socket does not take, and tell the owner when it has been sent; else the client
			is lost */
};

enum client_state {
	CLIENT_UNUSED,      /* -> CONNECTING, OPENING, GREETING, GONE */
	CLIENT_CONNECTING,  /* TCP is not up yet -> OPENING, GREETING, GONE */
	CLIENT_OPENING,     /* TLS handshake or WebSocket upgrade (client/opening.h) -> GREETING, GONE */
	CLIENT_GREETING,    /* CONNECT was sent -> SUBSCRIBING, READY, GONE */
	CLIENT_SUBSCRIBING, /* SUBSCRIBE was sent -> READY, GONE */
	CLIENT_READY,       /* -> GONE */
	CLIENT_GONE,        /* -> UNUSED, when it is started again */
};

/* Bytes on the heap that wait for the rest of a packet, or for room in the socket. */
struct client_rest {
	uint32_t size;
	uint32_t done; /* of these, already sent */
	uint8_t bytes[];
};

struct opening;

struct client {
	struct client_rest *unread; /* the beginning of an incomplete packet, or NULL */
	union {
		struct opening *opening;    /* up to OPENING, or NULL */
		struct client_rest *unsent; /* from GREETING on: what the socket has not taken yet, or NULL */
	};
	struct stream stream;
	uint8_t state;     /* enum client_state */
	bool ping_pending; /* a PINGREQ has not been answered yet */
	bool is_probe;     /* and client_pool_probe() sent it */
};

#endif
