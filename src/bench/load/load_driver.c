#include "bench/load/load_driver.h"

#include "bench/measure/share.h"
#include "bench/report/progress.h"
#include "bench/target/cpu_use.h"

#include "base/check.h"
#include "base/clock.h"
#include "reactor/fdtable.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STALL_NS 5000000000u
#define LOOK_EVERY_MS 10u
/* Until another node has heard of the subscriptions. */
#define KNOWN_ELSEWHERE_MS 1000u
/* Idle subscribers send no pings: no round lasts nearly as long as this. */
#define KEEPALIVE_S 7200u

static uint64_t delivered_by(struct load_driver *driver)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < driver->worker_count; i++)
		sum += atomic_load_explicit(&driver->workers[i].delivered, memory_order_relaxed);
	return sum;
}

/* With another place to publish to. */
static bool divide_clients(const struct load_round *round, struct dial *dial)
{
	if (!round->has_publish_url)
		return true;
	CHECK(round->threads == 1);
	const char *fault = dial->transport != NULL ? "--publish-url is for brokers over tcp://"
						    : url_resolve(&round->publish_url, &dial->first_address);
	if (fault != NULL) {
		fprintf(stderr, "roost bench: %s: %s\n", round->publish_url.host, fault);
		return false;
	}
	dial->first_clients = round->load.publishers; /* those that publish have the first numbers */
	return true;
}

static bool load_start_workers(struct load_driver *driver)
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
	driver->shared.quiet_ms = round->quiet_ms;
	target_dial(driver->target, true, &driver->shared.plan.dial);
	if (!divide_clients(round, &driver->shared.plan.dial))
		return false;
	uint32_t count = round->load.clients > 0 ? round->threads : 0;
	for (uint32_t i = 0; i < count; i++) {
		struct load_worker *worker = &driver->workers[i];
		worker->shared = &driver->shared;
		worker->load = round->load;
		worker->load.clients = share_of(round->load.clients, count, i);
		worker->load.publishers = share_of(round->load.publishers, count, i);
		worker->load.members = share_of(round->load.members, count, i);
		worker->load.rate = share_of(round->load.rate, count, i);
		worker->phase = (double)i / count;
		worker->first = share_before(round->load.clients, count, i);
	}
	struct thread_setup setup = {.body = load_worker_run,
				     .worker_bytes = sizeof(*driver->workers),
				     .cpu = round->cpu,
				     .exact_timers = round->load.rate > 0};
	CHECK(count == 0 ||
	      driver->workers[count - 1].first + driver->workers[count - 1].load.clients == round->load.clients);
	bool good = threads_start(&driver->threads, &setup, driver->workers, count);
	driver->worker_count = driver->threads.count;
	return good;
}

static void load_set_phase(struct load_driver *driver, enum load_phase phase)
{
	CHECK(phase >= atomic_load_explicit(&driver->shared.phase, memory_order_relaxed)); /* there is no way back */
	atomic_store_explicit(&driver->shared.phase, phase, memory_order_release);
}

/* Returns true if every client is subscribed. */
static bool load_wait_connected(struct load_driver *driver)
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
			"server's Receive Maximum): --window %u is more\n",
			driver->label, most, load->window);
		return false;
	}
	return true;
}

bool load_driver_open(struct load_driver *driver, const struct load_round *round, const struct target *target,
		      const char *label)
{
	CHECK(round->threads > 0);
	*driver = (struct load_driver){.round = round, .target = target, .label = label};
	for (uint32_t i = 0; i < LOAD_INTERVALS; i++)
		driver->figures[i].delivered_per_s = (double)NAN;
	atomic_init(&driver->shared.phase, LOAD_CONNECTING);
	atomic_init(&driver->shared.interval, LOAD_UNTIMED);
	fdtable_raise_limit();
	driver->workers = calloc(round->threads, sizeof(*driver->workers));
	if (driver->workers == NULL) {
		fputs("roost bench: out of memory\n", stderr);
		return false;
	}
	if (!load_start_workers(driver))
		return false;
	driver->incomplete = !load_wait_connected(driver);
	if (round->has_publish_url)
		progress_sleep_ms(KNOWN_ELSEWHERE_MS);
	return !driver->incomplete && window_fits(driver);
}

/* What the progress line shows while messages flow. */
struct flow {
	uint64_t began_ns;
	uint64_t began; /* delivered by that time */
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

/* Lets messages flow until the time or the number of messages is reached. Returns false if they stop arriving. */
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

static void note_load_use(const struct cpu_use *use, double delivered, struct load_figures *out)
{
	CHECK(delivered >= 0);
	double us_of_message = delivered > 0 ? 1e3 * delivered : (double)NAN;
	*out = (struct load_figures){
		.measured_s = use->passed_ns / 1e9,
		.delivered = delivered,
		.delivered_per_s = use->passed_ns > 0 ? delivered * 1e9 / use->passed_ns : (double)NAN,
		.server_cpu_us = use->server_ns / us_of_message,
		.client_cpu_us = use->bench_ns / us_of_message,
		.server_cpu_percent = use->server_percent,
		.client_cpu_percent = use->bench_percent,
		.neighbour_cpu_percent = use->neighbour_percent,
		.other_cpu_percent = use->other_percent,
	};
}

bool load_driver_flow(struct load_driver *driver, uint32_t warm_up_ms)
{
	load_set_phase(driver, LOAD_FLOWING);
	return wait_while_flowing(driver, warm_up_ms * 1000000ull, 0);
}

bool load_driver_measure(struct load_driver *driver, uint32_t interval, uint64_t length_ns, uint64_t messages)
{
	CHECK(interval < LOAD_INTERVALS);
	atomic_store_explicit(&driver->shared.interval, interval, memory_order_relaxed);
	uint64_t delivered = delivered_by(driver);
	struct cpu_sample from = cpu_sample_now(driver->target->pid, driver->round->neighbours);
	bool flowed = wait_while_flowing(driver, length_ns, messages);
	struct cpu_sample to = cpu_sample_now(driver->target->pid, driver->round->neighbours);
	struct cpu_use use = cpu_use_between(&from, &to);
	note_load_use(&use, (double)(delivered_by(driver) - delivered), &driver->figures[interval]);
	atomic_store_explicit(&driver->shared.interval, LOAD_UNTIMED, memory_order_relaxed);
	return flowed;
}

void load_driver_drain(struct load_driver *driver)
{
	CHECK(driver->worker_count <= driver->round->threads);
	uint32_t drained = 0;
	load_set_phase(driver, LOAD_DRAINING);
	while (drained < driver->worker_count) {
		progress_sleep_ms(LOOK_EVERY_MS);
		drained = 0;
		for (uint32_t i = 0; i < driver->worker_count; i++)
			drained += atomic_load_explicit(&driver->workers[i].drained, memory_order_acquire);
	}
}

static void load_sum_up(const struct load_driver *driver, struct load_totals *totals)
{
	*totals = load_totals_none();
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
	out->p50_us = histogram_percentile_us(&latency, 50);
	out->p99_us = histogram_percentile_us(&latency, 99);
	out->p999_us = histogram_percentile_us(&latency, 99.9);
	out->max_us = histogram_percentile_us(&latency, 100);
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
	load_set_phase(driver, LOAD_LEAVING);
	threads_join(&driver->threads);
	load_sum_up(driver, totals);
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
