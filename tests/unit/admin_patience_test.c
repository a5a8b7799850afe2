/* Connections that take too long for one request are hung up on; those that get their answers are not. */
#include "base/clock.h"

#include <stdbool.h>
#include <stdint.h>

static uint64_t test_now_ms = 1000000;

static uint64_t clock_of_test(void)
{
	return test_now_ms;
}

#define clock_now_ms clock_of_test
#include "admin/patience.c" /* NOLINT(bugprone-suspicious-include) */
#undef clock_now_ms

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

static bool hung_up(int fd)
{
	char byte;
	return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static void test_slow_and_quick(void **state)
{
	(void)state;
	static struct patience patience;
	int slow[2];
	int quick[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, slow), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, quick), 0);
	patience_init(&patience);
	patience_begin(&patience, slow, slow[0]);
	patience_begin(&patience, quick, quick[0]);
	test_now_ms += PATIENCE_MS;
	patience_end_slow(&patience);
	assert_false(hung_up(slow[1]) || hung_up(quick[1]));
	patience_renew(&patience, quick);
	test_now_ms += 1;
	patience_end_slow(&patience);
	assert_true(hung_up(slow[1]));
	assert_false(hung_up(quick[1]));
	patience_end(&patience, slow);
	patience_end(&patience, quick);
	test_now_ms += 10 * PATIENCE_MS;
	patience_end_slow(&patience); /* they are gone: nobody else's descriptor is touched */
	assert_false(hung_up(quick[1]));
	for (int i = 0; i < 2; i++) {
		close(slow[i]);
		close(quick[i]);
	}
	patience_fini(&patience);
}

/* The others' descriptors are none at all: nothing comes of hanging up on them. */
static void test_less_patience_where_it_is_crowded(void **state)
{
	(void)state;
	static struct patience patience;
	static char others[PATIENCE_CONNECTIONS_MAX / 2];
	int slow[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, slow), 0);
	patience_init(&patience);
	patience_begin(&patience, slow, slow[0]);
	for (uint32_t i = 1; i < PATIENCE_CONNECTIONS_MAX / 2; i++)
		patience_begin(&patience, &others[i], -1);
	test_now_ms += PATIENCE_CROWDED_MS + 1;
	patience_end_slow(&patience);
	assert_false(hung_up(slow[1]));
	patience_begin(&patience, &others[0], -1);
	patience_end(&patience, &others[1]);
	patience_end_slow(&patience);
	assert_false(hung_up(slow[1]));
	patience_begin(&patience, &others[1], -1);
	patience_end_slow(&patience);
	assert_true(hung_up(slow[1]));
	close(slow[0]);
	close(slow[1]);
	patience_fini(&patience);
}

static void test_more_than_there_are_places(void **state)
{
	(void)state;
	static struct patience patience;
	static char connections[PATIENCE_CONNECTIONS_MAX + 1];
	patience_init(&patience);
	for (uint32_t i = 0; i <= PATIENCE_CONNECTIONS_MAX; i++)
		patience_begin(&patience, &connections[i], -1);
	for (uint32_t i = 0; i <= PATIENCE_CONNECTIONS_MAX; i++)
		patience_end(&patience, &connections[i]);
	for (uint32_t i = 0; i < PATIENCE_CONNECTIONS_MAX; i++)
		assert_null(patience.places[i].connection);
	patience_fini(&patience);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slow_and_quick),
		cmocka_unit_test(test_less_patience_where_it_is_crowded),
		cmocka_unit_test(test_more_than_there_are_places),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
