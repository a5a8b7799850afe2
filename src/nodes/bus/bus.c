#include "nodes/bus/bus.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/hash.h"
#include "nodes/bus/dial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* libnats reads so much at once, and asks to write when so much waits. */
#define IO_BYTES (256 * 1024)
#define CLOSE_MS 2000u
/* What waits at the end may go for so long. */
#define LAST_FLUSH_MS 300u
/* What the bus sends to itself: this, and a number of 64 bits. */
#define PROBE_BYTES 10u

struct bus {
	struct nats_library nats;
	struct bus_receiver receiver;
	struct bus_status status;
	struct bus_url urls[BUS_URLS_MAX];
	uint32_t url_count;
	uint32_t url_next;
	uint32_t tried; /* URLs since the last pause */
	uint32_t pause_ms;
	uint64_t random;
	char cluster[NODE_NAME_BYTES_MAX + 1];
	struct bus_address all, own;
	int waker_fd;
	struct dial *dial;
	bool is_dialling;
	bool shares_library;
	struct nats_wire *wire; /* NULL: not connected */
	bool is_lost;           /* it is to be ended where no call of libnats is under way */
	size_t buffered_bytes;
	uint64_t probe_number;
	uint64_t probe_at_ms;
	uint64_t echo_ms; /* when a probe last came back */
	uint64_t try_at_ms;
	uint64_t now_ms; /* of the last bus_process() */
};

/* ---- addresses ---- */

void bus_address_of(const struct bus *bus, struct slice node, struct bus_address *address)
{
	CHECK(node_name_is_valid(node));
	int size = snprintf(address->subject, sizeof(address->subject), "roost.%s.node.", bus->cluster);
	CHECK_LT((size_t)size + node.size, sizeof(address->subject));
	/* A dot would begin another word of the subject, and no name has a tilde. */
	for (size_t i = 0; i < node.size; i++)
		address->subject[(size_t)size + i] = node.data[i] == '.' ? '~' : (char)node.data[i];
	address->subject[(size_t)size + node.size] = '\0';
}

/* ---- life ---- */

static void copy_path(char to[DIAL_PATH_BYTES], const char *from)
{
	snprintf(to, DIAL_PATH_BYTES, "%s", from != NULL ? from : "");
}

static bool start_dial(struct bus *bus, const struct bus_settings *settings)
{
	struct dial_settings *dial = calloc(1, sizeof(*dial));
	if (dial == NULL)
		return false;
	dial->nats = bus->nats;
	dial->connect_ms = BUS_CONNECT_MS;
	dial->stall_ms = BUS_STALL_MS;
	dial->io_bytes = IO_BYTES;
	snprintf(dial->name, sizeof(dial->name), "roost %s/%s", settings->cluster, settings->node);
	snprintf(dial->subjects[BUS_ALL], BUS_TEXT_BYTES, "%s", bus->all.subject);
	snprintf(dial->subjects[BUS_NODE], BUS_TEXT_BYTES, "%s", bus->own.subject);
	copy_path(dial->credentials, settings->credentials);
	copy_path(dial->ca_file, settings->ca_file);
	copy_path(dial->certificate, settings->certificate);
	copy_path(dial->key, settings->key);
	bus->dial = dial_new(dial, bus->waker_fd);
	free(dial);
	return bus->dial != NULL;
}

static void close_library(const struct bus *bus)
{
	if (!bus->shares_library)
		bus->nats.CloseAndWait(CLOSE_MS / 2);
}

/* false: `text` says why. */
static bool open_parts(struct bus *bus, const struct bus_settings *settings, char text[BUS_TEXT_BYTES])
{
	const char *fault;
	bus->url_count = bus_urls_read(settings->urls, bus->urls, text);
	if (bus->url_count == 0)
		return false;
	if (!nats_library_load(&bus->nats, &fault)) {
		snprintf(text, BUS_TEXT_BYTES, "%s", fault);
		return false;
	}
	/* Its own threads begin here, with this thread's descriptor table. */
	if (bus->nats.Open(-1) != NATS_OK) {
		snprintf(text, BUS_TEXT_BYTES, "libnats cannot be initialised");
		return false;
	}
	bus->waker_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (bus->waker_fd >= 0 && start_dial(bus, settings))
		return true;
	snprintf(text, BUS_TEXT_BYTES, "no thread or no descriptor for connecting");
	close_library(bus);
	return false;
}

