/* How the model finds objects, by name and by text, against plain arrays: names of several shards, near and far, and
 * texts of which many share a hash. */
#include "random.h"
#include "store/model/names.h"
#include "store/model/text_index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define NAMES 4096u
#define SHARDS 3u
#define TEXTS 3000u

/* Some in a row, some far apart as messages are, some at both ends of what a name can be. */
static uint32_t name_of(uint32_t i)
{
	if (i < NAMES / 2)
		return i;
	return i % 2 != 0 ? UINT32_MAX - i : i * 1021u;
}

static void test_names(void **state)
{
	static uint32_t model[SHARDS][NAMES];
	struct names names;
	struct random random = {7};
	(void)state;
	assert_int_equal(names_open(&names), ERROR_OK);
	for (uint32_t step = 0; step < 200000; step++) {
		uint16_t shard = (uint16_t)random_below(&random, SHARDS);
		uint32_t i = random_below(&random, NAMES);
		uint32_t *index = &model[shard][i];
		assert_int_equal(names_find(&names, shard, name_of(i)), *index);
		if (*index != 0 && step % 3 != 0) {
			names_remove(&names, shard, name_of(i));
			*index = 0;
		} else {
			*index = step + 1;
			assert_true(names_set(&names, shard, name_of(i), *index));
		}
	}
	for (uint16_t shard = 0; shard < SHARDS; shard++)
		for (uint32_t i = 0; i < NAMES; i++)
			assert_int_equal(names_find(&names, shard, name_of(i)), model[shard][i]);
	assert_int_equal(names_find(&names, SHARDS, 0), 0);
	assert_true(names.used <= names.slot_count / 2);
	names_close(&names);
}

/* A row of names takes its chunks alone: that is what makes them cheap. */
static void test_names_in_a_row_share_chunks(void **state)
{
	struct names names;
	(void)state;
	assert_int_equal(names_open(&names), ERROR_OK);
	for (uint32_t name = 1; name <= 100 * NAMES_CHUNK; name++)
		assert_true(names_set(&names, 1, name, name));
	assert_int_equal(names.chunks.used, 101);
	names_close(&names);
}

static bool text_is_there(const struct text_index *texts, uint32_t hash, uint32_t index, uint32_t *sharing)
{
	uint32_t found, at = text_index_from(texts, hash);
	bool is_there = false;
	*sharing = 0;
	while ((found = text_index_next(texts, hash, &at)) != 0) {
		assert_false(is_there && found == index);
		is_there = is_there || found == index;
		++*sharing;
	}
	return is_there;
}

/* The hash of text `index`; few bits, and the highest among them, so that searches run over the table's end. */
static uint32_t text_hash(uint32_t index, uint32_t mask)
{
	return (index * 2654435761u | ~mask) ^ (index % 2 != 0 ? 0 : UINT32_C(0x80000000));
}

static void play_texts(uint32_t mask, uint64_t seed)
{
	static bool model[TEXTS + 1];
	struct text_index texts = {.slot_count = 0};
	struct random random = {seed};
	uint32_t sharing, count = 0;
	for (uint32_t i = 0; i <= TEXTS; i++)
		model[i] = false;
	for (uint32_t step = 0; step < 20000; step++) {
		uint32_t index = 1 + random_below(&random, TEXTS), hash = text_hash(index, mask);
		assert_int_equal(text_is_there(&texts, hash, index, &sharing), model[index]);
		if (model[index])
			text_index_remove(&texts, hash, index);
		else
			assert_true(text_index_add(&texts, hash, index));
		count = model[index] ? count - 1 : count + 1;
		model[index] = !model[index];
		assert_int_equal(texts.used, count);
	}
	for (uint32_t index = 1; index <= TEXTS; index++)
		assert_int_equal(text_is_there(&texts, text_hash(index, mask), index, &sharing), model[index]);
	text_index_close(&texts);
}

static void test_texts(void **state)
{
	(void)state;
	play_texts(UINT32_MAX, 3);
}

static void test_texts_that_share_a_hash(void **state)
{
	(void)state;
	play_texts(0x3f, 5);
}

static void test_an_empty_text_index(void **state)
{
	struct text_index texts = {.slot_count = 0};
	uint32_t at = text_index_from(&texts, 77);
	(void)state;
	assert_int_equal(text_index_next(&texts, 77, &at), 0);
	text_index_close(&texts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_names_in_a_row_share_chunks),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_texts_that_share_a_hash),
		cmocka_unit_test(test_an_empty_text_index),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
