#include "bench/run/run_worker.h"

#include "bench/measure/share.h"
#include "bench/measure/stall.h"
#include "bench/run/run_resume.h"

#include "base/check.h"
#include "base/clock.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Fits the shortest default backlog of a broker, mosquitto's 100. */
#define IN_PROGRESS_MAX 64u
#define CONNECT_STALL_NS 20000000000u
/* A change of phase is noticed this late at most. */
#define WAIT_NS_MAX 5000000u

struct state {
	struct run_worker *worker;
	struct run_group groups[SCENARIO_GROUPS_MAX];
	uint32_t group_count;
	int epoll; /* watches the pools' epolls */
	enum run_phase phase;
	uint32_t probe_round; /* the last one that has begun */
};

static bool open_group(struct state *state, uint32_t number, uint32_t before)
{
	const struct run_shared *shared = state->worker->shared;
	const struct scenario *scenario = shared->scenario;
	const struct scenario_group *spec = &scenario->groups[number];
	uint32_t first = share_before(spec->count, scenario->threads, state->worker->number);
	uint32_t count = share_of(spec->count, scenario->threads, state->worker->number);
	if (count == 0)
		return true;
	CHECK(state->group_count < SCENARIO_GROUPS_MAX);
	struct run_group *group = &state->groups[state->group_count++];
	*group = (struct run_group){.spec = spec,
				    .expectations = shared->expectations,
				    .account = shared->account,
				    .tally = &state->worker->tally,
				    .plan = {.dial = shared->dials[number], .credentials = shared->credentials[number]},
				    .number = number,
				    .first = first,
				    .count = count};
	if (!run_group_open(group, before + first))
		return false;
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = group};
	return epoll_ctl(state->epoll, EPOLL_CTL_ADD, group->pool.epoll, &event) == 0;
}

static bool open_groups(struct state *state)
{
	const struct scenario *scenario = state->worker->shared->scenario;
	uint32_t before = 0;
	state->epoll = epoll_create1(EPOLL_CLOEXEC);
	for (uint32_t i = 0; state->epoll >= 0 && i < scenario->group_count; i++) {
		if (!open_group(state, i, before))
			return false;
		before += scenario->groups[i].count;
	}
	return state->epoll >= 0;
}

static void close_groups(struct state *state)
{
	for (uint32_t i = 0; i < state->group_count; i++)
		run_group_close(&state->groups[i]);
	if (state->epoll >= 0)
		close(state->epoll);
}

static uint32_t ready_count(const struct state *state)
{
	uint32_t sum = 0;
	for (uint32_t i = 0; i < state->group_count; i++)
		sum += state->groups[i].pool.ready;
	return sum;
}

static void worker_show(struct state *state)
{
	struct run_worker *worker = state->worker;
	const struct run_tally *tally = &worker->tally;
	uint32_t staying = 0;
	uint32_t open = 0;
	bool loops_done = true;
	uint64_t pending = 0;
	struct carriage carriage = {0};
	for (uint32_t i = 0; i < state->group_count; i++) {
		const struct run_group *group = &state->groups[i];
		staying += run_group_reconnects(group) ? 0 : group->pool.ready;
		open += group->pool.ready + group->pool.in_progress;
		carriage_add(&carriage, &group->pool.carriage);
		loops_done = loops_done && run_group_loops_done(group);
		if (state->phase == RUN_DRAINING)
			pending += run_group_unsent(group);
		if (state->phase == RUN_DRAINING || state->phase == RUN_RECEIVING)
			pending += run_group_unacknowledged(group);
	}
	atomic_store_explicit(&worker->ready, ready_count(state), memory_order_relaxed);
	atomic_store_explicit(&worker->open, open, memory_order_relaxed);
	atomic_store_explicit(&worker->staying, staying, memory_order_relaxed);
	atomic_store_explicit(&worker->loops_done, loops_done, memory_order_relaxed);
	atomic_store_explicit(&worker->pending, pending, memory_order_relaxed);
	atomic_store_explicit(&worker->received, tally->audit.received, memory_order_relaxed);
	atomic_store_explicit(&worker->expected_due, tally->expected_due, memory_order_relaxed);
	atomic_store_explicit(&worker->expected, tally->expected, memory_order_relaxed);
	atomic_store_explicit(&worker->sign_ins, tally->sign_ins, memory_order_relaxed);
	atomic_store_explicit(&worker->handshakes, carriage.handshakes, memory_order_relaxed);
	atomic_store_explicit(&worker->resumed, carriage.resumed, memory_order_relaxed);
}

