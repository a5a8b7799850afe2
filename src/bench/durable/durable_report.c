#include "bench/durable/durable_report.h"

#include "bench/report/report.h"

#include "mqtt/encode.h"

#include <math.h>
#include <stdio.h>

static double seconds_between(const struct durable_sample *from, const struct durable_sample *to)
{
	return (double)(to->cpu.time_ns - from->cpu.time_ns) / 1e9;
}

/* A PUBLISH of the run, as it is on the wire. */
static double packet_bytes(const struct engine_plan *plan)
{
	uint8_t topic[CAST_TOPIC_BYTES_MAX];
	uint8_t payload = 0;
	struct mqtt_publish publish = {
		.topic = slice_of(topic, cast_topic(&plan->cast, plan->cast.publishers / 2, topic)),
		.payload = slice_of(&payload, plan->size),
		.packet_id = plan->cast.qos > 0,
		.qos = plan->cast.qos,
	};
	return (double)mqtt_publish_size(&publish, plan->version);
}

static void report_load(struct report *report, const struct durable_run *run)
{
	const struct engine_plan *plan = &run->options->plan;
	report_text(report, NULL, "target", run->target->name, NULL);
	report_number(report, NULL, "publishers", plan->cast.publishers, 0, "publishers", "");
	report_number(report, NULL, "window", plan->window, 0, "  unacknowledged messages of each, at most", "");
	report_number(report, NULL, "subscribers", plan->cast.exact, 0, "subscribers", "");
	report_number(report, NULL, "offline", run->offline, 0, "  of these offline while messages flowed", "");
	report_number(report, NULL, "qos", plan->cast.qos, 0, "QoS", "");
	report_number(report, NULL, "size", plan->size, 0, "payload", "B");
	report_number(report, NULL, "rate", plan->rate, 0, NULL, "/s");
	report_number(report, NULL, "version", plan->version, 0, NULL, "");
}

static void report_flow(struct report *report, const struct durable_run *run)
{
	struct cpu_use use = cpu_use_between(&run->from.cpu, &run->to.cpu);
	double seconds = seconds_between(&run->from, &run->to);
	double acknowledged = (double)(run->to.sums.acknowledged - run->from.sums.acknowledged);
	double arrived = (double)(run->to.sums.arrived - run->from.sums.arrived);
	double messages = run->options->plan.cast.qos > 0 ? acknowledged : arrived;
	struct percentiles puback = histogram_percentiles(&run->engine.acknowledged_ns);
	report_number(report, NULL, "measured_s", seconds, 2, NULL, "s");
	report_number(report, NULL, "acknowledged_per_s", acknowledged / seconds, 0, "acknowledged messages", "/s");
	report_number(report, NULL, "delivered_per_s", arrived / seconds, 0, "delivered to those online", "/s");
	report_number(report, NULL, "puback_p50_us", puback.p50_us, 1, "from PUBLISH to its acknowledgement, p50",
		      "us");
	report_number(report, NULL, "puback_p99_us", puback.p99_us, 1, "  p99", "us");
	report_number(report, NULL, "puback_p999_us", puback.p999_us, 1, "  p99.9", "us");
	report_number(report, NULL, "puback_max_us", puback.max_us, 1, "  max", "us");
	report_number(report, NULL, "server_cpu_us_per_message", use.server_ns / 1e3 / messages, 2,
		      "server's processor time a message", "us");
	report_number(report, NULL, "server_cpu_percent", use.server_percent, 0, "server's processor time",
		      "% of a core");
	report_number(report, NULL, "bench_cpu_percent", use.bench_percent, 0, "bench's processor time", "% of a core");
	report_number(report, NULL, "other_cpu_percent", use.other_percent, 0, "others' processor time", "% of a core");
}

static void report_drain(struct report *report, const struct durable_run *run)
{
	double seconds = seconds_between(&run->returned, &run->drained);
	double arrived = (double)(run->drained.sums.arrived - run->returned.sums.arrived);
	report_number(report, NULL, "drained", arrived, 0, "had waited for those offline", "");
	report_number(report, NULL, "drain_s", seconds, 2, "  taken in", "s");
	report_number(report, NULL, "drained_per_s", arrived / seconds, 0, "  rate", "/s");
}

