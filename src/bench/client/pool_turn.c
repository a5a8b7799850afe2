#include "bench/client/pool.h"

#include "bench/client/opening.h"
#include "bench/client/packets.h"
#include "bench/client/pool_io.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS_MAX 1024

_Static_assert(sizeof(struct client) <= 24, "a million clients must not weigh on the machine that is measured");

bool client_pool_open(struct client_pool *pool, const struct client_plan *plan, uint32_t first, uint32_t count)
{
	memset(pool, 0, sizeof(*pool));
	pool->plan = plan;
	pool->first = first;
	pool->count = count;
	pool->receive_max = UINT16_MAX;
	pool->clients = calloc(count, sizeof(*pool->clients));
	pool->scratch = malloc(CLIENT_PACKET_BYTES_MAX);
	pool->answers = malloc(CLIENT_PACKET_BYTES_MAX);
	pool->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (pool->clients != NULL && pool->scratch != NULL && pool->answers != NULL && pool->epoll >= 0 &&
	    opening_prepare(pool))
		return true;
	client_pool_close(pool);
	return false;
}

void client_pool_close(struct client_pool *pool)
{
	for (uint32_t i = 0; pool->clients != NULL && i < pool->started; i++) {
		if (pool->clients[i].state != CLIENT_GONE)
			client_release(pool, &pool->clients[i]);
	}
	opening_finish(pool);
	if (pool->epoll >= 0)
		close(pool->epoll);
	free(pool->clients);
	free(pool->scratch);
	free(pool->answers);
}

size_t client_pool_greeting(const struct client_pool *pool, uint32_t index, uint8_t *out)
{
	uint32_t topic = pool->plan->pipeline ? client_pool_topic_of(pool, index) : CLIENT_NO_TOPIC;
	return client_greeting_encode(pool->plan, client_pool_number_of(pool, index), topic, out);
}

bool client_pool_greet(struct client_pool *pool, uint32_t index)
{
	struct client *client = &pool->clients[index];
	uint8_t packet[CLIENT_GREETING_BYTES_MAX];
	size_t size = client_pool_greeting(pool, index, packet);
	ssize_t sent = stream_send(&pool->streams, client->stream, packet, size);
	if (sent < 0 && errno == EAGAIN && client->state < CLIENT_OPENING)
		return false;
	if (sent != (ssize_t)size)
		client_pool_lose(pool, index, LOSS_CONNECT, sent < 0 ? (uint32_t)errno : 0);
	else
		client_pool_set_state(pool, client, CLIENT_GREETING);
	return true;
}

/* What comes first on a connection. Returns false if TCP is not up yet and nothing was sent. */
static bool send_first(struct client_pool *pool, uint32_t index)
{
	return pool->plan->dial.transport != NULL ? opening_start(pool, index) : client_pool_greet(pool, index);
}

/* On loopback the three-way handshake is over when connect() returns, so the first bytes go out at once and the socket
 * is registered only once, for the answer. */
