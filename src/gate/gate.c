#include "gate/gate.h"

#include "access/access.h"
#include "base/clock.h"
#include "base/log.h"
#include "gate/accept.h"
#include "gate/connect.h"
#include "gate/handshake/passwords.h"
#include "gate/handshake/tls_queue.h"
#include "gate/handshakes.h"
#include "gate/stages.h"
#include "gate/tls.h"
#include "runtime/schedule.h"

#include <time.h>

#define EVENTS_PER_TURN 256
/* The rest after a turn while a shard lags. */
#define REST_MS 2
#define SLEEP_MS_MAX 1000u
/* The longest sleep while sockets wait to be handed over. */
#define HANDOVER_RETRY_MS 1u

#define TAG_WAKER ((uint64_t)1 << 32)
#define TAG_INTERNAL ((uint64_t)2 << 32)
_Static_assert((uint32_t)TAG_WAKER == 0, "a tag whose low half is not 0 is a handshake's");
_Static_assert(TAG_WAKER < GATE_ACCEPT_TAG && TAG_INTERNAL < GATE_ACCEPT_TAG,
	       "listeners have the highest tags with a low half of 0");

/* Room for incomplete CONNECTs: `handshake_bytes_max`, and what blocks waste by rounding. */
#define SLAB_BYTES_MAX ((size_t)256 << 20)

/* The kernel may prefer other work to new clients, but not to established ones. */
#define GATE_NICE 5

/* What a stage has written waits for the peer to read: the event will come, or the deadline. */
static void on_gate_blocked(void *context, struct conn *conn)
{
	(void)context;
	(void)conn;
}

/* A gate flushes a handshake's output at once, and looks then. */
static void on_gate_broken(void *context, struct conn *conn)
{
	struct gate *gate = context;
	(void)conn;
	gate->write_failed = true;
}

enum error gate_open(struct gate *gate)
{
	CHECK_GT(gate->shard_count, 0);
	CHECK_LT(gate->number, gate->gate_count);
	struct io_observer observer = {.blocked = on_gate_blocked, .broken = on_gate_broken, .context = gate};
	gate->environment =
		(struct sign_in_environment){.settings = gate->settings, .key = gate->key, .access = gate->access};
	password_results_open(&gate->verdicts, &gate->waker);
	authority_results_open(&gate->answers, &gate->waker);
	gate->batches = calloc(gate->shard_count, sizeof(*gate->batches));
	if (gate->batches == NULL || slab_open(&gate->slab, SLAB_BYTES_MAX) != ERROR_OK ||
	    io_open(&gate->io, &gate->slab, observer) != ERROR_OK ||
	    transports_open(&gate->transports, &gate->io.streams, NULL, gate->settings->handshakes_max) != ERROR_OK ||
	    access_sign_in_init(gate->access, &gate->sign_in, true) != ERROR_OK ||
	    gate_passwords_open(gate) != ERROR_OK || gate_handshakes_open(gate) != ERROR_OK)
		return ERROR_NO_MEMORY;
	gate->sign_in.defers_passwords = gate->password_workers != NULL;
	return waker_open(&gate->waker);
}

void gate_close(struct gate *gate)
{
	waker_close(&gate->waker);
	password_results_close(&gate->verdicts);
	gate_passwords_close(gate);
	authority_results_close(&gate->answers);
	sign_in_fini(&gate->sign_in);
	acl_put(&gate->acl);
	gate_tls_close(gate);
	pool_close(&gate->handshakes);
	transports_close(&gate->transports);
	io_close(&gate->io);
	slab_close(&gate->slab);
	free(gate->batches);
}

static void gate_handle_event(struct gate *gate, const struct poller_event *event)
{
	if ((uint32_t)event->tag != 0)
		gate_handshake_event(gate, event);
	else if (event->tag >= GATE_ACCEPT_TAG)
		gate_accept_some(gate, event->tag);
	else if (event->tag == TAG_INTERNAL)
		gate_internal_take(gate);
}

/* Hands over admitted clients. While a shard does not take them, the gate accepts no more. */
static void send_batches(struct gate *gate)
{
	bool all = true;
	for (uint16_t number = 0; number < gate->shard_count && gate->batched != 0; number++)
		all &= gate_batch_send(gate, number);
	CHECK(!all || gate->batched == 0); /* the batches of all shards add up */
	if (!all)
		gate_accept_pause(gate);
	else
		gate_accept_resume(gate);
}

