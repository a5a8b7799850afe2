/* Revocations of several nodes: the last change wins, what has no stamp does not lift, and nodes that compare end with
 * the same. */
#include "cluster/common/revoked.h"

#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW_MS 1700000000000u
#define NOW_S 1700000000
#define EVER INT64_MAX

static const struct hash_key KEY = {{3}};
static uint8_t buffer[2 * REVOKED_ITEM_BYTES_MAX];

static struct revoked_item item_of(const char *id, int64_t until_s)
{
	return (struct revoked_item){.kind = 1, .until_s = until_s, .id = slice_string(id)};
}

static struct revoked_item change(struct revoked *revoked, const char *id, int64_t until_s)
{
	struct revoked_item item = item_of(id, until_s);
	assert_true(revoked_change(revoked, &item, NOW_MS, &item.stamp));
	return item;
}

/* What `from` has in parts that differ goes to `to`. Returns how much of it was new there. */
static uint32_t compare(struct revoked *from, struct revoked *to)
{
	uint64_t own[REVOKED_PARTS], theirs[REVOKED_PARTS], parts;
	uint8_t body[REVOKED_DIGEST_BYTES];
	revoked_digest(to, NOW_MS, theirs);
	revoked_digest_write(theirs, body);
	revoked_digest(from, NOW_MS, own);
	assert_true(revoked_digest_read(slice_of(body, sizeof(body)), own, &parts));
	uint32_t next = 0, taken = 0;
	do {
		struct slice bytes = slice_of(buffer, revoked_list(from, parts, &next, buffer, sizeof(buffer)));
		struct revoked_item item;
		while (bytes.size != 0) {
			assert_true(revoked_item_read(&bytes, &item));
			taken += revoked_take(to, &item, NOW_MS);
		}
	} while (next != 0 && parts != 0);
	return taken;
}

static void assert_equal(const struct revoked *a, const struct revoked *b)
{
	uint64_t digests[2][REVOKED_PARTS];
	revoked_digest(a, NOW_MS, digests[0]);
	revoked_digest(b, NOW_MS, digests[1]);
	assert_memory_equal(digests[0], digests[1], sizeof(digests[0]));
}

static bool is_empty(const struct revoked *revoked)
{
	uint64_t digest[REVOKED_PARTS], none[REVOKED_PARTS] = {0};
	revoked_digest(revoked, NOW_MS, digest);
	return memcmp(digest, none, sizeof(none)) == 0;
}

static void test_the_last_change_wins(void **state)
{
	(void)state;
	struct revoked *a = revoked_new(&KEY, 1, 100), *b = revoked_new(&KEY, 2, 100);
	struct revoked_item revoked = change(a, "alice", EVER);
	assert_true(revoked_take(b, &revoked, NOW_MS));
	assert_false(revoked_take(b, &revoked, NOW_MS));
	struct revoked_item lifted = change(b, "alice", REVOKED_LIFTED_S);
	assert_true(revoked_take(a, &lifted, NOW_MS));
	assert_false(revoked_take(a, &revoked, NOW_MS)); /* it comes once more, late */
	assert_true(is_empty(a) && is_empty(b));
	struct revoked_item again = change(a, "alice", NOW_S + 60);
	assert_true(revoked_take(b, &again, NOW_MS));
	assert_equal(a, b);
	revoked_free(a);
	revoked_free(b);
}

static void test_what_a_node_knew_before_is_believed(void **state)
{
	(void)state;
	struct revoked *a = revoked_new(&KEY, 1, 100), *b = revoked_new(&KEY, 2, 100);
	struct revoked_item old = item_of("bob", EVER);
	assert_true(revoked_found(a, &old, NOW_MS));
	assert_int_equal(compare(a, b), 1);
	assert_equal(a, b);
	/* Of two ends without stamps the later one. */
	struct revoked_item shorter = item_of("carol", NOW_S + 5), longer = item_of("carol", NOW_S + 50);
	assert_true(revoked_found(a, &shorter, NOW_MS));
	assert_true(revoked_found(b, &longer, NOW_MS));
	assert_int_equal(compare(a, b), 0);
	assert_int_equal(compare(b, a), 1);
	assert_equal(a, b);
	/* One that was lifted while the node was off is lifted there too. */
	struct revoked *c = revoked_new(&KEY, 3, 100);
	change(a, "bob", REVOKED_LIFTED_S);
	assert_true(revoked_found(c, &old, NOW_MS));
	assert_int_equal(compare(c, a), 0);
	compare(a, c);
	assert_equal(a, c);
	revoked_free(a);
	revoked_free(b);
	revoked_free(c);
}

