#include "bench/load/load_driver.h"

#include "bench/report/progress.h"
#include "bench/target/cpu.h"
#include "bench/target/process.h"

#include "base/clock.h"
#include "net/fdtable.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STALL_NS 5000000000u
#define LOOK_EVERY_MS 10u
/* Idle subscribers of a round send no pings; no round is nearly as long as this. */
#define KEEPALIVE_S 7200u

struct sample {
	uint64_t time_ns;
	uint64_t server_cpu_ns;
	uint64_t client_cpu_ns;
	uint64_t neighbour_cpu_ns;
	uint64_t machine_cpu_ns;
	uint64_t delivered;
};

static uint64_t delivered_by(struct load_driver *driver)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < driver->worker_count; i++)
		sum += atomic_load_explicit(&driver->workers[i].delivered, memory_order_relaxed);
	return sum;
}

static struct sample sample_now(struct load_driver *driver)
{
	return (struct sample){
		.time_ns = clock_now_ns(),
		.server_cpu_ns = process_cpu_ns(driver->target->pid),
		.client_cpu_ns = process_cpu_ns(getpid()),
		.neighbour_cpu_ns =
			driver->round->neighbours != NULL ? neighbours_cpu_ns(driver->round->neighbours) : 0,
		.machine_cpu_ns = machine_cpu_ns(),
		.delivered = delivered_by(driver),
	};
}

static uint32_t share(uint32_t whole, uint32_t parts, uint32_t index)
{
	return whole / parts + (index < whole % parts);
}

static bool start_workers(struct load_driver *driver)
{
	const struct load_round *round = driver->round;
	driver->shared.plan = (struct client_plan){
		.client_prefix = round->client_prefix,
		.topic_prefix = round->topic_prefix,
		.credentials = round->credentials,
		.keepalive_s = KEEPALIVE_S,
		.version = round->version,
		.qos = round->load.qos,
		.arrivals = round->arrivals,
		.writes = true,
	};
	dial_init(&driver->shared.plan.dial, &driver->target->address, true);
	driver->shared.cpu = round->cpu;
	uint32_t first = 0;
	for (uint32_t i = 0; i < round->threads && round->load.clients > 0; i++) {
		struct load_worker *worker = &driver->workers[i];
		worker->shared = &driver->shared;
		worker->load = round->load;
		worker->load.clients = share(round->load.clients, round->threads, i);
		worker->load.publishers = share(round->load.publishers, round->threads, i);
		worker->load.members = share(round->load.members, round->threads, i);
		worker->load.rate = share(round->load.rate, round->threads, i);
		worker->phase = (double)i / round->threads;
		worker->first = first;
		first += worker->load.clients;
		int failure = load_worker_start(worker);
		if (failure != 0) {
			fprintf(stderr, "roost bench: thread %u: %s\n", i, strerror(failure));
			return false;
		}
		driver->worker_count++;
	}
	return true;
}

static void set_phase(struct load_driver *driver, enum load_phase phase)
{
	atomic_store_explicit(&driver->shared.phase, phase, memory_order_release);
}

/* True when each client is subscribed. */
static bool wait_until_connected(struct load_driver *driver)
{
	uint32_t connect_done = 0;
	uint32_t ready = 0;
	while (connect_done < driver->worker_count && !progress_interrupted()) {
		progress_sleep_ms(LOOK_EVERY_MS);
		connect_done = ready = 0;
		for (uint32_t i = 0; i < driver->worker_count; i++) {
			connect_done += atomic_load_explicit(&driver->workers[i].connect_done, memory_order_acquire);
			ready += atomic_load_explicit(&driver->workers[i].ready, memory_order_relaxed);
		}
		progress_show(driver->label, 0, "connecting, %u of %u clients", ready, driver->round->load.clients);
	}
	return ready == driver->round->load.clients;
}

/* A server's Receive Maximum binds the publishers [MQTT-3.3.4-7]. */
static bool window_fits(const struct load_driver *driver)
{
	const struct load_plan *load = &driver->round->load;
	for (uint32_t i = 0; i < driver->worker_count; i++) {
		uint32_t most = driver->workers[i].receive_max;
		if (load->qos == 0 || load->window <= most)
			continue;
		progress_end();
		fprintf(stderr,
			"roost bench: %s: a client may send at most %u messages that are not acknowledged (the "
			"server's "
			"Receive Maximum): --window %u is more\n",
			driver->label, most, load->window);
		return false;
	}
	return true;
}

