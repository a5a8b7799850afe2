#include "bench/run/run_driver.h"

#include "bench/client/threads.h"
#include "bench/measure/quiet.h"
#include "bench/report/progress.h"
#include "bench/run/run_worker.h"
#include "bench/target/cpu.h"
#include "bench/target/cpu_use.h"
#include "bench/target/process.h"

#include "base/check.h"
#include "base/clock.h"
#include "reactor/fdtable.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define LOOK_EVERY_MS 5u
#define IDLE_WAIT_MS_MAX 2000u
/* When sending has stopped, messages have this long to arrive. */
#define RECEIVE_NS_MAX 60000000000u
/* If nothing arrives, the server is probed this often. */
#define PROBE_EVERY_NS 1000000000u
/* Time between the start of a step and its first message, so that every thread is ready. */
#define BEGIN_AFTER_NS 20000000u

struct driver {
	const struct run_order *order;
	const struct target *target;
	struct run_result *result;
	struct run_shared shared;
	struct expectations expectations;
	struct restart_account account;   /* with order->server */
	double fans[SCENARIO_GROUPS_MAX]; /* deliveries of a group's message, on average */
	struct threads threads;
	struct run_worker *workers;
	uint32_t worker_count;
	bool ends_by_loops; /* a step ends when all clients have sent their loops */
	uint32_t staying;   /* clients that should stay, when the last step began */
	/* sums up to the end of the previous step */
	uint64_t expected;
	uint64_t received;
	uint64_t doubled;
	uint64_t reordered;
	uint64_t foreign;
	uint64_t lost;
	uint64_t clients_lost;
};

struct sums {
	uint64_t received;
	uint64_t expected_due;
	uint64_t expected;
	uint64_t sign_ins;
	uint64_t handshakes;
	uint64_t resumed;
	uint64_t pending;
	uint32_t ready;
	uint32_t open;
	uint32_t staying;
	uint32_t connect_done; /* workers */
	uint32_t loops_done;
};

struct sample {
	struct cpu_sample cpu;
	struct sums sums;
};

/* A step in progress. */
struct watch {
	struct step *step;
	double in_flight_sum;
	uint64_t looks;
	uint64_t received_before;
	uint64_t seen; /* received and signed in, at the last change */
	uint64_t heard_ns;
	uint64_t probed_ns;
	char label[48];
};

static bool run_fail(struct run_result *result, const char *fault)
{
	snprintf(result->fault, sizeof(result->fault), "%s", fault);
	return false;
}

static struct sums run_sum_up(struct driver *driver)
{
	struct sums sums = {0};
	for (uint32_t i = 0; i < driver->worker_count; i++) {
		struct run_worker *worker = &driver->workers[i];
		sums.received += atomic_load_explicit(&worker->received, memory_order_relaxed);
		sums.expected_due += atomic_load_explicit(&worker->expected_due, memory_order_relaxed);
		sums.expected += atomic_load_explicit(&worker->expected, memory_order_relaxed);
		sums.sign_ins += atomic_load_explicit(&worker->sign_ins, memory_order_relaxed);
		sums.handshakes += atomic_load_explicit(&worker->handshakes, memory_order_relaxed);
		sums.resumed += atomic_load_explicit(&worker->resumed, memory_order_relaxed);
		sums.pending += atomic_load_explicit(&worker->pending, memory_order_relaxed);
		sums.open += atomic_load_explicit(&worker->open, memory_order_relaxed);
		sums.ready += atomic_load_explicit(&worker->ready, memory_order_relaxed);
		sums.staying += atomic_load_explicit(&worker->staying, memory_order_relaxed);
		sums.connect_done += atomic_load_explicit(&worker->connect_done, memory_order_acquire);
		sums.loops_done += atomic_load_explicit(&worker->loops_done, memory_order_relaxed);
	}
	return sums;
}

static struct sample step_sample_now(struct driver *driver)
{
	return (struct sample){.cpu = cpu_sample_now(driver->target->pid, NULL), .sums = run_sum_up(driver)};
}