struct bus *bus_new(const struct bus_settings *settings, struct bus_receiver receiver, uint64_t now_ms,
		    char text[BUS_TEXT_BYTES])
{
	struct bus *bus = calloc(1, sizeof(*bus));
	if (bus == NULL) {
		snprintf(text, BUS_TEXT_BYTES, "out of memory");
		return NULL;
	}
	bus->receiver = receiver;
	bus->shares_library = settings->shares_library;
	bus->waker_fd = -1;
	bus->try_at_ms = bus->now_ms = bus->status.since_ms = now_ms;
	bus->pause_ms = BUS_PAUSE_MS_MIN;
	bus->status.state = BUS_WAITING;
	struct hash_key key = hash_key_random();
	memcpy(&bus->random, key.bytes, sizeof(bus->random));
	bus->random |= 1;
	snprintf(bus->cluster, sizeof(bus->cluster), "%s", settings->cluster);
	snprintf(bus->all.subject, sizeof(bus->all.subject), "roost.%s.all", bus->cluster);
	bus_address_of(bus, slice_string(settings->node), &bus->own);
	if (open_parts(bus, settings, text))
		return bus;
	if (bus->waker_fd >= 0)
		close(bus->waker_fd);
	free(bus);
	return NULL;
}

/* ---- the connection's end, and the next one ---- */

static void set_bus_state(struct bus *bus, enum bus_state state)
{
	bus->status.state = state;
	bus->status.since_ms = bus->now_ms;
}

static void note_error(struct bus *bus, const char *text)
{
	snprintf(bus->status.error, sizeof(bus->status.error), "%s", text);
	bus->status.error_ms = bus->now_ms;
}

/* Of what there is to be waited: with a random part, so that nodes do not come all at once. */
static uint32_t next_pause_ms(struct bus *bus)
{
	uint32_t pause_ms = bus->pause_ms;
	bus->random ^= bus->random << 13;
	bus->random ^= bus->random >> 7;
	bus->random ^= bus->random << 17;
	bus->pause_ms = pause_ms * 2 < BUS_PAUSE_MS_MAX ? pause_ms * 2 : BUS_PAUSE_MS_MAX;
	return pause_ms / 2 + (uint32_t)(bus->random % (pause_ms / 2 + 1));
}

static void schedule_try(struct bus *bus)
{
	set_bus_state(bus, BUS_WAITING);
	bus->url_next = (bus->url_next + 1) % bus->url_count;
	bus->tried++;
	bus->try_at_ms = bus->now_ms;
	if (bus->tried < bus->url_count)
		return;
	bus->tried = 0;
	bus->try_at_ms += next_pause_ms(bus);
}

static void lose_wire(struct bus *bus, const char *why)
{
	bool was_connected = bus->status.state == BUS_CONNECTED;
	note_error(bus, why);
	nats_wire_free(bus->wire);
	bus->wire = NULL;
	bus->is_lost = false;
	bus->buffered_bytes = 0;
	schedule_try(bus);
	if (was_connected)
		bus->receiver.on_lost(bus->receiver.context);
}

/* What libnats says of it, or else our own words. */
static void lose_broken(struct bus *bus, const char *otherwise)
{
	const char *text = NULL;
	char why[BUS_TEXT_BYTES];
	natsStatus status = bus->nats.Connection_GetLastError(bus->wire->connection, &text);
	if (status != NATS_OK && text != NULL && *text != '\0')
		snprintf(why, sizeof(why), "%s: %s", otherwise, text);
	else
		snprintf(why, sizeof(why), "%s", otherwise);
	lose_wire(bus, why);
}

static void try_now(struct bus *bus)
{
	const struct bus_url *url = &bus->urls[bus->url_next];
	set_bus_state(bus, BUS_CONNECTING);
	memcpy(bus->status.url, url->shown, sizeof(bus->status.url));
	bus->status.tries++;
	bus->is_dialling = true;
	dial_begin(bus->dial, url);
}

/* ---- sending ---- */

