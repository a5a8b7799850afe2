#include "gate/accept.h"

#include "access/addresses.h"
#include "gate/handshake/handshake.h"
#include "gate/handshakes.h"

#define ACCEPTS_PER_TURN 256
/* While a shard lags (OVERLOAD_OVERLOAD_SLOW). */
#define ACCEPTS_PER_SLOW_TURN 32

_Static_assert((uint32_t)GATE_ACCEPT_TAG == 0, "a tag whose low half is not 0 is a handshake's");

static uint64_t listener_tag(uint32_t listener)
{
	return GATE_ACCEPT_TAG + ((uint64_t)listener << 32);
}

static void remove_listeners(struct gate *gate)
{
	for (uint32_t i = 0; i < gate->settings->listener_count; i++)
		poller_remove(&gate->poller, gate->settings->listeners[i].fd);
}

/* Adds all listeners to the poller or, if the kernel is short of something, none. */
static enum error add_listeners(struct gate *gate)
{
	for (uint32_t i = 0; i < gate->settings->listener_count; i++) {
		int fd = gate->settings->listeners[i].fd;
		if (poller_add(&gate->poller, fd, listener_tag(i), POLLER_SHARED_READ) != ERROR_OK) {
			remove_listeners(gate);
			return ERROR_SYSTEM;
		}
	}
	return ERROR_OK;
}

/* The kernel wakes one gate per connection (EPOLLEXCLUSIVE). Connections that this gate was woken for and leaves in the
 * queue would stay there, so the other gates must look for them. */
static void rearm_other_gates(struct gate *gate)
{
	for (uint16_t i = 0; i < gate->gate_count; i++) {
		if (i == gate->number)
			continue;
		atomic_store(&gate->gates[i].rearm_listeners, true);
		waker_wake(&gate->gates[i].waker);
	}
}

static void set_accepting(struct gate *gate, bool accepting)
{
	if (gate->accepting == accepting)
		return;
	if (accepting && add_listeners(gate) != ERROR_OK) {
		gate->accept_again_ms = gate->now_ms + GATE_ACCEPT_PAUSE_MS;
		return;
	}
	gate->accepting = accepting;
	if (accepting)
		return;
	COUNT(&gate->counters, accept_pauses);
	remove_listeners(gate);
	rearm_other_gates(gate);
}

void gate_accept_rearm(struct gate *gate)
{
	if (!atomic_exchange(&gate->rearm_listeners, false) || !gate->accepting)
		return;
	remove_listeners(gate);
	gate->accepting = add_listeners(gate) == ERROR_OK;
}

/* Costs no more than the accept. The peer gets a reset, because its input is unread. */
static void accept_refuse(struct gate *gate, int fd, uint8_t listener, const union peer *peer, enum error reason)
{
	gate_log_refusal(gate, listener, peer, NULL, reason);
	stream_close_descriptor(fd);
	COUNT(&gate->counters, connections_refused);
	counter_add(&gate->counters.ends[reason], 1);
}

static bool accept_one(struct gate *gate, uint8_t listener)
{
	struct sockaddr_storage address;
	int fd;
	switch (listener_accept(gate_listener(gate, listener), &fd, &address)) {
	case LISTENER_ACCEPTED:
		break;
	case LISTENER_SHORT: /* those who wait stay in the kernel's queue for a while */
		gate->accept_again_ms = gate->now_ms + GATE_ACCEPT_PAUSE_MS;
		set_accepting(gate, false);
		return false;
	case LISTENER_AGAIN:
		return true;
	case LISTENER_EMPTY:
		return false;
	}
	COUNT(&gate->counters, connections_accepted);
	bool is_unix = gate_listener(gate, listener)->scheme == LISTENER_UNIX;
	union peer peer = is_unix ? peer_of_socket(fd) : peer_of_address(&address);
	uint32_t place = 0;
	/* Of a proxy's connections the client's addresses count, which it has yet to name. */
	enum error error = ERROR_OK;
	if (!gate_is_proxy(gate, listener, &peer))
		error = gate_check_address(gate, &peer, false, &place);
	if (error != ERROR_OK) {
		accept_refuse(gate, fd, listener, &peer, error);
		return true;
	}
	if (gate_handshake_new(gate, fd, listener, &peer, place))
		return true;
	/* Memory is short: the caller has checked gate_has_room(), so the limit is not reached. */
	addresses_leave(gate->addresses, place, false);
	accept_refuse(gate, fd, listener, &peer, ERROR_NO_MEMORY);
	return false;
}

bool gate_has_room(const struct gate *gate)
{
	return !atomic_load_explicit(&gate->resting, memory_order_relaxed) &&
	       gate->handshakes.used + gate->batched < gate->settings->handshakes_max &&
	       gate->batched_bytes < gate->settings->handshake_bytes_max;
}

void gate_accept_some(struct gate *gate, uint64_t tag)
{
	uint8_t listener = (uint8_t)((tag - GATE_ACCEPT_TAG) >> 32);
	CHECK_LT(listener, gate->settings->listener_count);
	int accepts_max = gate->grade == OVERLOAD_SLOW ? ACCEPTS_PER_SLOW_TURN : ACCEPTS_PER_TURN;
	for (int i = 0; i < accepts_max && gate_has_room(gate); i++) {
		if (!accept_one(gate, listener))
			return;
	}
	if (!gate_has_room(gate))
		set_accepting(gate, false);
}

enum error gate_accept_begin(struct gate *gate)
{
	enum error error = add_listeners(gate);
	gate->accepting = error == ERROR_OK;
	return error;
}

void gate_accept_pause(struct gate *gate)
{
	set_accepting(gate, false);
}

void gate_accept_resume(struct gate *gate)
{
	if (!gate->accepting && gate->now_ms >= gate->accept_again_ms && gate_has_room(gate))
		set_accepting(gate, true);
}

/* ---- connections of Roost's own clients ---- */

const struct listener GATE_INTERNAL_LISTENER = {.url = "internal", .scheme = LISTENER_UNIX, .loopback = true, .fd = -1};
const struct listener_settings GATE_INTERNAL_SETTINGS = {0};

enum error gate_internal_begin(struct gate *gate, uint64_t tag)
{
	return gate->internal_fd < 0 ? ERROR_OK : poller_add(&gate->poller, gate->internal_fd, tag, POLLER_EDGE_READ);
}

static void internal_accept(struct gate *gate, int fd)
{
	union peer peer = peer_of_socket(fd);
	COUNT(&gate->counters, connections_accepted);
	if (gate_handshake_new(gate, fd, GATE_INTERNAL, &peer, ADDRESSES_INTERNAL))
		return;
	stream_close_descriptor(
		fd); /* memory is short, or there are too many handshakes: whoever opened it comes again */
	COUNT(&gate->counters, connections_refused);
	counter_add(&gate->counters.ends[ERROR_NO_MEMORY], 1);
}

void gate_internal_take(struct gate *gate)
{
	while (!atomic_load_explicit(&gate->resting, memory_order_relaxed)) {
		int fds[FDPASS_BATCH_MAX];
		size_t count = FDPASS_BATCH_MAX;
		uint8_t bytes[1];
		size_t size = sizeof(bytes);
		enum error error = fdpass_receive(gate->internal_fd, fds, &count, bytes, &size);
		if (error != ERROR_OK && error != ERROR_NO_DESCRIPTORS)
			return;
		for (size_t i = 0; i < count; i++)
			internal_accept(gate, fds[i]);
	}
}
