#include "bench/fleet.h"

#include "bench/fleet_packets.h"

#include "base/check.h"
#include "base/clock.h"
#include "mqtt/decode.h"

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
	fleet->clients = calloc(count, sizeof(*fleet->clients));
	fleet->scratch = malloc(FLEET_PACKET_BYTES_MAX);
	fleet->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (fleet->clients != NULL && fleet->scratch != NULL && fleet->epoll >= 0)
		return true;
	free(fleet->clients);
	free(fleet->scratch);
	if (fleet->epoll >= 0)
		close(fleet->epoll);
	return false;
}

static void client_free(struct client *client)
{
	close(client->fd);
	free(client->rest);
	client->rest = NULL;
	client->rest_size = 0;
	client->fd = -1;
}

void fleet_close(struct fleet *fleet)
{
	for (uint32_t i = 0; i < fleet->started; i++) {
		if (fleet->clients[i].state != CLIENT_GONE)
			client_free(&fleet->clients[i]);
	}
	close(fleet->epoll);
	free(fleet->clients);
	free(fleet->scratch);
}

/* The one place that changes a client's state and the counters with it. */
static void set_state(struct fleet *fleet, struct client *client, enum client_state state)
{
	bool was_underway = client->state > CLIENT_UNUSED && client->state < CLIENT_READY;
	bool is_underway = state > CLIENT_UNUSED && state < CLIENT_READY;
	CHECK(state > client->state);
	fleet->in_progress += is_underway;
	fleet->in_progress -= was_underway;
	if (client->state == CLIENT_READY)
		fleet->ready--;
	if (state == CLIENT_READY)
		fleet->ready++;
	if (was_underway && !is_underway && fleet->started == fleet->count && fleet->in_progress == 0)
		fleet->settled_ns = clock_now_ns();
	client->state = (uint8_t)state;
}

static void lose(struct fleet *fleet, struct client *client, enum loss kind, uint32_t code)
{
	losses_add(&fleet->losses, kind, code);
	if (client->fd >= 0)
		client_free(client);
	set_state(fleet, client, CLIENT_GONE);
}

/* For control packets, which are so small that a socket without room for them means a server that does not read. */
static bool send_control(struct fleet *fleet, struct client *client, const uint8_t *bytes, size_t size)
{
	ssize_t sent = send(client->fd, bytes, size, MSG_NOSIGNAL);
	if (sent == (ssize_t)size)
		return true;
	if (sent >= 0 || errno == EAGAIN)
		lose(fleet, client, LOSS_BLOCKED, 0);
	else
		lose(fleet, client, LOSS_RESET, (uint32_t)errno);
	return false;
}

static uint32_t topic_of(const struct fleet *fleet, uint32_t index)
{
	return fleet->events.topic_of != NULL ? fleet->events.topic_of(fleet->owner, index) : FLEET_NO_TOPIC;
}

/* CONNECT, and with plan->pipeline SUBSCRIBE behind it. False while TCP is not up yet: then nothing was sent. */
static bool send_greeting(struct fleet *fleet, uint32_t index)
{
	struct client *client = &fleet->clients[index];
	uint8_t packet[FLEET_GREETING_BYTES_MAX];
	uint32_t topic = fleet->plan->pipeline ? topic_of(fleet, index) : FLEET_NO_TOPIC;
	size_t size = fleet_greeting_encode(fleet->plan, fleet->first + index, topic, packet);
	ssize_t sent = send(client->fd, packet, size, MSG_NOSIGNAL);
	if (sent < 0 && errno == EAGAIN)
		return false;
	if (sent != (ssize_t)size)
		lose(fleet, client, LOSS_CONNECT, sent < 0 ? (uint32_t)errno : 0);
	else
		set_state(fleet, client, CLIENT_GREETING);
	return true;
}

/* On loopback the three-way handshake is over when connect() returns, so CONNECT goes out at once and the socket is
 * registered once, for what comes back. */
void fleet_start_next(struct fleet *fleet)
{
	uint32_t index = fleet->started++;
	struct client *client = &fleet->clients[index];
	client->fd = dial_start(&fleet->plan->dial, fleet->first + index);
	if (client->fd < 0) {
		lose(fleet, client, LOSS_CONNECT, (uint32_t)-client->fd);
		return;
	}
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.u32 = index};
	if (!send_greeting(fleet, index))
		set_state(fleet, client, CLIENT_CONNECTING);
	if (client->state == CLIENT_CONNECTING || fleet->plan->writes)
		event.events |= EPOLLOUT;
	if (client->state != CLIENT_GONE && epoll_ctl(fleet->epoll, EPOLL_CTL_ADD, client->fd, &event) != 0)
		lose(fleet, client, LOSS_CONNECT, (uint32_t)errno);
}

