/* What is kept of answers: for how long, how many, and which make room. */
#include "auth/outside/cache.h"

#include "auth/token/claims.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW_MS UINT64_C(1000000)

static const struct outside_times TIMES = {.good_s = 100, .denied_s = 10, .stale_s = 50};

static struct outside_answer *answer_of(const char *text)
{
	uint8_t copy[256];
	struct fault fault;
	memcpy(copy, text, strlen(text));
	struct outside_answer *answer = outside_answer_of_json(copy, strlen(text), &fault);
	assert_non_null(answer);
	return answer;
}

static struct outside_mark mark_of(const struct outside_cache *cache, unsigned number)
{
	char text[16];
	snprintf(text, sizeof(text), "%u", number);
	return outside_mark_of(cache, slice_string(text));
}

static void put(struct outside_cache *cache, unsigned number, const char *text, uint64_t now_ms)
{
	struct outside_mark mark = mark_of(cache, number);
	struct outside_answer *answer = answer_of(text);
	outside_cache_put(cache, &mark, answer, now_ms);
	outside_answer_put(&answer);
}

static bool finds(struct outside_cache *cache, unsigned number, uint64_t now_ms, bool stale)
{
	struct outside_mark mark = mark_of(cache, number);
	return outside_cache_find(cache, &mark, now_ms, stale) != NULL;
}

#define ALLOW "{\"result\":\"allow\"}"
#define DENY "{\"result\":\"deny\"}"

static void test_times(void **state)
{
	(void)state;
	struct outside_cache cache;
	assert_int_equal(outside_cache_open(&cache, 100, &TIMES), ERROR_OK);
	put(&cache, 1, ALLOW, NOW_MS);
	put(&cache, 2, DENY, NOW_MS);
	put(&cache, 3, "{\"result\":\"allow\",\"ttl_s\":7}", NOW_MS);
	put(&cache, 4, "{\"result\":\"deny\",\"ttl_s\":0}", NOW_MS);
	assert_int_equal(outside_cache_count(&cache), 3);
	assert_true(finds(&cache, 1, NOW_MS + 99999, false));
	assert_false(finds(&cache, 1, NOW_MS + 100000, false));
	assert_true(finds(&cache, 2, NOW_MS + 9999, false));
	assert_false(finds(&cache, 2, NOW_MS + 10000, false));
	assert_true(finds(&cache, 3, NOW_MS + 6999, false));
	assert_false(finds(&cache, 3, NOW_MS + 7000, false));
	/* While nobody can be asked; no refusals. */
	assert_true(finds(&cache, 1, NOW_MS + 149999, true));
	assert_false(finds(&cache, 1, NOW_MS + 150000, true));
	assert_true(finds(&cache, 3, NOW_MS + 56999, true));
	assert_false(finds(&cache, 2, NOW_MS + 10000, true));
	outside_cache_close(&cache);
}

static void test_what_is_put_again_counts(void **state)
{
	(void)state;
	struct outside_cache cache;
	struct outside_mark mark;
	assert_int_equal(outside_cache_open(&cache, 100, &TIMES), ERROR_OK);
	put(&cache, 1, ALLOW, NOW_MS);
	put(&cache, 1, DENY, NOW_MS + 1);
	mark = mark_of(&cache, 1);
	const struct outside_answer *found = outside_cache_find(&cache, &mark, NOW_MS + 2, false);
	assert_non_null(found);
	assert_int_equal(found->verdict, OUTSIDE_DENIED);
	assert_int_equal(outside_cache_count(&cache), 1);
	outside_cache_drop(&cache, &mark);
	outside_cache_drop(&cache, &mark);
	assert_false(finds(&cache, 1, NOW_MS + 2, false));
	assert_true(cache.bytes == 0);
	outside_cache_close(&cache);
}

