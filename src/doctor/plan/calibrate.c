#include "doctor/plan/calibrate.h"

#include "base/check.h"
#include "base/clock.h"
#include "doctor/plan/busy.h"
#include "doctor/plan/kernel_memory.h"
#include "doctor/plan/loopback.h"
#include "doctor/plan/test_clients.h"
#include "doctor/plan/test_server.h"
#include "reactor/fdtable.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* With more clients, pages that are not full matter less, but it takes longer. This number, and the quarter of it that
 * comes first, fill the routing index's hash tables by three quarters: the mean between two doublings. */
#define CLIENTS_MAX 12288u
#define CLIENTS_MIN 64u
#define DESCRIPTORS_SPARE 64u
/* The first clients, one in so many, touch all that a shard has only once; what the others add is the cost of a client.
 */
#define FIRST_SHARE 4u
/* They come after the others, and are counted for what a resumed session costs alone. */
#define RESUMED_CLIENTS 512u
#define CONNECT_MS_MAX 5000u
/* Where there are more shards than cores: enough clients that every shard has worked. */
#define CLIENTS_PER_SHARD 16u
#define CLIENTS_ON_SHARDS_MIN 2048u
#define PING_MS 400u
#define MESSAGE_MS 1000u
/* As many messages are in flight as the rate brings during one turn of a shard. A server that gets many at once does
 * less work for each; one that gets them singly has to be woken for each. */
#define TURN_S 50e-6
#define AT_ONCE_MAX 64u

struct trial {
	const struct load *load;
	struct test_server server;
	struct test_clients clients;
	struct kernel_memory kernel_before;
	struct calibration *out;
	uint32_t groups; /* of a publisher and its subscribers */
};

static bool complain(const struct trial *trial)
{
	fprintf(stderr, "roost doctor: calibration: %s\n", trial->clients.fault);
	return false;
}

static uint32_t clients_wanted(void)
{
	uint64_t table = fdtable_raise_limit();
	uint64_t most = table > DESCRIPTORS_SPARE + CLIENTS_MIN ? table - DESCRIPTORS_SPARE : CLIENTS_MIN;
	return most < CLIENTS_MAX ? (uint32_t)most : CLIENTS_MAX;
}

/* Connects until there are so many, or the time is up. */
static bool connect_until(struct trial *trial, uint32_t count, uint64_t until_ms)
{
	while (trial->clients.count < count && clock_now_ms() < until_ms) {
		if (!test_clients_connect(&trial->clients, count - trial->clients.count))
			return complain(trial);
		test_server_drain(&trial->server);
	}
	return true;
}

static bool unreadable(void)
{
	fputs("roost doctor: calibration: the server's memory or processor time cannot be read\n", stderr);
	return false;
}

/* The cost of a client is what the later ones add. */
static bool measure_clients(struct trial *trial)
{
	struct cost *cost = &trial->out->cost;
	uint32_t wanted = trial->clients.capacity - (plan_has_tls(trial->load->transport) ? RESUMED_CLIENTS : 0);
	uint64_t until_ms = clock_now_ms() + CONNECT_MS_MAX;
	if (!connect_until(trial, wanted / FIRST_SHARE, until_ms))
		return false;
	uint32_t first = trial->clients.count;
	uint64_t first_bytes = test_server_resident_bytes(&trial->server);
	uint64_t cpu = test_server_cpu_ns(&trial->server);
	if (!connect_until(trial, wanted, until_ms + CONNECT_MS_MAX))
		return false;
	uint32_t more = trial->clients.count - first;
	uint64_t bytes = test_server_resident_bytes(&trial->server);
	uint64_t cpu_after = test_server_cpu_ns(&trial->server);
	if (more == 0 || first_bytes == 0 || bytes < first_bytes || cpu_after <= cpu)
		return unreadable();
	CHECK(trial->clients.count <= wanted);
	cost->clients = trial->clients.count;
	cost->user_bytes = (double)(bytes - first_bytes) / more;
	cost->base_bytes = (double)bytes - cost->user_bytes * cost->clients;
	cost->connect_ns = (double)(cpu_after - cpu) / more;
	cost->kernel_bytes = kernel_memory_growth(&trial->kernel_before, 2u * cost->clients, &trial->out->by_objects);
	return true;
}

/* Of TLS sessions that are resumed: what so many further clients cost. */
static bool measure_resumed(struct trial *trial)
{
	struct test_clients *clients = &trial->clients;
	uint32_t before = clients->count;
	if (!test_clients_resume(clients)) {
		fputs("roost doctor: calibration: the server sends no tickets for TLS sessions\n", stderr);
		return false;
	}
	uint64_t cpu = test_server_cpu_ns(&trial->server);
	if (!connect_until(trial, before + RESUMED_CLIENTS, clock_now_ms() + CONNECT_MS_MAX))
		return false;
	uint64_t cpu_after = test_server_cpu_ns(&trial->server);
	if (clients->count == before || cpu_after <= cpu)
		return unreadable();
	if (clients->carriage.resumed != clients->count - before) {
		fprintf(stderr, "roost doctor: calibration: of %u TLS sessions the server has resumed %u\n",
			clients->count - before, clients->carriage.resumed);
		return false;
	}
	trial->out->cost.resumed_ns = (double)(cpu_after - cpu) / (clients->count - before);
	return true;
}