/* Takes over the grade of the shard with the most lag. */
static void gate_refresh_grade(struct gate *gate)
{
	uint32_t worst_ms = 0;
	for (uint16_t i = 0; i < gate->shard_count; i++) {
		uint32_t lag_ms = atomic_load_explicit(&gate->shards[i].shared.lag_ms, memory_order_relaxed);
		if (lag_ms > worst_ms)
			worst_ms = lag_ms;
	}
	enum overload_grade grade = overload_grade(worst_ms, gate->grade, gate->settings->overload_refuse_ms);
	if (grade != gate->grade)
		log_write(LOG_INFO, "gate %u: overload %s, was %s: a turn of a shard takes %u ms", gate->number,
			  overload_name(grade), overload_name(gate->grade), worst_ms);
	gate->grade = grade;
	gate->environment.refusal = grade >= OVERLOAD_REFUSE ? ERROR_OVERLOADED : ERROR_OK;
	COUNT_SET(&gate->counters, overload_grade, (uint64_t)grade);
}

/* Takes over the current keys, passwords and rules. */
static void gate_refresh_access(struct gate *gate)
{
	struct sign_in_environment *environment = &gate->environment;
	environment->wall_s = (int64_t)time(NULL);
	if (drain_refuses(&gate->settings->drain, gate->now_ms))
		environment->refusal = (enum error)gate->settings->drain.reason;
	if (environment->refusal == ERROR_OK && access_is_out_of_step(gate->access))
		environment->refusal = ERROR_REVOCATIONS_AWAY;
	if (gate->access_version == access_version(gate->access))
		return;
	gate->access_version = access_refresh(gate->access, &gate->sign_in, &gate->acl);
	environment->sign_in = access_has_sign_in(gate->access) ? &gate->sign_in : NULL;
	environment->acl = access_has_rules(gate->access) ? gate->acl : NULL;
}

static int gate_sleep_ms(const struct gate *gate)
{
	if (gate->batched != 0)
		return HANDOVER_RETRY_MS;
	/* Room is looked for again soon: to accept, or for a TLS handshake. */
	bool waits = (!gate->accepting && gate_has_room(gate)) || gate->tls.waiting != 0;
	uint32_t limit_ms = waits ? GATE_ACCEPT_PAUSE_MS : SLEEP_MS_MAX;
	return (int)wheel_wait_ms(&gate->wheel, gate->now_ms, limit_ms);
}

/* More connections wait in the kernel meanwhile. */
static void rest_if_slow(const struct gate *gate, int events)
{
	static const struct timespec REST = {.tv_nsec = REST_MS * 1000000};
	if (gate->grade != OVERLOAD_NORMAL && events != 0)
		clock_nanosleep(CLOCK_MONOTONIC, 0, &REST, NULL);
}

/* What a layered stream takes over of what was read for the stage before (transport/stream_tls.h). */
#define GATE_READ_BYTES_MAX 32768u
_Static_assert(GATE_READ_BYTES_MAX + TLS_HANDSHAKE_INPUT_BYTES_MAX <= 65536, "with what was kept before it");

/* Input that follows CONNECT in the same read goes to the shard, so a read is no longer than a CONNECT may be. */
static void bound_reads(struct gate *gate)
{
	size_t most = gate->settings->connect_bytes_max;
	gate->io.read_bytes = most < GATE_READ_BYTES_MAX ? most : GATE_READ_BYTES_MAX;
}

static void gate_refresh_settings(struct gate *gate)
{
	if (!settings_refresh(&gate->settings_view, &gate->settings))
		return;
	gate->environment.settings = gate->settings;
	bound_reads(gate);
	if (gate->number != 0)
		return;
	drop_list_renew(&gate->drop_list, gate->settings, &gate->counters);
	if (gate->authority != NULL)
		authority_set_times(gate->authority, &gate->settings->access);
}

static void gate_turn(struct gate *gate)
{
	struct poller_event events[EVENTS_PER_TURN];
	waker_sleep(&gate->waker);
	if (atomic_load(&gate->resting))
		gate_accept_pause(gate);
	gate_accept_rearm(gate);
	bool has_work = atomic_load(&gate->stopping) || atomic_load(&gate->verdicts.waiting) ||
			atomic_load(&gate->answers.waiting) || gate_tls_has_work(gate);
	int timeout_ms = has_work ? 0 : gate_sleep_ms(gate);
	int count = poller_wait(&gate->poller, events, EVENTS_PER_TURN, timeout_ms);
	waker_awake(&gate->waker);

	gate_refresh_settings(gate);
	gate->now_ms = clock_now_ms();
	gate->io.now_ms = gate->now_ms;
	gate_refresh_grade(gate);
	gate_refresh_access(gate);
	gate_tls_refresh(gate);
	if (gate->number == 0)
		drop_list_turn(&gate->drop_list, gate->settings, gate->now_ms, &gate->counters);
	for (int i = 0; i < count; i++)
		gate_handle_event(gate, &events[i]);
	gate_handshakes_take_answers(gate);
	gate_handshakes_take_verdicts(gate);
	gate_stages_run_tls(gate);
	gate_handshakes_expire(gate);
	gate_tls_trim(gate);
	send_batches(gate);
	io_flush(&gate->io); /* of what was written at once, the places */
	io_turn_end(&gate->io);
	rest_if_slow(gate, count);
	COUNT(&gate->counters, turns);
	COUNT_SET(&gate->counters, reads, gate->io.read_count);
	COUNT_SET(&gate->counters, bytes_in, gate->io.bytes_in);
	COUNT_SET(&gate->counters, handshake_bytes, gate_bytes_kept(gate));
	COUNT_SET(&gate->counters, tokens_verified, gate->sign_in.tokens_verified);
	COUNT_SET(&gate->counters, passwords_hashed, gate->sign_in.passwords_hashed);
	COUNT_SET(&gate->counters, password_cache_hits, gate->sign_in.cache.hits);
	COUNT_SET(&gate->counters, password_cache_misses, gate->sign_in.cache.misses);
}

