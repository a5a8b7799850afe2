#include "bench/load/load_worker.h"

#include "bench/load/publisher.h"
#include "bench/measure/quiet.h"
#include "bench/measure/stall.h"
#include "bench/measure/stamp.h"

#include "base/check.h"
#include "base/clock.h"

#include <stdlib.h>

/* Fits the shortest default backlog of a broker, mosquitto's 100. */
#define IN_PROGRESS_MAX 64u
#define CONNECT_STALL_NS 20000000000u
#define WAIT_NS_MAX 10000000u

struct load_state {
	struct load_worker *worker;
	struct client_pool pool;
	struct publishers publishers;
	struct members members;       /* shared */
	struct audit_stream *streams; /* one for each publisher and each of its subscribers, or group of subscribers */
	uint64_t acknowledgements;    /* that came */
	uint32_t interval;
};

static enum load_phase load_phase(const struct load_state *state)
{
	return atomic_load_explicit(&state->worker->shared->phase, memory_order_acquire);
}

static uint32_t stream_count(const struct publishers *publishers)
{
	return publishers->channels * publishers->fan;
}

static uint32_t load_topic(void *owner, uint32_t index)
{
	const struct load_state *state = owner;
	uint32_t publishers = state->worker->load.publishers;
	return index < publishers ? CLIENT_NO_TOPIC : publishers_topic(&state->publishers, index - publishers);
}

/* Returns true if the stamp's publisher sends to this client; *stream is then the index of their stream. */
static bool find_stream(const struct load_state *state, uint32_t index, const struct stamp *stamp, uint32_t *stream)
{
	const struct load_plan *load = &state->worker->load;
	if (index < load->publishers || stamp->publisher >= load->publishers)
		return false;
	uint32_t subscriber = index - load->publishers;
	switch (load->pattern) {
	case LOAD_ONE_TO_ONE:
		*stream = subscriber;
		return subscriber % load->publishers == stamp->publisher;
	case LOAD_FAN_OUT:
		*stream = stamp->publisher * state->publishers.fan + subscriber;
		return true;
	case LOAD_FAN_IN:
		*stream = stamp->publisher;
		return subscriber == 0;
	case LOAD_SHARED:
		*stream = stamp->publisher;
		return subscriber < load->members;
	}
	return false;
}

/* The system's time may have been set in between. */
static void add_passed(struct histogram *histogram, uint64_t from_ns, uint64_t to_ns)
{
	histogram_add(histogram, to_ns > from_ns ? to_ns - from_ns : 0);
}

static void note_times(struct load_state *state, struct slice payload, struct stamp *stamp)
{
	struct load_worker *worker = state->worker;
	uint64_t arrived_ns = state->pool.arrived_ns;
	if (state->interval >= LOAD_INTERVALS)
		return;
	histogram_add(&worker->latency_ns[state->interval], clock_now_ns() - stamp->sent_ns);
	if (arrived_ns == 0)
		return;
	stamp_read_left(payload, stamp);
	if (stamp->left_ns != 0)
		add_passed(&worker->lateness.passage_ns, stamp->left_ns, arrived_ns);
	add_passed(&worker->lateness.read_ns, arrived_ns, arrival_clock_ns());
}

static void load_on_message(void *owner, uint32_t index, const struct mqtt_publish *publish)
{
	struct load_state *state = owner;
	struct load_worker *worker = state->worker;
	struct audit *audit = &worker->audit;
	struct stamp stamp;
	uint32_t stream;
	if (!stamp_read(publish->payload, &stamp) || !find_stream(state, index, &stamp, &stream) ||
	    publish->qos != worker->load.qos) {
		worker->foreign++;
		return;
	}
	note_times(state, publish->payload, &stamp);
	uint64_t received = audit->received;
	CHECK(stream < stream_count(&state->publishers));
	uint64_t connect_done = audit_receive(audit, &state->streams[stream], stamp.number);
	if (worker->load.pattern == LOAD_SHARED)
		members_take(&state->members, index - worker->load.publishers, stamp.publisher, stamp.number,
			     audit->received > received);
	publisher_settle(&state->publishers, stamp.publisher, connect_done);
}

static bool load_on_acknowledged(void *owner, uint32_t index, uint8_t type, uint16_t packet_id)
{
	struct load_state *state = owner;
	state->acknowledgements++;
	return index < state->worker->load.publishers &&
	       publisher_acknowledge(&state->publishers, index, type, packet_id);
}

static void load_on_writable(void *owner, uint32_t index)
{
	struct load_state *state = owner;
	if (index < state->worker->load.publishers && load_phase(state) > LOAD_CONNECTING)
		publisher_pump(&state->publishers, index);
}

/* Grows with everything that moves the load towards its end. */
static uint64_t progress_of(const struct load_state *state)
{
	return state->worker->audit.received + state->acknowledgements + state->pool.released;
}

/* Publishes what is due. Returns how long to wait for messages. */
static uint64_t wait_ns(struct load_state *state)
{
	struct load_worker *worker = state->worker;
	if (worker->load.rate == 0 || load_phase(state) != LOAD_FLOWING)
		return WAIT_NS_MAX;
	state->publishers.late_ns = state->interval < LOAD_INTERVALS ? &worker->lateness.late_ns : NULL;
	uint64_t wake_ns = publishers_tick(&state->publishers, clock_now_ns());
	uint64_t now_ns = clock_now_ns();
	if (wake_ns <= now_ns)
		return 0;
	return wake_ns - now_ns < WAIT_NS_MAX ? wake_ns - now_ns : WAIT_NS_MAX;
}