static void take_connack(struct fleet *fleet, uint32_t index, struct slice body)
{
	struct client *client = &fleet->clients[index];
	struct mqtt_connack connack;
	if (client->state != CLIENT_GREETING || mqtt_connack_decode(body, fleet->plan->version, &connack) != ERROR_OK) {
		lose(fleet, client, LOSS_PROTOCOL, 0);
		return;
	}
	if (connack.reason != 0) {
		lose(fleet, client, LOSS_REFUSED, connack.reason);
		return;
	}
	uint32_t topic = topic_of(fleet, index);
	if (topic == FLEET_NO_TOPIC) {
		set_state(fleet, client, CLIENT_READY);
		return;
	}
	uint8_t packet[FLEET_GREETING_BYTES_MAX];
	size_t size = fleet->plan->pipeline ? 0 : fleet_subscribe_encode(fleet->plan, topic, packet, sizeof(packet));
	if (size == 0 || send_control(fleet, client, packet, size))
		set_state(fleet, client, CLIENT_SUBSCRIBING);
}

static void take_suback(struct fleet *fleet, struct client *client, struct slice body)
{
	struct mqtt_suback suback;
	enum error fault = mqtt_suback_decode(body, MQTT_SUBACK, fleet->plan->version, &suback);
	if (client->state != CLIENT_SUBSCRIBING || fault != ERROR_OK || suback.codes.size != 1)
		lose(fleet, client, LOSS_PROTOCOL, 0);
	else if (suback.codes.data[0] >= 0x80)
		lose(fleet, client, LOSS_SUBSCRIBE, suback.codes.data[0]);
	else
		set_state(fleet, client, CLIENT_READY);
}

static void take_publish(struct fleet *fleet, uint32_t index, uint8_t flags, struct slice body)
{
	struct mqtt_publish publish;
	if (mqtt_publish_decode(body, flags, fleet->plan->version, true, &publish) != ERROR_OK)
		lose(fleet, &fleet->clients[index], LOSS_PROTOCOL, 0);
	else if (fleet->events.message != NULL)
		fleet->events.message(fleet->owner, index, publish.payload);
}

static void take_packet(struct fleet *fleet, uint32_t index, uint8_t first_byte, struct slice body)
{
	struct client *client = &fleet->clients[index];
	struct mqtt_disconnect disconnect;
	switch (first_byte >> 4) {
	case MQTT_PUBLISH:
		take_publish(fleet, index, first_byte & 0x0Fu, body);
		break;
	case MQTT_PINGRESP:
		client->ping_pending = false;
		break;
	case MQTT_CONNACK:
		take_connack(fleet, index, body);
		break;
	case MQTT_SUBACK:
		take_suback(fleet, client, body);
		break;
	case MQTT_DISCONNECT:
		if (mqtt_disconnect_decode(body, fleet->plan->version, true, &disconnect) == ERROR_OK) {
			lose(fleet, client, LOSS_DISCONNECT, disconnect.reason);
			break;
		}
		/* fall through */
	default:
		lose(fleet, client, LOSS_PROTOCOL, 0);
	}
}

/* Takes whole packets off bytes. Returns how many bytes that were; the client may be gone afterwards. */
static size_t take_packets(struct fleet *fleet, uint32_t index, const uint8_t *bytes, size_t size)
{
	struct client *client = &fleet->clients[index];
	size_t used = 0;
	while (client->state != CLIENT_GONE && used < size) {
		struct mqtt_header header;
		enum error error = mqtt_header_decode(bytes + used, size - used, &header);
		size_t whole = error == ERROR_OK ? (size_t)header.header_bytes + header.body_bytes : 0;
		if ((error != ERROR_OK && error != ERROR_MORE) || whole > FLEET_PACKET_BYTES_MAX) {
			lose(fleet, client, LOSS_PROTOCOL, 0);
			break;
		}
		if (error == ERROR_MORE || whole > size - used)
			break;
		take_packet(fleet, index, bytes[used], slice_of(bytes + used + header.header_bytes, header.body_bytes));
		used += whole;
	}
	return used;
}

/* Keeps the start of a packet for the next read. */
static void keep_rest(struct fleet *fleet, struct client *client, const uint8_t *bytes, size_t size)
{
	if (size == 0)
		return;
	client->rest = malloc(size);
	if (client->rest == NULL) {
		lose(fleet, client, LOSS_RESET, ENOMEM);
		return;
	}
	memcpy(client->rest, bytes, size);
	client->rest_size = (uint32_t)size;
}

