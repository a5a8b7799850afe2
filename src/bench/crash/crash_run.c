#include "bench/crash/crash_run.h"

#include "bench/report/progress.h"
#include "bench/sessions/passers.h"

#include "base/check.h"
#include "base/clock.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>

#define START_NS 60000000000u
#define STOP_NS 60000000000u
#define CONNECT_MS 60000u
#define EARLY_MS_LEAST 20.0

/* splitmix64: the moments of a run follow from its seed. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t mixed = *state += UINT64_C(0x9E3779B97F4A7C15);
	mixed = (mixed ^ mixed >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94D049BB133111EB);
	return mixed ^ mixed >> 31;
}

static double ms_since(uint64_t began_ns)
{
	return (double)(clock_now_ns() - began_ns) / 1e6;
}

static bool crash_fail(struct crash_run *run, const char *fault)
{
	run->fault = fault;
	return false;
}

static bool start_server(struct crash_run *run, double *took_ms)
{
	uint64_t began_ns = clock_now_ns();
	if (!child_start(&run->child) || !child_wait_accepting(&run->child, START_NS))
		return crash_fail(run, "the server did not start");
	*took_ms = run->last_start_ms = ms_since(began_ns);
	return true;
}

bool crash_run_open(struct crash_run *run, const struct crash_options *options, const char *store, uint64_t seed)
{
	double took_ms;
	struct dial dial;
	*run = (struct crash_run){.options = options, .random = seed};
	run->rounds = calloc(options->rounds, sizeof(*run->rounds));
	run->retained = calloc(options->plan.cast.retained + 1, sizeof(*run->retained));
	run->fault = child_plan(&run->child, options->command, store);
	if (run->fault != NULL || run->rounds == NULL || run->retained == NULL)
		return crash_fail(run, run->fault != NULL ? run->fault : "out of memory");
	if (!start_server(run, &took_ms))
		return false;
	dial_init(&dial, &run->child.address, true);
	if (!engine_open(&run->engine, &options->plan, &dial))
		return crash_fail(run, "out of memory or descriptors");
	if (!engine_forget(&run->engine) || !engine_connect(&run->engine, CONNECT_MS))
		return crash_fail(run, "not every client could be connected");
	return true;
}

void crash_run_close(struct crash_run *run)
{
	if (run->child.pid > 0)
		child_end(&run->child, SIGTERM, STOP_NS);
	child_close(&run->child);
	if (run->engine.plan.window > 0)
		engine_close(&run->engine);
	free(run->rounds);
	free(run->retained);
}

static void let_flow(struct crash_run *run, uint64_t began_ns, uint64_t length_ns)
{
	for (uint64_t passed = 0; passed < length_ns && !progress_interrupted(); passed = clock_now_ns() - began_ns)
		engine_turn(&run->engine, length_ns - passed);
}

/* Lets messages flow until the moment has come. */
static void put_load(struct crash_run *run, struct crash_round *round)
{
	const struct crash_options *options = run->options;
	uint64_t range_us = (uint64_t)(options->kill_most_ms - options->kill_least_ms) * 1000 + 1;
	uint64_t length_ns = options->kill_least_ms * UINT64_C(1000000) + next_random(&run->random) % range_us * 1000;
	uint64_t began_ns = clock_now_ns();
	engine_part(&run->engine, round->number);
	engine_flow(&run->engine, true);
	if (options->upgrade_percent != 0 && next_random(&run->random) % 100 < options->upgrade_percent) {
		let_flow(run, began_ns, next_random(&run->random) % length_ns);
		kill(run->child.pid, SIGUSR2);
	}
	let_flow(run, began_ns, length_ns);
	round->load_ms = ms_since(began_ns);
}

static bool stop_server(struct crash_run *run, struct crash_round *round)
{
	uint64_t began_ns = clock_now_ns();
	round->open = authors_unacknowledged(&run->engine.authors);
	if (run->child.pid == 0 || !child_end(&run->child, run->options->signal, STOP_NS)) {
		child_print_log(&run->child);
		return crash_fail(run, "the server had ended by itself, or did not stop as it should");
	}
	run->upgrades += child_log_count(&run->child, "upgraded from ");
	round->stop_ms = ms_since(began_ns);
	engine_server_down(&run->engine);
	return true;
}

