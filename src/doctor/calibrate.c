#include "doctor/calibrate.h"

#include "base/check.h"
#include "base/clock.h"
#include "doctor/busy.h"
#include "doctor/child.h"
#include "doctor/crowd.h"
#include "doctor/floor.h"
#include "doctor/kernel_memory.h"
#include "reactor/fdtable.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* More clients say more: what is rounded up to pages evens out. More take longer. The number, and the quarter of it
 * that comes first, fill hash tables of the routing index by three quarters: the mean between two doublings. */
#define CLIENTS_WANTED 12288u
#define CLIENTS_LEAST 64u
#define DESCRIPTORS_SPARE 64u
/* The first of them touch all that a shard has but once; what the others add is what a client costs. */
#define FIRST_SHARE 4u
#define CONNECT_MS_MAX 5000u
/* Where there are more shards than cores: clients for each, so that all shards have worked. */
#define CLIENTS_A_SHARD 16u
#define TOUCH_LEAST 2048u
#define PING_MS 400u
#define MESSAGE_MS 1000u
/* As many under way as the rate brings in the time that a turn of a shard takes: a server that gets many at once does
 * less for each, and one that gets them singly is woken for each. */
#define TURN_S 50e-6
#define AT_ONCE_MOST 64u

struct trial {
	const struct load *load;
	struct child child;
	struct crowd crowd;
	struct kernel_memory kernel_before;
	struct calibration *out;
	uint32_t groups; /* a publisher and its subscribers each */
};

static bool complain(const struct trial *trial)
{
	fprintf(stderr, "roost doctor: calibration: %s\n", trial->crowd.fault);
	return false;
}

static uint32_t clients_wanted(void)
{
	uint64_t table = fdtable_raise_limit();
	uint64_t most = table > DESCRIPTORS_SPARE + CLIENTS_LEAST ? table - DESCRIPTORS_SPARE : CLIENTS_LEAST;
	return most < CLIENTS_WANTED ? (uint32_t)most : CLIENTS_WANTED;
}

/* Until there are so many, or the time is up. */
static bool connect_until(struct trial *trial, uint32_t count, uint64_t until_ms)
{
	while (trial->crowd.count < count && clock_now_ms() < until_ms) {
		if (!crowd_connect(&trial->crowd, count - trial->crowd.count))
			return complain(trial);
		child_drain(&trial->child);
	}
	return true;
}

static bool unreadable(void)
{
	fputs("roost doctor: calibration: the server's memory or processor time cannot be read\n", stderr);
	return false;
}

/* What a client costs: by what the later ones add. */
static bool measure_clients(struct trial *trial)
{
	struct cost *cost = &trial->out->cost;
	uint32_t wanted = trial->crowd.capacity;
	uint64_t until_ms = clock_now_ms() + CONNECT_MS_MAX;
	if (!connect_until(trial, wanted / FIRST_SHARE, until_ms))
		return false;
	uint32_t first = trial->crowd.count;
	uint64_t first_bytes = child_resident_bytes(&trial->child);
	uint64_t cpu = child_cpu_ns(&trial->child);
	if (!connect_until(trial, wanted, until_ms + CONNECT_MS_MAX))
		return false;
	uint32_t more = trial->crowd.count - first;
	uint64_t bytes = child_resident_bytes(&trial->child);
	uint64_t cpu_after = child_cpu_ns(&trial->child);
	if (more == 0 || first_bytes == 0 || bytes < first_bytes || cpu_after <= cpu)
		return unreadable();
	cost->clients = trial->crowd.count;
	cost->user_bytes = (double)(bytes - first_bytes) / more;
	cost->base_bytes = (double)bytes - cost->user_bytes * cost->clients;
	cost->connect_ns = (double)(cpu_after - cpu) / more;
	cost->kernel_bytes = kernel_memory_growth(&trial->kernel_before, 2u * cost->clients, &trial->out->by_objects);
	return true;
}

