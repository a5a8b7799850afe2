#include "admin/http/server.h"

#include "admin/http/connection.h"
#include "base/check.h"
#include "base/clock.h"
#include "reactor/poller.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_PER_TURN 64
#define ACCEPTS_PER_TURN 64
/* Enough for one request: receive, serve, send, and receive again until EAGAIN. */
#define STEPS_PER_TURN 4
/* Tags of other descriptors. A connection's tag is its index and its generation. */
#define TAG_LISTENER UINT64_MAX
#define TAG_WAKER (UINT64_MAX - 1)

_Static_assert(HTTP_REQUEST_CROWDED_MS < HTTP_REQUEST_MS, "a crowd has less time");
_Static_assert(HTTP_CONNECTIONS_MAX < UINT32_MAX, "no connection has a tag of another thing");

struct http_server {
	struct http_service service;
	struct http_connections all;
	struct poller poller;
	struct waker *waker;
	struct tls_contexts *contexts; /* NULL: without TLS */
	struct tls_context_set snapshot;
	uint32_t snapshot_version;
	int listener_fd;
	bool listens;                                              /* the poller has the listener */
	uint64_t accept_at_ms;                                     /* accepting is paused until then */
	uint32_t taken;                                            /* slots */
	struct http_connection *connections[HTTP_CONNECTIONS_MAX]; /* NULL: the slot is free */
	uint32_t generations[HTTP_CONNECTIONS_MAX];
};

struct http_server *http_server_new(const struct http_service *service, int listener_fd, struct waker *waker,
				    struct tls_contexts *contexts)
{
	struct http_server *server = calloc(1, sizeof(*server));
	if (server == NULL)
		return NULL;
	server->service = *service;
	server->all.service = &server->service;
	server->poller.fd = -1;
	server->listener_fd = listener_fd;
	server->waker = waker;
	server->contexts = contexts;
	streams_init(&server->all.streams);
	if (contexts != NULL && tls_streams_open(&server->all.tls, &server->all.streams, NULL) != ERROR_OK) {
		free(server);
		return NULL;
	}
	return server;
}

/* Handshakes that are under way go on with the context that they began with. */
static void take_contexts(struct http_server *server)
{
	if (server->contexts == NULL || tls_contexts_version(server->contexts) == server->snapshot_version)
		return;
	server->snapshot_version = tls_contexts_take(server->contexts, &server->snapshot);
	server->all.context = server->snapshot.items[SETTINGS_ADMIN];
	CHECK(server->all.context != NULL);
}

/* ---- time ---- */

static bool is_crowded(const struct http_server *server)
{
	return server->taken > HTTP_CONNECTIONS_MAX / 2;
}

static uint64_t connection_deadline_ms(const struct http_connection *connection, bool crowded)
{
	if (connection->state == HTTP_CONNECTION_LINGER)
		return connection->since_ms + HTTP_LINGER_MS;
	return connection->since_ms + (crowded ? HTTP_REQUEST_CROWDED_MS : HTTP_REQUEST_MS);
}

/* Frees the slot. Its connection may have ended by itself. */
static void close_slot(struct http_server *server, uint32_t slot)
{
	struct http_connection *connection = server->connections[slot];
	CHECK(connection != NULL && server->taken != 0);
	if (connection->state != HTTP_CONNECTION_FREE)
		http_connection_close(&server->all, connection);
	free(connection);
	server->connections[slot] = NULL;
	server->taken--;
}

static void close_late(struct http_server *server, uint64_t now_ms)
{
	bool crowded = is_crowded(server); /* decided once: closing some must not spare the others */
	for (uint32_t i = 0; i < HTTP_CONNECTIONS_MAX; i++) {
		const struct http_connection *connection = server->connections[i];
		if (connection != NULL && now_ms > connection_deadline_ms(connection, crowded))
			close_slot(server, i);
	}
}

/* Returns how long to wait for events, or -1 for as long as it takes. */
static int server_sleep_ms(const struct http_server *server, uint64_t now_ms)
{
	uint64_t until_ms = UINT64_MAX;
	bool crowded = is_crowded(server);
	for (uint32_t i = 0; i < HTTP_CONNECTIONS_MAX; i++) {
		const struct http_connection *connection = server->connections[i];
		if (connection != NULL && connection_deadline_ms(connection, crowded) < until_ms)
			until_ms = connection_deadline_ms(connection, crowded);
	}
	if (!server->listens && server->taken < HTTP_CONNECTIONS_MAX && server->accept_at_ms < until_ms)
		until_ms = server->accept_at_ms;
	if (until_ms == UINT64_MAX)
		return -1;
	return until_ms >= now_ms ? (int)(until_ms - now_ms) + 1
				  : 0; /* a deadline counts as missed one millisecond after it */
}

/* ---- new connections ---- */

/* While all slots are taken, clients wait in the listener's backlog. */
static void watch_listener(struct http_server *server, uint64_t now_ms)
{
	bool wanted = server->taken < HTTP_CONNECTIONS_MAX && now_ms >= server->accept_at_ms;
	if (wanted == server->listens)
		return;
	if (wanted && poller_add(&server->poller, server->listener_fd, TAG_LISTENER, POLLER_LEVEL_READ) != ERROR_OK) {
		server->accept_at_ms = now_ms + HTTP_ACCEPT_PAUSE_MS;
		return;
	}
	if (!wanted)
		poller_remove(&server->poller, server->listener_fd);
	server->listens = wanted;
}

