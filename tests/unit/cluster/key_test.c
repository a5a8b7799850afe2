/* Keys that all nodes of a cluster make alike. */
#include "cluster/common/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_keys_are_the_clusters_and_the_uses(void **state)
{
	(void)state;
	struct hash_key a = cluster_key(slice_string("a"), CLUSTER_KEY_RETAINED);
	struct hash_key again = cluster_key(slice_string("a"), CLUSTER_KEY_RETAINED);
	struct hash_key use = cluster_key(slice_string("a"), CLUSTER_KEY_NODE);
	struct hash_key other = cluster_key(slice_string("b"), CLUSTER_KEY_RETAINED);
	assert_memory_equal(&a, &again, sizeof(a));
	assert_memory_not_equal(&a, &use, sizeof(a));
	assert_memory_not_equal(&a, &other, sizeof(a));
	assert_memory_not_equal(a.bytes, a.bytes + 8, 8);
}

static void test_nodes_of_a_name_have_a_hash(void **state)
{
	(void)state;
	uint64_t a = cluster_node_hash(slice_string("cluster"), slice_string("a"));
	assert_int_equal(a, cluster_node_hash(slice_string("cluster"), slice_string("a")));
	assert_int_not_equal(a, cluster_node_hash(slice_string("cluster"), slice_string("b")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys_are_the_clusters_and_the_uses),
		cmocka_unit_test(test_nodes_of_a_name_have_a_hash),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
