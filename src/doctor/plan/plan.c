#include "doctor/plan/plan.h"

#include "base/check.h"
#include "base/format.h"
#include "doctor/limits/sizing.h"
#include "doctor/plan/calibrate.h"
#include "doctor/show/show.h"

#include <math.h>

/* Other processes that use more than this disturb the measurement. */
#define QUIET_CORES 0.1

struct plan {
	const struct verdict *verdict;
	struct load load;
	struct calibration calibration;
	struct resources there;
	struct prediction prediction;
	bool fits;
};

static const char *const RESOURCES[] = {
	[RESOURCE_MEMORY] = "memory",
	[RESOURCE_CPU] = "processor",
	[RESOURCE_NETWORK] = "network",
	[RESOURCE_LIMITS] = "limits",
};
_Static_assert(sizeof(RESOURCES) / sizeof(RESOURCES[0]) == RESOURCE_COUNT, "each resource has a name");

/* The lowest limit of the table, which is in order; those on memory are left out, since memory is predicted from what
 * is measured. NULL: nothing else limits. */
static const struct finding *lowest_limit(const struct verdict *verdict)
{
	for (uint32_t i = 0; i < verdict->count; i++) {
		const struct finding *finding = &verdict->findings[i];
		bool measured =
			finding->limit->fact == FACT_MEMORY_AVAILABLE || finding->limit->fact == FACT_GROUP_MEMORY;
		if (finding->limit->kind == LIMIT_HOLDS && !measured)
			return finding->allows != VERDICT_UNBOUNDED ? finding : NULL;
	}
	return NULL;
}

/* Read before the calibration takes some of it. */
static struct resources resources_of(const struct verdict *verdict)
{
	const struct reading *facts = verdict->machine->facts;
	struct resources there = {.memory_bytes = (double)NAN, .link_bits = (double)NAN, .connections_max = UINT64_MAX};
	if (facts[FACT_MEMORY_AVAILABLE].state == READING_KNOWN)
		there.memory_bytes = (double)facts[FACT_MEMORY_AVAILABLE].value;
	uint64_t group = reading_bound(facts[FACT_GROUP_MEMORY]);
	uint64_t used = reading_used(facts[FACT_GROUP_MEMORY_USED]);
	if (group != UINT64_MAX)
		there.memory_bytes = fmin(there.memory_bytes, group > used ? (double)(group - used) : 0);
	there.cores = facts[FACT_CORES].state == READING_KNOWN ? (double)facts[FACT_CORES].value : 1;
	if (facts[FACT_GROUP_CPU].state == READING_KNOWN)
		there.cores = fmin(there.cores, (double)facts[FACT_GROUP_CPU].value / 1000);
	if (facts[FACT_LINK_MBIT].state == READING_KNOWN)
		there.link_bits = (double)facts[FACT_LINK_MBIT].value * 1e6;
	const struct finding *lowest = lowest_limit(verdict);
	if (lowest != NULL)
		there.connections_max = lowest->allows;
	return there;
}

static const char *limit_name(const struct plan *plan)
{
	const struct finding *lowest = lowest_limit(plan->verdict);
	return lowest != NULL ? lowest->limit->key : "none";
}

static const char *first_name(const struct plan *plan)
{
	return plan->prediction.first == RESOURCE_LIMITS ? limit_name(plan) : RESOURCES[plan->prediction.first];
}

/* ---- for people ---- */

static void show_line(const char *what, const char *needed, const char *there, double share, double connections)
{
	char percent[FORMAT_BYTES] = "";
	char held[FORMAT_BYTES] = "no limit";
	if (isfinite(share))
		snprintf(percent, sizeof(percent), "%.1f %%", share * 100);
	if (isfinite(connections))
		format_count((uint64_t)connections, held);
	printf("%-14s %-14s %-14s %8s  %13s\n", what, needed, there, percent, held);
}

static void show_part(const char *what, const char *needed, const char *why)
{
	printf("  %-12s %-14s %s\n", what, needed, why);
}