/* Handles what has arrived. If nothing has, waits for it until wake_ns. */
static void worker_turn(struct state *state, uint64_t now_ns, uint64_t wake_ns)
{
	struct epoll_event events[SCENARIO_GROUPS_MAX];
	uint64_t wait_ns = wake_ns > now_ns ? wake_ns - now_ns : 0;
	struct timespec wait = {.tv_nsec = (long)(wait_ns < WAIT_NS_MAX ? wait_ns : WAIT_NS_MAX)};
	int count = epoll_pwait2(state->epoll, events, SCENARIO_GROUPS_MAX, &wait, NULL);
	for (int i = 0; i < count; i++)
		client_pool_turn(&((struct run_group *)events[i].data.ptr)->pool, 0);
	worker_show(state);
}

static enum run_phase worker_phase(const struct state *state)
{
	return atomic_load_explicit(&state->worker->shared->phase, memory_order_acquire);
}

/* Returns false if all are started, or enough are in progress. */
static bool worker_start_one(struct state *state)
{
	struct run_group *next = NULL;
	uint32_t in_progress = 0;
	for (uint32_t i = 0; i < state->group_count; i++) {
		struct run_group *group = &state->groups[i];
		in_progress += group->pool.in_progress;
		if (next == NULL && group->pool.started < group->count)
			next = group;
	}
	if (next == NULL || in_progress >= IN_PROGRESS_MAX)
		return false;
	client_pool_start_next(&next->pool);
	return true;
}

static bool is_connect_done(const struct state *state)
{
	for (uint32_t i = 0; i < state->group_count; i++) {
		const struct client_pool *pool = &state->groups[i].pool;
		if (pool->started < pool->count || pool->in_progress > 0)
			return false;
	}
	return true;
}

static uint32_t client_count(const struct state *state)
{
	uint32_t sum = 0;
	for (uint32_t i = 0; i < state->group_count; i++)
		sum += state->groups[i].count;
	return sum;
}

static void give_up(struct state *state)
{
	for (uint32_t i = 0; i < state->group_count; i++)
		client_pool_give_up(&state->groups[i].pool);
}

static uint64_t tick_all(struct state *state, uint64_t now_ns)
{
	uint64_t wake_ns = SCHEDULE_NEVER;
	for (uint32_t i = 0; i < state->group_count; i++) {
		uint64_t next_ns = run_group_tick(&state->groups[i], now_ns);
		wake_ns = next_ns < wake_ns ? next_ns : wake_ns;
	}
	return wake_ns;
}

/* Connects the clients group by group, at the rate that the ramp-up asks for. */
static void worker_connect(struct state *state)
{
	const struct scenario *scenario = state->worker->shared->scenario;
	uint64_t began = clock_now_ns();
	struct stall stall = stall_begin(began + scenario->ramp_up_s * 1000000000ull, CONNECT_STALL_NS);
	struct schedule ramp;
	schedule_init(&ramp, began, scenario->ramp_up_s > 0 ? client_count(state) * 1.0 / scenario->ramp_up_s : 1e9, 0,
		      client_count(state));
	while (!is_connect_done(state) && worker_phase(state) == RUN_CONNECTING) {
		uint64_t now = clock_now_ns();
		while (schedule_next_ns(&ramp) <= now && worker_start_one(state))
			ramp.next++;
		tick_all(state, now);
		worker_turn(state, now, schedule_next_ns(&ramp) <= now ? now + WAIT_NS_MAX : schedule_next_ns(&ramp));
		if (stall_is_over(&stall, ready_count(state), now))
			give_up(state);
	}
	atomic_store_explicit(&state->worker->connect_done, true, memory_order_release);
}

static void worker_begin_step(struct state *state)
{
	const struct run_shared *shared = state->worker->shared;
	double phase = (double)state->worker->number / shared->scenario->threads;
	for (uint32_t i = 0; i < state->group_count; i++) {
		if (!run_group_begin(&state->groups[i], shared->load, shared->begin_ns, shared->measure_from_ns, phase))
			state->worker->failed = true;
	}
}

/* Resets what is counted for a step; keeps what is counted since the start. */
static void reset_tally(struct run_tally *tally)
{
	struct run_tally kept = *tally;
	*tally = (struct run_tally){
		.expected_due = kept.expected_due,
		.expected = kept.expected,
		.sign_ins = kept.sign_ins,
		.foreign = kept.foreign,
		.acknowledgements = kept.acknowledgements,
		.audit = kept.audit,
	};
}