/* What so many shards cost before there are many clients on them, and what it costs to spread clients over them. */
static bool measure_shards(struct trial *trial, uint32_t shards)
{
	struct cost *cost = &trial->out->cost;
	uint32_t clients = shards * CLIENTS_A_SHARD > TOUCH_LEAST ? shards * CLIENTS_A_SHARD : TOUCH_LEAST;
	uint64_t cpu = child_cpu_ns(&trial->child);
	if (clients > trial->crowd.capacity)
		clients = trial->crowd.capacity;
	if (!connect_until(trial, clients, clock_now_ms() + CONNECT_MS_MAX))
		return false;
	uint64_t bytes = child_resident_bytes(&trial->child);
	uint64_t cpu_after = child_cpu_ns(&trial->child);
	if (trial->crowd.count == 0 || bytes == 0 || cpu_after <= cpu)
		return unreadable();
	cost->base_bytes = fmax((double)bytes - cost->user_bytes * trial->crowd.count, 0);
	cost->connect_ns = (double)(cpu_after - cpu) / trial->crowd.count;
	return true;
}

static uint32_t at_once(double rate)
{
	double count = rate * TURN_S;
	return count < 1 ? 1 : count < AT_ONCE_MOST ? (uint32_t)count : AT_ONCE_MOST;
}

static bool await_next(struct crowd *crowd, uint32_t index, enum crowd_sign sign)
{
	return crowd_await(crowd, index, sign, crowd->clients[index].seen[sign] + 1);
}

/* In turns, so that each client's memory is as cold as it is between pings. */
static bool ping_round(struct trial *trial, uint32_t first, uint32_t clients)
{
	struct crowd *crowd = &trial->crowd;
	for (uint32_t i = 0; i < clients; i++) {
		if (!crowd_ping(crowd, (first + i) % crowd->count))
			return false;
	}
	for (uint32_t i = 0; i < clients; i++) {
		if (!await_next(crowd, (first + i) % crowd->count, CROWD_PINGRESP))
			return false;
	}
	return true;
}

static bool measure_pings(struct trial *trial)
{
	const struct load *load = trial->load;
	uint32_t clients = at_once(load->keepalive_s == 0 ? 0 : (double)load->connections / load->keepalive_s);
	uint64_t until_ms = clock_now_ms() + PING_MS;
	uint64_t cpu = child_cpu_ns(&trial->child);
	uint32_t pings = 0;
	while (clock_now_ms() < until_ms) {
		if (!ping_round(trial, pings, clients))
			return complain(trial);
		pings += clients;
	}
	trial->out->cost.ping_ns = (double)(child_cpu_ns(&trial->child) - cpu) / pings;
	return true;
}

static struct slice group_topic(uint32_t group, char out[24])
{
	snprintf(out, 24, "doctor/g%04u", group);
	return slice_string(out);
}

/* The first clients publish; behind them stand the subscribers of each, in a row. */
static uint32_t subscriber(const struct trial *trial, uint32_t group, uint32_t i)
{
	return trial->groups + group * trial->out->subscribers + i;
}

static bool subscribe_group(struct trial *trial, uint32_t group)
{
	char topic[24];
	struct crowd *crowd = &trial->crowd;
	struct slice filter = group_topic(group, topic);
	for (uint32_t i = 0; i < trial->out->subscribers; i++) {
		uint32_t index = subscriber(trial, group, i);
		if (!crowd_subscribe(crowd, index, filter, trial->load->qos) || !await_next(crowd, index, CROWD_SUBACK))
			return complain(trial);
		if (crowd->clients[index].granted < trial->load->qos) {
			fprintf(stderr, "roost doctor: calibration: the server grants QoS %u at most\n",
				crowd->clients[index].granted);
			return false;
		}
	}
	return true;
}

/* So many groups at once, and the next ones each time: who is on whose shard is a matter of chance, which evens out. */
static bool message_round(struct trial *trial, uint32_t first, uint32_t count, struct slice payload)
{
	char topic[24];
	for (uint32_t i = 0; i < count; i++) {
		uint32_t group = (first + i) % trial->groups;
		struct slice name = group_topic(group, topic);
		if (!crowd_publish(&trial->crowd, group, name, payload, trial->load->qos))
			return false;
	}
	for (uint32_t i = 0; i < count; i++) {
		uint32_t group = (first + i) % trial->groups;
		if (trial->load->qos > 0 && !await_next(&trial->crowd, group, CROWD_ACKNOWLEDGED))
			return false;
		for (uint32_t k = 0; k < trial->out->subscribers; k++) {
			if (!await_next(&trial->crowd, subscriber(trial, group, k), CROWD_MESSAGE))
				return false;
		}
	}
	return true;
}

