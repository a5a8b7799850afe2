/* What a message to another node costs below the services: the link alone (in memory), and link and bus with a real
 * nats-server between two threads of this process.
 *
 *     cluster_bench link [BYTES]
 *     cluster_bench bus URL [BYTES] [CA_FILE]
 *
 * The figures of `bus` are the processor's time of both threads, libnats' own threads included, without the server's;
 * `batch` is the number of messages that are sent in one turn. In the run with one a batch the next goes when the
 * answer to the last has come, so that each is a datagram, a write and a read of its own, and so is its answer. */
#include "base/check.h"
#include "base/clock.h"
#include "cluster/link/link.h"
#include "nodes/bus/bus.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINK_MESSAGES 4000000u
#define RUN_MS 2000u
#define CONNECT_MS 10000u
#define KIND_MESSAGE 1u
#define KIND_ANSWER 2u

static uint8_t payload[65536];

/* ---- the link alone ---- */

struct sum {
	uint64_t messages;
	uint64_t bytes;
};

static void add_message(void *context, uint8_t kind, struct slice body)
{
	struct sum *sum = context;
	(void)kind;
	sum->messages++;
	sum->bytes += body.data[0];
}

static void carry_all(struct link *from, struct link *to, uint64_t now_ms, uint64_t *received_ns)
{
	struct slice datagram;
	while (link_next_datagram(from, now_ms, &datagram)) {
		uint64_t begun_ns = clock_now_ns();
		link_receive(to, datagram, now_ms);
		*received_ns += clock_now_ns() - begun_ns;
	}
}

static void bench_link(size_t bytes, uint32_t batch)
{
	struct link near, far;
	struct sum sum = {0};
	uint64_t received_ns = 0, acknowledged_ns = 0, now_ms = 1;
	struct slice parts[] = {slice_of(payload, 20), slice_of(payload, bytes - 20)};
	link_init(&near, 1, 2, &LINK_LIMITS_DEFAULT, (struct link_receiver){add_message, &sum});
	link_init(&far, 2, 1, &LINK_LIMITS_DEFAULT, (struct link_receiver){add_message, &sum});
	uint64_t begun_ns = clock_now_ns();
	for (uint32_t sent = 0; sent < LINK_MESSAGES; now_ms += 10) {
		for (uint32_t i = 0; i < batch; i++, sent++)
			CHECK(link_send(&near, KIND_MESSAGE, parts, 2) == ERROR_OK);
		carry_all(&near, &far, now_ms, &received_ns);
		carry_all(&far, &near, now_ms + LINK_ACK_DELAY_MS, &acknowledged_ns);
	}
	double count = (double)sum.messages;
	double sent_ns = (double)(clock_now_ns() - begun_ns - received_ns - acknowledged_ns);
	printf("link, %5zu bytes, batch %5u: send %6.1f ns, receive %6.1f ns, acknowledged %6.1f ns a message\n", bytes,
	       batch, sent_ns / count, (double)received_ns / count, (double)acknowledged_ns / count);
	link_fini(&near);
	link_fini(&far);
}

/* ---- link and bus ---- */

struct node {
	const char *url, *ca_file, *name;
	uint64_t own, peer;
	struct bus *bus;
	struct bus_address address;
	struct link link;
	bool answers;
	uint64_t now_ms;
	uint64_t received;
	uint64_t answered;
	uint64_t sent;
	uint64_t turns;
	_Atomic uint64_t ran_ns;
	pthread_t thread;
};

struct run {
	struct node nodes[2];
	uint32_t batch;
	size_t bytes;
	_Atomic int connected;
	_Atomic bool begins, stops, measures;
};

static struct run run;

static void on_message(void *context, uint8_t kind, struct slice body)
{
	struct node *node = context;
	(void)body;
	if (kind == KIND_ANSWER) {
		node->answered++;
		return;
	}
	node->received++;
	if (node->answers)
		CHECK(link_send(&node->link, KIND_ANSWER, &(struct slice){payload, 16}, 1) == ERROR_OK);
}