/* Sets the phase and waits until every worker is in it. Returns false if one of them has ended. */
static bool run_set_phase(struct driver *driver, enum run_phase phase)
{
	bool good = true;
	atomic_store_explicit(&driver->shared.phase, phase, memory_order_release);
	for (uint32_t i = 0; i < driver->worker_count; i++) {
		uint32_t seen;
		while ((seen = atomic_load_explicit(&driver->workers[i].seen, memory_order_acquire)) != phase &&
		       seen != RUN_LEAVING)
			progress_sleep_ms(1);
		good = good && seen == phase;
	}
	return good;
}

static bool driver_start_workers(struct driver *driver)
{
	CHECK(driver->workers == NULL && driver->order->scenario->threads > 0);
	uint32_t count = driver->order->scenario->threads;
	struct thread_setup setup = {
		.body = run_worker_run, .worker_bytes = sizeof(*driver->workers), .cpu = CPU_ANY, .exact_timers = true};
	driver->workers = calloc(count, sizeof(*driver->workers));
	if (driver->workers == NULL)
		return run_fail(driver->result, "out of memory");
	for (uint32_t i = 0; i < count; i++) {
		driver->workers[i].shared = &driver->shared;
		driver->workers[i].number = i;
	}
	bool good = threads_start(&driver->threads, &setup, driver->workers, count);
	driver->worker_count = driver->threads.count;
	return good || run_fail(driver->result, "no more threads can be started");
}

static double memory_a_client(const struct driver *driver, uint64_t before)
{
	CHECK(driver->result->connected <= driver->result->clients);
	uint64_t now = process_resident_bytes(driver->target->pid);
	if (now == 0 || before == 0 || driver->result->connected == 0)
		return (double)NAN;
	return ((double)now - (double)before) / driver->result->connected;
}

/* Returns false if not every client could be connected. */
static bool driver_wait_connected(struct driver *driver)
{
	struct run_result *result = driver->result;
	uint64_t began = clock_now_ns();
	struct sums sums = {0};
	while (sums.connect_done < driver->worker_count && !progress_interrupted()) {
		progress_sleep_ms(LOOK_EVERY_MS);
		sums = run_sum_up(driver);
		progress_show(driver->target->name, (double)sums.ready / result->clients,
			      "connecting, %u of %u clients", sums.ready, result->clients);
	}
	result->connect_s = (double)(clock_now_ns() - began) / 1e9;
	run_set_phase(driver, RUN_RESTING);
	sums = run_sum_up(driver);
	result->connected = sums.ready;
	return sums.ready == result->clients;
}

/* The server is gone if half of the clients that should stay are gone, or nothing arrives at all, and nothing listens
 * any more. */
static bool has_died(struct driver *driver, struct watch *watch, const struct sums *sums, uint64_t now)
{
	uint64_t seen = sums->received + sums->sign_ins;
	if (seen != watch->seen)
		watch->heard_ns = now;
	watch->seen = seen;
	bool suspect = sums->staying * 2 < driver->staying || now - watch->heard_ns > PROBE_EVERY_NS;
	if (!suspect || now - watch->probed_ns < PROBE_EVERY_NS)
		return false;
	watch->probed_ns = now;
	return dial_probe(&driver->target->address) != 0;
}

/* Deliveries that were due by the schedule since the step began. The threads' own counters would be late if the threads
 * are. */
static double due_at(const struct driver *driver, uint64_t now_ns)
{
	const struct scenario *scenario = driver->order->scenario;
	double elapsed_s = (double)(now_ns - driver->shared.begin_ns) / 1e9;
	double sum = 0;
	for (uint32_t i = 0; i < scenario->group_count; i++) {
		const struct scenario_group *group = &scenario->groups[i];
		double rate = scenario_group_rate(group, driver->shared.load);
		if ((group->role & ROLE_PUBLISHER) == 0 || !(rate > 0))
			continue;
		double turns = floor(rate * elapsed_s) + 1; /* the first is due at once */
		double turns_max = (double)group->loops * group->count;
		sum += (group->loops > 0 && turns > turns_max ? turns_max : turns) * driver->fans[i];
	}
	return sum;
}

