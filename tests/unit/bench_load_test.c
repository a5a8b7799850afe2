/* Whole rounds of messages over real sockets, in every pattern and at every QoS, through the bench's own relay. */
#include "bench/load/load_run.h"
#include "bench/target/cpu.h"
#include "relay_scene.h"

#include <math.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define MESSAGES 2000u

static struct load_round round_of(enum load_pattern pattern, uint8_t qos)
{
	return (struct load_round){
		.load = {.pattern = pattern,
			 .clients = 24,
			 .publishers = pattern == LOAD_FAN_OUT ? 2 : 6,
			 .members = pattern == LOAD_SHARED ? 8 : 0,
			 .burst = 1,
			 .window = 1,
			 .size = 64,
			 .qos = qos},
		.client_prefix = "c",
		.topic_prefix = "t/",
		.messages = MESSAGES,
		.threads = 1,
		.cpu = CPU_ANY,
		.version = 4,
	};
}

/* Nothing may be lost, duplicated, late or left without its handshake. */
static struct load_result run_clean(const struct load_round *round)
{
	struct relay_scene scene;
	struct load_result result;
	relay_scene_open(&scene);
	assert_true(load_run(round, &scene.target, "test", &result));
	relay_scene_close(&scene);
	assert_false(result.stalled);
	assert_true(result.figures.delivered >= MESSAGES);
	assert_true(result.totals.received >= MESSAGES);
	assert_int_equal(result.totals.missing, 0);
	assert_int_equal(result.totals.reordered, 0);
	assert_int_equal(result.totals.doubled, 0);
	assert_int_equal(result.totals.foreign, 0);
	assert_int_equal(result.totals.unacknowledged, 0);
	assert_int_equal(losses_total(&result.totals.losses), 0);
	assert_true(result.figures.p50_us > 0 && result.figures.p50_us <= result.figures.max_us);
	return result;
}

static void test_every_pattern_at_every_qos(void **state)
{
	(void)state;
	for (uint32_t pattern = LOAD_ONE_TO_ONE; pattern <= LOAD_SHARED; pattern++) {
		for (uint8_t qos = 0; qos <= 2; qos++) {
			struct load_round round = round_of((enum load_pattern)pattern, qos);
			round.version = pattern % 2 == 0 ? 4 : 5;
			run_clean(&round);
		}
	}
}

static void test_bursts_and_windows(void **state)
{
	(void)state;
	for (uint8_t qos = 0; qos <= 2; qos++) {
		struct load_round round = round_of(LOAD_ONE_TO_ONE, qos);
		round.load.burst = 16;
		round.load.window = 40;
		run_clean(&round);
	}
}

/* A burst is more than a socket takes at once: the rest goes out later, and acknowledgements after it. */
static void test_large_bursts_at_qos_2(void **state)
{
	(void)state;
	struct load_round round = round_of(LOAD_ONE_TO_ONE, 2);
	round.load.burst = round.load.window = 64;
	round.load.size = 65536;
	run_clean(&round);
}

static void test_several_threads(void **state)
{
	(void)state;
	struct load_round round = round_of(LOAD_SHARED, 1);
	round.threads = 2;
	struct load_result result = run_clean(&round);
	assert_true(result.totals.spread.most > 0);
}

/* The relay gives messages to the members in turn. */
static void test_spread_of_a_shared_subscription(void **state)
{
	(void)state;
	struct load_round round = round_of(LOAD_SHARED, 0);
	struct load_result result = run_clean(&round);
	assert_true(result.totals.spread.most - result.totals.spread.least <= 1);
	round = round_of(LOAD_ONE_TO_ONE, 0);
	result = run_clean(&round);
	assert_true(isnan(result.totals.spread.most));
}

static bool is_known(const struct percentiles *found)
{
	return found->p50_us >= 0 && found->p50_us <= found->p99_us && found->p99_us <= found->max_us;
}

