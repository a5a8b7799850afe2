/* Plays in which each request for memory is refused: a sample of what `make sweep` does (sweep.c). */
#include "../failing_memory.h"
#include "../tries.h"
#include "play.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define REQUESTS_MIN 50u

static void refuse(void)
{
	failing_memory_start();
}

static void refuse_no_more(void)
{
	failing_memory_stop();
}

static void play_without_memory(void *context)
{
	static const struct play_hooks HOOKS = {.memory_fails = true, .begin = refuse, .end = refuse_no_more};
	play_run(context, &HOOKS);
}

static void sweep(uint64_t seed, uint32_t steps, bool faults, enum failing_mode mode)
{
	struct play play;
	play_make(&play, seed, steps);
	play.faults = faults ? play.faults : 0;
	assert_true(failing_memory_sweep(FAILING_ALL, mode, play_without_memory, &play) >= REQUESTS_MIN);
	play_close();
}

static void test_each_request_once(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed += TRIES_STEP)
		sweep(seed, 120, false, FAILING_ONCE);
}

static void test_all_from_each_request_on(void **state)
{
	(void)state;
	sweep(4, 120, false, FAILING_FROM_THERE);
	sweep(5, 120, false, FAILING_FROM_THERE);
}

static void test_with_a_kernel_that_hesitates(void **state)
{
	(void)state;
	sweep(6, 120, true, FAILING_ONCE);
	sweep(7, 120, true, FAILING_ONCE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_request_once, NULL, failing_memory_teardown),
		cmocka_unit_test_setup_teardown(test_all_from_each_request_on, NULL, failing_memory_teardown),
		cmocka_unit_test_setup_teardown(test_with_a_kernel_that_hesitates, NULL, failing_memory_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