/* Kills the server while it starts. A server that has ended by itself then is found when it is started again. */
static bool start_and_kill(struct crash_run *run)
{
	double most_ms = run->last_start_ms > EARLY_MS_LEAST ? run->last_start_ms : EARLY_MS_LEAST;
	long us = (long)(next_random(&run->random) % (uint64_t)(most_ms * 1000));
	struct timespec moment = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
	if (!child_start(&run->child))
		return crash_fail(run, "the server could not be started");
	nanosleep(&moment, NULL);
	if (child_end(&run->child, SIGKILL, STOP_NS))
		return true;
	child_print_log(&run->child);
	return crash_fail(run, "the server ended by itself while it started");
}

/* The last message of each retained topic whose handshake has ended, or a later one, must be there before its publisher
 * comes. At QoS 2 a server may wait for PUBREL with it [4.3.3]. */
static bool check_retained(struct crash_run *run, struct crash_round *round)
{
	struct engine *engine = &run->engine;
	const struct cast *cast = &engine->plan.cast;
	if (cast->retained == 0)
		return true;
	if (!passers_read_retained(&engine->client_plan, cast, run->retained))
		return crash_fail(run, "retained messages could not be read");
	for (uint32_t i = 0; i < cast->retained; i++) {
		uint32_t publisher = cast->publishers + i;
		uint64_t count = author_count(&engine->authors, publisher);
		uint64_t least = ledger_acknowledged_until(&engine->ledger, publisher);
		uint64_t ended = engine->authors.list[publisher].inflight.oldest;
		least = least < ended ? least : ended;
		uint64_t found = run->retained[i] == UINT64_MAX ? 0 : run->retained[i] + 1;
		round->retained_lost += found < least || found > count;
	}
	run->retained_lost += round->retained_lost;
	return true;
}

/* Ends the server and starts it again, or breaks the connections. */
static bool interrupt_server(struct crash_run *run, struct crash_round *round)
{
	bool ends = run->options->signal != 0;
	round->early = next_random(&run->random) % 100 < run->options->early_percent && ends;
	if (!ends) {
		round->open = authors_unacknowledged(&run->engine.authors);
		engine_break(&run->engine);
		return true;
	}
	return stop_server(run, round) && (!round->early || start_and_kill(run)) && start_server(run, &round->start_ms);
}

static bool settle(struct crash_run *run, struct crash_round *round)
{
	struct engine *engine = &run->engine;
	uint64_t began_ns = clock_now_ns();
	engine_server_up(engine);
	if (!check_retained(run, round))
		return false;
	if (!engine_connect(engine, CONNECT_MS))
		return crash_fail(run, "not every client could be connected again");
	if (!engine_finish_publishers(engine, run->options->quiet_ms) && !progress_interrupted())
		return crash_fail(run, "publishers' messages are not acknowledged any more");
	engine_drain(engine, run->options->quiet_ms);
	round->settle_ms = ms_since(began_ns);
	return true;
}

static void sum_up(const struct crash_run *run, const struct ledger_sums *before, struct crash_round *round)
{
	const struct ledger_sums *now = &run->engine.ledger.sums;
	CHECK(now->acknowledged >= before->acknowledged);
	round->acknowledged = now->acknowledged - before->acknowledged;
	round->arrived = now->arrived - before->arrived;
	round->repeated = now->repeated - before->repeated;
	for (uint32_t kind = 0; kind < LEDGER_FAULT_KINDS; kind++)
		round->faults[kind] = now->faults[kind] - before->faults[kind];
	round->clean = crash_run_is_clean(run);
}

bool crash_run_round(struct crash_run *run)
{
	CHECK(run->round_count < run->options->rounds);
	struct crash_round *round = &run->rounds[run->round_count];
	struct ledger_sums before = run->engine.ledger.sums;
	uint64_t reused = run->engine.faults.identifiers_reused;
	*round = (struct crash_round){.number = run->round_count + 1};
	put_load(run, round);
	if (progress_interrupted() || !interrupt_server(run, round) || !settle(run, round))
		return false;
	sum_up(run, &before, round);
	round->reused = run->engine.faults.identifiers_reused - reused;
	run->round_count++;
	return true;
}

bool crash_run_is_clean(const struct crash_run *run)
{
	return run->fault == NULL && run->retained_lost == 0 && engine_is_clean(&run->engine);
}
