/* A scenario that is larger than the machine is refused with the reason. */
#include "bench/scenario/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct scenario scenario_of(uint32_t clients, uint32_t threads)
{
	struct scenario scenario;
	scenario_init(&scenario);
	scenario.threads = threads;
	scenario.group_count = 1;
	scenario.groups[0].count = clients;
	return scenario;
}

static void assert_fault(const struct limits *limits, uint32_t clients, uint32_t threads, const char *expected)
{
	char fault[LIMITS_FAULT_BYTES] = "";
	struct scenario scenario = scenario_of(clients, threads);
	assert_true(limits_allow(limits, &scenario, fault) == (*expected == '\0'));
	if (strstr(fault, expected) == NULL)
		fail_msg("\"%s\" instead of \"%s\"", fault, expected);
}

static void test_descriptors(void **state)
{
	(void)state;
	struct limits limits = {.descriptors = 10064, .private_tables = true};
	assert_fault(&limits, 10000, 1, "");
	assert_fault(&limits, 10001, 1, "room for 10000: raise threads");
	assert_fault(&limits, 20000, 2, "");
	limits.private_tables = false;
	assert_fault(&limits, 10001, 2, "raise ulimit -n");
	limits.descriptors = 10;
	assert_fault(&limits, 1, 1, "room for 0");
}

static void test_ports(void **state)
{
	(void)state;
	struct limits limits = {.descriptors = 1000000, .private_tables = true, .ports = 28232};
	assert_fault(&limits, 28232, 1, "");
	assert_fault(&limits, 28233, 1, "28232 ports");
	limits.ports = 0;
	assert_fault(&limits, 28233, 1, "");
}

static void test_memory(void **state)
{
	(void)state;
	struct limits limits = {.descriptors = 1000000, .private_tables = true, .memory_bytes = 100u << 20};
	assert_fault(&limits, 25000, 1, "");
	assert_fault(&limits, 26000, 1, "and 100 MiB are available");
	limits.is_local = true;
	assert_fault(&limits, 25000, 1, "the server's end included");
	limits.memory_bytes = 0;
	assert_fault(&limits, 25000, 1, "");
}

static void test_this_machine(void **state)
{
	(void)state;
	static const struct url url = {.host = "127.0.0.1", .port = 1};
	struct address address;
	struct limits limits;
	assert_null(url_resolve(&url, &address));
	limits_read(&limits, &address);
	assert_true(limits.descriptors > 0);
	assert_true(limits.memory_bytes > 0);
	assert_int_equal(limits.ports, 0);
	assert_true(limits.is_local);
	static const struct url far = {.host = "192.0.2.1", .port = 1};
	assert_null(url_resolve(&far, &address));
	limits_read(&limits, &address);
	assert_true(limits.ports > 0);
	assert_false(limits.is_local);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_this_machine),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