static void test_the_least_used_makes_room(void **state)
{
	(void)state;
	struct outside_cache cache;
	assert_int_equal(outside_cache_open(&cache, 8, &TIMES), ERROR_OK); /* 6 and 2 */
	for (unsigned i = 0; i < 6; i++)
		put(&cache, i, ALLOW, NOW_MS);
	assert_true(finds(&cache, 0, NOW_MS, false));
	put(&cache, 6, ALLOW, NOW_MS);
	assert_true(finds(&cache, 0, NOW_MS, false));
	assert_false(finds(&cache, 1, NOW_MS, false));
	assert_int_equal(cache.evictions, 1);
	/* A flood of refusals has its own places. */
	for (unsigned i = 100; i < 200; i++)
		put(&cache, i, DENY, NOW_MS);
	for (unsigned i = 2; i <= 6; i++)
		assert_true(finds(&cache, i, NOW_MS, false));
	assert_true(finds(&cache, 198, NOW_MS, false) && finds(&cache, 199, NOW_MS, false));
	assert_false(finds(&cache, 197, NOW_MS, false));
	assert_int_equal(outside_cache_count(&cache), 8);
	outside_cache_clear(&cache);
	assert_int_equal(outside_cache_count(&cache), 0);
	assert_false(finds(&cache, 6, NOW_MS, false));
	outside_cache_close(&cache);
}

static void put_large(struct outside_cache *cache, unsigned number)
{
	struct outside_mark mark = mark_of(cache, number);
	size_t size = 4 * OUTSIDE_ENTRY_BYTES;
	struct outside_answer *answer = calloc(1, sizeof(*answer) + size);
	assert_non_null(answer);
	*answer = (struct outside_answer){
		.references = 1, .verdict = OUTSIDE_ALLOWED, .ttl_s = 60, .user_bytes = (uint32_t)size};
	outside_cache_put(cache, &mark, answer, NOW_MS);
	outside_answer_put(&answer);
}

static void test_bytes_are_bounded(void **state)
{
	(void)state;
	struct outside_cache cache;
	assert_int_equal(outside_cache_open(&cache, 64, &TIMES), ERROR_OK);
	put(&cache, 1000, DENY, NOW_MS);
	for (unsigned i = 0; i < 40; i++) {
		put_large(&cache, i);
		assert_true(cache.bytes <= 64 * OUTSIDE_ENTRY_BYTES);
	}
	/* Refusals went first, then the oldest. */
	assert_false(finds(&cache, 1000, NOW_MS, false));
	assert_true(finds(&cache, 39, NOW_MS, false));
	assert_false(finds(&cache, 0, NOW_MS, false));
	outside_cache_close(&cache);
}

static void test_nothing_is_kept(void **state)
{
	(void)state;
	struct outside_cache cache;
	assert_int_equal(outside_cache_open(&cache, 0, &TIMES), ERROR_OK);
	put(&cache, 1, ALLOW, NOW_MS);
	assert_int_equal(outside_cache_count(&cache), 0);
	assert_false(finds(&cache, 1, NOW_MS, true));
	outside_cache_close(&cache);
}

static void test_what_is_suspect(void **state)
{
	(void)state;
	struct outside_cache cache;
	assert_int_equal(outside_cache_open(&cache, 100, &TIMES), ERROR_OK);
	put(&cache, 1, ALLOW, NOW_MS);
	outside_cache_suspect(&cache, NOW_MS + 5000);
	put(&cache, 2, ALLOW, NOW_MS + 5000);
	assert_false(finds(&cache, 1, NOW_MS + 5000, false));
	assert_true(finds(&cache, 2, NOW_MS + 5000, false));
	/* Its time was up then, and not later because there was doubt again. */
	outside_cache_suspect(&cache, NOW_MS + 20000);
	assert_true(finds(&cache, 1, NOW_MS + 54999, true));
	assert_false(finds(&cache, 1, NOW_MS + 55000, true));
	assert_true(finds(&cache, 2, NOW_MS + 69999, true));
	assert_false(finds(&cache, 2, NOW_MS + 70000, true));
	/* Where it would have been up sooner, it was. */
	put(&cache, 3, "{\"result\":\"allow\",\"ttl_s\":1}", NOW_MS + 20000);
	outside_cache_suspect(&cache, NOW_MS + 40000);
	assert_false(finds(&cache, 3, NOW_MS + 71000, true));
	/* Of epochs that are long past nothing is known. */
	for (unsigned i = 0; i < OUTSIDE_EPOCHS; i++)
		outside_cache_suspect(&cache, NOW_MS + 40000);
	assert_false(finds(&cache, 2, NOW_MS + 40000, true));
	outside_cache_close(&cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_what_is_put_again_counts),
		cmocka_unit_test(test_the_least_used_makes_room),
		cmocka_unit_test(test_bytes_are_bounded),
		cmocka_unit_test(test_nothing_is_kept),
		cmocka_unit_test(test_what_is_suspect),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
