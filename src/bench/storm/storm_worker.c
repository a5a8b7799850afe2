#include "bench/storm/storm_worker.h"

#include "base/check.h"
#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>

/* Connections started between two polls for answers. */
#define START_BATCH 64u
#define WAIT_MS 1
/* Attempts in progress at the end have this long. */
#define LINGER_NS 5000000000u

/* One slot of the pool: free, in progress, or taken by a client that stays. */
struct slot {
	uint64_t started_ns;
	uint32_t number; /* of its attempt */
	/* While it waits for an answer to its SYN, as far as is known: its neighbours in the ring of all that wait,
	 * ordered by age. */
	uint32_t older;
	uint32_t newer;
	bool waits;
	bool stays;
};

struct state {
	struct storm_worker *worker;
	struct client_pool pool;
	struct slot *slots; /* those of the pool, and one more that closes the ring of those that wait */
	uint32_t ring;      /* index of that one: its newer neighbour is the oldest, its older neighbour the newest */
	uint32_t *free;     /* a stack of the pool's indices */
	uint32_t free_count;
	uint32_t *staying; /* a ring of indices, the oldest first; includes clients lost meanwhile */
	uint32_t stay_first;
	uint32_t stay_count;
	uint64_t attempts;
	uint64_t began_ns;
};

static uint32_t storm_number(void *owner, uint32_t index)
{
	const struct state *state = owner;
	return state->slots[index].number;
}

static uint32_t storm_topic(void *owner, uint32_t index)
{
	const struct state *state = owner;
	return state->worker->shared->subscribe ? state->slots[index].number : CLIENT_NO_TOPIC;
}

static void begin_wait(struct state *state, uint32_t index)
{
	CHECK(!state->slots[index].waits && index != state->ring);
	struct slot *slots = state->slots;
	uint32_t newest = slots[state->ring].older;
	slots[index].older = newest;
	slots[index].newer = state->ring;
	slots[newest].newer = index;
	slots[state->ring].older = index;
	slots[index].waits = true;
}

static void end_wait(struct state *state, uint32_t index)
{
	struct slot *slot = &state->slots[index];
	if (!slot->waits)
		return;
	state->slots[slot->older].newer = slot->newer;
	state->slots[slot->newer].older = slot->older;
	slot->waits = false;
}

/* Gives up attempts whose SYN was not answered in time, which would block the slots of attempts that are due. */
static void give_up_unheard(struct state *state)
{
	uint64_t now = clock_now_ns();
	uint64_t timeout_ns = state->worker->shared->syn_timeout_ms * 1000000ull;
	for (uint32_t oldest; (oldest = state->slots[state->ring].newer) != state->ring;) {
		bool heard = state->pool.clients[oldest].state != CLIENT_CONNECTING;
		if (!heard && now - state->slots[oldest].started_ns < timeout_ns)
			return;
		end_wait(state, oldest);
		if (!heard)
			client_pool_give_up_one(&state->pool, oldest);
	}
}

static void free_slot(struct state *state, uint32_t index)
{
	CHECK(state->free_count < state->ring); /* slots 0 to ring - 1 are the pool's */
	end_wait(state, index);
	state->slots[index].stays = false;
	state->free[state->free_count++] = index;
}

/* Disconnects the oldest client that stays, unless it has been lost, and frees its slot. */
static void leave_oldest(struct state *state)
{
	CHECK(state->stay_count > 0);
	uint32_t index = state->staying[state->stay_first];
	state->stay_first = (state->stay_first + 1) % state->worker->shared->stay;
	state->stay_count--;
	client_pool_leave(&state->pool, index);
	free_slot(state, index);
}

static void storm_on_ready(void *owner, uint32_t index)
{
	struct state *state = owner;
	struct storm_worker *worker = state->worker;
	uint32_t stay = worker->shared->stay;
	end_wait(state, index);
	histogram_add(&worker->sign_in_ns, clock_now_ns() - state->slots[index].started_ns);
	worker->ends[STORM_SIGNED_IN]++;
	atomic_store_explicit(&worker->signed_in, worker->ends[STORM_SIGNED_IN], memory_order_relaxed);
	if (stay == 0) {
		client_pool_leave(&state->pool, index);
		free_slot(state, index);
		return;
	}
	if (state->stay_count == stay)
		leave_oldest(state);
	CHECK(state->stay_count < stay);
	state->staying[(state->stay_first + state->stay_count++) % stay] = index;
	state->slots[index].stays = true;
}

static void storm_on_lost(void *owner, uint32_t index, enum client_state was, enum loss kind, uint32_t code)
{
	struct state *state = owner;
	if (state->slots[index].stays) {
		state->worker->stay_lost++;
		return; /* its slot is freed when its turn to leave comes */
	}
	state->worker->ends[storm_end_of(was, kind, code)]++;
	free_slot(state, index);
}