/* Ends the server and starts it again, while messages become due. Returns false if it does not come back. */
static bool driver_restart(struct driver *driver, struct watch *watch)
{
	struct restart_server *server = driver->order->server;
	struct step_restart *restart = &watch->step->restart;
	atomic_store_explicit(&driver->account.server_is_down, true, memory_order_release);
	const char *fault = restart_server_stop(server, restart);
	/* Its end is read from each socket, behind what it had sent before. */
	while (fault == NULL && run_sum_up(driver).open > 0)
		progress_sleep_ms(1);
	progress_show(watch->label, 1, "the server starts again");
	if (fault == NULL)
		fault = restart_server_start(server, restart);
	atomic_store_explicit(&driver->account.server_is_down, false, memory_order_release);
	watch->heard_ns = watch->probed_ns = clock_now_ns();
	return fault == NULL || run_fail(driver->result, fault);
}

static bool restart_is_due(const struct driver *driver, const struct watch *watch, uint64_t now_ns)
{
	const struct restart_server *server = driver->order->server;
	return server != NULL && !watch->step->restart.made &&
	       now_ns >= driver->shared.begin_ns + server->spec->after_ms * 1000000ull;
}

/* Lets messages flow until end_ns, or until all clients have sent their loops. Returns false if the server is gone. */
static bool flow_until(struct driver *driver, struct watch *watch, uint64_t end_ns, bool measured)
{
	uint64_t began = clock_now_ns();
	struct sums first = run_sum_up(driver);
	for (uint64_t now = began; now < end_ns && !progress_interrupted(); now = clock_now_ns()) {
		uint64_t left_ms = (end_ns - now) / 1000000u + 1;
		progress_sleep_ms(left_ms < LOOK_EVERY_MS ? (uint32_t)left_ms : LOOK_EVERY_MS);
		struct sums sums = run_sum_up(driver);
		now = clock_now_ns();
		if (measured) {
			double on_way = due_at(driver, now) - (double)(sums.received - watch->received_before);
			watch->in_flight_sum += on_way > 0 ? on_way : 0;
			watch->looks++;
		}
		if (restart_is_due(driver, watch, now) ? !driver_restart(driver, watch)
						       : has_died(driver, watch, &sums, now))
			return false;
		if (measured && driver->ends_by_loops && sums.loops_done == driver->worker_count &&
		    sums.received + driver->lost >= sums.expected)
			return true;
		progress_show(watch->label, measured ? (double)(now - began) / (double)(end_ns - began + 1) : 0,
			      "%s, %.0f messages/s, %.0f on their way", measured ? "measuring" : "warming up",
			      (double)(sums.received - first.received) * 1e9 / (double)(now - began + 1),
			      (double)sums.expected_due - (double)sums.received - (double)driver->lost);
	}
	return true;
}

/* Every worker's clients have had the last round of PINGREQ answered. */
static bool probes_answered(struct driver *driver)
{
	uint32_t wanted = atomic_load_explicit(&driver->shared.probe_round, memory_order_relaxed);
	bool answered = true;
	for (uint32_t i = 0; i < driver->worker_count; i++)
		answered = answered &&
			   atomic_load_explicit(&driver->workers[i].probe_round, memory_order_acquire) == wanted;
	return answered;
}

/* Waits for messages under way. Returns false if they were still arriving when the time was over. */
static bool run_drain(struct driver *driver, struct watch *watch, uint64_t most_ns)
{
	uint64_t began = clock_now_ns();
	struct quiet quiet = quiet_begin(driver->order->quiet_ms, 0, began);
	while (!progress_interrupted()) {
		bool answered = probes_answered(driver); /* before the sums are read */
		struct sums sums = run_sum_up(driver);
		uint64_t now = clock_now_ns();
		if (sums.pending == 0 && sums.received + driver->lost >= sums.expected)
			return true;
		if (now - began > most_ns)
			return false;
		enum quiet_advice advice =
			quiet_look(&quiet, sums.received + sums.expected - sums.pending, answered, now);
		if (advice == QUIET_OVER)
			return true;
		if (advice == QUIET_PROBE)
			atomic_fetch_add_explicit(&driver->shared.probe_round, 1, memory_order_release);
		progress_show(watch->label, 1, "waiting for what is on its way");
		progress_sleep_ms(LOOK_EVERY_MS);
	}
	return true;
}

/* With far more load than the server can bear, not all messages that are due can be sent. Then sending stops, so that
 * what has not arrived in the end is truly lost and not just late. */
