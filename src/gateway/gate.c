#include "gateway/gate.h"

#include "base/clock.h"
#include "base/log.h"
#include "gateway/address_check.h"
#include "gateway/gate_batch.h"
#include "gateway/schedule.h"

#include <errno.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Bounds on one turn. */
#define EVENTS_A_TURN 256
#define ACCEPTS_A_TURN 256
/* While the shards lag: so many, and then a rest. */
#define ACCEPTS_A_SLOW_TURN 32
#define SLOW_REST_MS 2
#define TIMERS_A_TURN 1024u
#define SLEEP_MS_MAX 1000u
/* While sockets wait to be handed over, or descriptors are short, the gate looks again after so long. */
#define RETRY_MS 1u
#define ACCEPT_PAUSE_MS 50u

#define TAG_WAKER ((uint64_t)1 << 32)
#define TAG_LISTENER ((uint64_t)2 << 32) /* + number << 32 */

/* Room for CONNECTs that came in part: `handshake_bytes_max` and what blocks waste. */
#define SLAB_BYTES_MAX ((size_t)256 << 20)

/* The kernel may give other work precedence over new clients, not over old ones. */
#define GATE_NICE 5

/* A socket that has not signed in. */
struct handshake {
	struct conn conn; /* first: conn.fd is where the pool keeps its link while it is free */
	struct wheel_node timer;
	uint64_t deadline_ms;
	union peer peer;
	uint32_t address; /* its place in gate->addresses, 0: not counted */
	uint8_t listener;
	uint8_t version;               /* while its password is checked: what it speaks */
	bool registered;               /* with the poller */
	struct password_job *password; /* is being checked; until the verdict comes nothing is read. NULL: none */
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
	password_results_open(&gate->verdicts, &gate->waker);
	gate->batches = calloc(gate->shard_count, sizeof(*gate->batches));
	if (gate->batches == NULL || slab_open(&gate->slab, SLAB_BYTES_MAX) != ERROR_OK ||
	    io_open(&gate->io, &gate->slab, observer) != ERROR_OK ||
	    access_sign_in_init(gate->access, &gate->sign_in, true) != ERROR_OK ||
	    pool_open(&gate->handshakes, sizeof(struct handshake), gate->settings->handshakes_max) != ERROR_OK)
		return ERROR_NO_MEMORY;
	gate->sign_in.defers_passwords = gate->password_workers != NULL;
	return waker_open(&gate->waker);
}

void gate_close(struct gate *gate)
{
	waker_close(&gate->waker);
	password_results_close(&gate->verdicts);
	sign_in_fini(&gate->sign_in);
	acl_put(&gate->acl);
	pool_close(&gate->handshakes);
	io_close(&gate->io);
	slab_close(&gate->slab);
	free(gate->batches);
}

/* ---- a handshake's ways to end ---- */

/* The verdict is here, or nobody waits for it any more. */
static void forget_password(struct gate *gate, struct handshake *handshake)
{
	if (handshake->password == NULL)
		return;
	handshake->password = NULL;
	COUNT_DOWN(&gate->counters, passwords_waiting);
}

static void forget(struct gate *gate, uint32_t index)
{
	struct handshake *handshake = handshake_at(gate, index);
	if (handshake->password != NULL)
		atomic_store(&handshake->password->abandoned, true);
	forget_password(gate, handshake);
	wheel_remove(&gate->wheel, index);
	handshake->conn.generation++;
	handshake->registered = false;
	io_drop_input(&gate->io, &handshake->conn);
	pool_give(&gate->handshakes, index);
	COUNT_DOWN(&gate->counters, handshakes_open);
}

static void log_refusal(const struct gate *gate, uint8_t listener, const union peer *peer, enum error reason)
{
	/* Of those without a place there may be many thousands a second. */
	bool quiet = reason == ERROR_CONNECTION_LOST || reason == ERROR_ADDRESS_DENIED ||
		     reason == ERROR_ADDRESS_CONNECTIONS || reason == ERROR_ADDRESS_HANDSHAKES ||
		     reason == ERROR_ADDRESS_RATE;
	enum log_level level = quiet ? LOG_DEBUG : LOG_INFO;
	if (!log_enabled(level))
		return;
	char text[PEER_TEXT_BYTES_MAX];
	const char *rule = error_rule(reason);
	log_write(level, "%s: refused a connection from %s: %s%s%s", gate->settings->listeners[listener].url,
		  peer_print(peer, text), error_sentence(reason), rule[0] != '\0' ? " " : "", rule);
}

