#include "gateway/gate.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <sched.h>
#include <sodium.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Bounds on one turn. */
#define EVENTS_A_TURN 256
#define ACCEPTS_A_TURN 256
/* While the shards lag: so many, and then a rest. */
#define ACCEPTS_A_SLOW_TURN 32
#define SLOW_REST_MS 2
/* Refused for want of room: to come back after this and up to four times this. */
#define RETRY_LEAST_MS 2000u
#define TIMERS_A_TURN 1024u
#define SLEEP_MS_MAX 1000u
/* While sockets wait to be handed over, or descriptors are short, the gate looks again after so long. */
#define RETRY_MS 1u
#define ACCEPT_PAUSE_MS 50u

#define TAG_WAKER ((uint64_t)1 << 32)
#define TAG_LISTENER ((uint64_t)2 << 32) /* + number << 32 */

/* Bytes that handshakes may keep: CONNECTs that came in part. */
#define SLAB_BYTES_MAX ((size_t)256 << 20)

/* The kernel may give other work precedence over new clients, not over old ones. */
#define GATE_NICE 5

/* A socket that has not signed in. */
struct handshake {
	struct conn conn; /* first: conn.fd is where the pool keeps its link while it is free */
	struct wheel_node timer;
	uint64_t deadline_ms;
	uint32_t address; /* its place in gate->addresses, 0: not counted */
	uint8_t listener;
	bool registered; /* with the poller */
};

static struct handshake *handshake_at(const struct gate *gate, uint32_t index)
{
	return pool_at(&gate->handshakes, index);
}

static void on_io_event(void *context, struct conn *conn)
{
	/* A gate writes refusals directly; nothing goes through the flush. */
	(void)context;
	(void)conn;
}

enum error gate_open(struct gate *gate)
{
	struct io_observer observer = {.blocked = on_io_event, .broken = on_io_event, .context = gate};
	gate->doorway = (struct doorway){.settings = gate->settings, .key = gate->key, .access = gate->access};
	gate->batches = calloc(gate->shard_count, sizeof(*gate->batches));
	if (gate->batches == NULL || slab_open(&gate->slab, SLAB_BYTES_MAX) != ERROR_OK ||
	    io_open(&gate->io, &gate->slab, observer) != ERROR_OK ||
	    access_sign_in_init(gate->access, &gate->sign_in, true) != ERROR_OK ||
	    pool_open(&gate->handshakes, sizeof(struct handshake), gate->settings->handshakes_max) != ERROR_OK)
		return ERROR_NO_MEMORY;
	return waker_open(&gate->waker);
}

void gate_close(struct gate *gate)
{
	waker_close(&gate->waker);
	sign_in_fini(&gate->sign_in);
	acl_put(&gate->acl);
	pool_close(&gate->handshakes);
	io_close(&gate->io);
	slab_close(&gate->slab);
	free(gate->batches);
}

/* ---- a handshake's ways to end ---- */

static void forget(struct gate *gate, uint32_t index)
{
	struct handshake *handshake = handshake_at(gate, index);
	wheel_remove(&gate->wheel, index);
	handshake->conn.generation++;
	handshake->registered = false;
	io_drop_input(&gate->io, &handshake->conn);
	pool_give(&gate->handshakes, index);
	COUNT_DOWN(&gate->counters, handshakes_open);
}

static void log_refusal(const struct gate *gate, const struct handshake *handshake, enum error reason)
{
	const char *url = gate->settings->listeners[handshake->listener].url;
	if (reason == ERROR_CONNECTION_LOST)
		log_write(LOG_DEBUG, "%s: a connection ended before it signed in", url);
	else
		log_write(LOG_INFO, "%s: refused a connection: %s%s%s", url, error_sentence(reason),
			  error_rule(reason)[0] != '\0' ? " " : "", error_rule(reason));
}

/* Those who are refused for want of room come back spread over some time, not all at once. */
static uint32_t retry_ms(enum error reason)
{
	if (reason != ERROR_OVERLOADED && reason != ERROR_SERVER_FULL && reason != ERROR_REVOCATIONS_AWAY)
		return 0;
	return overload_retry_ms(RETRY_LEAST_MS, randombytes_random());
}

