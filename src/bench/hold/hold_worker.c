#include "bench/hold/hold_worker.h"

#include "base/check.h"
#include "base/clock.h"

#include <errno.h>
#include <math.h>
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
/* Pings fall into this last part of a keepalive. */
#define PING_PART 0.25

struct state {
	struct hold_worker *worker;
	struct client_pool pool;
	uint64_t began_ns;
	uint64_t pinged; /* pings sent so far; modulo count, the next client */
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

/* How many pings are due. Like real clients, each pings when it has sent nothing for almost its keepalive: the first
 * time in the last part of it, where clients are spread by index, then once a keepalive. A cursor that passes over all
 * clients in each of these parts costs only the work that is due, and no memory. */
static uint64_t pings_due(const struct state *state, uint64_t now)
{
	CHECK(state->worker->shared->ping_period_ns > 0 && now >= state->began_ns);
	double rounds = (double)(now - state->began_ns) / (double)state->worker->shared->ping_period_ns;
	rounds -= 1 - PING_PART;
	if (rounds <= 0)
		return 0;
	double whole = floor(rounds);
	double part = (rounds - whole) / PING_PART;
	return (uint64_t)((whole + (part < 1 ? part : 1)) * state->pool.count);
}

static void ping_due(struct state *state, uint64_t now)
{
	if (state->worker->shared->ping_period_ns == 0)
		return;
	uint64_t due = pings_due(state, now);
	for (; state->pinged < due; state->pinged++)
		client_pool_ping(&state->pool, (uint32_t)(state->pinged % state->pool.count));
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
	while (sem_wait(&worker->shared->turns) != 0 && errno == EINTR)
		;
	worker->first_start_ns = worker->connect_done_ns = state.began_ns = clock_now_ns();
	if (!worker->failed)
		hold_connect(&state);
	sem_post(&worker->shared->turns);
	atomic_store_explicit(&worker->connect_done, true, memory_order_release);
	if (!worker->failed) {
		hold_until_leaving(&state);
		worker->losses = state.pool.losses;
		client_pool_close(&state.pool);
	}
}