static void refuse(struct gate *gate, uint32_t index, enum error reason, uint8_t version)
{
	struct handshake *handshake = handshake_at(gate, index);
	uint8_t refusal[REFUSAL_BYTES_MAX];
	size_t size = handshake_refusal(reason, version, handshake_retry_ms(reason), refusal);
	if (size != 0)
		io_send_last(&gate->io, &handshake->conn, slice_of(refusal, size));
	COUNT(&gate->counters, connections_refused);
	counter_add(&gate->counters.ends[reason], 1);
	log_refusal(gate, handshake->listener, &handshake->peer, reason);
	addresses_leave(gate->addresses, handshake->address, false);
	io_disconnect(&gate->io, &handshake->conn);
	forget(gate, index);
}

static void admit(struct gate *gate, uint32_t index, struct admission *admission)
{
	struct handshake *handshake = handshake_at(gate, index);
	uint16_t number = shard_of_hash(admission->hash, gate->shard_count);
	struct gate_batch *batch = &gate->batches[number];
	bool fits = (batch->count < FDPASS_BATCH_MAX || gate_batch_send(gate, number)) &&
		    gate->batched_bytes < gate->settings->handshake_bytes_max;
	enum seats_taken taken = fits ? seats_take(gate->shards[number].seats) : SEATS_NONE;
	if (taken == SEATS_NONE) {
		uint8_t version = admission->version;
		free(admission);
		refuse(gate, index, ERROR_SERVER_FULL, version);
		return;
	}
	addresses_sign_in(gate->addresses, handshake->address);
	admission->address = handshake->address;
	admission->is_beyond = taken == SEATS_BEYOND;
	/* The socket lives on in the shard: this poller must not report it any more. */
	if (handshake->registered)
		poller_remove(&gate->poller, handshake->conn.fd);
	keep_out_let_in(gate->settings, handshake->conn.fd);
	gate_batch_add(gate, number, handshake->conn.fd, admission);
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

/* Of a handshake that waits: for the rest of its CONNECT, or with replay for its password's verdict. */
static void keep_bytes(struct gate *gate, uint32_t index, struct slice bytes, size_t packet_bytes, uint8_t version)
{
	struct handshake *handshake = handshake_at(gate, index);
	if (gate->slab.used_bytes + bytes.size > gate->settings->handshake_bytes_max)
		refuse(gate, index, ERROR_HANDSHAKE_BYTES, version);
	else if (io_keep(&gate->io, &handshake->conn, bytes, packet_bytes, handshake->password != NULL) != ERROR_OK)
		refuse(gate, index, ERROR_NO_MEMORY, version);
	else
		keep_waiting(gate, index);
}

/* Clients of one address wait in one lane (an IPv6 address is a network of 64 bits). */
static uint64_t lane_of(const struct gate *gate, const struct handshake *handshake)
{
	const union peer *peer = &handshake->peer;
	struct slice address = slice_of(NULL, 0);
	if (peer->any.sa_family == AF_INET)
		address = slice_of(&peer->v4.sin_addr, sizeof(peer->v4.sin_addr));
	else if (peer->any.sa_family == AF_INET6)
		address = slice_of(&peer->v6.sin6_addr, sizeof(peer->v6.sin6_addr) / 2);
	return hash_slice(gate->key, address);
}

/* Hashing is made to take long: other threads do it, and its CONNECT is read once more when they have. */
static void have_password_checked(struct gate *gate, uint32_t index, struct slice bytes, size_t packet_bytes,
				  uint8_t version)
{
	struct handshake *handshake = handshake_at(gate, index);
	struct sign_in *sign_in = &gate->sign_in;
	enum error error = password_workers_check(gate->password_workers, &gate->verdicts, sign_in->passwords,
						  sign_in->deferred_user, sign_in->deferred_password,
						  lane_of(gate, handshake), index, &handshake->password);
	if (error != ERROR_OK) {
		refuse(gate, index, error, version);
		return;
	}
	sign_in->passwords_hashed++;
	COUNT(&gate->counters, passwords_waiting);
	handshake->version = version;
	keep_bytes(gate, index, bytes, packet_bytes, version);
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
	else if (error == ERROR_PASSWORD_PENDING)
		have_password_checked(gate, index, bytes, packet_bytes, version);
	else if (error != ERROR_MORE)
		refuse(gate, index, error, version);
	else
		keep_bytes(gate, index, bytes, packet_bytes, version);
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
	} while (handshake->conn.generation == generation && handshake->password == NULL);
}