static void drain_all(struct driver *driver, struct watch *watch)
{
	if (run_drain(driver, watch, driver->order->drain_ms * 1000000ull))
		return;
	run_set_phase(driver, RUN_RECEIVING);
	run_drain(driver, watch, RECEIVE_NS_MAX);
}

static void note_use(struct step *step, const struct sample *from, const struct sample *to)
{
	struct cpu_use use = cpu_use_between(&from->cpu, &to->cpu);
	double delivered = (double)(to->sums.received - from->sums.received);
	double sign_ins = (double)(to->sums.sign_ins - from->sums.sign_ins);
	double handshakes = (double)(to->sums.handshakes - from->sums.handshakes);
	double resumed = (double)(to->sums.resumed - from->sums.resumed);
	double units = delivered > 0 ? delivered : sign_ins;
	step->measured_s = use.passed_ns / 1e9;
	step->delivered = delivered * 1e9 / use.passed_ns;
	step->sign_ins = sign_ins * 1e9 / use.passed_ns;
	step->handshakes = handshakes * 1e9 / use.passed_ns;
	step->resumed_percent = handshakes > 0 ? 100.0 * resumed / handshakes : (double)NAN;
	step->server_cpu_us = units > 0 ? use.server_ns / 1e3 / units : (double)NAN;
	step->server_cpu_percent = use.server_percent;
	step->client_cpu_percent = use.bench_percent;
	step->other_cpu_percent = use.other_percent;
}

struct merged {
	struct histogram latency;
	struct histogram late;
	struct histogram sign_in;
	uint64_t latency_sum_ns;
	uint64_t expected;
	struct audit audit;
	uint64_t foreign;
	struct losses losses;
};

static void merge(const struct driver *driver, struct step *step, struct merged *merged)
{
	for (uint32_t i = 0; i < driver->worker_count; i++) {
		const struct run_worker *worker = &driver->workers[i];
		const struct run_tally *tally = &worker->tally;
		histogram_merge(&merged->latency, &tally->latency_ns);
		histogram_merge(&merged->late, &tally->late_ns);
		histogram_merge(&merged->sign_in, &tally->sign_in_ns);
		losses_merge(&merged->losses, &worker->losses);
		merged->latency_sum_ns += tally->latency_sum_ns;
		merged->expected += tally->expected;
		merged->audit.received += tally->audit.received;
		merged->audit.doubled += tally->audit.doubled;
		merged->audit.reordered += tally->audit.reordered;
		merged->foreign += tally->foreign;
		step->due += tally->due;
		step->sent += tally->sent;
		step->reconnects += tally->reconnects;
		step->unsent += worker->unsent;
		step->unacknowledged += worker->unacknowledged;
	}
}

/* Turns counts since the start into counts of this step. */
static void note_totals(struct driver *driver, struct step *step, const struct merged *merged)
{
	/* Counts since the start never decrease. */
	CHECK(merged->expected >= driver->expected && merged->audit.received >= driver->received);
	CHECK(merged->audit.doubled >= driver->doubled && merged->audit.reordered >= driver->reordered);
	CHECK(merged->foreign >= driver->foreign);
	uint64_t lost = merged->expected > merged->audit.received ? merged->expected - merged->audit.received : 0;
	uint64_t clients_lost = losses_total(&merged->losses);
	CHECK(clients_lost >= driver->clients_lost);
	step->expected = merged->expected - driver->expected;
	step->received = merged->audit.received - driver->received;
	step->lost = lost > driver->lost ? lost - driver->lost : 0;
	step->doubled = merged->audit.doubled - driver->doubled;
	step->reordered = merged->audit.reordered - driver->reordered;
	step->foreign = merged->foreign - driver->foreign;
	step->clients_lost = clients_lost - driver->clients_lost;
	driver->expected = merged->expected;
	driver->received = merged->audit.received;
	driver->doubled = merged->audit.doubled;
	driver->reordered = merged->audit.reordered;
	driver->foreign = merged->foreign;
	driver->lost = lost;
	driver->clients_lost = clients_lost;
	driver->result->losses = merged->losses;
}