static void test_what_is_over_is_forgotten(void **state)
{
	(void)state;
	struct revoked *a = revoked_new(&KEY, 1, 100);
	change(a, "soon", NOW_S + 5);
	change(a, "lifted", REVOKED_LIFTED_S);
	change(a, "ever", EVER);
	revoked_expire(a, NOW_MS + 4999);
	assert_int_equal(revoked_count(a), 3);
	revoked_expire(a, NOW_MS + 5000);
	assert_int_equal(revoked_count(a), 2);
	revoked_expire(a, NOW_MS + (REVOKED_LIFTED_FOR_S + 2) * 1000ull);
	assert_int_equal(revoked_count(a), 1);
	revoked_free(a);
}

static void test_limit(void **state)
{
	(void)state;
	struct revoked *a = revoked_new(&KEY, 1, 2);
	change(a, "1", EVER);
	change(a, "2", EVER);
	struct revoked_item third = item_of("3", EVER);
	struct stamp stamp;
	assert_false(revoked_change(a, &third, NOW_MS, &stamp));
	assert_false(stamp_is_none(stamp));
	change(a, "1", REVOKED_LIFTED_S);
	assert_true(revoked_change(a, &third, NOW_MS, &stamp));
	revoked_free(a);
}

static void test_random_nodes_end_the_same(void **state)
{
	(void)state;
	struct random random = {99};
	enum { NODES = 3 };
	struct revoked *nodes[NODES];
	for (uint64_t i = 0; i < NODES; i++)
		nodes[i] = revoked_new(&KEY, i, 1000);
	for (uint32_t step = 0; step < 2000; step++) {
		char id[16];
		snprintf(id, sizeof(id), "user-%u", random_below(&random, 200));
		int64_t until_s = random_below(&random, 3) == 0 ? REVOKED_LIFTED_S : NOW_S + 100 + step;
		uint32_t node = random_below(&random, NODES);
		struct revoked_item item = change(nodes[node], id, until_s);
		for (uint32_t i = 0; i < NODES; i++)
			if (i != node && random_below(&random, 3) == 0)
				revoked_take(nodes[i], &item, NOW_MS);
	}
	for (unsigned round = 0; round < 2; round++)
		for (uint32_t i = 0; i < NODES; i++)
			for (uint32_t j = 0; j < NODES; j++)
				compare(nodes[i], nodes[j]);
	assert_equal(nodes[0], nodes[1]);
	assert_equal(nodes[0], nodes[2]);
	for (uint32_t i = 0; i < NODES; i++)
		revoked_free(nodes[i]);
}

static void test_bytes(void **state)
{
	(void)state;
	uint8_t bytes[64];
	struct revoked_item item = item_of("dave", EVER), read;
	item.stamp = (struct stamp){.time = 5, .node = 6};
	size_t size = revoked_item_write(&item, bytes);
	assert_int_equal(size, REVOKED_ITEM_HEAD_BYTES + 4);
	for (size_t cut = 0; cut < size; cut++) {
		struct slice part = slice_of(bytes, cut);
		assert_false(revoked_item_read(&part, &read));
	}
	struct slice whole = slice_of(bytes, size);
	assert_true(revoked_item_read(&whole, &read));
	assert_true(slice_equal(read.id, item.id));
	assert_int_equal(read.until_s, EVER);
	assert_int_equal(stamp_compare(read.stamp, item.stamp), 0);
	bytes[0] = REVOKED_KINDS;
	whole = slice_of(bytes, size);
	assert_false(revoked_item_read(&whole, &read));
	bytes[0] = 0;
	bytes[8] = 0x80; /* before 1970 */
	whole = slice_of(bytes, size);
	assert_false(revoked_item_read(&whole, &read));
	uint64_t digest[REVOKED_PARTS] = {0}, parts;
	assert_false(revoked_digest_read(slice_of(bytes, 8), digest, &parts));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_last_change_wins),
		cmocka_unit_test(test_what_a_node_knew_before_is_believed),
		cmocka_unit_test(test_what_is_over_is_forgotten),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_random_nodes_end_the_same),
		cmocka_unit_test(test_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