/* The cost of so many shards before many clients are on them, and of spreading clients over them. */
static bool measure_shards(struct trial *trial, uint32_t shards)
{
	struct cost *cost = &trial->out->cost;
	uint32_t clients =
		shards * CLIENTS_PER_SHARD > CLIENTS_ON_SHARDS_MIN ? shards * CLIENTS_PER_SHARD : CLIENTS_ON_SHARDS_MIN;
	uint64_t cpu = test_server_cpu_ns(&trial->server);
	if (clients > trial->clients.capacity)
		clients = trial->clients.capacity;
	if (!connect_until(trial, clients, clock_now_ms() + CONNECT_MS_MAX))
		return false;
	uint64_t bytes = test_server_resident_bytes(&trial->server);
	uint64_t cpu_after = test_server_cpu_ns(&trial->server);
	if (trial->clients.count == 0 || bytes == 0 || cpu_after <= cpu)
		return unreadable();
	cost->base_bytes = fmax((double)bytes - cost->user_bytes * trial->clients.count, 0);
	cost->connect_ns = (double)(cpu_after - cpu) / trial->clients.count;
	return true;
}

static uint32_t at_once(double rate)
{
	double count = rate * TURN_S;
	return count < 1 ? 1 : count < AT_ONCE_MAX ? (uint32_t)count : AT_ONCE_MAX;
}

/* Waits until the client has seen the sign once more. */
static bool await_next(struct test_clients *clients, uint32_t index, enum test_client_sign sign)
{
	return test_clients_await(clients, index, sign, clients->items[index].seen[sign] + 1);
}

/* Other clients each time, so that a client's memory is as cold as it is between its pings. */
static bool ping_round(struct trial *trial, uint32_t first, uint32_t count)
{
	struct test_clients *clients = &trial->clients;
	CHECK(count <= clients->count);
	for (uint32_t i = 0; i < count; i++) {
		if (!test_clients_ping(clients, (first + i) % clients->count))
			return false;
	}
	for (uint32_t i = 0; i < count; i++) {
		if (!await_next(clients, (first + i) % clients->count, TEST_CLIENT_PINGRESP))
			return false;
	}
	return true;
}

static bool measure_pings(struct trial *trial)
{
	const struct load *load = trial->load;
	uint32_t wanted = at_once(load->keepalive_s == 0 ? 0 : (double)load->connections / load->keepalive_s);
	uint32_t count = wanted < trial->clients.count ? wanted : trial->clients.count;
	uint64_t until_ms = clock_now_ms() + PING_MS;
	uint64_t cpu = test_server_cpu_ns(&trial->server);
	uint32_t pings = 0;
	while (clock_now_ms() < until_ms) {
		if (!ping_round(trial, pings, count))
			return complain(trial);
		pings += count;
	}
	trial->out->cost.ping_ns = (double)(test_server_cpu_ns(&trial->server) - cpu) / pings;
	return true;
}

static struct slice group_topic(uint32_t group, char out[24])
{
	snprintf(out, 24, "doctor/g%04u", group);
	return slice_string(out);
}

/* The first clients publish; after them come the subscribers of each, group by group. */
static uint32_t subscriber(const struct trial *trial, uint32_t group, uint32_t i)
{
	CHECK(group < trial->groups && i < trial->out->subscribers);
	return trial->groups + group * trial->out->subscribers + i;
}

static bool subscribe_group(struct trial *trial, uint32_t group)
{
	char topic[24];
	struct test_clients *clients = &trial->clients;
	struct slice filter = group_topic(group, topic);
	for (uint32_t i = 0; i < trial->out->subscribers; i++) {
		uint32_t index = subscriber(trial, group, i);
		if (!test_clients_subscribe(clients, index, filter, trial->load->qos) ||
		    !await_next(clients, index, TEST_CLIENT_SUBACK))
			return complain(trial);
		if (clients->items[index].granted < trial->load->qos) {
			fprintf(stderr, "roost doctor: calibration: the server grants QoS %u at most\n",
				clients->items[index].granted);
			return false;
		}
	}
	return true;
}

/* So many groups at once, and other ones each time: which clients share a shard is a matter of chance, which evens out.
 */