static bool report_step(struct driver *driver, struct step *step)
{
	CHECK(atomic_load_explicit(&driver->shared.phase, memory_order_relaxed) == RUN_REPORTING);
	struct merged *merged = calloc(1, sizeof(*merged));
	if (merged == NULL)
		return run_fail(driver->result, "out of memory");
	merge(driver, step, merged);
	step_note_latency(step, &merged->latency, merged->latency_sum_ns);
	step->sign_in_p50_ms = histogram_percentile_us(&merged->sign_in, 50) / 1e3;
	step->sign_in_p99_ms = histogram_percentile_us(&merged->sign_in, 99) / 1e3;
	step->late_p99_ms = (double)histogram_percentile(&merged->late, 99) / 1e6;
	step->late_max_ms = (double)merged->late.value_max / 1e6;
	note_totals(driver, step, merged);
	free(merged);
	if (driver->order->server == NULL)
		return true;
	restart_account_note_step(&driver->account, step);
	return !driver->account.ledger.out_of_memory || run_fail(driver->result, "out of memory");
}

static double offered_by(const struct scenario *scenario, double load)
{
	double sum = 0;
	for (uint32_t i = 0; i < scenario->group_count; i++) {
		if ((scenario->groups[i].role & ROLE_PUBLISHER) != 0)
			sum += scenario_group_rate(&scenario->groups[i], load);
	}
	return sum;
}

static void driver_begin_step(struct driver *driver, struct watch *watch)
{
	const struct scenario *scenario = driver->order->scenario;
	struct run_shared *shared = &driver->shared;
	uint64_t now = clock_now_ns();
	shared->load = watch->step->load;
	shared->begin_ns = now + BEGIN_AFTER_NS;
	shared->measure_from_ns = shared->begin_ns + scenario->warm_up_ms * 1000000ull;
	CHECK(shared->measure_from_ns > now);
	watch->heard_ns = watch->probed_ns = now;
	watch->step->offered = offered_by(scenario, watch->step->load);
	struct sums sums = run_sum_up(driver);
	driver->staying = sums.staying;
	watch->received_before = sums.received;
}

/* Returns false if the run must end. */
static bool run_step(struct driver *driver, struct step *step, double load, uint64_t resident_before)
{
	const struct scenario *scenario = driver->order->scenario;
	struct watch watch = {.step = step};
	*step = (struct step){.load = load};
	if (isnan(load))
		snprintf(watch.label, sizeof(watch.label), "%s", driver->target->name);
	else
		snprintf(watch.label, sizeof(watch.label), "%s, load %.0f", driver->target->name, load);
	driver_begin_step(driver, &watch);
	if (!run_set_phase(driver, RUN_FLOWING))
		return run_fail(driver->result, "a thread of the bench ended: out of memory or descriptors");
	uint64_t from_ns = driver->shared.measure_from_ns;
	bool alive = flow_until(driver, &watch, from_ns, false);
	struct sample from = step_sample_now(driver);
	alive = alive && flow_until(driver, &watch, from_ns + scenario->duration_s * 1000000000ull, true);
	struct sample to = step_sample_now(driver);
	step->server_bytes = memory_a_client(driver, resident_before);
	driver->shared.stop_ns = clock_now_ns();
	run_set_phase(driver, RUN_DRAINING);
	if (alive)
		drain_all(driver, &watch);
	bool good = run_set_phase(driver, RUN_REPORTING) && report_step(driver, step);
	run_set_phase(driver, RUN_RESTING);
	note_use(step, &from, &to);
	step->in_flight = driver->order->server == NULL && watch.looks > 0
				  ? watch.in_flight_sum / (double)watch.looks
				  : (double)NAN; /* an outage is no part of the average */
	step->died = !alive || dial_probe(&driver->target->address) != 0;
	step_judge(step, &scenario->objectives);
	return good;
}

/* Sets the fault to `what`, followed by the reasons of losses. */
static void explain(struct driver *driver, const char *what)
{
	char reasons[256];
	losses_describe(&driver->result->losses, (uint8_t)driver->order->scenario->groups[0].version, reasons,
			sizeof(reasons));
	snprintf(driver->result->fault, sizeof(driver->result->fault), "%s%s%s", what, reasons[0] != '\0' ? ": " : "",
		 reasons);
}

