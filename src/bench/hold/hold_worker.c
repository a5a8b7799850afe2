#include "bench/hold/hold_worker.h"

#include "base/check.h"
#include "base/clock.h"

#include <errno.h>
#include <malloc.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>

/* Pings are at most this late: a thread wakes once for the pings of a tick and the answers to those of the last tick.
 */
#define TICK_NS 20000000u
/* Connections started between two polls for answers. */
#define START_BATCH 64u
/* Attempts in progress are given up if nothing comes back for this long. SYNs are repeated after 1, 3, 7 and 15 s. */
#define STALL_NS 20000000000u
/* A ping younger than this at the end of the run may still be answered, and does not count as lost. */
#define PING_GRACE_NS 5000000000u
/* Pings fall into this last part of a keepalive; those that are timed fall anywhere, so that there are some at any
 * time. */
#define PING_PART 0.25
#define TIMED_PING_PART 1.0

struct state {
	struct hold_worker *worker;
	struct client_pool pool;
	uint64_t began_ns;
	uint64_t pinged; /* pings sent so far; modulo count, the next client */
	/* When each client's ping left, in us of CLOCK_REALTIME modulo 2^32, which is 71 minutes; 0: it is not timed.
	 * NULL: none is. */
	uint32_t *left_us;
};

static void hold_show(struct state *state)
{
	CHECK(state->pool.in_progress + state->pool.ready <= state->pool.started);
	uint32_t gone = state->pool.started - state->pool.in_progress - state->pool.ready;
	atomic_store_explicit(&state->worker->ready, state->pool.ready, memory_order_relaxed);
	atomic_store_explicit(&state->worker->lost, gone, memory_order_relaxed);
}

static bool leaving(const struct state *state)
{
	return atomic_load_explicit(&state->worker->shared->phase, memory_order_relaxed) == HOLD_LEAVING;
}

/* Never 0, which stands for no time. */
static uint32_t time_us(uint64_t time_ns)
{
	uint32_t us = (uint32_t)(time_ns / 1000u);
	return us != 0 ? us : 1;
}

/* How many pings are due. Like real clients, each pings when it has sent nothing for almost its keepalive: the first
 * time in the last part of it, where clients are spread by index, then once a keepalive. A cursor that passes over all
 * clients in each of these parts costs only the work that is due, and no memory. */
static uint64_t pings_due(const struct state *state, uint64_t now)
{
	CHECK(state->worker->shared->ping_period_ns > 0 && now >= state->began_ns);
	double rounds = (double)(now - state->began_ns) / (double)state->worker->shared->ping_period_ns;
	double ping_part = state->worker->shared->plan.arrivals ? TIMED_PING_PART : PING_PART;
	rounds -= 1 - ping_part;
	if (rounds <= 0)
		return 0;
	double whole = floor(rounds);
	double part = (rounds - whole) / ping_part;
	return (uint64_t)((whole + (part < 1 ? part : 1)) * state->pool.count);
}

static void ping_due(struct state *state, uint64_t now)
{
	if (state->worker->shared->ping_period_ns == 0)
		return;
	uint64_t due = pings_due(state, now);
	bool timed = state->left_us != NULL &&
		     atomic_load_explicit(&state->worker->shared->time_pings, memory_order_relaxed);
	for (; state->pinged < due; state->pinged++) {
		uint32_t index = (uint32_t)(state->pinged % state->pool.count);
		if (timed)
			state->left_us[index] = time_us(arrival_clock_ns());
		client_pool_ping(&state->pool, index);
	}
}

/* Of several answers in one read the time of the last one counts; a client has one ping under way. */
static void ping_answered(void *owner, uint32_t index)
{
	struct state *state = owner;
	uint32_t left_us = state->left_us[index];
	uint64_t arrived_ns = state->pool.arrived_ns != 0 ? state->pool.arrived_ns : arrival_clock_ns();
	uint32_t passed_us = time_us(arrived_ns) - left_us;
	state->left_us[index] = 0;
	if (left_us != 0) /* a clock that was set back meanwhile says nothing */
		histogram_add(state->worker->answer_ns, (int32_t)passed_us < 0 ? 0 : (uint64_t)passed_us * 1000u);
}

/* False: no memory. */
static bool time_pings_open(struct state *state)
{
	struct hold_worker *worker = state->worker;
	if (!worker->shared->plan.arrivals)
		return true;
	state->left_us = calloc(worker->count, sizeof(*state->left_us));
	worker->answer_ns = malloc(sizeof(*worker->answer_ns));
	if (state->left_us == NULL || worker->answer_ns == NULL)
		return false;
	histogram_init(worker->answer_ns);
	state->pool.events.pong = ping_answered;
	return true;
}

