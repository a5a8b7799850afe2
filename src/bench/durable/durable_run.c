#include "bench/durable/durable_run.h"

#include "bench/report/progress.h"

#include "base/check.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CONNECT_MS 60000u
#define REST_MS 100u
#define PROBES 200u
#define PROBE_NS_MAX 2000000000u
#define SHOW_TURNS_NS 1000000u

static bool durable_fail(const char *fault)
{
	progress_end();
	fprintf(stderr, "roost bench durable: %s\n", fault);
	return false;
}

/* What waits in the kernel's memory is written first: the device's account is of the run alone, as far as no one else
 * writes. */
static void sync_file_system(const char *path)
{
	int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		return;
	syncfs(directory);
	close(directory);
}

static struct durable_sample durable_sample_now(const struct durable_run *run)
{
	struct durable_sample sample = {.cpu = cpu_sample_now(run->target->pid, NULL), .sums = run->engine.ledger.sums};
	if (run->device.has_stat)
		io_stat_read(run->device.major, run->device.minor, &sample.disk);
	return sample;
}

static bool probe_device(struct durable_run *run)
{
	if (run->options->disk == NULL)
		return true;
	if (sync_probe_run(run->options->disk, 4096, PROBES, PROBE_NS_MAX, &run->sync) == ERROR_OK)
		return true;
	fprintf(stderr, "roost bench durable: %s: %s\n", run->options->disk, strerror(errno));
	return false;
}

static bool open_disk(struct durable_run *run)
{
	const char *path = run->options->disk;
	if (path == NULL)
		return true;
	if (device_of(path, &run->device) != ERROR_OK) {
		fprintf(stderr, "roost bench durable: %s: %s\n", path, strerror(errno));
		return false;
	}
	if (!run->device.has_stat)
		fprintf(stderr, "roost bench durable: %s is on %s, which has no block device: bytes written are n/a\n",
			path, run->device.file_system);
	return probe_device(run);
}

static bool connect_all(struct durable_run *run)
{
	struct engine *engine = &run->engine;
	struct dial dial;
	target_dial(run->target, true, &dial);
	if (!engine_open(engine, &run->options->plan, &dial))
		return durable_fail("out of memory or descriptors");
	if (!engine_forget(engine) || !engine_connect(engine, CONNECT_MS)) {
		char reasons[256];
		losses_describe(&engine->losses, run->options->plan.version, reasons, sizeof(reasons));
		durable_fail("not every client could be connected");
		fprintf(stderr, "%s\n", reasons);
		return false;
	}
	if (run->options->plan.window <= engine->pool.receive_max || run->options->plan.cast.qos == 0)
		return true;
	fprintf(stderr, "roost bench durable: the server's Receive Maximum is %u: --window %u is more\n",
		engine->pool.receive_max, run->options->plan.window);
	return false;
}

static uint64_t moved(const struct durable_run *run)
{
	const struct ledger_sums *sums = &run->engine.ledger.sums;
	return run->options->plan.cast.qos > 0 ? sums->acknowledged : sums->arrived;
}

/* Lets messages flow for so long, or until so many have been acknowledged if that is not 0. */
static void durable_flow(struct durable_run *run, const char *phase, uint64_t length_ns, uint64_t messages)
{
	uint64_t began_ns = clock_now_ns();
	uint64_t first = moved(run);
	uint64_t passed = 0;
	while (passed < length_ns && (messages == 0 || moved(run) - first < messages) && !progress_interrupted()) {
		engine_turn(&run->engine, SHOW_TURNS_NS);
		passed = clock_now_ns() - began_ns;
		progress_show(phase, (double)passed / (double)length_ns, "%.0f messages/s",
			      (double)(moved(run) - first) * 1e9 / (double)(passed + 1));
	}
}

static void measure_durable(struct durable_run *run)
{
	const struct durable_options *options = run->options;
	struct engine *engine = &run->engine;
	run->offline = engine_part(engine, 0);
	engine_rest(engine, REST_MS);
	if (options->disk != NULL)
		sync_file_system(options->disk);
	run->begun = durable_sample_now(run);
	engine_flow(engine, true);
	durable_flow(run, "warming up", options->warm_up_ms * UINT64_C(1000000), 0);
	engine->measures = true;
	run->from = durable_sample_now(run);
	durable_flow(run, "measuring", options->duration_s * UINT64_C(1000000000), options->messages);
	run->to = durable_sample_now(run);
	engine->measures = false;
}

/* The offline ones come back, and take what has waited. */
static bool drain_durable(struct durable_run *run)
{
	struct engine *engine = &run->engine;
	if (!engine_finish_publishers(engine, run->options->quiet_ms))
		return durable_fail("publishers' messages are not acknowledged any more");
	engine_rest(engine, REST_MS);
	progress_show("draining", 0, "%llu messages wait for %u subscribers",
		      (unsigned long long)engine->ledger.outstanding, run->offline);
	run->returned = durable_sample_now(run);
	if (!engine_connect(engine, CONNECT_MS))
		return durable_fail("not every client could be connected again");
	engine_drain(engine, run->options->quiet_ms);
	run->drained = durable_sample_now(run);
	if (run->options->disk == NULL)
		return true;
	sync_file_system(run->options->disk);
	if (run->device.has_stat)
		io_stat_read(run->device.major, run->device.minor, &run->drained.disk);
	return probe_device(run);
}

bool durable_run_make(struct durable_run *run, const struct durable_options *options, const struct target *target)
{
	*run = (struct durable_run){.options = options, .target = target, .dropped = (double)NAN};
	double before = options->has_admin ? durable_read_dropped(&options->admin) : (double)NAN;
	if (!open_disk(run) || !connect_all(run))
		return false;
	measure_durable(run);
	if (progress_interrupted() || !drain_durable(run))
		return false;
	CHECK(run->drained.cpu.time_ns >= run->returned.cpu.time_ns);
	sync_times_sort(&run->sync);
	run->dropped = options->has_admin ? durable_read_dropped(&options->admin) - before : (double)NAN;
	return true;
}

void durable_run_close(struct durable_run *run)
{
	if (run->engine.plan.window == 0)
		return;
	engine_forget(&run->engine);
	engine_close(&run->engine);
}