static void refuse(struct gate *gate, uint32_t index, enum error reason, uint8_t version)
{
	struct handshake *handshake = handshake_at(gate, index);
	uint8_t refusal[REFUSAL_BYTES_MAX];
	size_t size = handshake_refusal(reason, version, retry_ms(reason), refusal);
	if (size != 0) {
		ssize_t sent = send(handshake->conn.fd, refusal, size, MSG_DONTWAIT | MSG_NOSIGNAL);
		(void)sent; /* a new socket's buffer takes it, or the peer is gone */
	}
	COUNT(&gate->counters, connections_refused);
	counter_add(&gate->counters.ends[reason], 1);
	log_refusal(gate, handshake, reason);
	addresses_leave(gate->addresses, handshake->address, false);
	io_disconnect(&gate->io, &handshake->conn);
	forget(gate, index);
}

/* Sends the shard's batch. False when the shard lags and it has to wait. */
static bool send_batch(struct gate *gate, uint16_t number)
{
	struct gate_batch *batch = &gate->batches[number];
	if (batch->count == 0)
		return true;
	enum error error = fdpass_send(gate->admission_fds[number], batch->fds, batch->count, batch->admissions,
				       batch->count * sizeof(batch->admissions[0]));
	if (error == ERROR_MORE)
		return false;
	CHECK(error == ERROR_OK);
	for (uint32_t i = 0; i < batch->count; i++)
		close(batch->fds[i]);
	gate->batched -= batch->count;
	batch->count = 0;
	return true;
}

static void admit(struct gate *gate, uint32_t index, struct admission *admission)
{
	struct handshake *handshake = handshake_at(gate, index);
	uint16_t number = shard_of_hash(admission->hash, gate->shard_count);
	struct gate_batch *batch = &gate->batches[number];
	bool fits = batch->count < FDPASS_BATCH_MAX || send_batch(gate, number);
	if (!fits || !seats_take(gate->shards[number].seats)) {
		uint8_t version = admission->version;
		free(admission);
		refuse(gate, index, ERROR_SERVER_FULL, version);
		return;
	}
	addresses_sign_in(gate->addresses, handshake->address);
	admission->address = handshake->address;
	/* The socket lives on in the shard: this poller must not report it any more. */
	if (handshake->registered)
		poller_remove(&gate->poller, handshake->conn.fd);
	keep_out_let_in(gate->settings, handshake->conn.fd);
	batch->fds[batch->count] = handshake->conn.fd;
	batch->admissions[batch->count++] = admission;
	gate->batched++;
	forget(gate, index);
}

/* ---- reading ---- */

static void keep_waiting(struct gate *gate, uint32_t index)
{
	struct handshake *handshake = handshake_at(gate, index);
	if (handshake->registered)
		return;
	uint64_t tag = (uint64_t)handshake->conn.generation << 32 | index;
	if (poller_add(&gate->poller, handshake->conn.fd, tag, POLLER_EDGE_BOTH) != ERROR_OK) {
		refuse(gate, index, ERROR_SYSTEM, 0);
		return;
	}
	handshake->registered = true;
	wheel_add(&gate->wheel, index, handshake->deadline_ms);
}

static void read_bytes(struct gate *gate, uint32_t index, struct slice bytes)
{
	struct handshake *handshake = handshake_at(gate, index);
	struct admission *admission = NULL;
	size_t packet_bytes;
	uint8_t version;
	bool loopback = gate->settings->listeners[handshake->listener].loopback;
	enum error error = handshake_read(&gate->doorway, loopback, bytes, &admission, &packet_bytes, &version);
	if (error == ERROR_TOKEN_KEY_UNKNOWN)
		access_ask_for_keys(gate->access);
	if (error == ERROR_OK)
		admit(gate, index, admission);
	else if (error != ERROR_MORE)
		refuse(gate, index, error, version);
	else if (io_keep(&gate->io, &handshake->conn, bytes, packet_bytes, false) != ERROR_OK)
		refuse(gate, index, ERROR_NO_MEMORY, version);
	else
		keep_waiting(gate, index);
}

/* Reads until CONNECT is whole or the socket is empty. A CONNECT is small: this ends. */
static void read_handshake(struct gate *gate, uint32_t index)
{
	struct handshake *handshake = handshake_at(gate, index);
	uint16_t generation = handshake->conn.generation;
	do {
		struct slice bytes;
		bool more;
		switch (io_receive(&gate->io, &handshake->conn, &bytes, &more)) {
		case IO_BYTES:
			read_bytes(gate, index, bytes);
			break;
		case IO_NOTHING:
			keep_waiting(gate, index);
			if (!more)
				return;
			break;
		case IO_EOF:
		case IO_BROKEN:
			refuse(gate, index, ERROR_CONNECTION_LOST, 0);
			return;
		}
	} while (handshake->conn.generation == generation);
}