static void show_memory(const struct plan *plan)
{
	const struct prediction *p = &plan->prediction;
	const struct cost *cost = &plan->calibration.cost;
	char needed[FORMAT_BYTES];
	char there[FORMAT_BYTES] = "not known";
	char why[128];
	if (isfinite(plan->there.memory_bytes))
		format_bytes(plan->there.memory_bytes, there);
	show_line(RESOURCES[RESOURCE_MEMORY], format_bytes(p->user_bytes + p->kernel_bytes, needed), there,
		  p->share[RESOURCE_MEMORY], p->connections[RESOURCE_MEMORY]);
	snprintf(why, sizeof(why), "%.0f B per client", cost->user_bytes);
	show_part("Roost's", format_bytes(p->user_bytes, needed), why);
	snprintf(why, sizeof(why), "%.0f B per socket", cost->kernel_bytes);
	show_part("the kernel's", format_bytes(p->kernel_bytes, needed), why);
}

static void show_processor(const struct plan *plan)
{
	const struct prediction *p = &plan->prediction;
	const struct cost *cost = &plan->calibration.cost;
	char needed[FORMAT_BYTES];
	char there[FORMAT_BYTES];
	char why[160];
	snprintf(needed, sizeof(needed), "%.3f cores", p->message_cores + p->ping_cores);
	snprintf(there, sizeof(there), "%.3g cores", plan->there.cores);
	show_line(RESOURCES[RESOURCE_CPU], needed, there, p->share[RESOURCE_CPU], p->connections[RESOURCE_CPU]);
	if (plan->load.rate > 0) {
		snprintf(needed, sizeof(needed), "%.3f cores", p->message_cores);
		snprintf(why, sizeof(why), "%.2f us per message to %u, %u in flight; a bare send and receive: %.2f us",
			 cost->message_ns / 1e3, plan->load.subscribers, plan->calibration.at_once,
			 cost->loopback_ns / 1e3);
		show_part("messages", needed, why);
	}
	snprintf(needed, sizeof(needed), "%.3f cores", p->ping_cores);
	snprintf(why, sizeof(why), "%.2f us per ping", cost->ping_ns / 1e3);
	show_part("pings", needed, why);
}

static void show_network(const struct plan *plan)
{
	const struct prediction *p = &plan->prediction;
	char needed[FORMAT_BYTES];
	char there[FORMAT_BYTES] = "not known";
	if (isfinite(plan->there.link_bits))
		snprintf(there, sizeof(there), "%.0f Mbit/s", plan->there.link_bits / 1e6);
	snprintf(needed, sizeof(needed), "%.1f Mbit/s", fmax(p->bits_in, p->bits_out) / 1e6);
	show_line(RESOURCES[RESOURCE_NETWORK], needed, there, p->share[RESOURCE_NETWORK],
		  p->connections[RESOURCE_NETWORK]);
	snprintf(needed, sizeof(needed), "%.1f Mbit/s", p->bits_in / 1e6);
	show_part("in", needed, "with headers and acknowledgements");
	snprintf(needed, sizeof(needed), "%.1f Mbit/s", p->bits_out / 1e6);
	show_part("out", needed, "with headers and acknowledgements");
}

static void show_return(const struct plan *plan)
{
	const struct prediction *p = &plan->prediction;
	const struct cost *cost = &plan->calibration.cost;
	bool tls = plan_has_tls(plan->load.transport);
	printf("If all reconnect at once%s, the server works for %.1f s, %.1f us for each: %.0f a second.\n",
	       tls ? " with full TLS handshakes" : "", p->return_s, cost->connect_ns / 1e3, p->connects_a_second);
	if (tls)
		printf("If all of them resume their TLS sessions, for %.1f s, %.1f us for each: %.0f a second.\n",
		       p->return_resumed_s, cost->resumed_ns / 1e3, p->resumed_a_second);
}

static void show_plan(const struct plan *plan)
{
	const struct load *load = &plan->load;
	const struct prediction *p = &plan->prediction;
	char count[FORMAT_BYTES];
	char rate[FORMAT_BYTES];
	printf("%s clients over %s, %s messages per second in all (%u bytes, QoS %u, each to %u), keepalive %u s\n\n",
	       format_count(load->connections, count), plan_transport_name(load->transport),
	       format_count((uint64_t)load->rate, rate), load->payload_bytes, load->qos, load->subscribers,
	       load->keepalive_s);
	printf("%-14s %-14s %-14s %8s  %13s\n", "", "needed", "available", "used", "holds at most");
	show_memory(plan);
	show_processor(plan);
	show_network(plan);
	show_line(RESOURCES[RESOURCE_LIMITS], "", "", p->share[RESOURCE_LIMITS], p->connections[RESOURCE_LIMITS]);
	printf("  %s\n", limit_name(plan));
	printf("\n%s: %s is used up first.\n", plan->fits ? "They fit" : "They do not fit", first_name(plan));
	show_return(plan);
	printf("Measured here with %s clients of a server started for it; \"holds at most\" keeps %.0f %% of memory "
	       "and\n"
	       "%.0f %% of processor and network free. Cache misses, of which a million clients cause more, are not "
	       "included.\n",
	       format_count(plan->calibration.cost.clients, count), 100 - PREDICT_MEMORY_SHARE_MOST * 100,
	       100 - PREDICT_CPU_SHARE_MOST * 100);
	if (plan->calibration.others_cores > QUIET_CORES)
		printf("The machine was not quiet: other processes used %.2f cores, which makes processor times worse. "
		       "Run it again.\n",
		       plan->calibration.others_cores);
}