/* What was found good is remembered, and so found when CONNECT is read again. Of passwords that were replaced meanwhile
 * the verdict is nobody's: the new ones are asked. */
static void take_verdict(struct gate *gate, const struct password_job *job)
{
	struct handshake *handshake = handshake_at(gate, job->handshake);
	bool stale = job->file != gate->sign_in.passwords;
	COUNT(&gate->counters, passwords_checked);
	forget_password(gate, handshake);
	if (!stale && job->verdict != ERROR_OK) {
		refuse(gate, job->handshake, job->verdict, handshake->version);
		return;
	}
	if (!stale)
		sign_in_remember(&gate->sign_in, password_job_user(job), password_job_password(job));
	uint64_t hits = gate->sign_in.cache.hits;
	read_handshake(gate, job->handshake);
	if (!stale)
		gate->sign_in.cache.hits = hits; /* it finds what was put there for it */
}

static void take_verdicts(struct gate *gate)
{
	struct password_job *job;
	while ((job = password_results_take(&gate->verdicts)) != NULL) {
		if (!atomic_load(&job->abandoned))
			take_verdict(gate, job);
		password_job_free(&job);
	}
}

static uint64_t visit(void *context, uint32_t index, uint64_t now_ms)
{
	struct gate *gate = context;
	const struct handshake *handshake = handshake_at(gate, index);
	uint64_t deadline_ms = handshake->deadline_ms;
	if (deadline_ms <= now_ms && handshake->password != NULL)
		refuse(gate, index, ERROR_PASSWORD_QUEUE, handshake->version);
	else if (deadline_ms <= now_ms)
		refuse(gate, index, ERROR_CONNECT_TIMEOUT, 0);
	return deadline_ms;
}

/* ---- accepting ---- */

static uint64_t listener_tag(uint32_t listener)
{
	return TAG_LISTENER + ((uint64_t)listener << 32);
}

static void stop_listening(struct gate *gate)
{
	for (uint32_t i = 0; i < gate->settings->listener_count; i++)
		poller_remove(&gate->poller, gate->settings->listeners[i].fd);
}

/* All of them or, where the kernel is short of something, none. */
static enum error start_listening(struct gate *gate)
{
	for (uint32_t i = 0; i < gate->settings->listener_count; i++) {
		int fd = gate->settings->listeners[i].fd;
		if (poller_add(&gate->poller, fd, listener_tag(i), POLLER_SHARED_READ) != ERROR_OK) {
			stop_listening(gate);
			return ERROR_SYSTEM;
		}
	}
	return ERROR_OK;
}

/* A connection wakes one gate. One that this gate was woken for, and leaves in the queue, is another's to find. */
static void tell_other_gates(struct gate *gate)
{
	for (uint16_t i = 0; i < gate->gate_count; i++) {
		if (i == gate->number)
			continue;
		atomic_store(&gate->gates[i].look_again, true);
		waker_wake(&gate->gates[i].waker);
	}
}

static void set_accepting(struct gate *gate, bool accepting)
{
	if (gate->accepting == accepting)
		return;
	if (accepting && start_listening(gate) != ERROR_OK) {
		gate->accept_again_ms = gate->now_ms + ACCEPT_PAUSE_MS;
		return;
	}
	gate->accepting = accepting;
	if (accepting)
		return;
	COUNT(&gate->counters, accept_pauses);
	stop_listening(gate);
	tell_other_gates(gate);
}

/* Another gate has stopped accepting: its connections are reported here once the listeners are added again. */
static void look_again(struct gate *gate)
{
	if (!atomic_exchange(&gate->look_again, false) || !gate->accepting)
		return;
	stop_listening(gate);
	gate->accepting = start_listening(gate) == ERROR_OK;
}

