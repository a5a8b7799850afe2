#include "bench/fleet.h"

#include "bench/fleet_io.h"
#include "bench/fleet_packets.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS_MAX 1024

_Static_assert(sizeof(struct client) <= 24, "a million clients must not weigh on the machine that is measured");

bool fleet_open(struct fleet *fleet, const struct fleet_plan *plan, uint32_t first, uint32_t count)
{
	memset(fleet, 0, sizeof(*fleet));
	fleet->plan = plan;
	fleet->first = first;
	fleet->count = count;
	fleet->receive_max = UINT16_MAX;
	fleet->clients = calloc(count, sizeof(*fleet->clients));
	fleet->scratch = malloc(FLEET_PACKET_BYTES_MAX);
	fleet->answers = malloc(FLEET_PACKET_BYTES_MAX);
	fleet->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (fleet->clients != NULL && fleet->scratch != NULL && fleet->answers != NULL && fleet->epoll >= 0)
		return true;
	fleet_close(fleet);
	return false;
}

void fleet_close(struct fleet *fleet)
{
	for (uint32_t i = 0; fleet->clients != NULL && i < fleet->started; i++) {
		if (fleet->clients[i].state != CLIENT_GONE)
			fleet_free_client(&fleet->clients[i]);
	}
	if (fleet->epoll >= 0)
		close(fleet->epoll);
	free(fleet->clients);
	free(fleet->scratch);
	free(fleet->answers);
}

/* CONNECT, and with plan->pipeline SUBSCRIBE behind it. False while TCP is not up yet: then nothing was sent. */
static bool send_greeting(struct fleet *fleet, uint32_t index)
{
	struct client *client = &fleet->clients[index];
	uint8_t packet[FLEET_GREETING_BYTES_MAX];
	uint32_t topic = fleet->plan->pipeline ? fleet_topic_of(fleet, index) : FLEET_NO_TOPIC;
	size_t size = fleet_greeting_encode(fleet->plan, fleet_number_of(fleet, index), topic, packet);
	ssize_t sent = send(client->fd, packet, size, MSG_NOSIGNAL);
	if (sent < 0 && errno == EAGAIN)
		return false;
	if (sent != (ssize_t)size)
		fleet_lose(fleet, index, LOSS_CONNECT, sent < 0 ? (uint32_t)errno : 0);
	else
		fleet_set_state(fleet, client, CLIENT_GREETING);
	return true;
}

/* On loopback the three-way handshake is over when connect() returns, so CONNECT goes out at once and the socket is
 * registered once, for what comes back. */
void fleet_start(struct fleet *fleet, uint32_t index)
{
	struct client *client = &fleet->clients[index];
	CHECK(index <= fleet->started && index < fleet->count);
	if (index == fleet->started)
		fleet->started++;
	else
		fleet_set_state(fleet, client, CLIENT_UNUSED);
	client->ping_pending = false;
	client->fd = dial_start(&fleet->plan->dial, fleet_number_of(fleet, index));
	if (client->fd < 0) {
		fleet_lose(fleet, index, LOSS_CONNECT, (uint32_t)-client->fd);
		return;
	}
	static const int on = 1;
	if (fleet->plan->arrivals)
		setsockopt(client->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.u32 = index};
	if (!send_greeting(fleet, index))
		fleet_set_state(fleet, client, CLIENT_CONNECTING);
	if (client->state == CLIENT_CONNECTING || fleet->plan->writes)
		event.events |= EPOLLOUT;
	if (client->state != CLIENT_GONE && epoll_ctl(fleet->epoll, EPOLL_CTL_ADD, client->fd, &event) != 0)
		fleet_lose(fleet, index, LOSS_CONNECT, (uint32_t)errno);
}

void fleet_start_next(struct fleet *fleet)
{
	fleet_start(fleet, fleet->started);
}

static void handle(struct fleet *fleet, uint32_t index, uint32_t events)
{
	struct client *client = &fleet->clients[index];
	if (client->state == CLIENT_GONE)
		return;
	if (client->state == CLIENT_CONNECTING && (events & EPOLLOUT) != 0 && (events & (EPOLLERR | EPOLLHUP)) == 0)
		send_greeting(fleet, index);
	if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
		fleet_read(fleet, index, events);
	if ((events & EPOLLOUT) != 0 && client->state == CLIENT_READY && fleet_write_unsent(fleet, index) &&
	    fleet->events.writable != NULL)
		fleet->events.writable(fleet->owner, index);
}

static int handle_all(struct fleet *fleet, const struct epoll_event *events, int count)
{
	for (int i = 0; i < count; i++)
		handle(fleet, events[i].data.u32, events[i].events);
	return count;
}

int fleet_turn(struct fleet *fleet, int timeout_ms)
{
	struct epoll_event events[EVENTS_MAX];
	return handle_all(fleet, events, epoll_wait(fleet->epoll, events, EVENTS_MAX, timeout_ms));
}

int fleet_turn_ns(struct fleet *fleet, uint64_t timeout_ns)
{
	struct epoll_event events[EVENTS_MAX];
	struct timespec wait = {.tv_nsec = (long)timeout_ns};
	return handle_all(fleet, events, epoll_pwait2(fleet->epoll, events, EVENTS_MAX, &wait, NULL));
}

void fleet_ping(struct fleet *fleet, uint32_t index)
{
	static const uint8_t pingreq[] = {MQTT_PINGREQ << 4, 0};
	struct client *client = &fleet->clients[index];
	if (client->state != CLIENT_READY)
		return;
	if (client->ping_pending)
		fleet_lose(fleet, index, LOSS_NO_PINGRESP, 0);
	else if (fleet_write(fleet, index, pingreq, sizeof(pingreq)))
		client->ping_pending = true;
}

void fleet_send(struct fleet *fleet, uint32_t index, const uint8_t *bytes, size_t size)
{
	if (fleet->clients[index].state == CLIENT_READY)
		fleet_write(fleet, index, bytes, size);
}

bool fleet_may_send(const struct fleet *fleet, uint32_t index)
{
	const struct client *client = &fleet->clients[index];
	return client->state == CLIENT_READY && client->unsent == NULL;
}

void fleet_give_up_one(struct fleet *fleet, uint32_t index)
{
	enum client_state state = fleet->clients[index].state;
	if (state == CLIENT_CONNECTING)
		fleet_lose(fleet, index, LOSS_CONNECT, ETIMEDOUT);
	else if (state < CLIENT_READY)
		fleet_lose(fleet, index, LOSS_NO_ANSWER, 0);
}

void fleet_give_up(struct fleet *fleet)
{
	for (uint32_t i = 0; i < fleet->started; i++)
		fleet_give_up_one(fleet, i);
}

void fleet_leave(struct fleet *fleet, uint32_t index)
{
	static const uint8_t disconnect[] = {MQTT_DISCONNECT << 4, 0};
	struct client *client = &fleet->clients[index];
	if (client->state == CLIENT_GONE || client->state == CLIENT_UNUSED)
		return;
	if (fleet_may_send(fleet, index))
		send(client->fd, disconnect, sizeof(disconnect), MSG_NOSIGNAL);
	fleet_free_client(client);
	fleet_set_state(fleet, client, CLIENT_GONE);
}