static bool message_round(struct trial *trial, uint32_t first, uint32_t count, struct slice payload)
{
	char topic[24];
	for (uint32_t i = 0; i < count; i++) {
		uint32_t group = (first + i) % trial->groups;
		struct slice name = group_topic(group, topic);
		if (!test_clients_publish(&trial->clients, group, name, payload, trial->load->qos))
			return false;
	}
	for (uint32_t i = 0; i < count; i++) {
		uint32_t group = (first + i) % trial->groups;
		if (trial->load->qos > 0 && !await_next(&trial->clients, group, TEST_CLIENT_ACKNOWLEDGED))
			return false;
		for (uint32_t k = 0; k < trial->out->subscribers; k++) {
			if (!await_next(&trial->clients, subscriber(trial, group, k), TEST_CLIENT_MESSAGE))
				return false;
		}
	}
	return true;
}

/* Decides how many clients publish in turns, how many of them at once, and to how many subscribers each. */
static bool open_groups(struct trial *trial)
{
	uint32_t count = trial->clients.count;
	CHECK(count >= 2);
	uint32_t subscribers = trial->load->subscribers < count ? trial->load->subscribers : count - 1;
	uint32_t most = count / (subscribers + 1);
	uint32_t wanted = at_once(trial->load->rate);
	trial->groups = most == 0 ? 1 : most < AT_ONCE_MAX ? most : AT_ONCE_MAX;
	trial->out->at_once = wanted < trial->groups ? wanted : trial->groups;
	trial->out->subscribers = subscribers;
	CHECK(trial->groups * (subscribers + 1) <= count && trial->out->at_once > 0);
	for (uint32_t group = 0; group < trial->groups; group++) {
		if (!subscribe_group(trial, group))
			return false;
	}
	return true;
}

static bool measure_messages(struct trial *trial)
{
	static uint8_t bytes[TEST_CLIENTS_PACKET_BYTES_MAX / 2];
	CHECK(trial->load->payload_bytes <= sizeof(bytes));
	struct slice payload = slice_of(bytes, trial->load->payload_bytes);
	if (!open_groups(trial))
		return false;
	uint64_t until_ms = clock_now_ms() + MESSAGE_MS;
	uint64_t cpu = test_server_cpu_ns(&trial->server);
	uint32_t messages = 0;
	while (clock_now_ms() < until_ms) {
		if (!message_round(trial, messages, trial->out->at_once, payload))
			return complain(trial);
		messages += trial->out->at_once;
		test_server_drain(&trial->server);
	}
	double each = (double)(test_server_cpu_ns(&trial->server) - cpu) / messages;
	/* With fewer subscribers than asked for, the cost of a message is almost that of its deliveries. */
	trial->out->cost.message_ns = each * trial->load->subscribers / trial->out->subscribers;
	return true;
}

static bool trial_open(struct trial *trial, uint64_t connections, uint32_t clients)
{
	enum plan_transport transport = trial->load->transport;
	if (plan_has_tls(transport))
		clients += RESUMED_CLIENTS;
	if (!test_server_start(&trial->server, connections > clients ? connections : clients,
			       plan_transport_name(transport)))
		return false;
	if (test_clients_open(&trial->clients, transport, trial->server.port, clients))
		return true;
	complain(trial);
	test_server_stop(&trial->server);
	return false;
}

static void trial_close(struct trial *trial)
{
	test_clients_close(&trial->clients);
	test_server_stop(&trial->server);
}

/* What other processes did meanwhile makes the figures worse than they are, so it is reported. */
static bool measure_work(struct trial *trial)
{
	uint64_t began_ns = clock_now_ns();
	uint64_t others = busy_elsewhere_ns(&trial->server);
	trial->out->cost.loopback_ns = loopback_ns(trial->load->payload_bytes);
	if (!measure_pings(trial) || (trial->load->rate > 0 && !measure_messages(trial)))
		return false;
	uint64_t others_after = busy_elsewhere_ns(&trial->server);
	if (others_after > others)
		trial->out->others_cores = (double)(others_after - others) / (double)(clock_now_ns() - began_ns);
	return true;
}

bool calibrate(const struct load *load, uint32_t shards, uint32_t shards_least, struct calibration *out)
{
	CHECK(load->connections > 0 && load->subscribers > 0);
	struct trial trial = {.load = load, .out = out};
	bool many = shards > shards_least;
	uint32_t clients = clients_wanted();
	memset(out, 0, sizeof(*out));
	out->subscribers = load->subscribers;
	/* With many shards, some thousand clients are only a few on each, and half-filled pages would hide the cost of
	 * one: that is measured on few shards, and the rest on as many as there will be. */
	if (!trial_open(&trial, many ? 0 : load->connections, clients))
		return false;
	kernel_memory_read(&trial.kernel_before);
	bool good = measure_clients(&trial);
	kernel_memory_free(&trial.kernel_before);
	good = good && (!plan_has_tls(load->transport) || measure_resumed(&trial));
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
