/* One MQTT client of the bench: what it is told to do (the plan, which all clients of a run share) and what is kept of
 * it. A client is 24 bytes and owns a buffer only while a packet is half read or half sent. Types only. */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include "bench/client/credentials.h"
#include "bench/target/dial.h"

#include <stdbool.h>
#include <stdint.h>

#define CLIENT_PREFIX_BYTES_MAX 64u
#define CLIENT_PACKET_BYTES_MAX (256u * 1024u)
/* What a full socket did not take: more than this, and the server is taken not to read at all. */
#define CLIENT_UNSENT_BYTES_MAX (256u * 1024u * 1024u)
#define CLIENT_NO_TOPIC UINT32_MAX
/* In the number of a topic: the client is a member of the shared subscription CLIENT_SHARE_PREFIX and the topic. */
#define CLIENT_TOPIC_SHARED (1u << 31)
#define CLIENT_SHARE_PREFIX "$share/bench/"

/* What all pools of a run share; read only while they live. */
struct client_plan {
	struct dial dial;
	const char *client_prefix;             /* the client id is this and the client's number */
	const char *topic_prefix;              /* the topic is this and the topic's number */
	const char *topic_suffix;              /* and this; NULL: nothing */
	const struct credentials *credentials; /* NULL: none */
	uint16_t keepalive_s;
	uint8_t version;           /* enum mqtt_version */
	uint8_t qos;               /* of subscriptions */
	bool topic_fixed;          /* the topic is the prefix alone */
	uint32_t session_expiry_s; /* version 5: the session is kept and resumed; 0: it begins anew */
	bool arrivals;             /* the kernel stamps what arrives: pool->arrived_ns */
	bool pipeline;             /* SUBSCRIBE goes out with CONNECT, before CONNACK */
	bool writes; /* keep what a full socket does not take, and tell the owner when it has gone; else it is a loss */
};

enum client_state {
	CLIENT_UNUSED,      /* -> CONNECTING, GREETING, GONE */
	CLIENT_CONNECTING,  /* TCP is not up yet -> GREETING, GONE */
	CLIENT_GREETING,    /* CONNECT was sent -> SUBSCRIBING, READY, GONE */
	CLIENT_SUBSCRIBING, /* SUBSCRIBE was sent -> READY, GONE */
	CLIENT_READY,       /* -> GONE */
	CLIENT_GONE,        /* -> UNUSED, by being started again */
};

/* Bytes on the heap, which wait for more of them or for room. */
struct client_rest {
	uint32_t size;
	uint32_t done; /* of these, already sent */
	uint8_t bytes[];
};

struct client {
	struct client_rest *unread; /* the beginning of a packet that is not whole yet, or NULL */
	struct client_rest *unsent; /* what the socket did not take yet, or NULL */
	int32_t fd;
	uint8_t state;     /* enum client_state */
	bool ping_pending; /* a PINGREQ has no answer yet */
	bool is_probe;     /* that one was sent by client_pool_probe() */
};

#endif