static void on_datagram(void *context, enum bus_subject subject, struct slice datagram)
{
	struct node *node = context;
	if (subject == BUS_NODE)
		link_receive(&node->link, datagram, node->now_ms);
}

static void on_connected(void *context)
{
	(void)context;
	atomic_fetch_add(&run.connected, 1);
}

static void on_lost(void *context)
{
	(void)context;
	fprintf(stderr, "the connection was lost\n");
	exit(1);
}

static void flush_node(struct node *node)
{
	struct slice datagram;
	while (bus_has_room(node->bus) && link_next_datagram(&node->link, node->now_ms, &datagram))
		bus_send(node->bus, &node->address, datagram);
	bus_flush(node->bus);
}

/* A batch, and with answers none before the last is answered. */
static void send_batch(struct node *node)
{
	bool answers = run.nodes[1].answers;
	if (answers ? node->answered < node->sent : link_room(&node->link) < run.batch * (run.bytes + 64))
		return;
	struct slice parts[] = {slice_of(payload, 20), slice_of(payload, run.bytes - 20)};
	for (uint32_t i = 0; i < run.batch; i++, node->sent++)
		CHECK(link_send(&node->link, KIND_MESSAGE, parts, 2) == ERROR_OK);
}

static void turn(struct node *node, bool sends)
{
	struct pollfd fds[BUS_DESCRIPTORS];
	uint32_t count = bus_poll(node->bus, fds);
	uint64_t deadline_ms = bus_next_deadline(node->bus);
	if (link_next_deadline(&node->link) < deadline_ms)
		deadline_ms = link_next_deadline(&node->link);
	if (deadline_ms > node->now_ms + 20)
		deadline_ms = node->now_ms + 20;
	bool has_more = sends && !run.nodes[1].answers && link_room(&node->link) >= run.batch * (run.bytes + 64);
	bool waits = !has_more && deadline_ms > node->now_ms;
	poll(fds, count, waits ? (int)(deadline_ms - node->now_ms) : 0);
	node->now_ms = clock_now_ms();
	bus_process(node->bus, fds, count, node->now_ms);
	link_tick(&node->link, node->now_ms);
	if (sends)
		send_batch(node);
	flush_node(node);
	node->turns++;
}

static void *node_main(void *argument)
{
	struct node *node = argument;
	bool is_sender = node == &run.nodes[0];
	struct bus_settings settings = {.urls = node->url,
					.cluster = "bench",
					.node = node->name,
					.ca_file = node->ca_file,
					.shares_library = true};
	struct bus_receiver receiver = {node, on_datagram, on_connected, on_lost};
	char fault[BUS_TEXT_BYTES];
	node->now_ms = clock_now_ms();
	node->bus = bus_new(&settings, receiver, node->now_ms, fault);
	if (node->bus == NULL) {
		fprintf(stderr, "%s\n", fault);
		exit(1);
	}
	bus_address_of(node->bus, slice_string(is_sender ? "far" : "near"), &node->address);
	link_init(&node->link, node->own, node->peer, &LINK_LIMITS_DEFAULT, (struct link_receiver){on_message, node});
	while (!atomic_load(&run.stops)) {
		turn(node, is_sender && atomic_load(&run.begins));
		atomic_store(&node->ran_ns, clock_ran_ns());
	}
	link_fini(&node->link);
	bus_free(node->bus);
	return NULL;
}

static void sleep_ms(uint64_t time_ms)
{
	struct timespec time = {.tv_sec = (time_t)(time_ms / 1000), .tv_nsec = (long)(time_ms % 1000) * 1000000};
	nanosleep(&time, NULL);
}