static void report_disk(struct report *report, const struct durable_run *run)
{
	static const char *const names[] = {"bytes written to the device a message", "  times its packet"};
	double packet = packet_bytes(&run->options->plan);
	double all = (double)(run->drained.disk.bytes_written - run->begun.disk.bytes_written);
	double load = (double)(run->to.disk.bytes_written - run->from.disk.bytes_written);
	double messages = (double)run->drained.sums.acknowledged;
	double measured = (double)(run->to.sums.acknowledged - run->from.sums.acknowledged);
	double known = run->device.has_stat ? 1 : (double)NAN;
	double p99_us = (double)sync_times_percentile(&run->sync, 99) / 1e3;
	report_text(report, NULL, "disk", run->device.name, "device");
	report_number(report, NULL, "packet_bytes", packet, 0, "size of a PUBLISH", "B");
	report_number(report, NULL, "disk_bytes_per_message", known * all / messages, 1, names[0], "B");
	report_number(report, NULL, "disk_ratio", known * all / messages / packet, 2, names[1], "");
	report_number(report, NULL, "disk_bytes_per_message_under_load", known * load / measured, 1,
		      "  in the measured time alone", "B");
	report_number(report, NULL, "sync_p50_us", (double)sync_times_percentile(&run->sync, 50) / 1e3, 1,
		      "device's own write and sync of 4 KiB, p50", "us");
	report_number(report, NULL, "sync_p99_us", p99_us, 1, "  p99", "us");
	report_number(report, NULL, "puback_p99_syncs",
		      histogram_percentile_us(&run->engine.acknowledged_ns, 99) / p99_us, 2,
		      "p99 of acknowledgements in these", "");
}

static void report_audit(struct report *report, const struct durable_run *run)
{
	const struct engine *engine = &run->engine;
	const struct ledger_sums *sums = &engine->ledger.sums;
	report_number(report, NULL, "acknowledged", (double)sums->acknowledged, 0, "acknowledged in all", "");
	report_number(report, NULL, "arrived", (double)sums->arrived, 0, "arrived in all sessions", "");
	report_number(report, NULL, "refused", (double)engine->refused, 0, "refused", "");
	report_number(report, NULL, "refused_quota", (double)engine->quota, 0, "  with Quota exceeded", "");
	report_number(report, NULL, "missing", (double)sums->faults[LEDGER_MISSING], 0, "missing", "");
	report_number(report, NULL, "server_dropped", run->dropped, 0,
		      run->options->has_admin ? "  dropped by the server, as its metrics say" : NULL, "");
	report_number(report, NULL, "doubled", (double)sums->faults[LEDGER_DOUBLED], 0, "doubled at QoS 0 or 2", "");
	report_number(report, NULL, "repeated", (double)sums->repeated, 0, "repeated at QoS 1, which is allowed", "");
	report_number(report, NULL, "out_of_order", (double)sums->faults[LEDGER_REORDERED], 0, "out of order", "");
	report_number(report, NULL, "late", (double)sums->faults[LEDGER_LATE], 0, NULL, "");
	report_number(report, NULL, "sessions_lost", (double)engine->faults.sessions_lost, 0, "sessions not resumed",
		      "");
}

/* Says whether what is missing was dropped by design, as far as that can be known. */
static void print_design(const struct durable_run *run)
{
	const struct ledger *ledger = &run->engine.ledger;
	uint64_t missing = ledger->sums.faults[LEDGER_MISSING];
	struct ledger_losers losers = ledger_losers(ledger);
	if (missing == 0)
		return;
	if (run->dropped >= (double)missing)
		printf("The server dropped what is missing, and counts it: a limit of its queues.\n");
	else if (isfinite(run->dropped))
		printf("The server counts fewer dropped messages than are missing: %.0f were lost without a word.\n",
		       (double)missing - run->dropped);
	printf("%u sessions lack messages; each of them got %llu to %llu%s.\n", losers.count,
	       (unsigned long long)losers.least, (unsigned long long)losers.most,
	       losers.least == losers.most ? ": all as many, as with a limit of queues" : "");
}

void durable_report_print(const struct durable_run *run, bool json)
{
	struct report *report = report_new();
	if (report == NULL)
		return;
	report_load(report, run);
	report_flow(report, run);
	report_drain(report, run);
	if (run->options->disk != NULL)
		report_disk(report, run);
	report_audit(report, run);
	report_print(report, json);
	report_free(report);
	if (json)
		return;
	print_design(run);
	engine_print_faults(&run->engine);
}
