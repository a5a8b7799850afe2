/* Many MQTT clients of one thread: one epoll, one flat array, one scratch buffer. A client is 24 bytes and owns a
 * buffer only while a packet is half read or half sent. Sockets are edge triggered and registered once.
 *
 * The fleet signs clients in, subscribes them and acknowledges what they receive, all of one read in one write; what
 * messages mean is its owner's (fleet_events). Owned by one thread, which has its own descriptor table; every call
 * comes from it. A client that is gone is started again only between two turns, so that no event of the one before is
 * left, and the index in epoll's data needs no generation. */
#ifndef BENCH_FLEET_H
#define BENCH_FLEET_H

#include "bench/credentials.h"
#include "bench/dial.h"
#include "bench/losses.h"

#include "mqtt/packet.h"

#include <time.h>

#define FLEET_PREFIX_BYTES_MAX 64u
#define FLEET_PACKET_BYTES_MAX (256u * 1024u)
/* What a full socket did not take: more than this, and the server is taken not to read at all. */
#define FLEET_UNSENT_BYTES_MAX (256u * 1024u * 1024u)
#define FLEET_NO_TOPIC UINT32_MAX
/* In the number of a topic: the client is a member of the shared subscription FLEET_SHARE_PREFIX and the topic. */
#define FLEET_SHARED (1u << 31)
#define FLEET_SHARE_PREFIX "$share/bench/"

/* The clock by which the kernel stamps what arrives. */
static inline uint64_t fleet_arrival_clock_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* What all fleets of a run share; read only while they live. */
struct fleet_plan {
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
	bool arrivals;             /* the kernel stamps what arrives: fleet->arrived_ns */
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
struct fleet_rest {
	uint32_t size;
	uint32_t done; /* of these, already sent */
	uint8_t bytes[];
};

struct client {
	struct fleet_rest *unread; /* the beginning of a packet that is not whole yet, or NULL */
	struct fleet_rest *unsent; /* what the socket did not take yet, or NULL */
	int32_t fd;
	uint8_t state; /* enum client_state */
	bool ping_pending;
};

/* May be NULL each. */
struct fleet_events {
	/* The number that the client's id and source address come from; without this call, first + index. */
	uint32_t (*number_of)(void *owner, uint32_t index);
	/* The number of the topic that the client subscribes to, with FLEET_SHARED or not, or FLEET_NO_TOPIC. */
	uint32_t (*topic_of)(void *owner, uint32_t index);
	/* The client is signed in and subscribed. It may be left at once. */
	void (*ready)(void *owner, uint32_t index);
	/* A PUBLISH came, and is acknowledged by the fleet; it lives until the call returns. */
	void (*message)(void *owner, uint32_t index, const struct mqtt_publish *publish);
	/* A PUBACK, PUBREC or PUBCOMP came (enum mqtt_type). False: nothing waited for it. PUBREC is answered by the
	 * fleet. */
	bool (*acknowledged)(void *owner, uint32_t index, uint8_t type, uint16_t packet_id);
	/* With plan->writes: there is room in the socket's buffer, and nothing unsent. */
	void (*writable)(void *owner, uint32_t index);
	/* The client is gone, and not by fleet_leave(); state is the one that it was in. */
	void (*lost)(void *owner, uint32_t index, enum client_state state, enum loss kind, uint32_t code);
};

struct fleet {
	const struct fleet_plan *plan;
	struct fleet_events events;
	void *owner;
	struct client *clients;
	uint8_t *scratch;
	uint8_t *answers; /* acknowledgements of the read under way; they are no longer than what they answer */
	size_t answers_size;
	uint64_t received_qos_2; /* messages: PUBREC was sent */
	uint64_t released;       /* of these: PUBREL came, PUBCOMP was sent */
	uint64_t arrived_ns;     /* when the last bytes of the read under way arrived, CLOCK_REALTIME; 0: not known */
	uint64_t settled_ns;     /* when the last client was subscribed, or lost on the way there; 0 before */
	uint32_t count;
	uint32_t first;   /* number of client 0 among all fleets of the run: it chooses id and source address */
	uint32_t started; /* the clients below it have been started at least once */
	uint32_t in_progress;
	uint32_t ready;
	int epoll;
	uint16_t receive_max; /* the least that a CONNACK named */
	struct losses losses;
};

/* Opens an epoll in the calling thread's descriptor table. False: no memory or no descriptor. */
bool fleet_open(struct fleet *fleet, const struct fleet_plan *plan, uint32_t first, uint32_t count);
/* Closes what is still open, without DISCONNECT. */
void fleet_close(struct fleet *fleet);

/* Starts the next client; needs started < count. A failure counts as a loss. */
void fleet_start_next(struct fleet *fleet);
/* Starts a client that is not in use, or no longer; not from within a turn. */
void fleet_start(struct fleet *fleet, uint32_t index);

/* Waits for events and handles one batch of them. timeout_ms as epoll_wait's. Returns how many there were. */
int fleet_turn(struct fleet *fleet, int timeout_ms);
/* The same with a wait in ns, below a second. */
int fleet_turn_ns(struct fleet *fleet, uint64_t timeout_ns);

/* Sends PINGREQ; a client whose last one was not answered is lost instead. Clients that are not ready are left. */
void fleet_ping(struct fleet *fleet, uint32_t index);

/* Writes to a ready client. What the socket does not take goes out before anything else, as soon as there is room. A
 * client that is not ready, or is lost by it, takes nothing. */
void fleet_send(struct fleet *fleet, uint32_t index, const uint8_t *bytes, size_t size);
/* The client is ready, and nothing of what was sent waits for room. */
bool fleet_may_send(const struct fleet *fleet, uint32_t index);

/* Counts everything that is not signed in and subscribed as lost: nothing came for too long. */
void fleet_give_up(struct fleet *fleet);
/* Counts this one as lost, if it is not; between two turns. */
void fleet_give_up_one(struct fleet *fleet, uint32_t index);

/* DISCONNECT and close, if it is connected. */
void fleet_leave(struct fleet *fleet, uint32_t index);

/* Writes prefix and number in decimal; out holds FLEET_PREFIX_BYTES_MAX + 10. Returns the size. */
size_t fleet_name(const char *prefix, uint32_t number, uint8_t *out);

#endif