static size_t restore_rest(struct client *client, uint8_t *out)
{
	size_t size = client->rest_size;
	if (size == 0)
		return 0;
	memcpy(out, client->rest, size);
	free(client->rest);
	client->rest = NULL;
	client->rest_size = 0;
	return size;
}

/* Reads until a short read says that the socket is empty: this saves the call that would return EAGAIN. */
static void read_client(struct fleet *fleet, uint32_t index, uint32_t events)
{
	struct client *client = &fleet->clients[index];
	bool emptied = false;
	while (!emptied && client->state != CLIENT_GONE) {
		size_t kept = restore_rest(client, fleet->scratch);
		size_t room = FLEET_PACKET_BYTES_MAX - kept;
		ssize_t got = recv(client->fd, fleet->scratch + kept, room, 0);
		if (got == 0) {
			lose(fleet, client, LOSS_CLOSED, 0);
			return;
		}
		if (got < 0 && errno != EAGAIN && errno != EINTR) {
			lose(fleet, client, client->state == CLIENT_CONNECTING ? LOSS_CONNECT : LOSS_RESET,
			     (uint32_t)errno);
			return;
		}
		emptied = got < (ssize_t)room && !(got < 0 && errno == EINTR);
		size_t size = kept + (got > 0 ? (size_t)got : 0);
		size_t used = got > 0 ? take_packets(fleet, index, fleet->scratch, size) : 0;
		if (client->state != CLIENT_GONE)
			keep_rest(fleet, client, fleet->scratch + used, size - used);
	}
	if (client->state != CLIENT_GONE && (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
		lose(fleet, client, LOSS_CLOSED, 0);
}

static void handle(struct fleet *fleet, uint32_t index, uint32_t events)
{
	struct client *client = &fleet->clients[index];
	if (client->state == CLIENT_GONE)
		return;
	if (client->state == CLIENT_CONNECTING && (events & EPOLLOUT) != 0 && (events & (EPOLLERR | EPOLLHUP)) == 0)
		send_greeting(fleet, index);
	if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
		read_client(fleet, index, events);
	if ((events & EPOLLOUT) != 0 && client->state == CLIENT_READY && fleet->events.writable != NULL)
		fleet->events.writable(fleet->owner, index);
}

int fleet_turn(struct fleet *fleet, int timeout_ms)
{
	struct epoll_event events[EVENTS_MAX];
	int count = epoll_wait(fleet->epoll, events, EVENTS_MAX, timeout_ms);
	for (int i = 0; i < count; i++)
		handle(fleet, events[i].data.u32, events[i].events);
	return count;
}

void fleet_ping(struct fleet *fleet, uint32_t index)
{
	static const uint8_t pingreq[] = {MQTT_PINGREQ << 4, 0};
	struct client *client = &fleet->clients[index];
	if (client->state != CLIENT_READY)
		return;
	if (client->ping_pending)
		lose(fleet, client, LOSS_NO_PINGRESP, 0);
	else if (send_control(fleet, client, pingreq, sizeof(pingreq)))
		client->ping_pending = true;
}

size_t fleet_send(struct fleet *fleet, uint32_t index, const uint8_t *bytes, size_t size)
{
	struct client *client = &fleet->clients[index];
	if (client->state != CLIENT_READY)
		return 0;
	ssize_t sent = send(client->fd, bytes, size, MSG_NOSIGNAL);
	if (sent >= 0)
		return (size_t)sent;
	if (errno != EAGAIN)
		lose(fleet, client, LOSS_RESET, (uint32_t)errno);
	return 0;
}

void fleet_give_up(struct fleet *fleet)
{
	for (uint32_t i = 0; i < fleet->started; i++) {
		struct client *client = &fleet->clients[i];
		if (client->state == CLIENT_CONNECTING)
			lose(fleet, client, LOSS_CONNECT, ETIMEDOUT);
		else if (client->state < CLIENT_READY)
			lose(fleet, client, LOSS_NO_ANSWER, 0);
	}
}

void fleet_leave(struct fleet *fleet, uint32_t index)
{
	static const uint8_t disconnect[] = {MQTT_DISCONNECT << 4, 0};
	struct client *client = &fleet->clients[index];
	if (client->state == CLIENT_GONE || client->state == CLIENT_UNUSED)
		return;
	if (client->state == CLIENT_READY)
		send(client->fd, disconnect, sizeof(disconnect), MSG_NOSIGNAL);
	client_free(client);
	set_state(fleet, client, CLIENT_GONE);
}