bool load_driver_open(struct load_driver *driver, const struct load_round *round, const struct target *target,
		      const char *label)
{
	*driver = (struct load_driver){.round = round, .target = target, .label = label};
	atomic_init(&driver->shared.phase, LOAD_CONNECTING);
	atomic_init(&driver->shared.interval, LOAD_UNTIMED);
	fdtable_raise_limit();
	driver->workers = calloc(round->threads, sizeof(*driver->workers));
	if (driver->workers == NULL) {
		fputs("roost bench: out of memory\n", stderr);
		return false;
	}
	if (!start_workers(driver))
		return false;
	driver->incomplete = !wait_until_connected(driver);
	return !driver->incomplete && window_fits(driver);
}

/* What is shown while messages flow. */
struct flow {
	uint64_t began_ns;
	uint64_t began; /* delivered by then */
	uint64_t shown_ns;
	uint64_t shown;
};

static void show_flow(const struct load_driver *driver, struct flow *flow, uint64_t now, uint64_t delivered,
		      double done)
{
	progress_show(driver->label, done, "%.1f s, %.0f messages/s", (double)(now - flow->began_ns) / 1e9,
		      (double)(delivered - flow->shown) * 1e9 / (double)(now - flow->shown_ns + 1));
	if (now - flow->shown_ns < 1000000000u)
		return;
	flow->shown = delivered;
	flow->shown_ns = now;
}

/* Lets messages flow until the time or the number of messages is reached. False: they stopped coming. */
static bool wait_while_flowing(struct load_driver *driver, uint64_t length_ns, uint64_t messages)
{
	uint64_t now = clock_now_ns();
	uint64_t heard = now;
	uint64_t seen = delivered_by(driver);
	struct flow flow = {.began_ns = now, .began = seen, .shown_ns = now, .shown = seen};
	while (!progress_interrupted() &&
	       (messages > 0 ? seen - flow.began < messages : now - flow.began_ns < length_ns)) {
		progress_sleep_ms(LOOK_EVERY_MS);
		now = clock_now_ns();
		uint64_t delivered = delivered_by(driver);
		heard = delivered != seen ? now : heard;
		seen = delivered;
		if (now - heard > STALL_NS && driver->worker_count > 0)
			return false;
		show_flow(driver, &flow, now, seen,
			  messages > 0 ? (double)(seen - flow.began) / (double)messages
				       : (double)(now - flow.began_ns) / (double)length_ns);
	}
	return true;
}

static void note_samples(struct sample from, struct sample to, struct load_figures *out)
{
	double delivered = (double)(to.delivered - from.delivered);
	double us_of_message = delivered > 0 ? 1e3 * delivered : (double)NAN;
	double ns = (double)(to.time_ns - from.time_ns);
	double server_ns = process_cpu_between_ns(from.server_cpu_ns, to.server_cpu_ns);
	double client_ns = (double)(to.client_cpu_ns - from.client_cpu_ns);
	double neighbour_ns = (double)(to.neighbour_cpu_ns - from.neighbour_cpu_ns);
	double other_ns =
		process_cpu_between_ns(from.machine_cpu_ns, to.machine_cpu_ns) - server_ns - client_ns - neighbour_ns;
	*out = (struct load_figures){
		.measured_s = ns / 1e9,
		.delivered = delivered,
		.server_cpu_us = server_ns / us_of_message,
		.client_cpu_us = client_ns / us_of_message,
		.server_cpu_percent = 100 * server_ns / ns,
		.client_cpu_percent = 100 * client_ns / ns,
		.neighbour_cpu_percent = 100 * neighbour_ns / ns,
		/* The machine's time comes in steps of 10 ms: a little less than nothing is nothing. */
		.other_cpu_percent = other_ns < 0 ? 0 : 100 * other_ns / ns,
	};
}

bool load_driver_flow(struct load_driver *driver, uint32_t warm_up_ms)
{
	set_phase(driver, LOAD_FLOWING);
	return wait_while_flowing(driver, warm_up_ms * 1000000ull, 0);
}

