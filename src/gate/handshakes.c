#include "gate/handshakes.h"

#include "access/access.h"
#include "access/addresses.h"
#include "base/log.h"
#include "gate/handover.h"

#include <stddef.h>

#define TIMERS_PER_TURN 1024u

/* A socket that has not signed in. */
struct handshake {
	struct conn conn; /* first: conn.stream is where the pool keeps its link while it is free */
	struct wheel_node timer;
	uint64_t deadline_ms;
	union peer peer;
	uint32_t address; /* place in gate->addresses; 0: not counted */
	uint8_t listener;
	uint8_t version;               /* the client's protocol level, while its password is checked */
	bool registered;               /* with the poller */
	struct password_job *password; /* the password being checked, or NULL; nothing is read meanwhile */
};

_Static_assert(offsetof(struct handshake, conn) == 0 && offsetof(struct conn, stream) == 0,
	       "the free list's link overwrites nothing but conn.stream");
_Static_assert(offsetof(struct conn, generation) >= sizeof(uint32_t), "the generation outlives the handshake");

static struct handshake *handshake_at(const struct gate *gate, uint32_t index)
{
	return pool_at(&gate->handshakes, index);
}

enum error gate_handshakes_open(struct gate *gate)
{
	return pool_open(&gate->handshakes, sizeof(struct handshake), gate->settings->handshakes_max);
}

void gate_handshakes_begin(struct gate *gate)
{
	wheel_init(&gate->wheel, &gate->handshakes, offsetof(struct handshake, timer), gate->now_ms);
}

/* ---- how a handshake ends ---- */

/* The verdict has come, or the handshake has ended. */
static void detach_password_job(struct gate *gate, struct handshake *handshake)
{
	if (handshake->password == NULL)
		return;
	handshake->password = NULL;
	COUNT_DOWN(&gate->counters, passwords_waiting);
}

static void handshakes_release(struct gate *gate, uint32_t index)
{
	struct handshake *handshake = handshake_at(gate, index);
	if (handshake->password != NULL)
		atomic_store(&handshake->password->abandoned, true);
	detach_password_job(gate, handshake);
	wheel_remove(&gate->wheel, index);
	handshake->conn.generation++;
	handshake->registered = false;
	io_drop_input(&gate->io, &handshake->conn);
	pool_give(&gate->handshakes, index);
	COUNT_DOWN(&gate->counters, handshakes_open);
}