static uint64_t visit(void *context, uint32_t index, uint64_t now_ms)
{
	struct gate *gate = context;
	uint64_t deadline_ms = handshake_at(gate, index)->deadline_ms;
	if (deadline_ms <= now_ms)
		refuse(gate, index, ERROR_CONNECT_TIMEOUT, 0);
	return deadline_ms;
}

/* ---- accepting ---- */

static void set_accepting(struct gate *gate, bool accepting)
{
	if (gate->accepting == accepting)
		return;
	gate->accepting = accepting;
	if (!accepting)
		COUNT(&gate->counters, accept_pauses);
	for (uint32_t i = 0; i < gate->settings->listener_count; i++)
		poller_pause(&gate->poller, gate->settings->listeners[i].fd, TAG_LISTENER + ((uint64_t)i << 32),
			     !accepting);
}

static bool is_in(const struct networks *networks, const struct prefix *address)
{
	for (uint32_t i = 0; i < networks->count; i++) {
		if (network_has(&networks->items[i], address))
			return true;
	}
	return false;
}

/* Before a byte is read: whether the address may have one more connection. *place: to be given back. Denied ones are
 * here where the kernel did not keep them out; they are no offenders, as what counts of their address may be a prefix
 * with others in it. */
static enum error check_address(struct gate *gate, const struct sockaddr_storage *peer, uint32_t *place)
{
	const struct settings *settings = gate->settings;
	uint8_t bits_v4 = (uint8_t)settings->address_bits_v4;
	uint8_t bits_v6 = (uint8_t)settings->address_bits_v6;
	struct prefix address;
	struct network counted;
	*place = 0;
	if (!prefix_of(peer, 32, 128, &address))
		return ERROR_OK;
	if (is_in(&settings->address_denied, &address))
		return ERROR_ADDRESS_DENIED;
	if (!address_limits_any(&settings->address) || is_in(&settings->address_exempt, &address))
		return ERROR_OK;
	prefix_of(peer, bits_v4, bits_v6, &counted.prefix);
	counted.bits = peer->ss_family == AF_INET ? (uint8_t)(96 + bits_v4) : bits_v6;
	enum error error = addresses_enter(gate->addresses, &settings->address, &counted.prefix, gate->now_ms, place);
	if (error != ERROR_OK && gate->number == 0)
		keep_out_refused(&gate->keep_out, settings, &counted, gate->now_ms, &gate->counters);
	return error;
}

/* It costs the accept and no more. There is unread input, or will be: the peer gets a reset. */
static void turn_away(struct gate *gate, int fd, enum error reason)
{
	close(fd);
	COUNT(&gate->counters, connections_refused);
	counter_add(&gate->counters.ends[reason], 1);
}

static bool accept_one(struct gate *gate, uint8_t listener)
{
	struct sockaddr_storage peer = {0};
	socklen_t size = sizeof(peer);
	int fd = accept4(gate->settings->listeners[listener].fd, (struct sockaddr *)&peer, &size,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		/* Out of descriptors or memory: those who wait stay in the kernel's queue for a while. */
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			gate->accept_again_ms = gate->now_ms + ACCEPT_PAUSE_MS;
			set_accepting(gate, false);
		}
		return errno == ECONNABORTED || errno == EINTR;
	}
	COUNT(&gate->counters, connections_accepted);
	uint32_t address;
	enum error error = check_address(gate, &peer, &address);
	if (error != ERROR_OK) {
		turn_away(gate, fd, error);
		return true;
	}
	uint32_t index = pool_take(&gate->handshakes);
	if (index == 0) { /* memory is short: has_room() saw to the limit */
		addresses_leave(gate->addresses, address, false);
		close(fd);
		return false;
	}
	struct handshake *handshake = handshake_at(gate, index);
	uint16_t generation = handshake->conn.generation;
	*handshake = (struct handshake){
		.conn = {.fd = fd, .generation = generation},
		.deadline_ms = gate->now_ms + gate->settings->connect_timeout_ms,
		.address = address,
		.listener = listener,
	};
	COUNT(&gate->counters, handshakes_open);
	read_handshake(gate, index);
	return true;
}