static void await_connections(const char *url)
{
	for (uint64_t until_ms = clock_now_ms() + CONNECT_MS; atomic_load(&run.connected) < 2; sleep_ms(10)) {
		if (clock_now_ms() < until_ms)
			continue;
		fprintf(stderr, "no connection to %s\n", url);
		exit(1);
	}
}

static uint64_t process_ran_ns(void)
{
	struct timespec ran;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ran);
	return (uint64_t)ran.tv_sec * 1000000000u + (uint64_t)ran.tv_nsec;
}

static void bench_bus(const char *url, const char *ca_file, size_t bytes, uint32_t batch, bool answers)
{
	memset(&run, 0, sizeof(run));
	run.batch = batch;
	run.bytes = bytes;
	for (uint32_t i = 0; i < 2; i++) {
		struct node *node = &run.nodes[i];
		*node = (struct node){
			.url = url, .ca_file = ca_file, .name = i == 0 ? "near" : "far", .own = 1 + i, .peer = 2 - i};
		node->answers = answers && i == 1;
		CHECK(pthread_create(&node->thread, NULL, node_main, node) == 0);
	}
	await_connections(url);
	atomic_store(&run.begins, true);
	sleep_ms(RUN_MS / 4);
	uint64_t begun_ms = clock_now_ms();
	uint64_t received = run.nodes[1].received;
	uint64_t ran_ns[2] = {atomic_load(&run.nodes[0].ran_ns), atomic_load(&run.nodes[1].ran_ns)};
	uint64_t process_ns = process_ran_ns();
	sleep_ms(RUN_MS);
	double count = (double)(run.nodes[1].received - received);
	double near_ns = (double)(atomic_load(&run.nodes[0].ran_ns) - ran_ns[0]) / count;
	double far_ns = (double)(atomic_load(&run.nodes[1].ran_ns) - ran_ns[1]) / count;
	double all_ns = (double)(process_ran_ns() - process_ns) / count;
	double rate = count * 1000 / (double)(clock_now_ms() - begun_ms);
	atomic_store(&run.stops, true);
	for (uint32_t i = 0; i < 2; i++)
		pthread_join(run.nodes[i].thread, NULL);
	const struct link_counters *sent = &run.nodes[0].link.counters;
	printf("bus, %5zu bytes, batch %5u%s: %8.0f a second; sender %7.0f ns, receiver %7.0f ns, both with libnats' "
	       "threads "
	       "%7.0f ns a message; %.1f messages a datagram, %" PRIu64 " sent again\n",
	       bytes, batch, answers ? ", answered" : "", rate, near_ns, far_ns, all_ns,
	       (double)sent->messages_sent / (double)sent->datagrams_sent, sent->datagrams_sent_again);
}

int main(int argc, char **argv)
{
	bool is_link = argc >= 2 && strcmp(argv[1], "link") == 0;
	bool is_bus = argc >= 3 && strcmp(argv[1], "bus") == 0;
	int at = is_link ? 2 : 3;
	size_t bytes = argc > at ? strtoul(argv[at], NULL, 10) : 300;
	const char *ca_file = is_bus && argc > 4 ? argv[4] : NULL;
	static const uint32_t BATCHES[] = {1, 16, 256, 1024};
	if ((!is_link && !is_bus) || bytes < 21 || bytes > sizeof(payload)) {
		fprintf(stderr, "usage: cluster_bench link [BYTES] | bus URL [BYTES] [CA_FILE]\n");
		return 2;
	}
	for (size_t i = 0; i < sizeof(BATCHES) / sizeof(BATCHES[0]); i++) {
		if (BATCHES[i] * bytes > LINK_LIMITS_DEFAULT.buffer_bytes / 2)
			continue;
		if (is_link)
			bench_link(bytes, BATCHES[i]);
		else
			bench_bus(argv[2], ca_file, bytes, BATCHES[i], i == 0);
		fflush(stdout);
	}
	if (is_bus)
		bench_bus(argv[2], ca_file, bytes, 16, true);
	return 0;
}