void gate_log_refusal(const struct gate *gate, uint8_t listener, const union peer *peer, enum error reason)
{
	/* A flood causes many thousands of these per second. */
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

static void handshakes_refuse(struct gate *gate, uint32_t index, enum error reason, uint8_t version)
{
	struct handshake *handshake = handshake_at(gate, index);
	uint8_t refusal[REFUSAL_BYTES_MAX];
	size_t size = handshake_refusal(reason, version, handshake_retry_ms(reason), refusal);
	if (size != 0)
		io_send_last(&gate->io, &handshake->conn, slice_of(refusal, size));
	COUNT(&gate->counters, connections_refused);
	counter_add(&gate->counters.ends[reason], 1);
	gate_log_refusal(gate, handshake->listener, &handshake->peer, reason);
	addresses_leave(gate->addresses, handshake->address, false);
	io_disconnect(&gate->io, &handshake->conn);
	handshakes_release(gate, index);
}

static void handshakes_admit(struct gate *gate, uint32_t index, struct admission *admission)
{
	struct handshake *handshake = handshake_at(gate, index);
	CHECK(handshake->password == NULL); /* its verdict would come too late */
	uint16_t number = shard_of_hash(admission->hash, gate->shard_count);
	CHECK_LT(number, gate->shard_count);
	struct gate_batch *batch = &gate->batches[number];
	bool fits = (batch->count < FDPASS_BATCH_MAX || gate_batch_send(gate, number)) &&
		    gate->batched_bytes < gate->settings->handshake_bytes_max;
	enum quota_taken taken = fits ? quota_take(gate->shards[number].env.quota) : QUOTA_NONE;
	if (taken == QUOTA_NONE) {
		uint8_t version = admission->version;
		free(admission);
		handshakes_refuse(gate, index, ERROR_SERVER_FULL, version);
		return;
	}
	int fd = io_release(&gate->io, &handshake->conn, &admission->carry);
	if (fd < 0) {
		uint8_t version = admission->version;
		free(admission);
		quota_give(gate->shards[number].env.quota);
		handshakes_refuse(gate, index, ERROR_NO_MEMORY, version);
		return;
	}
	addresses_sign_in(gate->addresses, handshake->address);
	admission->address = handshake->address;
	admission->is_beyond = taken == QUOTA_BEYOND;
	/* epoll reports a socket as long as any copy of its descriptor is open, and the shard keeps one. */
	if (handshake->registered)
		poller_remove(&gate->poller, fd);
	drop_list_let_in(gate->settings, fd);
	gate_batch_add(gate, number, fd, admission);
	handshakes_release(gate, index);
}

/* ---- reading ---- */

static void keep_waiting(struct gate *gate, uint32_t index)
{
	struct handshake *handshake = handshake_at(gate, index);
	if (handshake->registered)
		return;
	uint64_t tag = (uint64_t)handshake->conn.generation << 32 | index;
	int fd = stream_borrow(&gate->io.streams, handshake->conn.stream);
	enum error error = poller_add(&gate->poller, fd, tag, POLLER_EDGE_BOTH);
	stream_give_back(&gate->io.streams, handshake->conn.stream, fd);
	if (error != ERROR_OK) {
		handshakes_refuse(gate, index, ERROR_SYSTEM, 0);
		return;
	}
	handshake->registered = true;
	wheel_add(&gate->wheel, index, handshake->deadline_ms);
}

/* Keeps the input of a handshake that waits for the rest of its CONNECT, or for a verdict on its password: then the
 * input is read once more. */
static void keep_input(struct gate *gate, uint32_t index, struct slice bytes, size_t packet_bytes, uint8_t version)
{
	struct handshake *handshake = handshake_at(gate, index);
	if (gate->slab.used_bytes + bytes.size > gate->settings->handshake_bytes_max)
		handshakes_refuse(gate, index, ERROR_HANDSHAKE_BYTES, version);
	else if (io_keep(&gate->io, &handshake->conn, bytes, packet_bytes, handshake->password != NULL) != ERROR_OK)
		handshakes_refuse(gate, index, ERROR_NO_MEMORY, version);
	else
		keep_waiting(gate, index);
}

/* Clients of one address share a lane. Of an IPv6 address only the first 64 bits count. */
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

/* Hashing is slow by design, so other threads do it. CONNECT is read once more when the verdict is there. */
static void submit_password(struct gate *gate, uint32_t index, struct slice bytes, size_t packet_bytes, uint8_t version)
{
	struct handshake *handshake = handshake_at(gate, index);
	struct sign_in *sign_in = &gate->sign_in;
	CHECK(gate->password_workers != NULL && handshake->password == NULL);
	enum error error = password_workers_check(gate->password_workers, &gate->verdicts, sign_in->passwords,
						  sign_in->deferred_user, sign_in->deferred_password,
						  lane_of(gate, handshake), index, &handshake->password);
	if (error != ERROR_OK) {
		handshakes_refuse(gate, index, error, version);
		return;
	}
	sign_in->passwords_hashed++;
	COUNT(&gate->counters, passwords_waiting);
	handshake->version = version;
	keep_input(gate, index, bytes, packet_bytes, version);
}

static void handshakes_read_bytes(struct gate *gate, uint32_t index, struct slice bytes)
{
	struct handshake *handshake = handshake_at(gate, index);
	struct admission *admission = NULL;
	size_t packet_bytes;
	uint8_t version;
	bool loopback = gate->settings->listeners[handshake->listener].loopback;
	enum error error = handshake_read(&gate->environment, loopback, bytes, &admission, &packet_bytes, &version);
	if (error == ERROR_TOKEN_KEY_UNKNOWN)
		access_ask_for_keys(gate->access);
	if (error == ERROR_OK)
		handshakes_admit(gate, index, admission);
	else if (error == ERROR_PASSWORD_PENDING)
		submit_password(gate, index, bytes, packet_bytes, version);
	else if (error != ERROR_MORE)
		handshakes_refuse(gate, index, error, version);
	else
		keep_input(gate, index, bytes, packet_bytes, version);
}

/* Reads until CONNECT is complete or the socket is empty. This ends soon, because a CONNECT is small. */
static void read_handshake(struct gate *gate, uint32_t index)
{
	struct handshake *handshake = handshake_at(gate, index);
	uint16_t generation = handshake->conn.generation;
	do {
		struct slice bytes;
		bool more;
		switch (io_receive(&gate->io, &handshake->conn, &bytes, &more)) {
		case IO_BYTES:
			handshakes_read_bytes(gate, index, bytes);
			break;
		case IO_NOTHING:
			keep_waiting(gate, index);
			if (!more)
				return;
			break;
		case IO_EOF:
		case IO_BROKEN:
			handshakes_refuse(gate, index, ERROR_CONNECTION_LOST, 0);
			return;
		}
	} while (handshake->conn.generation == generation && handshake->password == NULL);
}

/* A correct password goes into the cache, where the second reading of CONNECT finds it. If the password file was
 * replaced meanwhile, the verdict is ignored, and the new file decides. */
static void take_verdict(struct gate *gate, const struct password_job *job)
{
	struct handshake *handshake = handshake_at(gate, job->handshake);
	CHECK(handshake->password == job);
	bool stale = job->file != gate->sign_in.passwords;
	COUNT(&gate->counters, passwords_checked);
	detach_password_job(gate, handshake);
	if (!stale && job->verdict != ERROR_OK) {
		handshakes_refuse(gate, job->handshake, job->verdict, handshake->version);
		return;
	}
	if (!stale)
		sign_in_remember(&gate->sign_in, password_job_user(job), password_job_password(job));
	uint64_t hits = gate->sign_in.cache.hits;
	read_handshake(gate, job->handshake);
	if (!stale)
		gate->sign_in.cache.hits = hits; /* this lookup is no hit: the entry was just made for it */
}

void gate_handshakes_take_verdicts(struct gate *gate)
{
	struct password_job *job;
	while ((job = password_results_take(&gate->verdicts)) != NULL) {
		if (!atomic_load(&job->abandoned))
			take_verdict(gate, job);
		password_job_free(&job);
	}
}

static uint64_t handshakes_visit(void *context, uint32_t index, uint64_t now_ms)
{
	struct gate *gate = context;
	const struct handshake *handshake = handshake_at(gate, index);
	uint64_t deadline_ms = handshake->deadline_ms;
	if (deadline_ms <= now_ms && handshake->password != NULL)
		handshakes_refuse(gate, index, ERROR_PASSWORD_QUEUE, handshake->version);
	else if (deadline_ms <= now_ms)
		handshakes_refuse(gate, index, ERROR_CONNECT_TIMEOUT, 0);
	return deadline_ms;
}

void gate_handshakes_expire(struct gate *gate)
{
	wheel_turn(&gate->wheel, gate->now_ms, TIMERS_PER_TURN, handshakes_visit, gate);
}

/* ---- begin, events, end ---- */

bool gate_handshake_new(struct gate *gate, int fd, uint8_t listener, const struct sockaddr_storage *peer,
			uint32_t address)
{
	uint32_t index = pool_take(&gate->handshakes);
	if (index == 0)
		return false;
	struct handshake *handshake = handshake_at(gate, index);
	uint16_t generation = handshake->conn.generation;
	*handshake = (struct handshake){
		.conn = {.stream = stream_of(STREAM_DESCRIPTOR, fd), .generation = generation},
		.deadline_ms = gate->now_ms + gate->settings->connect_timeout_ms,
		.peer = peer_of_address(peer),
		.address = address,
		.listener = listener,
	};
	COUNT(&gate->counters, handshakes_open);
	read_handshake(gate, index);
	return true;
}

void gate_handshake_event(struct gate *gate, const struct poller_event *event)
{
	uint32_t index = (uint32_t)event->tag;
	struct handshake *handshake = handshake_at(gate, index);
	if (handshake->conn.generation != (uint32_t)(event->tag >> 32))
		return;
	if (poller_writable(event) && io_awaits_writing(&handshake->conn) && !io_resume(&gate->io, &handshake->conn)) {
		handshakes_refuse(gate, index, ERROR_CONNECTION_LOST, 0);
		return;
	}
	if (handshake->password != NULL && poller_hung_up(event))
		handshakes_refuse(gate, index, ERROR_CONNECTION_LOST, 0);
	else if (handshake->password == NULL && poller_readable(event))
		read_handshake(gate, index);
}

void gate_handshakes_end(struct gate *gate)
{
	for (uint32_t index = 1; index <= gate->handshakes.touched; index++) {
		if (handshake_at(gate, index)->registered)
			handshakes_refuse(gate, index, ERROR_SERVER_STOPPING, 0);
	}
}