enum storm_end storm_end_of(enum client_state state, enum loss kind, uint32_t code)
{
	bool was_reset = code == ECONNRESET || code == EPIPE;
	switch (kind) {
	case LOSS_CONNECT: /* or sending CONNECT failed because the server was faster */
		return was_reset ? STORM_RESET : code == ETIMEDOUT ? STORM_UNHEARD : STORM_UNOPENED;
	case LOSS_RESET:
		return was_reset && state < CLIENT_SUBSCRIBING ? STORM_RESET : STORM_OTHER;
	case LOSS_CLOSED:
		return state < CLIENT_SUBSCRIBING ? STORM_CLOSED : STORM_OTHER;
	case LOSS_REFUSED:
		return STORM_CONNACK;
	case LOSS_DISCONNECT:
		return state < CLIENT_SUBSCRIBING ? STORM_CONNACK : STORM_OTHER;
	case LOSS_TRANSPORT:
	case LOSS_UPGRADE:
		return STORM_CARRIAGE;
	case LOSS_NO_ANSWER:
		return STORM_NO_ANSWER;
	default:
		return STORM_OTHER;
	}
}

static void storm_start_one(struct state *state, uint64_t now)
{
	struct storm_worker *worker = state->worker;
	const struct storm_shared *shared = worker->shared;
	CHECK(state->free_count > 0);
	uint32_t index = state->free[--state->free_count];
	state->slots[index] = (struct slot){
		.started_ns = now,
		.number = shared->first + (uint32_t)state->attempts * shared->workers + worker->number,
	};
	atomic_store_explicit(&worker->attempts, ++state->attempts, memory_order_relaxed);
	client_pool_start(&state->pool, index);
	if (state->pool.clients[index].state == CLIENT_CONNECTING)
		begin_wait(state, index);
}

/* Starts as many attempts as rate and slots allow. Returns whether more could be started at once. */
static bool storm_start_some(struct state *state)
{
	const struct storm_shared *shared = state->worker->shared;
	uint64_t now = clock_now_ns();
	uint64_t allowed = UINT64_MAX;
	if (shared->rate_per_worker > 0)
		allowed = (now - state->began_ns) * shared->rate_per_worker / 1000000000u + 1;
	for (uint32_t i = 0; i < START_BATCH; i++) {
		if (state->attempts >= allowed || state->pool.in_progress >= shared->in_progress_max)
			return false;
		storm_start_one(state, clock_now_ns());
	}
	return true;
}

static void show_handshakes(struct state *state)
{
	const struct carriage *carriage = &state->pool.carriage;
	atomic_store_explicit(&state->worker->handshakes, carriage->handshakes, memory_order_relaxed);
	atomic_store_explicit(&state->worker->resumed, carriage->resumed, memory_order_relaxed);
}

static void run_storm(struct state *state)
{
	struct client_pool *pool = &state->pool;
	const struct storm_shared *shared = state->worker->shared;
	state->began_ns = clock_now_ns();
	while (!atomic_load_explicit(&shared->stopping, memory_order_relaxed)) {
		bool more = storm_start_some(state);
		client_pool_turn(pool, more ? 0 : WAIT_MS);
		give_up_unheard(state);
		show_handshakes(state);
	}
	uint64_t end = clock_now_ns() + LINGER_NS;
	while (pool->in_progress > 0 && clock_now_ns() < end) {
		client_pool_turn(pool, WAIT_MS);
		give_up_unheard(state);
	}
	client_pool_give_up(pool);
	while (state->stay_count > 0)
		leave_oldest(state);
}

/* The pool wants its slots used in order the first time. */
static void fill_stack(struct state *state, uint32_t slots)
{
	state->free_count = slots;
	for (uint32_t i = 0; i < slots; i++)
		state->free[i] = slots - 1 - i;
}

static bool open_state(struct state *state, uint32_t slots)
{
	CHECK(slots > 0);
	const struct storm_shared *shared = state->worker->shared;
	state->slots = calloc(slots + 1, sizeof(*state->slots));
	state->free = calloc(slots, sizeof(*state->free));
	state->staying = calloc(shared->stay + 1, sizeof(*state->staying));
	if (state->slots == NULL || state->free == NULL || state->staying == NULL)
		return false;
	state->ring = slots;
	state->slots[slots].older = state->slots[slots].newer = slots;
	fill_stack(state, slots);
	return client_pool_open(&state->pool, &shared->plan, 0, slots);
}

void storm_worker_run(void *argument)
{
	struct storm_worker *worker = argument;
	struct state state = {.worker = worker};
	worker->failed = !open_state(&state, worker->shared->in_progress_max + worker->shared->stay);
	if (!worker->failed) {
		state.pool.owner = &state;
		state.pool.events = (struct client_events){.number_of = storm_number,
							   .topic_of = storm_topic,
							   .ready = storm_on_ready,
							   .lost = storm_on_lost};
		run_storm(&state);
		worker->losses = state.pool.losses;
		worker->carriage = state.pool.carriage;
		client_pool_close(&state.pool);
	}
	free(state.slots);
	free(state.free);
	free(state.staying);
}
