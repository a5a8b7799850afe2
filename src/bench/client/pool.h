/* Many MQTT clients of one thread: one epoll, one flat array, one scratch buffer. A client is 24 bytes and owns a
 * buffer only while a packet is half read or half sent. Sockets are edge triggered and registered once.
 *
 * The pool signs clients in, subscribes them and acknowledges what they receive, all of one read in one write; what
 * messages mean is its owner's (client_events). Owned by one thread, which has its own descriptor table; every call
 * comes from it. A client that is gone is started again only between two turns, so that no event of the one before is
 * left, and the index in epoll's data needs no generation. */
#ifndef BENCH_CLIENT_POOL_H
#define BENCH_CLIENT_POOL_H

#include "bench/client/client.h"
#include "bench/client/losses.h"

#include "mqtt/packet.h"

#include <time.h>

/* The clock by which the kernel stamps what arrives. */
static inline uint64_t arrival_clock_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* May be NULL each. */
struct client_events {
	/* The number that the client's id and source address come from; without this call, first + index. */
	uint32_t (*number_of)(void *owner, uint32_t index);
	/* The number of the topic that the client subscribes to, with CLIENT_TOPIC_SHARED or not, or CLIENT_NO_TOPIC.
	 */
	uint32_t (*topic_of)(void *owner, uint32_t index);
	/* The client is signed in and subscribed. It may be left at once. */
	void (*ready)(void *owner, uint32_t index);
	/* A PUBLISH came, and is acknowledged by the pool; it lives until the call returns. */
	void (*message)(void *owner, uint32_t index, const struct mqtt_publish *publish);
	/* A PUBACK, PUBREC or PUBCOMP came (enum mqtt_type). False: nothing waited for it. PUBREC is answered by the
	 * pool. */
	bool (*acknowledged)(void *owner, uint32_t index, uint8_t type, uint16_t packet_id);
	/* With plan->writes: there is room in the socket's buffer, and nothing unsent. */
	void (*writable)(void *owner, uint32_t index);
	/* The client is gone, and not by client_pool_leave(); state is the one that it was in. */
	void (*lost)(void *owner, uint32_t index, enum client_state state, enum loss kind, uint32_t code);
};

struct client_pool {
	const struct client_plan *plan;
	struct client_events events;
	void *owner;
	struct client *clients;
	uint8_t *scratch;
	uint8_t *answers; /* acknowledgements of the read under way; they are no longer than what they answer */
	size_t answers_size;
	uint64_t received_qos_2;  /* messages: PUBREC was sent */
	uint64_t released;        /* of these: PUBREL came, PUBCOMP was sent */
	uint64_t arrived_ns;      /* when the last bytes of the read under way arrived, CLOCK_REALTIME; 0: not known */
	uint64_t connect_done_ns; /* when the last client was subscribed, or lost on the way there; 0 before */
	uint32_t count;
	uint32_t first;   /* number of client 0 among all pools of the run: it chooses id and source address */
	uint32_t started; /* the clients below it have been started at least once */
	uint32_t in_progress;
	uint32_t pings_pending; /* PINGREQ without an answer yet */
	uint32_t ready;
	int epoll;
	uint16_t receive_max; /* the least that a CONNACK named */
	struct losses losses;
};

/* Opens an epoll in the calling thread's descriptor table. False: no memory or no descriptor. */
bool client_pool_open(struct client_pool *pool, const struct client_plan *plan, uint32_t first, uint32_t count);
/* Closes what is still open, without DISCONNECT. */
void client_pool_close(struct client_pool *pool);

/* Starts the next client; needs started < count. A failure counts as a loss. */
void client_pool_start_next(struct client_pool *pool);
/* Starts a client that is not in use, or no longer; not from within a turn. */
void client_pool_start(struct client_pool *pool, uint32_t index);

/* Waits for events and handles one batch of them. timeout_ms as epoll_wait's. Returns how many there were. */
int client_pool_turn(struct client_pool *pool, int timeout_ms);
/* The same with a wait in ns, below a second. */
int client_pool_turn_ns(struct client_pool *pool, uint64_t timeout_ns);

/* Sends PINGREQ; a client whose last one was not answered is lost instead. Clients that are not ready are left. */
void client_pool_ping(struct client_pool *pool, uint32_t index);

/* Sends PINGREQ to every ready client that waits for no answer to one. What the server has sent before it answers has
 * been read when pings_pending is 0 again. */
void client_pool_probe(struct client_pool *pool);

/* Writes to a ready client. What the socket does not take goes out before anything else, as soon as there is room. A
 * client that is not ready, or is lost by it, takes nothing. */
void client_pool_send(struct client_pool *pool, uint32_t index, const uint8_t *bytes, size_t size);
/* The client is ready, and nothing of what was sent waits for room. */
bool client_pool_may_send(const struct client_pool *pool, uint32_t index);

/* Counts everything that is not signed in and subscribed as lost: nothing came for too long. */
void client_pool_give_up(struct client_pool *pool);
/* Counts this one as lost, if it is not; between two turns. */
void client_pool_give_up_one(struct client_pool *pool, uint32_t index);

/* DISCONNECT and close, if it is connected. */
void client_pool_leave(struct client_pool *pool, uint32_t index);

#endif