/* Pings again those whose ping has no answer, which counts them as lost. */
static void ping_unanswered(struct state *state)
{
	struct client_pool *pool = &state->pool;
	if (state->worker->shared->ping_period_ns == 0)
		return;
	uint64_t now = clock_now_ns();
	uint64_t old = now > PING_GRACE_NS + state->began_ns ? pings_due(state, now - PING_GRACE_NS) : 0;
	uint64_t from = state->pinged > pool->count ? state->pinged - pool->count : 0;
	for (uint64_t i = from; i < old; i++) {
		if (pool->clients[i % pool->count].ping_pending)
			client_pool_ping(pool, (uint32_t)(i % pool->count));
	}
}

/* Starts as many as rate and backlog allow. Returns whether more could be started at once. */
static bool hold_start_some(struct state *state, uint64_t since_ns, uint64_t now)
{
	CHECK(state->worker->shared->in_progress_max > 0); /* otherwise nothing would ever start */
	struct client_pool *pool = &state->pool;
	const struct hold_shared *shared = state->worker->shared;
	uint64_t allowed = pool->count;
	if (shared->rate_per_worker > 0)
		allowed = (now - since_ns) * shared->rate_per_worker / 1000000000u + 1;
	for (uint32_t i = 0; i < START_BATCH; i++) {
		if (pool->started >= pool->count || pool->started >= allowed ||
		    pool->in_progress >= shared->in_progress_max)
			return false;
		client_pool_start_next(pool);
	}
	return true;
}

static void hold_connect(struct state *state)
{
	struct client_pool *pool = &state->pool;
	uint64_t now = clock_now_ns();
	uint64_t since = now;
	uint64_t heard = now;
	state->worker->first_start_ns = now;
	while ((pool->started < pool->count || pool->in_progress > 0) && !leaving(state)) {
		bool more = hold_start_some(state, since, now);
		int events = client_pool_turn(pool, more ? 0 : (int)(TICK_NS / 1000000u));
		now = clock_now_ns();
		if (events > 0 || pool->in_progress == 0)
			heard = now;
		else if (now - heard > STALL_NS)
			client_pool_give_up(pool);
		ping_due(state, now);
		hold_show(state);
	}
	state->worker->connect_done_ns = pool->connect_done_ns != 0 ? pool->connect_done_ns : clock_now_ns();
}

static void sleep_tick(void)
{
	static const struct timespec tick = {.tv_nsec = TICK_NS};
	clock_nanosleep(CLOCK_MONOTONIC, 0, &tick, NULL);
}

static void hold_until_leaving(struct state *state)
{
	while (!leaving(state)) {
		client_pool_turn(&state->pool, 0);
		ping_due(state, clock_now_ns());
		hold_show(state);
		sleep_tick();
	}
	client_pool_turn(&state->pool, 0);
	ping_unanswered(state);
	hold_show(state);
	for (uint32_t i = 0; i < state->pool.started; i++)
		client_pool_leave(&state->pool, i);
}

/* Each client has a topic of its own, with the client's number. */
static uint32_t own_topic(void *owner, uint32_t index)
{
	const struct state *state = owner;
	return state->pool.first + index;
}

void hold_worker_run(void *argument)
{
	struct hold_worker *worker = argument;
	struct state state = {.worker = worker};
	worker->failed = !client_pool_open(&state.pool, &worker->shared->plan, worker->first, worker->count);
	state.pool.owner = &state;
	state.pool.events.topic_of = own_topic;
	worker->failed = worker->failed || !time_pings_open(&state);
	while (sem_wait(&worker->shared->turns) != 0 && errno == EINTR)
		;
	worker->first_start_ns = worker->connect_done_ns = state.began_ns = clock_now_ns();
	if (!worker->failed)
		hold_connect(&state);
	/* Fifty threads that each keep what 256 handshakes had would weigh on the machine that is measured. */
	if (state.pool.carriage.handshakes > 0)
		malloc_trim(0);
	worker->carriage = state.pool.carriage;
	worker->stream_bytes = worker->failed ? 0 : client_pool_stream_bytes(&state.pool);
	sem_post(&worker->shared->turns);
	atomic_store_explicit(&worker->connect_done, true, memory_order_release);
	if (!worker->failed) {
		hold_until_leaving(&state);
		worker->losses = state.pool.losses;
		client_pool_close(&state.pool);
	}
	free(state.left_us);
}