static enum error check_address(struct gate *gate, const struct sockaddr_storage *peer, uint32_t *place)
{
	struct network counted;
	enum error error = address_check(gate->settings, gate->addresses, peer, gate->now_ms, &counted, place);
	if (error != ERROR_OK && counted.bits != 0 && gate->number == 0)
		keep_out_refused(&gate->keep_out, gate->settings, &counted, gate->now_ms, &gate->counters);
	return error;
}

/* It costs the accept and no more. There is unread input, or will be: the peer gets a reset. */
static void turn_away(struct gate *gate, int fd, uint8_t listener, const struct sockaddr_storage *address,
		      enum error reason)
{
	union peer peer = peer_of_address(address);
	log_refusal(gate, listener, &peer, reason);
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
		turn_away(gate, fd, listener, &peer, error);
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
		.peer = peer_of_address(&peer),
		.address = address,
		.listener = listener,
	};
	COUNT(&gate->counters, handshakes_open);
	read_handshake(gate, index);
	return true;
}

static bool has_room(const struct gate *gate)
{
	return gate->handshakes.used + gate->batched < gate->settings->handshakes_max &&
	       gate->batched_bytes < gate->settings->handshake_bytes_max;
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
	if (handshake->conn.generation != (uint32_t)(event->data.u64 >> 32))
		return;
	if (handshake->password != NULL && poller_hung_up(event))
		refuse(gate, index, ERROR_CONNECTION_LOST, 0);
	else if (handshake->password == NULL && poller_readable(event))
		read_handshake(gate, index);
}

/* Hands over what was admitted. While a shard lags, nobody new is let in. */
static void send_batches(struct gate *gate)
{
	bool all = true;
	for (uint16_t number = 0; number < gate->shard_count && gate->batched != 0; number++)
		all &= gate_batch_send(gate, number);
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
	enum overload_grade grade = overload_grade(worst_ms, gate->grade, gate->settings->overload_refuse_ms);
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

/* What comes behind a CONNECT in the same read goes along to the shard, so a read is no longer than a CONNECT may be.
 */
static void bound_reads(struct gate *gate)
{
	size_t most = gate->settings->connect_bytes_max;
	gate->io.read_bytes = most < IO_READ_BYTES ? most : IO_READ_BYTES;
}

static void take_up_settings(struct gate *gate)
{
	if (!settings_refresh(&gate->settings_view, &gate->settings))
		return;
	gate->doorway.settings = gate->settings;
	bound_reads(gate);
	if (gate->number == 0)
		keep_out_renew(&gate->keep_out, gate->settings, &gate->counters);
}

static void turn(struct gate *gate)
{
	struct epoll_event events[EVENTS_A_TURN];
	waker_sleep(&gate->waker);
	look_again(gate);
	bool has_work = atomic_load(&gate->stopping) || atomic_load(&gate->verdicts.waiting);
	int timeout_ms = has_work ? 0 : sleep_ms(gate);
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
	take_verdicts(gate);
	wheel_turn(&gate->wheel, gate->now_ms, TIMERS_A_TURN, visit, gate);
	send_batches(gate);
	io_turn_end(&gate->io);
	rest_if_slow(gate, count);
	COUNT(&gate->counters, turns);
	COUNT_SET(&gate->counters, reads, gate->io.read_count);
	COUNT_SET(&gate->counters, bytes_in, gate->io.bytes_in);
	COUNT_SET(&gate->counters, handshake_bytes, gate->slab.used_bytes);
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
	schedule_thread(GATE_NICE);
	if (poller_open(&gate->poller) != ERROR_OK ||
	    poller_add(&gate->poller, gate->waker.fd, TAG_WAKER, POLLER_EDGE_READ) != ERROR_OK)
		return ERROR_SYSTEM;
	if (start_listening(gate) != ERROR_OK)
		return ERROR_SYSTEM;
	if (gate->number == 0)
		keep_out_renew(&gate->keep_out, gate->settings, &gate->counters);
	gate->accepting = true;
	bound_reads(gate);
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
		gate_batch_send(gate, number);
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
