/* The arithmetic of a plan, and which resource is named. */
#include "doctor/plan/predict.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

static const struct cost COST = {
	.clients = 10000,
	.base_bytes = 4e6,
	.user_bytes = 200,
	.kernel_bytes = 3800,
	.connect_ns = 20000,
	.ping_ns = 3000,
	.message_ns = 5000,
	.loopback_ns = 4000,
};

static const struct load LOAD = {
	.connections = 1000000,
	.rate = 20000,
	.payload_bytes = 64,
	.subscribers = 1,
	.keepalive_s = 50,
};

static const struct resources THERE = {
	.memory_bytes = 8e9,
	.cores = 2,
	.link_bits = 1e9,
	.connections_max = UINT64_MAX,
};

static void assert_near(double got, double wanted)
{
	if (fabs(got - wanted) > fabs(wanted) * 1e-9)
		fail_msg("%.9g instead of %.9g", got, wanted);
}

static struct prediction predicted(struct load load, struct resources there)
{
	struct prediction prediction;
	predict(&COST, &load, &there, &prediction);
	return prediction;
}

static void test_memory_and_processor(void **state)
{
	(void)state;
	struct prediction p = predicted(LOAD, THERE);
	assert_near(p.user_bytes, 4e6 + 200e6);
	assert_near(p.kernel_bytes, 3800e6);
	assert_near(p.share[RESOURCE_MEMORY], 4004e6 / 8e9);
	/* 20,000 x 5 us and 1,000,000 / 50 s x 3 us of two cores. */
	assert_near(p.message_cores, 0.1);
	assert_near(p.ping_cores, 0.06);
	assert_near(p.share[RESOURCE_CPU], 0.08);
	assert_near(p.connections[RESOURCE_CPU], 8750000);
	assert_near(p.connections[RESOURCE_MEMORY], floor((8e9 * 0.95 - 4e6) / 4000));
	assert_near(p.return_s, 10);
	assert_int_equal(p.first, RESOURCE_MEMORY);
}

static void test_network(void **state)
{
	(void)state;
	struct load load = LOAD;
	load.keepalive_s = 0;
	/* PUBLISH: 2 of fixed header, 2 + 12 of topic, the payload; 90 around it, and 90 for what acknowledges it. */
	struct prediction p = predicted(load, THERE);
	assert_near(p.bits_in, 8.0 * 20000 * (80 + 90 + 90));
	assert_near(p.bits_out, 8.0 * 20000 * (90 + 80 + 90));
	assert_near(p.ping_cores, 0);

	/* QoS 1: two bytes more, PUBACK in a packet of its own, and that is acknowledged by TCP. */
	load.qos = 1;
	p = predicted(load, THERE);
	assert_near(p.bits_in, 8.0 * 20000 * ((82 + 90 + 90) + 94));

	/* QoS 2: PUBREL goes with the message, PUBREC and PUBCOMP against it. */
	load.qos = 2;
	p = predicted(load, THERE);
	assert_near(p.bits_in, 8.0 * 20000 * ((82 + 90 + 94 + 90) + 188));

	/* A payload of many segments, a length of two bytes, to ten each. */
	load.qos = 0;
	load.payload_bytes = 10000;
	load.subscribers = 10;
	p = predicted(load, THERE);
	double message = 3 + 14 + 10000;
	assert_near(p.bits_out, 8.0 * 20000 * (90 + 10 * (message + 7 * 90)));

	/* PINGREQ and the acknowledgement of PINGRESP come in, PINGRESP goes out. */
	load = LOAD;
	load.rate = 0;
	p = predicted(load, THERE);
	assert_near(p.bits_in, 8.0 * 20000 * (92 + 90));
	assert_near(p.bits_out, 8.0 * 20000 * 92);
}

static void test_transports(void **state)
{
	(void)state;
	struct cost cost = COST;
	struct prediction p;
	struct load load = LOAD;
	load.rate = 0;
	/* A record has 22 bytes, a frame's head 2, and 4 more for a client's mask. */
	load.transport = PLAN_TLS;
	p = predicted(load, THERE);
	assert_near(p.bits_in, 8.0 * 20000 * (92 + 22 + 90));
	assert_near(p.bits_out, 8.0 * 20000 * (92 + 22));
	load.transport = PLAN_WS;
	p = predicted(load, THERE);
	assert_near(p.bits_in, 8.0 * 20000 * (92 + 6 + 90));
	assert_near(p.bits_out, 8.0 * 20000 * (92 + 2));
	load.transport = PLAN_WSS;
	p = predicted(load, THERE);
	assert_near(p.bits_in, 8.0 * 20000 * (92 + 22 + 6 + 90));

	/* A million at 20 us and at 5 us on two cores. */
	cost.resumed_ns = 5000;
	predict(&cost, &load, &THERE, &p);
	assert_near(p.return_s, 10);
	assert_near(p.return_resumed_s, 2.5);
	assert_near(p.connects_a_second, 100000);
	assert_near(p.resumed_a_second, 400000);
	predict(&COST, &LOAD, &THERE, &p);
	assert_near(p.return_resumed_s, 0);
	assert_near(p.resumed_a_second, 0);
}

static void test_each_resource_can_be_first(void **state)
{
	(void)state;
	struct load load = LOAD;
	struct resources there = THERE;
	there.connections_max = 500000;
	struct prediction p = predicted(load, there);
	assert_int_equal(p.first, RESOURCE_LIMITS);
	assert_near(p.connections[RESOURCE_LIMITS], 500000);
	assert_near(p.share[RESOURCE_LIMITS], 2);

	there = THERE;
	there.cores = 0.1;
	p = predicted(load, there);
	assert_int_equal(p.first, RESOURCE_CPU);
	assert_true(p.connections[RESOURCE_CPU] < (double)load.connections);

	there = THERE;
	there.link_bits = 1e7;
	p = predicted(load, there);
	assert_int_equal(p.first, RESOURCE_NETWORK);

	there = THERE;
	there.memory_bytes = 1e6;
	p = predicted(load, there);
	assert_int_equal(p.first, RESOURCE_MEMORY);
	assert_near(p.connections[RESOURCE_MEMORY], 0);
}

static void test_what_is_not_known_bounds_nothing(void **state)
{
	(void)state;
	struct resources there = {
		.memory_bytes = (double)NAN, .cores = 2, .link_bits = (double)NAN, .connections_max = UINT64_MAX};
	struct load load = LOAD;
	load.rate = 0;
	load.keepalive_s = 0;
	struct prediction p = predicted(load, there);
	for (int i = 0; i < RESOURCE_COUNT; i++)
		assert_true(isinf(p.connections[i]));
	assert_true(isnan(p.share[RESOURCE_MEMORY]));
	assert_near(p.share[RESOURCE_CPU], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory_and_processor),
		cmocka_unit_test(test_network),
		cmocka_unit_test(test_transports),
		cmocka_unit_test(test_each_resource_can_be_first),
		cmocka_unit_test(test_what_is_not_known_bounds_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