static void write_wire(struct bus *bus)
{
	if (!bus->wire->wants_write || nats_wire_has_ended(bus->wire))
		return;
	dial_enter(bus->dial, bus->wire->fd);
	bus->buffered_bytes = nats_wire_write(bus->wire);
	dial_leave(bus->dial);
	if (nats_wire_has_ended(bus->wire))
		bus->is_lost = true;
}

static bool publish_datagram(struct bus *bus, const char *subject, struct slice datagram)
{
	if (bus->wire == NULL || bus->is_lost || bus->buffered_bytes >= 2 * (size_t)BUS_BUFFER_BYTES ||
	    datagram.size > INT32_MAX) {
		bus->status.dropped_unsent++;
		return false;
	}
	natsStatus status =
		bus->nats.Connection_Publish(bus->wire->connection, subject, datagram.data, (int)datagram.size);
	if (status != NATS_OK) {
		bus->status.dropped_unsent++;
		return false;
	}
	bus->buffered_bytes += datagram.size;
	bus->status.datagrams_sent++;
	bus->status.bytes_sent += datagram.size;
	return true;
}

bool bus_has_room(struct bus *bus)
{
	if (bus->status.state != BUS_CONNECTED)
		return false;
	if (bus->buffered_bytes >= BUS_BUFFER_BYTES && !bus->is_lost)
		write_wire(bus);
	return bus->buffered_bytes < BUS_BUFFER_BYTES && !bus->is_lost;
}

static bool send_connected(struct bus *bus, const struct bus_address *to, struct slice datagram)
{
	if (bus->status.state == BUS_CONNECTED)
		return publish_datagram(bus, to->subject, datagram);
	bus->status.dropped_unsent++;
	return false;
}

bool bus_send_all(struct bus *bus, struct slice datagram)
{
	return send_connected(bus, &bus->all, datagram);
}

bool bus_send(struct bus *bus, const struct bus_address *to, struct slice datagram)
{
	return send_connected(bus, to, datagram);
}

void bus_flush(struct bus *bus)
{
	if (bus->wire != NULL && !bus->is_lost)
		write_wire(bus);
}

static void send_probe(struct bus *bus)
{
	uint8_t probe[PROBE_BYTES] = {'R', 'P'};
	bus->probe_number++;
	memcpy(probe + 2, &bus->probe_number, sizeof(bus->probe_number));
	publish_datagram(bus, bus->own.subject, slice_of(probe, sizeof(probe)));
	bus->probe_at_ms = bus->now_ms + BUS_PROBE_MS;
	bus_flush(bus);
}

/* ---- receiving ---- */

/* Its own way there and back: connected is who is heard. */
static void take_probe(struct bus *bus)
{
	bus->echo_ms = bus->now_ms;
	if (bus->status.state == BUS_CONNECTED)
		return;
	set_bus_state(bus, BUS_CONNECTED);
	bus->status.connects++;
	bus->tried = 0;
	bus->pause_ms = BUS_PAUSE_MS_MIN;
	bus->receiver.on_connected(bus->receiver.context);
}

static bool is_probe(struct slice datagram)
{
	return datagram.size == PROBE_BYTES && datagram.data[0] == 'R' && datagram.data[1] == 'P';
}

static void hand_datagram_on(void *context, uint32_t subject, struct slice datagram)
{
	struct bus *bus = context;
	if (subject == BUS_NODE && is_probe(datagram)) {
		take_probe(bus);
		return;
	}
	bus->status.datagrams_received++;
	bus->status.bytes_received += datagram.size;
	bus->receiver.on_datagram(bus->receiver.context, (enum bus_subject)subject, datagram);
}

static void read_wire(struct bus *bus)
{
	dial_enter(bus->dial, bus->wire->fd);
	nats_wire_read(bus->wire, hand_datagram_on, bus);
	dial_leave(bus->dial);
	if (nats_wire_has_ended(bus->wire))
		bus->is_lost = true;
}

/* ---- the loop ---- */

uint32_t bus_poll(struct bus *bus, struct pollfd *fds)
{
	uint32_t count = 1;
	fds[0] = (struct pollfd){.fd = bus->waker_fd, .events = POLLIN};
	if (bus->wire != NULL && bus->wire->fd >= 0) {
		int events = POLLIN | POLLRDHUP | (bus->wire->wants_write ? POLLOUT : 0);
		fds[count++] = (struct pollfd){.fd = bus->wire->fd, .events = (short)events};
	}
	return count;
}