static void worker_report(struct state *state)
{
	CHECK(state->phase == RUN_REPORTING || state->phase == RUN_LEAVING);
	struct run_worker *worker = state->worker;
	worker->unsent = worker->tally.skipped;
	worker->unacknowledged = 0;
	worker->losses = (struct losses){0};
	worker->carriage = (struct carriage){0};
	for (uint32_t i = 0; i < state->group_count; i++) {
		worker->unsent += run_group_unsent(&state->groups[i]);
		worker->unacknowledged += run_group_unacknowledged(&state->groups[i]);
		losses_merge(&worker->losses, run_group_losses(&state->groups[i]));
		carriage_add(&worker->carriage, &state->groups[i].pool.carriage);
	}
}

static void enter(struct state *state, enum run_phase phase)
{
	CHECK(state->phase != phase && state->phase != RUN_LEAVING);
	if (state->phase == RUN_REPORTING)
		reset_tally(&state->worker->tally);
	if (phase == RUN_FLOWING)
		worker_begin_step(state);
	for (uint32_t i = 0; phase == RUN_DRAINING && i < state->group_count; i++)
		run_group_stop(&state->groups[i], state->worker->shared->stop_ns);
	for (uint32_t i = 0; phase == RUN_RECEIVING && i < state->group_count; i++)
		run_group_stop_sending(&state->groups[i]);
	state->phase = phase;
	worker_show(state);
	if (phase == RUN_REPORTING)
		worker_report(state);
	atomic_store_explicit(&state->worker->seen, phase, memory_order_release);
}

/* Nothing may be counted while the main thread reads the tally. */
static void wait_for_reader(struct state *state)
{
	static const struct timespec rest = {.tv_nsec = 100000};
	while (worker_phase(state) == RUN_REPORTING)
		nanosleep(&rest, NULL);
}

static uint32_t pings_pending(const struct state *state)
{
	uint32_t sum = 0;
	for (uint32_t i = 0; i < state->group_count; i++)
		sum += state->groups[i].pool.pings_pending;
	return sum;
}

/* Begins the round of PINGREQ that the main thread asks for, or ends the current one. A round begins only when no
 * PINGREQ is unanswered: the answer to an earlier one would prove nothing. All counts have been published when the
 * round is reported as over. */
static void probe(struct state *state)
{
	struct run_worker *worker = state->worker;
	uint32_t wanted = atomic_load_explicit(&worker->shared->probe_round, memory_order_acquire);
	if (wanted == atomic_load_explicit(&worker->probe_round, memory_order_relaxed) || pings_pending(state) > 0)
		return;
	if (state->probe_round == wanted) {
		atomic_store_explicit(&worker->probe_round, wanted, memory_order_release);
		return;
	}
	state->probe_round = wanted;
	for (uint32_t i = 0; i < state->group_count; i++)
		client_pool_probe(&state->groups[i].pool);
}

static void worker_run_steps(struct state *state)
{
	while (state->phase != RUN_LEAVING) {
		enum run_phase phase = worker_phase(state);
		if (phase != state->phase)
			enter(state, phase);
		if (phase == RUN_REPORTING) {
			wait_for_reader(state);
			continue;
		}
		uint64_t now = clock_now_ns();
		uint64_t wake_ns = phase == RUN_CONNECTING ? SCHEDULE_NEVER : tick_all(state, now);
		worker_turn(state, now, wake_ns);
		probe(state);
		for (uint32_t i = 0; i < state->group_count; i++)
			run_resume_return(&state->groups[i], now);
	}
	worker_report(state);
}

static void leave_all(struct state *state)
{
	for (uint32_t i = 0; i < state->group_count; i++) {
		for (uint32_t c = 0; c < state->groups[i].pool.started; c++)
			client_pool_leave(&state->groups[i].pool, c);
	}
}

void run_worker_run(void *argument)
{
	struct run_worker *worker = argument;
	struct state *state = calloc(1, sizeof(*state));
	worker->failed = state == NULL;
	if (state != NULL) {
		*state = (struct state){.worker = worker, .epoll = -1};
		worker->failed = !open_groups(state);
		if (!worker->failed) {
			worker_connect(state);
			worker_run_steps(state);
			leave_all(state);
		}
		close_groups(state);
		free(state);
	}
	atomic_store_explicit(&worker->connect_done, true, memory_order_release);
	atomic_store_explicit(&worker->seen, RUN_LEAVING, memory_order_release);
}
