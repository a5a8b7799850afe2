/* Pools: indices from 1, a limit, memory that is zero at first and keeps a generation afterwards. */
#include "broken_promise.h"
#include "memory/pool.h"
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define LIMIT 5000u

struct object {
	uint32_t link; /* the pool's while the object is free */
	uint32_t generation;
	uint32_t tag;
};

static int pool_setup(void **state)
{
	static struct pool pool;
	assert_int_equal(pool_open(&pool, sizeof(struct object), LIMIT), ERROR_OK);
	*state = &pool;
	return 0;
}

static int pool_teardown(void **state)
{
	pool_close(*state);
	return 0;
}

static void test_limit_is_exact(void **state)
{
	struct pool *pool = *state;
	for (uint32_t i = 0; i < LIMIT; i++)
		assert_in_range(pool_take(pool), 1, LIMIT);
	assert_int_equal(pool_take(pool), 0);
	assert_int_equal(pool->used, LIMIT);
	pool_give(pool, 17);
	assert_int_equal(pool_take(pool), 17);
	assert_int_equal(pool_take(pool), 0);
}

static void test_first_use_is_zero_and_generation_survives(void **state)
{
	struct pool *pool = *state;
	for (uint32_t round = 0; round < 10; round++) {
		uint32_t taken[100];
		for (uint32_t i = 0; i < 100; i++) {
			taken[i] = pool_take(pool);
			struct object *object = pool_at(pool, taken[i]);
			assert_int_equal(object->generation, round);
			assert_int_equal(object->tag, round == 0 ? 0 : taken[i]);
			object->generation++;
			object->tag = taken[i];
		}
		for (uint32_t i = 0; i < 100; i++)
			pool_give(pool, taken[i]);
	}
	assert_int_equal(pool->touched, 100);
	assert_int_equal(pool->used, 0);
}

static void test_random_takes_and_gives(void **state)
{
	struct pool *pool = *state;
	struct random random = {1};
	static uint32_t live[LIMIT];
	static bool out[LIMIT + 1];
	memset(out, 0, sizeof(out));
	uint32_t count = 0;
	for (uint32_t step = 0; step < 200000; step++) {
		if (count == LIMIT || (count != 0 && random_below(&random, 100) < 49)) {
			uint32_t at = random_below(&random, count);
			uint32_t index = live[at];
			assert_int_equal(((struct object *)pool_at(pool, index))->tag, index ^ 0xabcd);
			out[index] = false;
			pool_give(pool, index);
			live[at] = live[--count];
		} else {
			uint32_t index = pool_take(pool);
			assert_in_range(index, 1, LIMIT);
			assert_false(out[index]);
			out[index] = true;
			((struct object *)pool_at(pool, index))->tag = index ^ 0xabcd;
			live[count++] = index;
		}
		assert_int_equal(pool->used, count);
	}
}

static void test_objects_never_move(void **state)
{
	struct pool *pool = *state;
	const void *first = pool_at(pool, pool_take(pool));
	for (uint32_t i = 1; i < LIMIT; i++)
		pool_take(pool);
	assert_ptr_equal(pool_at(pool, 1), first);
}

struct stranger {
	struct pool *pool;
	uint32_t index;
};

static void look_at_stranger(void *argument)
{
	const struct stranger *stranger = argument;
	pool_at(stranger->pool, stranger->index);
}

static void test_index_that_was_never_taken_is_a_broken_promise(void **state)
{
	struct pool *pool = *state;
	pool_take(pool);
	pool_at(pool, 1);
	char text[BROKEN_PROMISE_BYTES];
	assert_breaks_promise(look_at_stranger, &(struct stranger){pool, 0}, text);
	assert_breaks_promise(look_at_stranger, &(struct stranger){pool, 2}, text);
	assert_breaks_promise(look_at_stranger, &(struct stranger){pool, UINT32_MAX}, text);
}

static void give_twice(void *pool)
{
	uint32_t index = pool_take(pool);
	pool_take(pool);
	pool_give(pool, index);
	pool_give(pool, index);
}

static void test_giving_back_twice_is_a_broken_promise(void **state)
{
	char text[BROKEN_PROMISE_BYTES];
	assert_breaks_promise(give_twice, *state, text);
}

#define IN_POOL(test) cmocka_unit_test_setup_teardown(test, pool_setup, pool_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_POOL(test_limit_is_exact),
		IN_POOL(test_first_use_is_zero_and_generation_survives),
		IN_POOL(test_random_takes_and_gives),
		IN_POOL(test_objects_never_move),
		IN_POOL(test_index_that_was_never_taken_is_a_broken_promise),
		IN_POOL(test_giving_back_twice_is_a_broken_promise),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
