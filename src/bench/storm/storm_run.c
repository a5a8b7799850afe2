#include "bench/storm/storm_run.h"

#include "bench/client/threads.h"
#include "bench/measure/share.h"
#include "bench/target/cpu.h"
#include "bench/target/process.h"

#include "base/check.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

#define IDLE_WAIT_MS_MAX 2000u
#define KEEPALIVE_S 7200u

_Static_assert(STORM_AFTER + 1 == LOAD_INTERVALS, "an interval each");

struct storm {
	const struct storm_load *load;
	struct storm_shared shared;
	struct threads threads;
	struct storm_worker *workers;
};

/* Attempts are numbered after the established clients, so they have other source addresses. */
static uint32_t first_number(const struct storm_load *load)
{
	return share_rounded_up(load->established.load.clients, DIAL_CLIENTS_PER_SOURCE) * DIAL_CLIENTS_PER_SOURCE;
}

static bool open_storm(struct storm *storm, const struct storm_load *load, const struct target *target)
{
	*storm = (struct storm){
		.load = load,
		.shared = {.plan = {.client_prefix = load->client_prefix,
				    .topic_prefix = load->established.topic_prefix,
				    .credentials = load->credentials,
				    .keepalive_s = KEEPALIVE_S,
				    .version = load->established.version},
			   .workers = load->threads,
			   .rate_per_worker = share_rounded_up(load->rate, load->threads),
			   .in_progress_max = share_rounded_up(load->in_progress_max, load->threads),
			   .syn_timeout_ms = load->syn_timeout_ms,
			   .stay = share_rounded_up(load->stay, load->threads),
			   .first = first_number(load),
			   .subscribe = load->subscribe},
		.workers = calloc(load->threads, sizeof(*storm->workers)),
	};
	target_dial(target, false, &storm->shared.plan.dial);
	storm->shared.plan.dial.from = load->from;
	atomic_init(&storm->shared.stopping, false);
	if (storm->workers == NULL)
		fputs("roost bench: out of memory\n", stderr);
	return storm->workers != NULL;
}

static bool start_storm(struct storm *storm)
{
	CHECK(storm->load->threads > 0 && storm->threads.count == 0);
	struct thread_setup setup = {.body = storm_worker_run,
				     .worker_bytes = sizeof(*storm->workers),
				     .cpu = CPU_ANY,
				     .nice = (int)storm->load->nice};
	for (uint32_t i = 0; i < storm->load->threads; i++) {
		storm->workers[i].shared = &storm->shared;
		storm->workers[i].number = i;
	}
	return threads_start(&storm->threads, &setup, storm->workers, storm->load->threads);
}

/* Counts what has happened in the storm's interval, before its threads are told to stop. */
static void note_interval(struct storm *storm, uint64_t length_ns, struct storm_result *result)
{
	result->storm_s = (double)length_ns / 1e9;
	for (uint32_t i = 0; i < storm->threads.count; i++) {
		result->attempts += atomic_load_explicit(&storm->workers[i].attempts, memory_order_relaxed);
		result->handshakes += atomic_load_explicit(&storm->workers[i].handshakes, memory_order_relaxed);
		result->resumed += atomic_load_explicit(&storm->workers[i].resumed, memory_order_relaxed);
		result->signed_in += atomic_load_explicit(&storm->workers[i].signed_in, memory_order_relaxed);
	}
}

static bool stop_storm(struct storm *storm, struct storm_result *result)
{
	struct histogram sign_in;
	bool good = true;
	histogram_init(&sign_in);
	atomic_store_explicit(&storm->shared.stopping, true, memory_order_relaxed);
	CHECK(result->signed_in <= result->attempts);
	uint32_t count = storm->threads.count;
	threads_join(&storm->threads);
	for (uint32_t i = 0; i < count; i++) {
		const struct storm_worker *worker = &storm->workers[i];
		histogram_merge(&sign_in, &worker->sign_in_ns);
		losses_merge(&result->losses, &worker->losses);
		carriage_add(&result->carriage, &worker->carriage);
		result->stay_lost += worker->stay_lost;
		for (uint32_t end = 0; end < STORM_ENDS; end++)
			result->ends[end] += worker->ends[end];
		good = good && !worker->failed;
	}
	result->sign_in_p50_us = histogram_percentile_us(&sign_in, 50);
	result->sign_in_p99_us = histogram_percentile_us(&sign_in, 99);
	result->sign_in_p999_us = histogram_percentile_us(&sign_in, 99.9);
	result->sign_in_max_us = histogram_percentile_us(&sign_in, 100);
	if (!good)
		fputs("roost bench: storm: out of memory or descriptors\n", stderr);
	return good;
}

/* Returns false if the storm could not be made; sets result->stalled if the established clients stop receiving. */
static bool measure_storm(struct storm *storm, struct load_driver *driver, uint64_t length_ns,
			  struct storm_result *result)
{
	uint64_t began = clock_now_ns();
	bool good = start_storm(storm);
	driver->label = "storm";
	if (good)
		result->stalled = !load_driver_measure(driver, STORM_DURING, length_ns, 0);
	note_interval(storm, clock_now_ns() - began, result);
	return stop_storm(storm, result) && good;
}

/* What the storm leaves behind, such as sessions to clean up, must not count as the quiet after it. So messages flow
 * unmeasured for a while, as at the start. */
static bool measure_intervals(struct storm *storm, struct load_driver *driver, struct storm_result *result)
{
	const struct load_round *round = driver->round;
	uint64_t length_ns = round->duration_s * 1000000000ull;
	process_wait_idle(driver->target->pid, IDLE_WAIT_MS_MAX);
	bool flows =
		load_driver_flow(driver, round->warm_up_ms) && load_driver_measure(driver, STORM_BEFORE, length_ns, 0);
	result->stalled = !flows;
	if (!flows)
		return true;
	if (!measure_storm(storm, driver, length_ns, result))
		return false;
	driver->label = "quiet again";
	if (!result->stalled)
		result->stalled = !load_driver_flow(driver, round->warm_up_ms) ||
				  !load_driver_measure(driver, STORM_AFTER, length_ns, 0);
	return true;
}

bool storm_run(const struct storm_load *load, const struct target *target, struct storm_result *result)
{
	struct storm storm;
	struct load_driver driver;
	*result = (struct storm_result){0};
	if (!open_storm(&storm, load, target))
		return false;
	bool good = load_driver_open(&driver, &load->established, target, "quiet");
	if (good) {
		good = measure_intervals(&storm, &driver, result);
		load_driver_drain(&driver);
	}
	load_driver_close(&driver, &result->totals);
	memcpy(result->figures, driver.figures, sizeof(result->figures));
	free(storm.workers);
	return good;
}
