/* Digests of exact filters against a plain list, with the memory that they take and topics that they are wrong for. */
#include "cluster/publish/digest.h"
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void retire(void *context, void *block)
{
	*(uint32_t *)context += 1;
	free(block);
}

static uint32_t next_fingerprint(struct random *random)
{
	return (uint32_t)random_next(random);
}

static int compare(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a;
	uint32_t right = *(const uint32_t *)b;
	return (left > right) - (left < right);
}

static void assert_same(struct digest *digest, const uint32_t *all, uint32_t count)
{
	uint32_t *sorted = malloc((count + 1) * sizeof(*sorted));
	assert_non_null(sorted);
	if (count != 0)
		memcpy(sorted, all, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), compare);
	assert_int_equal(digest_count(digest), count);
	uint32_t at = 0;
	for (uint32_t range = 0; range < DIGEST_RANGES; range++) {
		uint32_t some;
		const uint32_t *list = digest_list(digest, range, &some);
		assert_non_null(list);
		for (uint32_t i = 0; i < some; i++)
			assert_int_equal(list[i], sorted[at + i]);
		at += some;
	}
	assert_int_equal(at, count);
	free(sorted);
}

#define MODEL_MAX 20000u

/* Some fingerprints are there twice, many begin alike. */
static void test_adds_and_removes_as_a_list_does(void **state)
{
	(void)state;
	static uint32_t model[MODEL_MAX];
	uint32_t retired = 0;
	struct digest digest;
	struct random random = {17};
	digest_init(&digest, retire, &retired);
	uint32_t count = 0;
	for (uint32_t step = 0; step < 60000; step++) {
		uint32_t fingerprint = next_fingerprint(&random);
		if (step % 7 == 0)
			fingerprint = 0xabcd0000u | (fingerprint & 0xffu);
		bool adds = count == 0 || (count < MODEL_MAX && random_below(&random, 5) < (step < 30000 ? 4 : 1));
		if (adds) {
			assert_int_equal(digest_add(&digest, fingerprint), ERROR_OK);
			model[count++] = fingerprint;
			assert_true(digest_has(&digest, fingerprint));
			continue;
		}
		uint32_t at = random_below(&random, count);
		assert_true(digest_has(&digest, model[at]));
		assert_int_equal(digest_remove(&digest, model[at]), ERROR_OK);
		model[at] = model[--count];
		if (step % 10000 == 0)
			assert_same(&digest, model, count);
	}
	assert_same(&digest, model, count);
	while (count != 0)
		assert_int_equal(digest_remove(&digest, model[--count]), ERROR_OK);
	assert_same(&digest, model, 0);
	for (uint32_t range = 0; range < DIGEST_RANGES; range++)
		assert_int_equal(digest.sums[range], 0);
	assert_int_equal(digest_remove(&digest, 5), ERROR_NOT_FOUND);
	digest_fini(&digest);
}

/* A copy that is made of ranges has the same sums, whatever it had before. */
static void test_ranges_make_a_copy(void **state)
{
	(void)state;
	uint32_t retired = 0;
	struct digest from;
	struct digest to;
	struct random random = {23};
	digest_init(&from, retire, &retired);
	digest_init(&to, retire, &retired);
	for (uint32_t i = 0; i < 50000; i++)
		assert_int_equal(digest_add(&from, next_fingerprint(&random)), ERROR_OK);
	for (uint32_t i = 0; i < 3000; i++)
		assert_int_equal(digest_add(&to, next_fingerprint(&random)), ERROR_OK);
	for (uint32_t range = 0; range < DIGEST_RANGES; range++) {
		uint32_t count;
		const uint32_t *list = digest_list(&from, range, &count);
		assert_int_equal(digest_replace(&to, range, list, count), ERROR_OK);
		assert_int_equal(to.sums[range], from.sums[range]);
	}
	assert_int_equal(digest_count(&to), digest_count(&from));
	uint32_t missed = 0;
	for (uint32_t range = 0; range < DIGEST_RANGES; range++) {
		uint32_t count;
		const uint32_t *list = digest_list(&from, range, &count);
		for (uint32_t i = 0; i < count; i++)
			missed += !digest_has(&to, list[i]);
	}
	assert_int_equal(missed, 0);
	digest_fini(&from);
	digest_fini(&to);
}

/* What a peer sends need not be hashes: the directory stays small where all begin alike. */
static void test_bad_fingerprints_cost_no_memory(void **state)
{
	(void)state;
	uint32_t retired = 0;
	struct digest digest;
	digest_init(&digest, retire, &retired);
	uint32_t *same = malloc(5000 * sizeof(*same));
	for (uint32_t i = 0; i < 5000; i++)
		same[i] = 0x7f000000u;
	assert_int_equal(digest_replace(&digest, 0x7f, same, 5000), ERROR_OK);
	assert_true(digest.bytes < 64u * 1024);
	assert_true(digest_has(&digest, 0x7f000000u));
	assert_false(digest_has(&digest, 0x7f000001u));
	assert_int_equal(digest_replace(&digest, 0x7f, same, 0), ERROR_OK);
	assert_int_equal(digest_count(&digest), 0);
	free(same);
	digest_fini(&digest);
}

/* At most 4 bytes a filter from 1,000 on, malloc()'s own 8 and its rounding to 16 counted in. */
static void test_memory_of_a_filter(void **state)
{
	(void)state;
	static const uint32_t COUNTS[] = {1000, 10000, 100000, 1000000};
	for (size_t i = 0; i < sizeof(COUNTS) / sizeof(COUNTS[0]); i++) {
		uint32_t retired = 0;
		struct digest digest;
		struct random random = {i + 1};
		digest_init(&digest, retire, &retired);
		for (uint32_t k = 0; k < COUNTS[i]; k++)
			assert_int_equal(digest_add(&digest, next_fingerprint(&random)), ERROR_OK);
		/* A segment has at least a half of what it may have, on the whole. */
		double segments = COUNTS[i] / (DIGEST_SEGMENT_MAX * 0.6);
		double bytes = ((double)digest.bytes + segments * 16) / COUNTS[i];
		uint32_t wrong = 0;
		for (uint32_t k = 0; k < 100000; k++)
			wrong += digest_has(&digest, next_fingerprint(&random));
		print_message("%u filters: %.2f bytes each, wrong for %u of 100,000 topics\n", COUNTS[i], bytes, wrong);
		assert_true(bytes <= 4.0);
		assert_true(wrong <= 200);
		digest_fini(&digest);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_adds_and_removes_as_a_list_does),
		cmocka_unit_test(test_ranges_make_a_copy),
		cmocka_unit_test(test_bad_fingerprints_cost_no_memory),
		cmocka_unit_test(test_memory_of_a_filter),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
