/* Many MQTT clients of one thread: one epoll, one flat array, one scratch buffer. Sockets are edge triggered and
 * registered once.
 *
 * The pool signs clients in, subscribes them, and acknowledges what they receive, for all packets of a read in one
 * write. The owner decides what messages mean (client_events). Owned by one thread, which has its own descriptor table
 * and makes every call. A client that is gone is started again only between two turns, so no event of its old
 * connection is left, and the index in epoll's data needs no generation. */
#ifndef BENCH_CLIENT_POOL_H
#define BENCH_CLIENT_POOL_H

#include "bench/client/carriage.h"
#include "bench/client/client.h"
#include "bench/client/losses.h"

#include "mqtt/packet.h"
#include "transport/stream_tls.h"
#include "transport/stream_websocket.h"

#include <time.h>

/* The clock with which the kernel stamps arrivals. */
static inline uint64_t arrival_clock_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Callbacks to the owner. Each may be NULL. */
struct client_events {
	/* The number that determines the client's id and source address; first + index without this callback. */
	uint32_t (*number_of)(void *owner, uint32_t index);
	/* The number of the topic that the client subscribes to, with CLIENT_TOPIC_SHARED or not, or CLIENT_NO_TOPIC.
	 */
	uint32_t (*topic_of)(void *owner, uint32_t index);
	/* A CONNACK let the client in, which has not subscribed yet. */
	void (*greeted)(void *owner, uint32_t index, bool session_present);
	/* In place of topic_of: writes the filter that the client subscribes to, at most CLIENT_FILTER_BYTES_MAX.
	 * Returns its size; 0: it subscribes to nothing. Not with plan->pipeline. */
	size_t (*filter_of)(void *owner, uint32_t index, uint8_t *out);
	/* The client is signed in and subscribed. The callback may disconnect it. */
	void (*ready)(void *owner, uint32_t index);
	/* A PUBLISH arrived, and the pool acknowledges it. It lives until the callback returns. */
	void (*message)(void *owner, uint32_t index, const struct mqtt_publish *publish);
	/* A PUBACK, PUBREC or PUBCOMP arrived (enum mqtt_type). The pool answers PUBREC. Returns false if nothing
	 * waited for it. */
	bool (*acknowledged)(void *owner, uint32_t index, uint8_t type, uint16_t packet_id);
	/* A PUBACK, PUBREC or PUBCOMP with a reason code of 0x80 or above. Returns false, as without this callback, if
	 * the client shall be lost by it. */
	bool (*refused)(void *owner, uint32_t index, uint8_t type, uint16_t packet_id, uint8_t reason);
	/* A PUBREL arrived, and the pool answers it. With this callback the owner keeps account of them. */
	void (*released)(void *owner, uint32_t index, uint16_t packet_id);
	/* The PINGRESP to the client's last PINGREQ arrived. */
	void (*pong)(void *owner, uint32_t index);
	/* With plan->writes: there is room in the socket's buffer, and nothing unsent. */
	void (*writable)(void *owner, uint32_t index);
	/* The client is gone, other than by client_pool_leave(); state is the one it was in. */
	void (*lost)(void *owner, uint32_t index, enum client_state state, enum loss kind, uint32_t code);
};

struct client_pool {
	const struct client_plan *plan;
	struct streams streams;
	struct tls_streams tls;              /* open if plan->dial.transport has TLS */
	struct websocket_streams websockets; /* open if it is a WebSocket */
	struct tls_ticket **tickets;         /* the first CLIENT_TICKETS_MAX that came; NULL: none is kept */
	uint32_t ticket_count;
	uint64_t openings; /* that were begun */
	struct carriage carriage;
	struct client_events events;
	void *owner;
	struct client *clients;
	uint8_t *scratch;
	uint8_t *answers; /* acknowledgements for the current read; they are no longer than what they answer */
	size_t answers_size;
	uint64_t received_qos_2;  /* messages: PUBREC was sent */
	uint64_t released;        /* of these: PUBREL came, PUBCOMP was sent */
	uint64_t arrived_ns;      /* when the last bytes of the current read arrived, CLOCK_REALTIME; 0: not known */
	uint64_t connect_done_ns; /* when the last client was subscribed, or lost on the way there; 0 before */
	uint32_t count;
	uint32_t first;   /* number of client 0 among all pools of the run, which determines id and source address */
	uint32_t started; /* the clients below it have been started at least once */
	uint32_t in_progress;
	uint32_t pings_pending; /* clients with an unanswered PINGREQ */
	uint32_t ready;
	int epoll;
	uint16_t receive_max; /* the smallest that a CONNACK named */
	struct losses losses;
};

/* Opens an epoll in the calling thread's descriptor table. Returns false without memory or descriptors. */
bool client_pool_open(struct client_pool *pool, const struct client_plan *plan, uint32_t first, uint32_t count);
/* Closes what is still open, without DISCONNECT. */
void client_pool_close(struct client_pool *pool);

/* What the streams of its clients take at this end, above the sockets. */
size_t client_pool_stream_bytes(const struct client_pool *pool);

/* Starts the next client; needs started < count. A failure counts as a loss. */
void client_pool_start_next(struct client_pool *pool);
/* Starts a client that is unused or gone; not from within a turn. */
void client_pool_start(struct client_pool *pool, uint32_t index);

/* Waits for events and handles one batch of them. timeout_ms as epoll_wait's. Returns how many there were. */
int client_pool_turn(struct client_pool *pool, int timeout_ms);
/* The same with a wait in ns, below a second. */
int client_pool_turn_ns(struct client_pool *pool, uint64_t timeout_ns);

/* Sends PINGREQ. A client whose last one was not answered is lost instead. Does nothing to clients that are not ready.
 */
void client_pool_ping(struct client_pool *pool, uint32_t index);

/* Sends PINGREQ to every ready client without an unanswered one. When pings_pending is 0 again, all that the server
 * sent before its answers has been read. */
void client_pool_probe(struct client_pool *pool);

/* Writes to a ready client. What the socket does not take goes out as soon as there is room, before anything else. Does
 * nothing to a client that is not ready. */
void client_pool_send(struct client_pool *pool, uint32_t index, const uint8_t *bytes, size_t size);
/* The client is ready, and nothing waits for room in its socket. */
bool client_pool_may_send(const struct client_pool *pool, uint32_t index);

/* Counts every client that is not signed in and subscribed yet as lost, because nothing came for too long. */
void client_pool_give_up(struct client_pool *pool);
/* The same for one client; between two turns. */
void client_pool_give_up_one(struct client_pool *pool, uint32_t index);

/* DISCONNECT and close, if it is connected. */
void client_pool_leave(struct client_pool *pool, uint32_t index);
/* Closes without DISCONNECT, and passes over what has not been read: as if the network had failed. */
void client_pool_break(struct client_pool *pool, uint32_t index);

#endif