static void add_connection(struct http_server *server, int fd, uint64_t now_ms)
{
	CHECK(server->taken < HTTP_CONNECTIONS_MAX); /* so there is a free slot */
	struct http_connection *connection = calloc(1, sizeof(*connection));
	if (connection == NULL) {
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)); /* a response is sent as a whole */
	take_contexts(server);
	if (!http_connection_open(&server->all, connection, fd, now_ms)) {
		free(connection);
		return;
	}
	uint32_t slot = 0;
	while (server->connections[slot] != NULL)
		slot++;
	server->connections[slot] = connection;
	server->taken++;
	uint64_t tag = (uint64_t)++server->generations[slot] << 32 | slot;
	if (poller_add(&server->poller, fd, tag, POLLER_EDGE_BOTH) != ERROR_OK)
		close_slot(server, slot);
}

static void accept_connections(struct http_server *server, uint64_t now_ms)
{
	for (int i = 0; i < ACCEPTS_PER_TURN && server->taken < HTTP_CONNECTIONS_MAX; i++) {
		int fd = accept4(server->listener_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			add_connection(server, fd, now_ms);
			continue;
		}
		/* A lack of descriptors or memory lasts, so pause instead of spinning. */
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			server->accept_at_ms = now_ms + HTTP_ACCEPT_PAUSE_MS;
		if (errno != EINTR && errno != ECONNABORTED)
			return;
	}
}

/* ---- a turn ---- */

static void note_event(struct http_server *server, const struct poller_event *event)
{
	uint32_t slot = (uint32_t)event->tag;
	uint32_t generation = (uint32_t)(event->tag >> 32);
	CHECK(slot < HTTP_CONNECTIONS_MAX);
	struct http_connection *connection = server->connections[slot];
	if (connection == NULL || server->generations[slot] != generation)
		return;
	/* After a hang-up both are tried, and their errors tell what happened. */
	connection->may_read = connection->may_read || poller_readable(event);
	connection->may_write = connection->may_write || poller_writable(event) || poller_hung_up(event);
}

/* Returns true if some connection has more to do without waiting for an event. */
static bool step_connections(struct http_server *server, uint64_t now_ms)
{
	bool more = false;
	for (uint32_t i = 0; i < HTTP_CONNECTIONS_MAX; i++) {
		struct http_connection *connection = server->connections[i];
		if (connection == NULL)
			continue;
		bool again = true;
		for (int step = 0; step < STEPS_PER_TURN && again; step++)
			again = http_connection_step(&server->all, connection, now_ms);
		more = more || again;
		if (connection->state == HTTP_CONNECTION_FREE)
			close_slot(server, i);
	}
	return more;
}

static int await_events(struct http_server *server, struct poller_event *events, bool more,
			const _Atomic bool *stopping)
{
	waker_sleep(server->waker);
	int timeout_ms = more || atomic_load(stopping) ? 0 : server_sleep_ms(server, clock_now_ms());
	int count = poller_wait(&server->poller, events, EVENTS_PER_TURN, timeout_ms);
	waker_awake(server->waker);
	return count;
}

/* Connections take their steps before deadlines are checked: a request that arrived in time is served even if another
 * one took long. */
static bool server_turn(struct http_server *server, bool more, const _Atomic bool *stopping)
{
	struct poller_event events[EVENTS_PER_TURN];
	watch_listener(server, clock_now_ms());
	int count = await_events(server, events, more, stopping);
	uint64_t now_ms = clock_now_ms();
	bool knocks = false;
	for (int i = 0; i < count; i++) {
		if (events[i].tag == TAG_LISTENER)
			knocks = true;
		else if (events[i].tag != TAG_WAKER)
			note_event(server, &events[i]);
	}
	if (knocks)
		accept_connections(server, now_ms);
	more = step_connections(server, now_ms);
	close_late(server, now_ms);
	return more;
}

enum error http_server_run(struct http_server *server, const _Atomic bool *stopping, void (*started)(void *context),
			   void *context)
{
	if (poller_open(&server->poller) != ERROR_OK ||
	    poller_add(&server->poller, server->waker->fd, TAG_WAKER, POLLER_EDGE_READ) != ERROR_OK)
		return ERROR_SYSTEM;
	started(context);
	bool more = false;
	while (!atomic_load(stopping))
		more = server_turn(server, more, stopping);
	return ERROR_OK;
}

void http_server_free(struct http_server *server)
{
	for (uint32_t i = 0; i < HTTP_CONNECTIONS_MAX; i++) {
		if (server->connections[i] != NULL)
			close_slot(server, i);
	}
	CHECK(server->taken == 0 && server->all.body_bytes == 0);
	if (server->poller.fd >= 0 || server->poller.set != NULL)
		poller_close(&server->poller);
	if (server->contexts != NULL)
		tls_streams_close(&server->all.tls);
	tls_context_set_drop(&server->snapshot);
	close(server->listener_fd);
	free(server);
}
