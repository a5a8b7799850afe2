#include "bench/hold/hold_run.h"

#include "bench/client/threads.h"
#include "bench/hold/hold_worker.h"
#include "bench/measure/share.h"
#include "bench/report/progress.h"
#include "bench/target/cpu.h"
#include "bench/target/process.h"

#include "base/check.h"
#include "base/clock.h"
#include "reactor/fdtable.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A descriptor table also holds stdin, stdout, stderr, the epoll and a few spare ones. */
#define DESCRIPTORS_SPARE 64u
/* After a million clients have disconnected, the server may still be closing sockets. */
#define IDLE_WAIT_BEFORE_MS_MAX 20000u
#define IDLE_WAIT_MS_MAX 3000u
#define LOOK_EVERY_MS 20u

struct run {
	const struct hold_load *load;
	const struct target *target;
	const char *label;
	struct hold_shared shared;
	struct threads threads;
	struct hold_worker *workers;
	uint32_t worker_count;
	bool failed;
};

struct counts {
	uint32_t ready;
	uint32_t lost;
	uint32_t connect_done; /* workers */
};

static struct counts count_clients(struct run *run)
{
	struct counts sum = {0};
	CHECK(run->workers != NULL);
	for (uint32_t i = 0; i < run->worker_count; i++) {
		struct hold_worker *worker = &run->workers[i];
		sum.connect_done += atomic_load_explicit(&worker->connect_done, memory_order_acquire);
		sum.ready += atomic_load_explicit(&worker->ready, memory_order_relaxed);
		sum.lost += atomic_load_explicit(&worker->lost, memory_order_relaxed);
	}
	return sum;
}

static uint32_t threads_needed(const struct hold_load *load)
{
	uint64_t limit = fdtable_raise_limit();
	uint64_t table = limit > DESCRIPTORS_SPARE ? limit - DESCRIPTORS_SPARE : 1;
	uint32_t needed = (uint32_t)((load->clients + table - 1) / table);
	return load->threads > needed ? load->threads : needed;
}

static bool hold_start_workers(struct run *run)
{
	CHECK(run->worker_count > 0 && run->load->connecting > 0);
	const struct hold_load *load = run->load;
	uint32_t connecting = load->connecting < run->worker_count ? load->connecting : run->worker_count;
	run->shared.plan = (struct client_plan){
		.credentials = load->credentials,
		.client_prefix = load->client_prefix,
		.topic_prefix = load->topic_prefix,
		.keepalive_s = load->keepalive_s,
		.version = load->version,
		.pipeline = load->pipeline,
		.arrivals = load->time_pings,
	};
	target_dial(run->target, false, &run->shared.plan.dial);
	run->shared.ping_period_ns = (uint64_t)load->keepalive_s * 1000000000u;
	run->shared.rate_per_worker = load->rate == 0 ? 0 : (load->rate + connecting - 1) / connecting;
	run->shared.in_progress_max = load->in_progress_max;
	sem_init(&run->shared.turns, 0, connecting);
	atomic_init(&run->shared.phase, HOLD_RUNNING);
	for (uint32_t i = 0; i < run->worker_count; i++) {
		run->workers[i].shared = &run->shared;
		run->workers[i].first = share_before(load->clients, run->worker_count, i);
		run->workers[i].count = share_of(load->clients, run->worker_count, i);
	}
	struct thread_setup setup = {.body = hold_worker_run,
				     .worker_bytes = sizeof(*run->workers),
				     .stack_bytes = HOLD_STACK_BYTES,
				     .cpu = load->cpu};
	bool good = threads_start(&run->threads, &setup, run->workers, run->worker_count);
	run->worker_count = run->threads.count;
	return good;
}

static void merge_pings(struct run *run, struct hold_result *result)
{
	struct histogram sum;
	histogram_init(&sum);
	for (uint32_t i = 0; i < run->worker_count; i++) {
		if (run->workers[i].answer_ns != NULL)
			histogram_merge(&sum, run->workers[i].answer_ns);
		free(run->workers[i].answer_ns);
	}
	result->pings = sum.count;
	result->pings_us = histogram_percentiles(&sum);
}

static void stop_workers(struct run *run, struct hold_result *result)
{
	uint64_t began = clock_now_ns();
	atomic_store(&run->shared.phase, HOLD_LEAVING);
	threads_join(&run->threads);
	for (uint32_t i = 0; i < run->worker_count; i++)
		losses_merge(&result->losses, &run->workers[i].losses);
	merge_pings(run, result);
	result->leave_s = (double)(clock_now_ns() - began) / 1e9;
	sem_destroy(&run->shared.turns);
}