static bool has_room(const struct gate *gate)
{
	return gate->handshakes.used + gate->batched < gate->settings->handshakes_max;
}

static void accept_some(struct gate *gate, uint8_t listener)
{
	int most = gate->grade == OVERLOAD_SLOW ? ACCEPTS_A_SLOW_TURN : ACCEPTS_A_TURN;
	for (int i = 0; i < most && has_room(gate); i++) {
		if (!accept_one(gate, listener))
			return;
	}
	if (!has_room(gate))
		set_accepting(gate, false);
}

/* ---- the loop ---- */

static void handle_event(struct gate *gate, const struct epoll_event *event)
{
	uint32_t index = (uint32_t)event->data.u64;
	if (index == 0) {
		if (event->data.u64 >= TAG_LISTENER)
			accept_some(gate, (uint8_t)((event->data.u64 - TAG_LISTENER) >> 32));
		return;
	}
	struct handshake *handshake = handshake_at(gate, index);
	if (handshake->conn.generation == (uint32_t)(event->data.u64 >> 32) && poller_readable(event))
		read_handshake(gate, index);
}

/* Hands over what was admitted. While a shard lags, nobody new is let in. */
static void send_batches(struct gate *gate)
{
	bool all = true;
	for (uint16_t number = 0; number < gate->shard_count && gate->batched != 0; number++)
		all &= send_batch(gate, number);
	if (!all)
		set_accepting(gate, false);
	else if (!gate->accepting && gate->now_ms >= gate->accept_again_ms && has_room(gate))
		set_accepting(gate, true);
}

/* How the worst of the shards fares: they take what is let in here. */
static void look_at_load(struct gate *gate)
{
	uint32_t worst_ms = 0;
	for (uint16_t i = 0; i < gate->shard_count; i++) {
		uint32_t lag_ms = atomic_load_explicit(&gate->shards[i].lag_ms, memory_order_relaxed);
		if (lag_ms > worst_ms)
			worst_ms = lag_ms;
	}
	enum overload_grade grade = overload_grade(worst_ms, gate->grade);
	if (grade != gate->grade)
		log_write(LOG_INFO, "gate %u: overload %s, was %s: a turn of a shard takes %u ms", gate->number,
			  overload_name(grade), overload_name(gate->grade), worst_ms);
	gate->grade = grade;
	gate->doorway.refusal = grade >= OVERLOAD_REFUSE ? ERROR_OVERLOADED : ERROR_OK;
	COUNT_SET(&gate->counters, overload_grade, (uint64_t)grade);
}

/* Keys, passwords and rules as they are now. */
static void look_at_access(struct gate *gate)
{
	struct doorway *doorway = &gate->doorway;
	doorway->wall_s = (int64_t)time(NULL);
	if (doorway->refusal == ERROR_OK && access_is_out_of_step(gate->access))
		doorway->refusal = ERROR_REVOCATIONS_AWAY;
	if (gate->access_version == access_version(gate->access))
		return;
	gate->access_version = access_refresh(gate->access, &gate->sign_in, &gate->acl);
	doorway->sign_in = access_has_sign_in(gate->access) ? &gate->sign_in : NULL;
	doorway->acl = access_has_rules(gate->access) ? gate->acl : NULL;
}

static int sleep_ms(const struct gate *gate)
{
	if (gate->batched != 0)
		return RETRY_MS;
	uint32_t limit_ms = gate->accepting || !has_room(gate) ? SLEEP_MS_MAX : ACCEPT_PAUSE_MS;
	return (int)wheel_wait_ms(&gate->wheel, gate->now_ms, limit_ms);
}

/* The others of this turn wait in the kernel. */
static void rest_if_slow(const struct gate *gate, int events)
{
	static const struct timespec REST = {.tv_nsec = SLOW_REST_MS * 1000000};
	if (gate->grade != OVERLOAD_NORMAL && events != 0)
		clock_nanosleep(CLOCK_MONOTONIC, 0, &REST, NULL);
}

static void take_up_settings(struct gate *gate)
{
	if (!settings_refresh(&gate->settings_view, &gate->settings))
		return;
	gate->doorway.settings = gate->settings;
	if (gate->number == 0)
		keep_out_renew(&gate->keep_out, gate->settings, &gate->counters);
}

