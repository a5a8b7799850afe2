#include "bench/load.h"

#include "bench/place.h"
#include "bench/publisher.h"
#include "bench/stamp.h"

#include "base/clock.h"
#include "net/fdtable.h"

#include <stdlib.h>

/* Fits the shortest backlog that a broker has by default, mosquitto's 100. */
#define IN_PROGRESS_MAX 64u
#define CONNECT_STALL_NS 20000000000u
/* A message that has not come so long after the last one did is lost. */
#define DRAIN_QUIET_NS 2000000000u
#define WAIT_MS 10

struct load_state {
	struct load_worker *worker;
	struct fleet fleet;
	struct publishers publishers;
	struct audit_stream *streams; /* one for each publisher and each of its subscribers */
	uint64_t heard_ns;
	bool measuring;
};

static enum load_phase phase_of(const struct load_state *state)
{
	return atomic_load_explicit(&state->worker->shared->phase, memory_order_acquire);
}

static uint32_t stream_count(const struct publishers *publishers)
{
	return publishers->channels * publishers->fan;
}

static uint32_t topic_of(void *owner, uint32_t index)
{
	const struct load_state *state = owner;
	uint32_t publishers = state->worker->load.publishers;
	return index < publishers ? FLEET_NO_TOPIC : publishers_topic(&state->publishers, index - publishers);
}

/* True when the stamp's publisher sends to this client at all; then *stream is the place of their stream. */
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
	}
	return false;
}

static void on_message(void *owner, uint32_t index, struct slice payload)
{
	struct load_state *state = owner;
	struct load_worker *worker = state->worker;
	struct stamp stamp;
	uint32_t stream;
	if (!stamp_read(payload, &stamp) || !find_stream(state, index, &stamp, &stream)) {
		worker->foreign++;
		return;
	}
	if (state->measuring)
		histogram_add(&worker->latency_ns, clock_now_ns() - stamp.sent_ns);
	uint64_t settled = audit_receive(&worker->audit, &state->streams[stream], stamp.number);
	publisher_settle(&state->publishers, stamp.publisher, settled);
}

static void on_writable(void *owner, uint32_t index)
{
	struct load_state *state = owner;
	if (index < state->worker->load.publishers && phase_of(state) > LOAD_CONNECTING)
		publisher_writable(&state->publishers, index);
}

static void turn(struct load_state *state)
{
	uint64_t received = state->worker->audit.received;
	fleet_turn(&state->fleet, WAIT_MS);
	if (state->worker->audit.received != received)
		state->heard_ns = clock_now_ns();
	atomic_store_explicit(&state->worker->delivered, state->worker->audit.received, memory_order_relaxed);
	atomic_store_explicit(&state->worker->ready, state->fleet.ready, memory_order_relaxed);
}

static void connect_all(struct load_state *state)
{
	struct fleet *fleet = &state->fleet;
	uint64_t end = clock_now_ns() + CONNECT_STALL_NS;
	while ((fleet->started < fleet->count || fleet->in_progress > 0) && phase_of(state) == LOAD_CONNECTING) {
		while (fleet->started < fleet->count && fleet->in_progress < IN_PROGRESS_MAX)
			fleet_start_next(fleet);
		turn(state);
		if (clock_now_ns() > end)
			fleet_give_up(fleet);
	}
	atomic_store_explicit(&state->worker->settled, true, memory_order_release);
	while (phase_of(state) == LOAD_CONNECTING)
		turn(state);
}

static void run_messages(struct load_state *state)
{
	for (uint32_t i = 0; i < state->worker->load.publishers && phase_of(state) < LOAD_DRAINING; i++)
		publisher_pump(&state->publishers, i);
	while (phase_of(state) < LOAD_DRAINING) {
		state->measuring = phase_of(state) == LOAD_MEASURING;
		turn(state);
	}
	state->measuring = false;
	state->publishers.stopped = true;
	state->heard_ns = clock_now_ns();
	while (!publishers_idle(&state->publishers) && clock_now_ns() - state->heard_ns < DRAIN_QUIET_NS &&
	       phase_of(state) == LOAD_DRAINING)
		turn(state);
	atomic_store_explicit(&state->worker->drained, true, memory_order_release);
}

static void finish(struct load_state *state)
{
	const struct publishers *publishers = &state->publishers;
	while (phase_of(state) != LOAD_LEAVING)
		turn(state);
	for (uint32_t i = 0; i < stream_count(publishers); i++)
		audit_end(&state->worker->audit, &state->streams[i], publishers->sent[i / publishers->fan]);
	for (uint32_t i = 0; i < state->fleet.started; i++)
		fleet_leave(&state->fleet, i);
	state->worker->losses = state->fleet.losses;
}

/* False: no memory or no descriptor. */
static bool run_load(struct load_state *state)
{
	struct load_worker *worker = state->worker;
	if (!fleet_open(&state->fleet, &worker->shared->plan, worker->first, worker->load.clients))
		return false;
	state->fleet.owner = state;
	state->fleet.events = (struct fleet_events){topic_of, on_message, on_writable};
	bool good = publishers_open(&state->publishers, &worker->load, &state->fleet);
	if (good) {
		state->streams = calloc(stream_count(&state->publishers), sizeof(*state->streams));
		good = state->streams != NULL;
		if (good) {
			connect_all(state);
			run_messages(state);
			finish(state);
		}
		free(state->streams);
		publishers_close(&state->publishers);
	}
	fleet_close(&state->fleet);
	return good;
}

static void *run(void *argument)
{
	struct load_worker *worker = argument;
	struct load_state state = {.worker = worker};
	place_keep(0, worker->shared->cpu);
	fdtable_detach(NULL, 0);
	worker->failed = !run_load(&state);
	atomic_store_explicit(&worker->settled, true, memory_order_release);
	atomic_store_explicit(&worker->drained, true, memory_order_release);
	return NULL;
}

int load_worker_start(struct load_worker *worker)
{
	return pthread_create(&worker->thread, NULL, run, worker);
}

void load_worker_join(struct load_worker *worker)
{
	pthread_join(worker->thread, NULL);
}