static void load_turn(struct load_state *state)
{
	state->interval = atomic_load_explicit(&state->worker->shared->interval, memory_order_relaxed);
	client_pool_turn_ns(&state->pool, wait_ns(state));
	atomic_store_explicit(&state->worker->delivered, state->worker->audit.received, memory_order_relaxed);
	atomic_store_explicit(&state->worker->ready, state->pool.ready, memory_order_relaxed);
}

static void load_connect(struct load_state *state)
{
	struct client_pool *pool = &state->pool;
	struct stall stall = stall_begin(clock_now_ns(), CONNECT_STALL_NS);
	while ((pool->started < pool->count || pool->in_progress > 0) && load_phase(state) == LOAD_CONNECTING) {
		while (pool->started < pool->count && pool->in_progress < IN_PROGRESS_MAX)
			client_pool_start_next(pool);
		load_turn(state);
		if (stall_is_over(&stall, pool->ready, clock_now_ns()))
			client_pool_give_up(pool);
	}
	state->worker->receive_max = pool->receive_max;
	atomic_store_explicit(&state->worker->connect_done, true, memory_order_release);
	while (load_phase(state) == LOAD_CONNECTING)
		load_turn(state);
}

/* All that was sent has arrived, and every handshake has ended. */
static bool has_drained(const struct load_state *state)
{
	return publishers_idle(&state->publishers) && state->pool.released == state->pool.received_qos_2;
}

/* Waits for messages under way. Each thread has its own publishers and subscribers, so it can tell by itself when it is
 * done. */
static void load_drain(struct load_state *state)
{
	struct client_pool *pool = &state->pool;
	struct quiet quiet = quiet_begin(state->worker->shared->quiet_ms, progress_of(state), clock_now_ns());
	enum quiet_advice advice = QUIET_WAIT;
	state->publishers.stopped = true;
	while (!has_drained(state) && advice != QUIET_OVER && load_phase(state) == LOAD_DRAINING) {
		load_turn(state);
		bool answered = pool->pings_pending == 0;
		advice = quiet_look(&quiet, progress_of(state), answered, clock_now_ns());
		if (advice == QUIET_PROBE)
			client_pool_probe(pool);
	}
}

static void run_messages(struct load_state *state)
{
	const struct load_worker *worker = state->worker;
	CHECK(worker->phase >= 0 && worker->phase < 1);
	schedule_init(&state->publishers.schedule, clock_now_ns(), worker->load.rate, worker->phase, 0);
	for (uint32_t i = 0; i < worker->load.publishers && load_phase(state) == LOAD_FLOWING; i++)
		publisher_pump(&state->publishers, i);
	while (load_phase(state) == LOAD_FLOWING)
		load_turn(state);
	load_drain(state);
	atomic_store_explicit(&state->worker->drained, true, memory_order_release);
}

static void finish(struct load_state *state)
{
	CHECK(state->pool.released <= state->pool.received_qos_2);
	const struct publishers *publishers = &state->publishers;
	struct load_worker *worker = state->worker;
	while (load_phase(state) != LOAD_LEAVING)
		load_turn(state);
	for (uint32_t i = 0; i < stream_count(publishers); i++)
		audit_end(&worker->audit, &state->streams[i], publishers->sent[i / publishers->fan]);
	/* Order is promised to each member, not between members. */
	if (worker->load.pattern == LOAD_SHARED)
		worker->audit.reordered = state->members.reordered;
	worker->spread = members_spread(&state->members);
	worker->unacknowledged =
		publishers_unacknowledged(publishers) + state->pool.received_qos_2 - state->pool.released;
	for (uint32_t i = 0; i < state->pool.started; i++)
		client_pool_leave(&state->pool, i);
	worker->losses = state->pool.losses;
}

/* Returns false without memory or descriptors. */
static bool run_load(struct load_state *state)
{
	struct load_worker *worker = state->worker;
	if (!client_pool_open(&state->pool, &worker->shared->plan, worker->first, worker->load.clients))
		return false;
	state->pool.owner = state;
	state->pool.events = (struct client_events){.topic_of = load_topic,
						    .message = load_on_message,
						    .acknowledged = load_on_acknowledged,
						    .writable = load_on_writable};
	bool shared = worker->load.pattern == LOAD_SHARED;
	bool good = publishers_open(&state->publishers, &worker->load, &state->pool);
	if (good) {
		state->streams = calloc(stream_count(&state->publishers), sizeof(*state->streams));
		good = state->streams != NULL &&
		       members_open(&state->members, shared ? worker->load.members : 0, worker->load.publishers);
		if (good) {
			load_connect(state);
			run_messages(state);
			finish(state);
			members_close(&state->members);
		}
		free(state->streams);
		publishers_close(&state->publishers);
	}
	client_pool_close(&state->pool);
	return good;
}

void load_worker_run(void *argument)
{
	CHECK(((struct load_worker *)argument)->load.clients > ((struct load_worker *)argument)->load.publishers);
	struct load_worker *worker = argument;
	struct load_state state = {.worker = worker};
	worker->failed = !run_load(&state);
	atomic_store_explicit(&worker->connect_done, true, memory_order_release);
	atomic_store_explicit(&worker->drained, true, memory_order_release);
}