/* How many publish in turns, how many at once, and to how many each. */
static bool open_groups(struct trial *trial)
{
	uint32_t count = trial->crowd.count;
	CHECK(count >= 2);
	uint32_t subscribers = trial->load->subscribers < count ? trial->load->subscribers : count - 1;
	uint32_t most = count / (subscribers + 1);
	uint32_t wanted = at_once(trial->load->rate);
	trial->groups = most == 0 ? 1 : most < AT_ONCE_MOST ? most : AT_ONCE_MOST;
	trial->out->at_once = wanted < trial->groups ? wanted : trial->groups;
	trial->out->subscribers = subscribers;
	for (uint32_t group = 0; group < trial->groups; group++) {
		if (!subscribe_group(trial, group))
			return false;
	}
	return true;
}

static bool measure_messages(struct trial *trial)
{
	static uint8_t bytes[CROWD_PACKET_BYTES_MAX / 2];
	struct slice payload = slice_of(bytes, trial->load->payload_bytes);
	if (!open_groups(trial))
		return false;
	uint64_t until_ms = clock_now_ms() + MESSAGE_MS;
	uint64_t cpu = child_cpu_ns(&trial->child);
	uint32_t messages = 0;
	while (clock_now_ms() < until_ms) {
		if (!message_round(trial, messages, trial->out->at_once, payload))
			return complain(trial);
		messages += trial->out->at_once;
		child_drain(&trial->child);
	}
	double each = (double)(child_cpu_ns(&trial->child) - cpu) / messages;
	/* Fewer subscribers than asked for: what is left of a message's cost beside its deliveries is small then. */
	trial->out->cost.message_ns = each * trial->load->subscribers / trial->out->subscribers;
	return true;
}

static bool trial_open(struct trial *trial, uint64_t connections, uint32_t clients)
{
	if (!child_start(&trial->child, connections > clients ? connections : clients))
		return false;
	if (crowd_open(&trial->crowd, trial->child.port, clients))
		return true;
	complain(trial);
	child_stop(&trial->child);
	return false;
}

static void trial_close(struct trial *trial)
{
	crowd_close(&trial->crowd);
	child_stop(&trial->child);
}

/* What others on the machine did meanwhile makes the figures worse than they are: it is told. */
static bool measure_work(struct trial *trial)
{
	uint64_t began_ns = clock_now_ns();
	uint64_t others = busy_elsewhere_ns(&trial->child);
	trial->out->cost.floor_ns = floor_ns(trial->load->payload_bytes);
	if (!measure_pings(trial) || (trial->load->rate > 0 && !measure_messages(trial)))
		return false;
	uint64_t others_after = busy_elsewhere_ns(&trial->child);
	if (others_after > others)
		trial->out->others_cores = (double)(others_after - others) / (double)(clock_now_ns() - began_ns);
	return true;
}

bool calibrate(const struct load *load, uint32_t shards, uint32_t shards_least, struct calibration *out)
{
	struct trial trial = {.load = load, .out = out};
	bool many = shards > shards_least;
	uint32_t clients = clients_wanted();
	memset(out, 0, sizeof(*out));
	out->subscribers = load->subscribers;
	/* On many shards some thousand clients are a few for each, and half-filled pages would hide what one costs:
	 * that is measured on few shards, and the rest on as many as there will be. */
	if (!trial_open(&trial, many ? 0 : load->connections, clients))
		return false;
	kernel_memory_read(&trial.kernel_before);
	bool good = measure_clients(&trial);
	kernel_memory_free(&trial.kernel_before);
	if (good && many) {
		trial_close(&trial);
		if (!trial_open(&trial, load->connections, clients))
			return false;
		good = measure_shards(&trial, shards);
	}
	good = good && measure_work(&trial);
	trial_close(&trial);
	return good;
}
