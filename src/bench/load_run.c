#include "bench/load_run.h"

#include "bench/place.h"
#include "bench/process.h"
#include "bench/progress.h"

#include "base/clock.h"
#include "net/fdtable.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STALL_NS 5000000000u
#define LOOK_EVERY_MS 10u
#define SETTLE_MS_MAX 2000u
/* Idle subscribers of a round send no pings; no round is nearly as long as this. */
#define KEEPALIVE_S 7200u

struct run {
	const struct load_round *round;
	const struct target *target;
	const char *label;
	struct load_shared shared;
	struct load_worker *workers;
	uint32_t worker_count;
};

struct sample {
	uint64_t time_ns;
	uint64_t server_cpu_ns;
	uint64_t client_cpu_ns;
	uint64_t machine_cpu_ns;
	uint64_t delivered;
};

static uint64_t delivered_by(struct run *run)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < run->worker_count; i++)
		sum += atomic_load_explicit(&run->workers[i].delivered, memory_order_relaxed);
	return sum;
}

static struct sample sample_now(struct run *run)
{
	return (struct sample){
		.time_ns = clock_now_ns(),
		.server_cpu_ns = process_cpu_ns(run->target->pid),
		.client_cpu_ns = process_cpu_ns(getpid()),
		.machine_cpu_ns = machine_cpu_ns(),
		.delivered = delivered_by(run),
	};
}

static uint32_t share(uint32_t whole, uint32_t parts, uint32_t index)
{
	return whole / parts + (index < whole % parts);
}

static bool start_workers(struct run *run)
{
	const struct load_round *round = run->round;
	run->shared.plan = (struct fleet_plan){
		.client_prefix = round->client_prefix,
		.topic_prefix = round->topic_prefix,
		.keepalive_s = KEEPALIVE_S,
		.version = round->version,
		.writes = true,
	};
	dial_init(&run->shared.plan.dial, &run->target->address, true);
	atomic_init(&run->shared.phase, LOAD_CONNECTING);
	run->shared.cpu = round->cpu;
	uint32_t first = 0;
	for (uint32_t i = 0; i < round->threads; i++) {
		struct load_worker *worker = &run->workers[i];
		worker->shared = &run->shared;
		worker->load = round->load;
		worker->load.clients = share(round->load.clients, round->threads, i);
		worker->load.publishers = share(round->load.publishers, round->threads, i);
		worker->first = first;
		first += worker->load.clients;
		int failure = load_worker_start(worker);
		if (failure != 0) {
			fprintf(stderr, "roost bench: thread %u: %s\n", i, strerror(failure));
			return false;
		}
		run->worker_count++;
	}
	return true;
}

static void set_phase(struct run *run, enum load_phase phase)
{
	atomic_store_explicit(&run->shared.phase, phase, memory_order_release);
}

/* True when each client is subscribed. */
static bool wait_until_connected(struct run *run)
{
	uint32_t settled = 0;
	uint32_t ready = 0;
	while (settled < run->worker_count && !progress_interrupted()) {
		progress_sleep_ms(LOOK_EVERY_MS);
		settled = ready = 0;
		for (uint32_t i = 0; i < run->worker_count; i++) {
			settled += atomic_load_explicit(&run->workers[i].settled, memory_order_acquire);
			ready += atomic_load_explicit(&run->workers[i].ready, memory_order_relaxed);
		}
		progress_show(run->label, 0, "connecting, %u of %u clients", ready, run->round->load.clients);
	}
	return ready == run->round->load.clients;
}

/* Lets messages flow until the time or the number of messages is reached. False: they stopped coming. */
static bool wait_while_flowing(struct run *run, uint64_t length_ns, uint64_t messages)
{
	uint64_t began = clock_now_ns();
	uint64_t start = delivered_by(run);
	uint64_t seen = start;
	uint64_t heard = began;
	uint64_t now = began;
	uint64_t shown = start;
	uint64_t shown_ns = began;
	while (!progress_interrupted() && (messages > 0 ? seen - start < messages : now - began < length_ns)) {
		progress_sleep_ms(LOOK_EVERY_MS);
		now = clock_now_ns();
		uint64_t delivered = delivered_by(run);
		heard = delivered != seen ? now : heard;
		seen = delivered;
		if (now - heard > STALL_NS)
			return false;
		double done = messages > 0 ? (double)(seen - start) / (double)messages
					   : (double)(now - began) / (double)length_ns;
		progress_show(run->label, done, "%.1f s, %.0f messages/s", (double)(now - began) / 1e9,
			      (double)(seen - shown) * 1e9 / (double)(now - shown_ns + 1));
		if (now - shown_ns >= 1000000000u) {
			shown = seen;
			shown_ns = now;
		}
	}
	return true;
}