static void take_attempt(struct bus *bus)
{
	char fault[BUS_TEXT_BYTES];
	struct nats_wire *wire;
	if (!bus->is_dialling || !dial_take(bus->dial, &wire, fault))
		return;
	eventfd_t value;
	eventfd_read(bus->waker_fd, &value);
	bus->is_dialling = false;
	if (wire == NULL) {
		note_error(bus, fault);
		schedule_try(bus);
		return;
	}
	bus->wire = wire;
	bus->status.max_payload = (uint32_t)(wire->max_payload < UINT32_MAX ? wire->max_payload : UINT32_MAX);
	if (wire->max_payload < BUS_PAYLOAD_BYTES) {
		snprintf(fault, sizeof(fault), "the server's max_payload is %u bytes, and at least %u are needed",
			 bus->status.max_payload, BUS_PAYLOAD_BYTES);
		lose_wire(bus, fault);
		return;
	}
	bus->echo_ms = bus->now_ms;
	send_probe(bus);
}

static void keep_time(struct bus *bus)
{
	if (bus->wire == NULL) {
		if (!bus->is_dialling && bus->now_ms >= bus->try_at_ms)
			try_now(bus);
		return;
	}
	if (bus->now_ms >= bus->echo_ms + BUS_SILENT_MS)
		lose_broken(bus, "the server does not answer");
	else if (bus->now_ms >= bus->probe_at_ms)
		send_probe(bus);
}

static void serve_socket(struct bus *bus, const struct pollfd *polled)
{
	if ((polled->revents & POLLOUT) != 0)
		write_wire(bus);
	/* Of half a TLS record nothing comes of reading. */
	if (bus->wire->waits_for_record && (polled->revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0)
		bus->is_lost = true;
	else if ((polled->revents & ~POLLOUT) != 0 && !bus->is_lost)
		read_wire(bus);
}

void bus_process(struct bus *bus, const struct pollfd *fds, uint32_t count, uint64_t now_ms)
{
	bus->now_ms = now_ms;
	take_attempt(bus);
	for (uint32_t i = 0; i < count; i++) {
		if (bus->wire != NULL && fds[i].fd == bus->wire->fd && fds[i].revents != 0 && !bus->is_lost)
			serve_socket(bus, &fds[i]);
	}
	if (bus->wire != NULL && bus->is_lost)
		lose_broken(bus, "the connection has ended");
	keep_time(bus);
}

uint64_t bus_next_deadline(const struct bus *bus)
{
	if (bus->wire == NULL)
		return bus->is_dialling ? UINT64_MAX : bus->try_at_ms;
	if (bus->is_lost)
		return 0;
	uint64_t silent_ms = bus->echo_ms + BUS_SILENT_MS;
	return silent_ms < bus->probe_at_ms ? silent_ms : bus->probe_at_ms;
}

bool bus_is_connected(const struct bus *bus)
{
	return bus->status.state == BUS_CONNECTED;
}

void bus_status(const struct bus *bus, struct bus_status *status)
{
	*status = bus->status;
}

/* ---- the end ---- */

static void flush_last(struct bus *bus)
{
	uint64_t until_ms = clock_now_ms() + LAST_FLUSH_MS;
	for (uint64_t now_ms = clock_now_ms(); now_ms < until_ms; now_ms = clock_now_ms()) {
		bus_flush(bus);
		if (bus->is_lost || !bus->wire->wants_write)
			return;
		struct pollfd polled = {.fd = bus->wire->fd, .events = POLLOUT};
		poll(&polled, 1, (int)(until_ms - now_ms));
	}
}

void bus_free(struct bus *bus)
{
	if (bus == NULL)
		return;
	if (bus->wire != NULL && bus->status.state == BUS_CONNECTED)
		flush_last(bus);
	nats_wire_free(bus->wire);
	/* libnats' threads have this thread's descriptor table, which would stay with them. */
	if (dial_free(bus->dial, CLOSE_MS / 2)) {
		close_library(bus);
		close(bus->waker_fd);
	}
	free(bus);
}
