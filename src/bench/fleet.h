/* Many MQTT clients of one thread: one epoll, one flat array, one scratch buffer. A client is 24 bytes and owns a
 * buffer only while a packet is half read. Sockets are edge triggered and registered once.
 *
 * The fleet signs clients in and subscribes them; what messages mean is its owner's (fleet_events). Owned by one
 * thread, which has its own descriptor table; every call comes from it. Clients never come back once gone, so the
 * index in epoll's data needs no generation. */
#ifndef BENCH_FLEET_H
#define BENCH_FLEET_H

#include "bench/dial.h"
#include "bench/losses.h"

#include "base/slice.h"

#define FLEET_PREFIX_BYTES_MAX 64u
#define FLEET_PACKET_BYTES_MAX (256u * 1024u)
#define FLEET_NO_TOPIC UINT32_MAX

/* What all fleets of a run share; read only while they live. */
struct fleet_plan {
	struct dial dial;
	const char *client_prefix; /* the client id is this and the client's number */
	const char *topic_prefix;  /* the topic is this and the topic's number */
	uint16_t keepalive_s;
	uint8_t version; /* enum mqtt_version */
	bool pipeline;   /* SUBSCRIBE goes out with CONNECT, before CONNACK */
	bool writes;     /* the owner sends more than a socket's buffer may hold: tell it when there is room again */
};

enum client_state {
	CLIENT_UNUSED,      /* -> CONNECTING, GREETING, GONE */
	CLIENT_CONNECTING,  /* TCP is not up yet -> GREETING, GONE */
	CLIENT_GREETING,    /* CONNECT was sent -> SUBSCRIBING, READY, GONE */
	CLIENT_SUBSCRIBING, /* SUBSCRIBE was sent -> READY, GONE */
	CLIENT_READY,       /* -> GONE */
	CLIENT_GONE,
};

struct client {
	uint8_t *rest; /* the beginning of a packet that is not whole yet; on the heap, NULL if none */
	uint32_t rest_size;
	int32_t fd;
	uint8_t state; /* enum client_state */
	bool ping_pending;
};

/* May be NULL each. */
struct fleet_events {
	/* The number of the topic that the client subscribes to, or FLEET_NO_TOPIC. */
	uint32_t (*topic_of)(void *owner, uint32_t index);
	/* A PUBLISH came; payload lives until the call returns. */
	void (*message)(void *owner, uint32_t index, struct slice payload);
	/* With plan->writes: there is room in the socket's buffer. */
	void (*writable)(void *owner, uint32_t index);
};

struct fleet {
	const struct fleet_plan *plan;
	struct fleet_events events;
	void *owner;
	struct client *clients;
	uint8_t *scratch;
	uint64_t settled_ns; /* when the last client was subscribed, or lost on the way there; 0 before */
	uint32_t count;
	uint32_t first; /* number of client 0 among all fleets of the run: it chooses id and source address */
	uint32_t started;
	uint32_t in_progress;
	uint32_t ready;
	int epoll;
	struct losses losses;
};

/* Opens an epoll in the calling thread's descriptor table. False: no memory or no descriptor. */
bool fleet_open(struct fleet *fleet, const struct fleet_plan *plan, uint32_t first, uint32_t count);
/* Closes what is still open, without DISCONNECT. */
void fleet_close(struct fleet *fleet);

/* Starts the next client; needs started < count. A failure counts as a loss. */
void fleet_start_next(struct fleet *fleet);

/* Waits for events and handles one batch of them. timeout_ms as epoll_wait's. Returns how many there were. */
int fleet_turn(struct fleet *fleet, int timeout_ms);

/* Sends PINGREQ; a client whose last one was not answered is lost instead. Clients that are not ready are left. */
void fleet_ping(struct fleet *fleet, uint32_t index);

/* Writes to a ready client. Returns the bytes taken, less than size when the socket is full (plan->writes: `writable`
 * is called later); 0 also when the client is lost by it. */
size_t fleet_send(struct fleet *fleet, uint32_t index, const uint8_t *bytes, size_t size);

/* Counts everything that is not signed in and subscribed as lost: nothing came for too long. */
void fleet_give_up(struct fleet *fleet);

/* DISCONNECT and close, if it is connected. */
void fleet_leave(struct fleet *fleet, uint32_t index);

/* Writes prefix and number in decimal; out holds FLEET_PREFIX_BYTES_MAX + 10. Returns the size. */
size_t fleet_name(const char *prefix, uint32_t number, uint8_t *out);

#endif