void client_pool_start(struct client_pool *pool, uint32_t index)
{
	struct client *client = &pool->clients[index];
	CHECK(index <= pool->started && index < pool->count);
	if (index == pool->started)
		pool->started++;
	else
		client_pool_set_state(pool, client, CLIENT_UNUSED);
	CHECK(!client->ping_pending);
	int fd = dial_start(&pool->plan->dial, client_pool_number_of(pool, index));
	client->stream = fd < 0 ? STREAM_NONE : stream_of(STREAM_DESCRIPTOR, fd);
	if (fd < 0) {
		client_pool_lose(pool, index, LOSS_CONNECT, (uint32_t)-fd);
		return;
	}
	static const int on = 1;
	if (pool->plan->arrivals)
		setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.u32 = index};
	if (!send_first(pool, index))
		client_pool_set_state(pool, client, CLIENT_CONNECTING);
	if (client->state == CLIENT_CONNECTING || pool->plan->writes)
		event.events |= EPOLLOUT;
	if (client->state != CLIENT_GONE && epoll_ctl(pool->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
		client_pool_lose(pool, index, LOSS_CONNECT, (uint32_t)errno);
}

void client_pool_start_next(struct client_pool *pool)
{
	CHECK(pool->started < pool->count);
	client_pool_start(pool, pool->started);
}

static void handle(struct client_pool *pool, uint32_t index, uint32_t events)
{
	CHECK(index < pool->started);
	struct client *client = &pool->clients[index];
	if (client->state == CLIENT_GONE)
		return;
	if (client->state == CLIENT_CONNECTING && (events & EPOLLOUT) != 0 && (events & (EPOLLERR | EPOLLHUP)) == 0)
		send_first(pool, index);
	if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
		client_pool_read(pool, index, events);
	if ((events & EPOLLOUT) != 0 && client->state > CLIENT_OPENING && stream_is_layered(client->stream))
		stream_flush(&pool->streams, client->stream);
	if ((events & EPOLLOUT) != 0 && client->state == CLIENT_READY && client_pool_write_unsent(pool, index) &&
	    pool->events.writable != NULL)
		pool->events.writable(pool->owner, index);
}

static int handle_all(struct client_pool *pool, const struct epoll_event *events, int count)
{
	for (int i = 0; i < count; i++)
		handle(pool, events[i].data.u32, events[i].events);
	return count;
}

int client_pool_turn(struct client_pool *pool, int timeout_ms)
{
	struct epoll_event events[EVENTS_MAX];
	return handle_all(pool, events, epoll_wait(pool->epoll, events, EVENTS_MAX, timeout_ms));
}

int client_pool_turn_ns(struct client_pool *pool, uint64_t timeout_ns)
{
	CHECK(timeout_ns < 1000000000u);
	struct epoll_event events[EVENTS_MAX];
	struct timespec wait = {.tv_nsec = (long)timeout_ns};
	return handle_all(pool, events, epoll_pwait2(pool->epoll, events, EVENTS_MAX, &wait, NULL));
}

static void send_ping(struct client_pool *pool, uint32_t index)
{
	static const uint8_t pingreq[] = {MQTT_PINGREQ << 4, 0};
	if (client_pool_write(pool, index, pingreq, sizeof(pingreq)))
		client_set_ping_pending(pool, &pool->clients[index], true);
}

void client_pool_ping(struct client_pool *pool, uint32_t index)
{
	struct client *client = &pool->clients[index];
	CHECK(index < pool->count);
	if (client->state != CLIENT_READY)
		return;
	/* A probe may be too young to have been answered. From now on it counts as this ping. */
	if (client->is_probe)
		client->is_probe = false;
	else if (client->ping_pending)
		client_pool_lose(pool, index, LOSS_NO_PINGRESP, 0);
	else
		send_ping(pool, index);
}

void client_pool_probe(struct client_pool *pool)
{
	for (uint32_t i = 0; i < pool->started; i++) {
		struct client *client = &pool->clients[i];
		if (client->state != CLIENT_READY || client->ping_pending)
			continue;
		send_ping(pool, i);
		client->is_probe = client->ping_pending;
	}
}

void client_pool_send(struct client_pool *pool, uint32_t index, const uint8_t *bytes, size_t size)
{
	CHECK(index < pool->count);
	if (pool->clients[index].state == CLIENT_READY)
		client_pool_write(pool, index, bytes, size);
}

bool client_pool_may_send(const struct client_pool *pool, uint32_t index)
{
	const struct client *client = &pool->clients[index];
	return client->state == CLIENT_READY && client->unsent == NULL;
}

void client_pool_give_up_one(struct client_pool *pool, uint32_t index)
{
	CHECK(index < pool->started);
	enum client_state state = pool->clients[index].state;
	if (state == CLIENT_CONNECTING)
		client_pool_lose(pool, index, LOSS_CONNECT, ETIMEDOUT);
	else if (state < CLIENT_READY)
		client_pool_lose(pool, index, LOSS_NO_ANSWER, 0);
}

void client_pool_give_up(struct client_pool *pool)
{
	for (uint32_t i = 0; i < pool->started; i++)
		client_pool_give_up_one(pool, i);
}

void client_pool_break(struct client_pool *pool, uint32_t index)
{
	struct client *client = &pool->clients[index];
	if (client->state == CLIENT_GONE || client->state == CLIENT_UNUSED)
		return;
	client_release(pool, client);
	client_pool_set_state(pool, client, CLIENT_GONE);
}

void client_pool_leave(struct client_pool *pool, uint32_t index)
{
	static const uint8_t disconnect[] = {MQTT_DISCONNECT << 4, 0};
	const struct client *client = &pool->clients[index];
	if (client->state == CLIENT_GONE || client->state == CLIENT_UNUSED)
		return;
	if (client_pool_may_send(pool, index))
		stream_send(&pool->streams, client->stream, disconnect, sizeof(disconnect));
	client_pool_break(pool, index);
}