static void wait_until_drained(struct run *run)
{
	uint32_t drained = 0;
	while (drained < run->worker_count) {
		progress_sleep_ms(LOOK_EVERY_MS);
		drained = 0;
		for (uint32_t i = 0; i < run->worker_count; i++)
			drained += atomic_load_explicit(&run->workers[i].drained, memory_order_acquire);
	}
}

static void note_samples(struct sample from, struct sample to, struct load_result *result)
{
	double delivered = (double)(to.delivered - from.delivered);
	double us_of_message = delivered > 0 ? 1e3 * delivered : (double)NAN;
	result->delivered = delivered;
	result->measured_s = (double)(to.time_ns - from.time_ns) / 1e9;
	result->client_cpu_us = (double)(to.client_cpu_ns - from.client_cpu_ns) / us_of_message;
	double other = process_cpu_between_ns(from.machine_cpu_ns, to.machine_cpu_ns) -
		       process_cpu_between_ns(from.server_cpu_ns, to.server_cpu_ns) -
		       (double)(to.client_cpu_ns - from.client_cpu_ns);
	/* The machine's time comes in steps of 10 ms: a little less than nothing is nothing. */
	result->other_cpu_percent = other < 0 ? 0 : 100 * other / (double)(to.time_ns - from.time_ns);
	result->server_cpu_us = process_cpu_between_ns(from.server_cpu_ns, to.server_cpu_ns) / us_of_message;
}

static bool measure(struct run *run, struct load_result *result)
{
	place_keep(run->target->pid, run->target->cpu);
	if (!start_workers(run) || !wait_until_connected(run))
		return false;
	process_settle(run->target->pid, SETTLE_MS_MAX);
	set_phase(run, LOAD_WARMING);
	result->stalled = !wait_while_flowing(run, run->round->warm_up_ms * 1000000ull, 0);
	if (!result->stalled) {
		set_phase(run, LOAD_MEASURING);
		struct sample from = sample_now(run);
		result->stalled =
			!wait_while_flowing(run, run->round->duration_s * 1000000000ull, run->round->messages);
		note_samples(from, sample_now(run), result);
	}
	set_phase(run, LOAD_DRAINING);
	wait_until_drained(run);
	return true;
}

static void collect(struct run *run, struct load_result *result)
{
	struct histogram latency;
	histogram_init(&latency);
	for (uint32_t i = 0; i < run->worker_count; i++) {
		const struct load_worker *worker = &run->workers[i];
		histogram_merge(&latency, &worker->latency_ns);
		losses_merge(&result->losses, &worker->losses);
		result->received += worker->audit.received;
		result->missing += worker->audit.missing;
		result->reordered += worker->audit.reordered;
		result->doubled += worker->audit.doubled;
		result->foreign += worker->foreign;
	}
	bool known = latency.count > 0;
	result->p50_us = known ? (double)histogram_percentile(&latency, 50) / 1e3 : (double)NAN;
	result->p99_us = known ? (double)histogram_percentile(&latency, 99) / 1e3 : (double)NAN;
	result->p999_us = known ? (double)histogram_percentile(&latency, 99.9) / 1e3 : (double)NAN;
	result->max_us = known ? (double)latency.value_max / 1e3 : (double)NAN;
}

bool load_run(const struct load_round *round, const struct target *target, const char *label,
	      struct load_result *result)
{
	struct run run = {.round = round, .target = target, .label = label};
	char reasons[256];
	memset(result, 0, sizeof(*result));
	fdtable_raise_limit();
	run.workers = calloc(round->threads, sizeof(*run.workers));
	if (run.workers == NULL) {
		fputs("roost bench: out of memory\n", stderr);
		return false;
	}
	bool good = measure(&run, result);
	set_phase(&run, LOAD_LEAVING);
	for (uint32_t i = 0; i < run.worker_count; i++)
		load_worker_join(&run.workers[i]);
	collect(&run, result);
	free(run.workers);
	if (!good && !progress_interrupted()) {
		progress_end();
		losses_describe(&result->losses, round->version, reasons, sizeof(reasons));
		fprintf(stderr, "roost bench: %s: not every client could be connected: %s\n", label, reasons);
	}
	return good;
}