static void turn(struct gate *gate)
{
	struct epoll_event events[EVENTS_A_TURN];
	waker_sleep(&gate->waker);
	int timeout_ms = atomic_load(&gate->stopping) ? 0 : sleep_ms(gate);
	int count = poller_wait(&gate->poller, events, EVENTS_A_TURN, timeout_ms);
	waker_awake(&gate->waker);

	take_up_settings(gate);
	gate->now_ms = clock_now_ms();
	gate->io.now_ms = gate->now_ms;
	look_at_load(gate);
	look_at_access(gate);
	if (gate->number == 0)
		keep_out_turn(&gate->keep_out, gate->settings, gate->now_ms, &gate->counters);
	for (int i = 0; i < count; i++)
		handle_event(gate, &events[i]);
	wheel_turn(&gate->wheel, gate->now_ms, TIMERS_A_TURN, visit, gate);
	send_batches(gate);
	io_turn_end(&gate->io);
	rest_if_slow(gate, count);
	COUNT(&gate->counters, turns);
	COUNT_SET(&gate->counters, reads, gate->io.read_count);
	COUNT_SET(&gate->counters, bytes_in, gate->io.bytes_in);
	COUNT_SET(&gate->counters, tokens_verified, gate->sign_in.tokens_verified);
	COUNT_SET(&gate->counters, passwords_hashed, gate->sign_in.passwords_hashed);
	COUNT_SET(&gate->counters, password_cache_hits, gate->sign_in.cache.hits);
	COUNT_SET(&gate->counters, password_cache_misses, gate->sign_in.cache.misses);
}

static enum error settle_in(struct gate *gate)
{
	CHECK(pthread_getcpuclockid(pthread_self(), &gate->cpu_clock) == 0);
	gate->table =
		gate->settings->private_tables ? fdtable_detach(gate->keep_fds, gate->keep_count) : FDTABLE_SHARED;
	struct sched_param parameter = {0};
	sched_setscheduler(0, SCHED_BATCH, &parameter);
	setpriority(PRIO_PROCESS, 0, GATE_NICE); /* of this thread, on Linux */
	if (poller_open(&gate->poller) != ERROR_OK ||
	    poller_add(&gate->poller, gate->waker.fd, TAG_WAKER, POLLER_EDGE_READ) != ERROR_OK)
		return ERROR_SYSTEM;
	for (uint32_t i = 0; i < gate->settings->listener_count; i++) {
		if (poller_add(&gate->poller, gate->settings->listeners[i].fd, TAG_LISTENER + ((uint64_t)i << 32),
			       POLLER_LEVEL_READ) != ERROR_OK)
			return ERROR_SYSTEM;
	}
	if (gate->number == 0)
		keep_out_renew(&gate->keep_out, gate->settings, &gate->counters);
	gate->accepting = true;
	gate->now_ms = clock_now_ms();
	wheel_init(&gate->wheel, &gate->handshakes, offsetof(struct handshake, timer), gate->now_ms);
	return ERROR_OK;
}

/* Closes what is still at the door, and hands over those who were let in. */
static void settle_up(struct gate *gate)
{
	/* In a shared table they are the main thread's to close. */
	for (uint32_t i = 0; i < gate->settings->listener_count && gate->table == FDTABLE_PRIVATE; i++)
		close(gate->settings->listeners[i].fd);
	for (uint32_t index = 1; index <= gate->handshakes.touched; index++) {
		struct handshake *handshake = handshake_at(gate, index);
		if (handshake->registered)
			refuse(gate, index, ERROR_SERVER_STOPPING, 0);
	}
	for (uint16_t number = 0; number < gate->shard_count; number++)
		send_batch(gate, number);
}

static void *gate_main(void *argument)
{
	struct gate *gate = argument;
	enum error error = settle_in(gate);
	atomic_store(&gate->failed, error != ERROR_OK);
	atomic_store(&gate->started, true);
	if (error != ERROR_OK)
		return NULL;
	while (!atomic_load(&gate->stopping))
		turn(gate);
	settle_up(gate);
	poller_close(&gate->poller);
	return NULL;
}

enum error gate_start(struct gate *gate)
{
	return pthread_create(&gate->thread, NULL, gate_main, gate) == 0 ? ERROR_OK : ERROR_SYSTEM;
}

void gate_stop(struct gate *gate)
{
	atomic_store(&gate->stopping, true);
	waker_wake(&gate->waker);
}