static void hold_wait_connected(struct run *run, struct hold_result *result)
{
	uint64_t began = clock_now_ns();
	uint32_t last_ready = 0;
	uint64_t last_ns = began;
	struct counts now = {0};
	while (now.connect_done < run->worker_count && !progress_interrupted()) {
		progress_sleep_ms(LOOK_EVERY_MS);
		now = count_clients(run);
		uint64_t time = clock_now_ns();
		double rate = (double)(now.ready - last_ready) * 1e9 / (double)(time - last_ns);
		progress_show(run->label, (double)now.ready / run->load->clients,
			      "connecting, %u of %u clients, %.0f/s, %u lost", now.ready, run->load->clients, rate,
			      now.lost);
		if (time - last_ns >= 1000000000u) {
			last_ready = now.ready;
			last_ns = time;
		}
	}
	CHECK(now.ready <= run->load->clients);
	uint64_t first = UINT64_MAX;
	uint64_t last = began;
	for (uint32_t i = 0; i < run->worker_count && now.connect_done == run->worker_count; i++) {
		first = run->workers[i].first_start_ns < first ? run->workers[i].first_start_ns : first;
		last = run->workers[i].connect_done_ns > last ? run->workers[i].connect_done_ns : last;
		carriage_add(&result->carriage, &run->workers[i].carriage);
		result->stream_bytes += (double)run->workers[i].stream_bytes;
	}
	result->connected = now.ready;
	result->connect_s = first < last ? (double)(last - first) / 1e9 : (double)(clock_now_ns() - began) / 1e9;
}

static void wait_while_held(struct run *run, struct hold_result *result)
{
	uint64_t began = clock_now_ns();
	uint64_t cpu_before = process_cpu_ns(run->target->pid);
	atomic_store(&run->shared.time_pings, true);
	uint64_t length = (uint64_t)run->load->hold_s * 1000000000u;
	uint64_t passed = 0;
	while (passed < length && !progress_interrupted()) {
		progress_sleep_ms(LOOK_EVERY_MS * 5);
		struct counts now = count_clients(run);
		progress_show("hold", (double)passed / (double)length, "%.0f of %u s, %u clients, %u lost",
			      (double)passed / 1e9, run->load->hold_s, now.ready, now.lost);
		passed = clock_now_ns() - began;
	}
	double cpu = process_cpu_between_ns(cpu_before, process_cpu_ns(run->target->pid));
	result->held_s = (double)passed / 1e9;
	result->server_cpu_idle_percent = passed > 0 ? 100.0 * cpu / (double)passed : (double)NAN;
}

static double known(const struct target *target, uint64_t value)
{
	return target->pid != 0 ? (double)value : (double)NAN;
}

static void measure_hold(struct run *run, struct hold_result *result)
{
	pid_t pid = run->target->pid;
	cpu_pin(pid, run->target->cpu);
	process_wait_idle(pid, IDLE_WAIT_BEFORE_MS_MAX);
	result->server_resident_bytes_before = known(run->target, process_resident_bytes(pid));
	result->kernel_slab_bytes_before = (double)kernel_slab_bytes();
	uint64_t cpu_before = process_cpu_ns(pid);
	run->failed = !hold_start_workers(run);
	if (!run->failed) {
		hold_wait_connected(run, result);
		process_wait_idle(pid, IDLE_WAIT_MS_MAX);
		result->server_cpu_connect_s = process_cpu_between_ns(cpu_before, process_cpu_ns(pid)) / 1e9;
		wait_while_held(run, result);
		/* At rest: what handshakes have used is given back by then. */
		result->server_resident_bytes_after = known(run->target, process_resident_bytes(pid));
		result->kernel_slab_bytes_after = (double)kernel_slab_bytes();
	}
	stop_workers(run, result);
	uint64_t lost = losses_total(&result->losses);
	result->held = lost < run->load->clients ? run->load->clients - (uint32_t)lost : 0;
	if (result->held > result->connected)
		result->held = result->connected;
}

bool hold_run(const struct hold_load *load, const struct target *target, const char *label, struct hold_result *result)
{
	struct run run = {.load = load, .target = target, .label = label, .worker_count = threads_needed(load)};
	memset(result, 0, sizeof(*result));
	result->threads = run.worker_count;
	run.workers = calloc(run.worker_count, sizeof(*run.workers));
	bool good = run.workers != NULL;
	if (good)
		measure_hold(&run, result);
	for (uint32_t i = 0; good && i < run.worker_count; i++)
		good = !run.workers[i].failed;
	if (!good)
		fprintf(stderr, "roost bench: out of memory or descriptors\n");
	free(run.workers);
	return good && !run.failed;
}
