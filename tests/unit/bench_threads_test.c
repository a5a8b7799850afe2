/* A run's threads: each gets its own worker, all are joined, and shares add up to the whole. */
#include "bench/client/threads.h"
#include "bench/measure/share.h"
#include "bench/target/cpu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cmocka.h>

#define WORKERS 5u

struct worker {
	uint32_t number;
	uint32_t doubled;
	int timer_slack_ns;
	pid_t thread;
};

static void work(void *argument)
{
	struct worker *worker = argument;
	worker->doubled = worker->number * 2;
	worker->timer_slack_ns = prctl(PR_GET_TIMERSLACK);
	worker->thread = gettid();
}

static void run(struct worker *workers, uint32_t count, bool exact_timers)
{
	struct threads threads;
	struct thread_setup setup = {.body = work,
				     .worker_bytes = sizeof(*workers),
				     .stack_bytes = 256u * 1024u,
				     .cpu = CPU_ANY,
				     .exact_timers = exact_timers};
	assert_true(threads_start(&threads, &setup, workers, count));
	assert_int_equal(threads.count, count);
	threads_join(&threads);
	assert_int_equal(threads.count, 0);
}

static void test_each_has_its_worker(void **state)
{
	(void)state;
	for (uint32_t exact = 0; exact < 2; exact++) {
		struct worker workers[WORKERS] = {0};
		for (uint32_t i = 0; i < WORKERS; i++)
			workers[i].number = i + 1;
		run(workers, WORKERS, exact != 0);
		for (uint32_t i = 0; i < WORKERS; i++) {
			assert_int_equal(workers[i].doubled, 2 * (i + 1));
			assert_true(workers[i].thread != 0 && workers[i].thread != getpid());
			assert_int_equal(workers[i].timer_slack_ns == 1000, exact);
		}
	}
}

static void test_none(void **state)
{
	(void)state;
	struct threads threads = {0};
	threads_join(&threads);
	run(NULL, 0, false);
}

static void test_shares(void **state)
{
	(void)state;
	for (uint32_t whole = 0; whole < 40; whole++) {
		for (uint32_t parts = 1; parts < 9; parts++) {
			uint32_t sum = 0;
			for (uint32_t i = 0; i < parts; i++) {
				assert_int_equal(share_before(whole, parts, i), sum);
				assert_true(share_of(whole, parts, i) <= share_of(whole, parts, 0));
				sum += share_of(whole, parts, i);
			}
			assert_int_equal(sum, whole);
			assert_int_equal(share_rounded_up(whole, parts), share_of(whole, parts, 0));
		}
	}
	assert_int_equal(share_rounded_up(UINT32_MAX, 2), 1u << 31);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_has_its_worker),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_shares),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