static void driver_run_steps(struct driver *driver, uint64_t resident_before)
{
	const struct scenario *scenario = driver->order->scenario;
	struct run_result *result = driver->result;
	uint32_t count = scenario->step_count > 0 ? scenario->step_count : 1;
	for (uint32_t i = 0; i < count && i < driver->order->steps_max; i++) {
		struct step *step = &result->steps[i];
		double load = scenario->step_count > 0 ? scenario->steps[i] : (double)NAN;
		if (!run_step(driver, step, load, resident_before))
			return;
		result->step_count = i + 1;
		result->died = step->died;
		result->interrupted = progress_interrupted();
		if (result->died && result->fault[0] == '\0')
			explain(driver, "the server was gone in the middle of the run");
		else if (result->interrupted)
			run_fail(result, "interrupted");
		if (result->died || result->interrupted || (driver->order->judge && step->breach[0] != '\0'))
			return;
	}
}

static void end_workers(struct driver *driver)
{
	CHECK(driver->worker_count == driver->threads.count);
	struct losses losses = {0};
	bool failed = false;
	atomic_store_explicit(&driver->shared.phase, RUN_LEAVING, memory_order_release);
	threads_join(&driver->threads);
	for (uint32_t i = 0; i < driver->worker_count; i++) {
		losses_merge(&losses, &driver->workers[i].losses);
		carriage_add(&driver->result->carriage, &driver->workers[i].carriage);
		failed = failed || driver->workers[i].failed;
	}
	driver->result->losses = losses;
	if (failed)
		run_fail(driver->result, "out of memory or descriptors");
	free(driver->workers);
}

static bool has_loops_only(const struct scenario *scenario)
{
	bool found = false;
	for (uint32_t i = 0; i < scenario->group_count; i++) {
		const struct scenario_group *group = &scenario->groups[i];
		if (group->reconnects.is_load || group->reconnects.a_second > 0)
			return false;
		found = found || group->loops > 0;
	}
	return found;
}

static void run_driver(struct driver *driver)
{
	struct run_result *result = driver->result;
	for (uint32_t i = 0; i < driver->order->scenario->group_count; i++)
		driver->fans[i] = expectations_fan(&driver->expectations, i);
	driver->ends_by_loops = has_loops_only(driver->order->scenario);
	uint64_t resident_before = process_resident_bytes(driver->target->pid);
	bool connected = driver_start_workers(driver) && driver_wait_connected(driver);
	if (connected) {
		process_wait_idle(driver->target->pid, IDLE_WAIT_MS_MAX);
		result->memory_bytes = memory_a_client(driver, resident_before);
		driver_run_steps(driver, resident_before);
	}
	end_workers(driver);
	if (!connected && result->fault[0] == '\0')
		explain(driver, progress_interrupted() ? "interrupted" : "not every client could be connected");
}

bool run_against(const struct run_order *order, const struct target *target, struct run_result *result)
{
	CHECK(order->steps_max <= SCENARIO_STEPS_MAX);
	struct driver driver = {.order = order, .target = target, .result = result};
	*result = (struct run_result){.clients = scenario_clients(order->scenario), .memory_bytes = (double)NAN};
	snprintf(result->target, sizeof(result->target), "%s", target->name);
	driver.shared.scenario = order->scenario;
	driver.shared.expectations = &driver.expectations;
	memcpy(driver.shared.credentials, order->credentials, sizeof(driver.shared.credentials));
	atomic_init(&driver.shared.phase, RUN_CONNECTING);
	for (uint32_t i = 0; i < order->scenario->group_count; i++)
		target_dial(order->targets[i] != NULL ? order->targets[i] : target, true, &driver.shared.dials[i]);
	fdtable_raise_limit();
	const char *fault = expectations_open(&driver.expectations, order->scenario);
	if (fault == NULL && order->server != NULL) {
		driver.shared.account = &driver.account;
		fault = restart_account_open(&driver.account, &driver.expectations);
	}
	if (fault != NULL)
		run_fail(result, fault);
	else
		run_driver(&driver);
	progress_end();
	restart_account_close(&driver.account);
	expectations_close(&driver.expectations);
	return result->fault[0] == '\0';
}