bool load_driver_measure(struct load_driver *driver, uint32_t interval, uint64_t length_ns, uint64_t messages)
{
	atomic_store_explicit(&driver->shared.interval, interval, memory_order_relaxed);
	struct sample from = sample_now(driver);
	bool flowed = wait_while_flowing(driver, length_ns, messages);
	note_samples(from, sample_now(driver), &driver->figures[interval]);
	atomic_store_explicit(&driver->shared.interval, LOAD_UNTIMED, memory_order_relaxed);
	return flowed;
}

void load_driver_drain(struct load_driver *driver)
{
	uint32_t drained = 0;
	set_phase(driver, LOAD_DRAINING);
	while (drained < driver->worker_count) {
		progress_sleep_ms(LOOK_EVERY_MS);
		drained = 0;
		for (uint32_t i = 0; i < driver->worker_count; i++)
			drained += atomic_load_explicit(&driver->workers[i].drained, memory_order_acquire);
	}
}

static void sum_up(const struct load_driver *driver, struct load_totals *totals)
{
	*totals = (struct load_totals){.spread = spread_none()};
	for (uint32_t i = 0; i < driver->worker_count; i++) {
		const struct load_worker *worker = &driver->workers[i];
		losses_merge(&totals->losses, &worker->losses);
		spread_merge(&totals->spread, &worker->spread);
		totals->received += worker->audit.received;
		totals->missing += worker->audit.missing;
		totals->reordered += worker->audit.reordered;
		totals->doubled += worker->audit.doubled;
		totals->foreign += worker->foreign;
		totals->unacknowledged += worker->unacknowledged;
	}
}

static void note_latency(const struct load_driver *driver, uint32_t interval, struct load_figures *out)
{
	struct histogram latency;
	histogram_init(&latency);
	for (uint32_t i = 0; i < driver->worker_count; i++)
		histogram_merge(&latency, &driver->workers[i].latency_ns[interval]);
	bool known = latency.count > 0;
	out->p50_us = known ? (double)histogram_percentile(&latency, 50) / 1e3 : (double)NAN;
	out->p99_us = known ? (double)histogram_percentile(&latency, 99) / 1e3 : (double)NAN;
	out->p999_us = known ? (double)histogram_percentile(&latency, 99.9) / 1e3 : (double)NAN;
	out->max_us = known ? (double)latency.value_max / 1e3 : (double)NAN;
}

static void note_timing(struct load_driver *driver)
{
	struct histogram latency;
	struct load_lateness lateness = {0};
	histogram_init(&latency);
	for (uint32_t i = 0; i < driver->worker_count; i++) {
		const struct load_worker *worker = &driver->workers[i];
		for (uint32_t k = 0; k < LOAD_INTERVALS; k++)
			histogram_merge(&latency, &worker->latency_ns[k]);
		histogram_merge(&lateness.late_ns, &worker->lateness.late_ns);
		histogram_merge(&lateness.passage_ns, &worker->lateness.passage_ns);
		histogram_merge(&lateness.read_ns, &worker->lateness.read_ns);
	}
	driver->timing = (struct load_timing){
		.latency = histogram_percentiles(&latency),
		.late = histogram_percentiles(&lateness.late_ns),
		.passage = histogram_percentiles(&lateness.passage_ns),
		.read = histogram_percentiles(&lateness.read_ns),
	};
}

void load_driver_close(struct load_driver *driver, struct load_totals *totals)
{
	char reasons[256];
	set_phase(driver, LOAD_LEAVING);
	for (uint32_t i = 0; i < driver->worker_count; i++)
		load_worker_join(&driver->workers[i]);
	sum_up(driver, totals);
	for (uint32_t i = 0; i < LOAD_INTERVALS; i++)
		note_latency(driver, i, &driver->figures[i]);
	note_timing(driver);
	free(driver->workers);
	driver->workers = NULL;
	driver->worker_count = 0;
	if (!driver->incomplete || progress_interrupted())
		return;
	progress_end();
	losses_describe(&totals->losses, driver->round->version, reasons, sizeof(reasons));
	fprintf(stderr, "roost bench: %s: not every client could be connected: %s\n", driver->label, reasons);
}

void load_totals_add(struct load_totals *into, const struct load_totals *from)
{
	into->received += from->received;
	into->missing += from->missing;
	into->reordered += from->reordered;
	into->doubled += from->doubled;
	into->foreign += from->foreign;
	into->unacknowledged += from->unacknowledged;
	spread_merge(&into->spread, &from->spread);
	losses_merge(&into->losses, &from->losses);
}