/* What arrived was due, and the latency is divided into the bench's lateness and the passage. */
static void test_at_a_rate(void **state)
{
	(void)state;
	for (uint8_t qos = 0; qos <= 2; qos++) {
		struct load_round round = round_of(LOAD_ONE_TO_ONE, qos);
		round.load.rate = 20000;
		round.load.window = 20;
		round.arrivals = true;
		struct load_result result = run_clean(&round);
		assert_true(is_known(&result.timing.latency) && is_known(&result.timing.late));
		assert_true(is_known(&result.timing.passage) && is_known(&result.timing.read));
		/* No more than was due by the end, which comes before the drain. */
		double seconds = MESSAGES / 20000.0;
		assert_true(result.figures.measured_s >= seconds * 0.9);
	}
}

/* Turns that wait for an acknowledgement wait for the server, so the bench is not late. */
static void test_what_the_server_holds_up_is_its_own(void **state)
{
	(void)state;
	struct load_round round = round_of(LOAD_ONE_TO_ONE, 1);
	round.load.rate = 1000000; /* far more than comes back */
	round.arrivals = true;
	struct load_result result = run_clean(&round);
	assert_true(result.timing.latency.p999_us > 0);
	assert_true(isnan(result.timing.late.p99_us)); /* fewer than a hundred */
	assert_true(result.timing.passage.p999_us > result.timing.latency.p999_us / 2);
}

/* Without a schedule nothing is late, and without the kernel's times the passage is unknown. */
static void test_what_is_not_known(void **state)
{
	(void)state;
	struct load_round round = round_of(LOAD_ONE_TO_ONE, 0);
	struct load_result result = run_clean(&round);
	assert_true(is_known(&result.timing.latency));
	assert_true(isnan(result.timing.late.max_us));
	assert_true(isnan(result.timing.passage.max_us) && isnan(result.timing.read.max_us));
	round.arrivals = true;
	result = run_clean(&round);
	assert_true(isnan(result.timing.late.max_us));
	assert_true(is_known(&result.timing.passage) && is_known(&result.timing.read));
}

static struct address listening(int *listener)
{
	struct url loopback = {.host = "127.0.0.1", .port = 0};
	struct address address;
	assert_null(url_resolve(&loopback, &address));
	*listener = dial_listen(&address, 2);
	assert_true(*listener >= 0);
	return address;
}

static void assert_leads_to(const struct dial *dial, uint32_t client, const struct address *address)
{
	struct sockaddr_in peer;
	socklen_t size = sizeof(peer);
	int fd = dial_start(dial, client);
	assert_true(fd >= 0);
	assert_int_equal(getpeername(fd, (struct sockaddr *)&peer, &size), 0);
	assert_int_equal(peer.sin_port, ((const struct sockaddr_in *)(const void *)&address->storage)->sin_port);
	close(fd);
}

/* Publishers have the first numbers. */
static void test_the_first_clients_may_go_elsewhere(void **state)
{
	(void)state;
	int listeners[2];
	struct address here = listening(&listeners[0]);
	struct dial dial;
	dial_init(&dial, &here, true);
	assert_leads_to(&dial, 0, &here);
	struct address elsewhere = listening(&listeners[1]);
	dial.first_address = elsewhere;
	dial.first_clients = 2;
	assert_leads_to(&dial, 1, &elsewhere);
	assert_leads_to(&dial, 2, &here);
	close(listeners[0]);
	close(listeners[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_pattern_at_every_qos),
		cmocka_unit_test(test_bursts_and_windows),
		cmocka_unit_test(test_large_bursts_at_qos_2),
		cmocka_unit_test(test_several_threads),
		cmocka_unit_test(test_spread_of_a_shared_subscription),
		cmocka_unit_test(test_at_a_rate),
		cmocka_unit_test(test_what_the_server_holds_up_is_its_own),
		cmocka_unit_test(test_what_is_not_known),
		cmocka_unit_test(test_the_first_clients_may_go_elsewhere),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