static enum error gate_thread_setup(struct gate *gate)
{
	CHECK(pthread_getcpuclockid(pthread_self(), &gate->cpu_clock) == 0);
	gate->table =
		gate->settings->private_tables ? fdtable_detach(gate->keep_fds, gate->keep_count) : FDTABLE_SHARED;
	schedule_thread(GATE_NICE);
	if (poller_open(&gate->poller) != ERROR_OK ||
	    poller_add(&gate->poller, gate->waker.fd, TAG_WAKER, POLLER_EDGE_READ) != ERROR_OK)
		return ERROR_SYSTEM;
	if (gate_accept_begin(gate) != ERROR_OK || gate_internal_begin(gate, TAG_INTERNAL) != ERROR_OK)
		return ERROR_SYSTEM;
	if (gate->number == 0)
		drop_list_renew(&gate->drop_list, gate->settings, &gate->counters);
	bound_reads(gate);
	gate->now_ms = clock_now_ms();
	gate_handshakes_begin(gate);
	return ERROR_OK;
}

/* Refuses open handshakes and hands over admitted clients. */
static void gate_thread_teardown(struct gate *gate)
{
	/* The main thread has its own; in a shared table they are the same. */
	for (uint32_t i = 0; i < gate->settings->listener_count && gate->table == FDTABLE_PRIVATE; i++)
		listener_close_copy(&gate->settings->listeners[i]);
	gate->transports.websockets.close_code = WS_CLOSE_GOING_AWAY;
	gate_handshakes_end(gate);
	CHECK_EQ(gate->handshakes.used, 0);
	for (uint16_t number = 0; number < gate->shard_count; number++)
		gate_batch_send(gate, number);
}

void gate_go_on_from_counters(struct gate *gate)
{
	const _Atomic uint64_t *values = gate->counters.values;
	gate->io.read_count = atomic_load(&values[COUNTER_reads]);
	gate->io.bytes_in = atomic_load(&values[COUNTER_bytes_in]);
	gate->sign_in.tokens_verified = atomic_load(&values[COUNTER_tokens_verified]);
	gate->sign_in.passwords_hashed = atomic_load(&values[COUNTER_passwords_hashed]);
	gate->sign_in.cache.hits = atomic_load(&values[COUNTER_password_cache_hits]);
	gate->sign_in.cache.misses = atomic_load(&values[COUNTER_password_cache_misses]);
}

static bool gate_has_come_to_rest(const struct gate *gate)
{
	return atomic_load(&gate->resting) && gate->handshakes.used == 0 && gate->batched == 0;
}

static void *gate_main(void *argument)
{
	struct gate *gate = argument;
	gate->check = (struct check_context){.thread = "gate", .number = gate->number};
	check_context_set(&gate->check);
	enum error error = gate_thread_setup(gate);
	atomic_store(&gate->failed, error != ERROR_OK);
	atomic_store(&gate->started, true);
	if (error != ERROR_OK)
		return NULL;
	while (!atomic_load(&gate->stopping) && !gate_has_come_to_rest(gate))
		gate_turn(gate);
	bool at_rest = gate_has_come_to_rest(gate);
	gate_thread_teardown(gate);
	io_leave(&gate->io);
	poller_close(&gate->poller);
	atomic_store(&gate->at_rest, at_rest);
	return NULL;
}

bool gate_is_at_rest(const struct gate *gate)
{
	return atomic_load(&gate->at_rest);
}

uint32_t gate_handshakes_left(const struct gate *gate)
{
	return (uint32_t)atomic_load_explicit(&gate->counters.values[COUNTER_handshakes_open], memory_order_relaxed);
}

enum error gate_start(struct gate *gate)
{
	atomic_store(&gate->resting, false);
	atomic_store(&gate->at_rest, false);
	atomic_store(&gate->stopping, false);
	atomic_store(&gate->started, false);
	return pthread_create(&gate->thread, NULL, gate_main, gate) == 0 ? ERROR_OK : ERROR_SYSTEM;
}

void gate_rest(struct gate *gate)
{
	atomic_store(&gate->resting, true);
	waker_wake(&gate->waker);
}

void gate_stop(struct gate *gate)
{
	atomic_store(&gate->stopping, true);
	waker_wake(&gate->waker);
}