/* ---- for programs ---- */

static json_t *json_known(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

static json_t *json_resources(const struct plan *plan)
{
	const struct prediction *p = &plan->prediction;
	json_t *all = json_object();
	for (int i = 0; i < RESOURCE_COUNT; i++)
		json_object_set_new(all, RESOURCES[i],
				    json_pack("{so so}", "share", json_known(p->share[i]), "connections",
					      json_known(p->connections[i])));
	return all;
}

static json_t *json_costs(const struct calibration *calibration)
{
	const struct cost *cost = &calibration->cost;
	return json_pack("{si so so so so so so so so si si so sb}", "clients", (int)cost->clients, "base_bytes",
			 json_known(cost->base_bytes), "user_bytes_per_client", json_known(cost->user_bytes),
			 "kernel_bytes_per_client", json_known(cost->kernel_bytes), "cpu_us_per_connection",
			 json_known(cost->connect_ns / 1e3), "cpu_us_per_resumed_connection",
			 cost->resumed_ns > 0 ? json_known(cost->resumed_ns / 1e3) : json_null(), "cpu_us_per_ping",
			 json_known(cost->ping_ns / 1e3), "cpu_us_per_message", json_known(cost->message_ns / 1e3),
			 "floor_us_per_message", json_known(cost->loopback_ns / 1e3), "messages_at_once",
			 (int)calibration->at_once, "subscribers", (int)calibration->subscribers,
			 "other_processes_cores", json_known(calibration->others_cores), "kernel_by_objects",
			 calibration->by_objects);
}

static json_t *json_plan(const struct plan *plan)
{
	const struct load *load = &plan->load;
	const struct prediction *p = &plan->prediction;
	bool tls = plan_has_tls(load->transport);
	return json_pack("{ss so so so sI so si si si si sb ss so so so so so so so so so}", "transport",
			 plan_transport_name(load->transport), "connections_a_second", json_known(p->connects_a_second),
			 "resumed_a_second", tls ? json_known(p->resumed_a_second) : json_null(), "return_resumed_s",
			 tls ? json_known(p->return_resumed_s) : json_null(), "connections",
			 (json_int_t)load->connections, "rate", json_known(load->rate), "payload_bytes",
			 (int)load->payload_bytes, "qos", (int)load->qos, "subscribers", (int)load->subscribers,
			 "keepalive_s", (int)load->keepalive_s, "fits", plan->fits, "first", first_name(plan),
			 "user_bytes", json_known(p->user_bytes), "kernel_bytes", json_known(p->kernel_bytes),
			 "message_cores", json_known(p->message_cores), "ping_cores", json_known(p->ping_cores),
			 "bits_in_per_s", json_known(p->bits_in), "bits_out_per_s", json_known(p->bits_out), "return_s",
			 json_known(p->return_s), "resources", json_resources(plan), "costs",
			 json_costs(&plan->calibration));
}

bool plan_run(const struct load *load, const struct verdict *verdict, bool json)
{
	CHECK(verdict->connections == load->connections);
	struct plan plan = {.verdict = verdict, .load = *load, .there = resources_of(verdict)};
	uint32_t shards = sizing_shards(verdict->machine, load->connections);
	if (!calibrate(&plan.load, shards, sizing_shards(verdict->machine, 1), &plan.calibration))
		return false;
	predict(&plan.calibration.cost, &plan.load, &plan.there, &plan.prediction);
	plan.fits = plan.prediction.connections[plan.prediction.first] >= (double)plan.load.connections;
	if (json)
		show_print_json(json_plan(&plan), stdout);
	else
		show_plan(&plan);
	return plan.fits;
}
