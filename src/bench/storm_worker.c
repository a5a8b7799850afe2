#include "bench/storm_worker.h"

#include "base/clock.h"
#include "net/fdtable.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

/* How many connections go out between two looks at what came back. */
#define START_BATCH 64u
#define WAIT_MS 1
/* What is in progress at the end may take so long. SYNs are repeated after 1 and 3 s. */
#define LINGER_NS 5000000000u

/* A place in the fleet is free, in progress, or one of those who stay. */
struct place {
	uint64_t started_ns;
	uint32_t number; /* of its attempt */
	bool stays;
};

struct state {
	struct storm_worker *worker;
	struct fleet fleet;
	struct place *places;
	uint32_t *free; /* a stack of the fleet's indices */
	uint32_t free_count;
	uint32_t *staying; /* a ring of indices, the oldest first; those who were lost meanwhile too */
	uint32_t stay_first;
	uint32_t stay_count;
	uint64_t attempts;
	uint64_t began_ns;
};

static uint32_t number_of(void *owner, uint32_t index)
{
	const struct state *state = owner;
	return state->places[index].number;
}

static uint32_t topic_of(void *owner, uint32_t index)
{
	const struct state *state = owner;
	return state->worker->shared->subscribe ? state->places[index].number : FLEET_NO_TOPIC;
}

static void free_place(struct state *state, uint32_t index)
{
	state->places[index].stays = false;
	state->free[state->free_count++] = index;
}

/* The oldest of those who stay makes room, if it has not been lost before. */
static void leave_oldest(struct state *state)
{
	uint32_t index = state->staying[state->stay_first];
	state->stay_first = (state->stay_first + 1) % state->worker->shared->stay;
	state->stay_count--;
	fleet_leave(&state->fleet, index);
	free_place(state, index);
}

static void on_ready(void *owner, uint32_t index)
{
	struct state *state = owner;
	struct storm_worker *worker = state->worker;
	uint32_t stay = worker->shared->stay;
	histogram_add(&worker->sign_in_ns, clock_now_ns() - state->places[index].started_ns);
	worker->ends[STORM_SIGNED_IN]++;
	atomic_store_explicit(&worker->signed_in, worker->ends[STORM_SIGNED_IN], memory_order_relaxed);
	if (stay == 0) {
		fleet_leave(&state->fleet, index);
		free_place(state, index);
		return;
	}
	if (state->stay_count == stay)
		leave_oldest(state);
	state->staying[(state->stay_first + state->stay_count++) % stay] = index;
	state->places[index].stays = true;
}

static void on_lost(void *owner, uint32_t index, enum client_state was, enum loss kind, uint32_t code)
{
	struct state *state = owner;
	if (state->places[index].stays) {
		state->worker->stay_lost++;
		return; /* its place is free when its turn to leave has come */
	}
	state->worker->ends[storm_end_of(was, kind, code)]++;
	free_place(state, index);
}

enum storm_end storm_end_of(enum client_state state, enum loss kind, uint32_t code)
{
	bool was_reset = code == ECONNRESET || code == EPIPE;
	switch (kind) {
	case LOSS_CONNECT: /* also CONNECT itself: the server was quicker than we */
		return was_reset ? STORM_RESET : STORM_UNOPENED;
	case LOSS_RESET:
		return was_reset && state < CLIENT_SUBSCRIBING ? STORM_RESET : STORM_OTHER;
	case LOSS_CLOSED:
		return state < CLIENT_SUBSCRIBING ? STORM_CLOSED : STORM_OTHER;
	case LOSS_REFUSED:
		return STORM_CONNACK;
	case LOSS_DISCONNECT:
		return state < CLIENT_SUBSCRIBING ? STORM_CONNACK : STORM_OTHER;
	case LOSS_NO_ANSWER:
		return STORM_NO_ANSWER;
	default:
		return STORM_OTHER;
	}
}

static void start_one(struct state *state, uint64_t now)
{
	struct storm_worker *worker = state->worker;
	const struct storm_shared *shared = worker->shared;
	uint32_t index = state->free[--state->free_count];
	state->places[index] = (struct place){
		.started_ns = now,
		.number = shared->first + (uint32_t)state->attempts * shared->workers + worker->number,
	};
	atomic_store_explicit(&worker->attempts, ++state->attempts, memory_order_relaxed);
	fleet_start(&state->fleet, index);
}

/* Starts what the rate and the places allow. Returns whether more could be started at once. */
static bool start_some(struct state *state)
{
	const struct storm_shared *shared = state->worker->shared;
	uint64_t now = clock_now_ns();
	uint64_t allowed = UINT64_MAX;
	if (shared->rate_per_worker > 0)
		allowed = (now - state->began_ns) * shared->rate_per_worker / 1000000000u + 1;
	for (uint32_t i = 0; i < START_BATCH; i++) {
		if (state->attempts >= allowed || state->fleet.in_progress >= shared->in_progress_max)
			return false;
		start_one(state, clock_now_ns());
	}
	return true;
}

static void run_storm(struct state *state)
{
	struct fleet *fleet = &state->fleet;
	const struct storm_shared *shared = state->worker->shared;
	state->began_ns = clock_now_ns();
	while (!atomic_load_explicit(&shared->stopping, memory_order_relaxed)) {
		bool more = start_some(state);
		fleet_turn(fleet, more ? 0 : WAIT_MS);
	}
	uint64_t end = clock_now_ns() + LINGER_NS;
	while (fleet->in_progress > 0 && clock_now_ns() < end)
		fleet_turn(fleet, WAIT_MS);
	fleet_give_up(fleet);
	while (state->stay_count > 0)
		leave_oldest(state);
}

/* The stack gives the fleet's places in order the first time, as it wants them. */
static void fill_stack(struct state *state, uint32_t places)
{
	state->free_count = places;
	for (uint32_t i = 0; i < places; i++)
		state->free[i] = places - 1 - i;
}

static bool open_state(struct state *state, uint32_t places)
{
	const struct storm_shared *shared = state->worker->shared;
	state->places = calloc(places, sizeof(*state->places));
	state->free = calloc(places, sizeof(*state->free));
	state->staying = calloc(shared->stay + 1, sizeof(*state->staying));
	if (state->places == NULL || state->free == NULL || state->staying == NULL)
		return false;
	fill_stack(state, places);
	return fleet_open(&state->fleet, &shared->plan, 0, places);
}

static void *run(void *argument)
{
	struct storm_worker *worker = argument;
	struct state state = {.worker = worker};
	/* On Linux a thread has a nice value of its own. Best effort. */
	if (worker->shared->nice > 0)
		setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + worker->shared->nice);
	fdtable_detach(NULL, 0);
	worker->failed = !open_state(&state, worker->shared->in_progress_max + worker->shared->stay);
	if (!worker->failed) {
		state.fleet.owner = &state;
		state.fleet.events = (struct fleet_events){
			.number_of = number_of, .topic_of = topic_of, .ready = on_ready, .lost = on_lost};
		run_storm(&state);
		worker->losses = state.fleet.losses;
		fleet_close(&state.fleet);
	}
	free(state.places);
	free(state.free);
	free(state.staying);
	return NULL;
}

int storm_worker_start(struct storm_worker *worker)
{
	return pthread_create(&worker->thread, NULL, run, worker);
}

void storm_worker_join(struct storm_worker *worker)
{
	pthread_join(worker->thread, NULL);
}
