/* Control groups of both versions: the tightest level on the way up counts. */
#include "fake_root.h"

#include "doctor/machine/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct cgroup read_tree(const struct fake_file *files)
{
	struct fake_root fake = fake_root_make(files);
	struct root root = {.prefix = fake.prefix};
	struct cgroup group;
	cgroup_read(&root, fake.buffer, &group);
	fake_root_remove(&fake);
	return group;
}

static void assert_known(struct reading reading, uint64_t value)
{
	assert_int_equal(reading.state, READING_KNOWN);
	assert_true(reading.value == value);
}

static void test_version_2_takes_the_tightest_level(void **state)
{
	(void)state;
	static const struct fake_file FILES[] = {
		{"/proc/self/cgroup", "0::/a/b/c\n"},
		{"/sys/fs/cgroup/a/b/c/memory.max", "max\n"},
		{"/sys/fs/cgroup/a/b/c/memory.current", "5\n"},
		{"/sys/fs/cgroup/a/b/memory.max", "3000\n"},
		{"/sys/fs/cgroup/a/b/memory.current", "1000\n"},
		{"/sys/fs/cgroup/a/b/memory.stat", "active_file 7\ninactive_file 400\n"},
		{"/sys/fs/cgroup/a/memory.max", "5000\n"},
		{"/sys/fs/cgroup/a/memory.current", "4000\n"},
		{"/sys/fs/cgroup/a/b/c/pids.max", "max\n"},
		{"/sys/fs/cgroup/a/b/c/pids.current", "3\n"},
		{"/sys/fs/cgroup/a/b/c/cpu.max", "max 100000\n"},
		{"/sys/fs/cgroup/a/b/cpu.max", "250000 100000\n"},
		{"/sys/fs/cgroup/a/cpu.max", "300000 100000\n"},
		{NULL, NULL},
	};
	struct cgroup group = read_tree(FILES);
	/* 5000 - 4000 is less than 3000 - (1000 - 400). */
	assert_known(group.memory_max, 5000);
	assert_known(group.memory_used, 4000);
	assert_int_equal(group.tasks_max.state, READING_UNLIMITED);
	assert_known(group.tasks_used, 3);
	assert_known(group.cpu_milli, 2500);
}

static void test_version_1(void **state)
{
	(void)state;
	static const struct fake_file FILES[] = {
		{"/proc/self/cgroup", "9:name=systemd:/\n8:pids:/x\n4:hugetlb,memory:/x/y\n2:cpu,cpuacct:/x\n0::/\n"},
		{"/sys/fs/cgroup/memory/x/y/memory.limit_in_bytes", "1000\n"},
		{"/sys/fs/cgroup/memory/x/y/memory.usage_in_bytes", "700\n"},
		{"/sys/fs/cgroup/memory/x/y/memory.stat", "inactive_file 9\ntotal_inactive_file 100\n"},
		{"/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"},
		{"/sys/fs/cgroup/pids/x/pids.max", "64\n"},
		{"/sys/fs/cgroup/pids/x/pids.current", "4\n"},
		{"/sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "150000\n"},
		{"/sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000\n"},
		{"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"},
		{"/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"},
		{NULL, NULL},
	};
	struct cgroup group = read_tree(FILES);
	assert_known(group.memory_max, 1000);
	assert_known(group.memory_used, 600);
	assert_known(group.tasks_max, 64);
	assert_known(group.cpu_milli, 1500);
}

/* The container sees its own group at the mount, and the path of the host, or one above its root. */
static void test_paths_that_are_not_there(void **state)
{
	(void)state;
	static const char *const CGROUPS[] = {"0::/docker/0123\n", "0::/../other\n", "0::/\n"};
	for (size_t i = 0; i < 3; i++) {
		struct fake_file files[] = {
			{"/proc/self/cgroup", CGROUPS[i]},
			{"/sys/fs/cgroup/memory.max", "1000\n"},
			{"/sys/fs/cgroup/memory.current", "100\n"},
			{NULL, NULL},
		};
		assert_known(read_tree(files).memory_max, 1000);
	}
}

static void test_nothing_and_nonsense(void **state)
{
	(void)state;
	static const struct fake_file NOTHING[] = {{NULL, NULL}};
	struct cgroup group = read_tree(NOTHING);
	assert_int_equal(group.memory_max.state, READING_ABSENT);
	assert_int_equal(group.tasks_max.state, READING_ABSENT);
	assert_int_equal(group.cpu_milli.state, READING_ABSENT);

	static const struct fake_file NONSENSE[] = {
		{"/proc/self/cgroup", "\n::\n0::/a\n"},
		{"/sys/fs/cgroup/a/memory.max", "-5\n"},
		{"/sys/fs/cgroup/a/pids.max", ""},
		{"/sys/fs/cgroup/a/cpu.max", "5 0\n"},
		{NULL, NULL},
	};
	group = read_tree(NONSENSE);
	assert_int_equal(group.memory_max.state, READING_UNREADABLE);
	assert_int_equal(group.tasks_max.state, READING_UNREADABLE);
	assert_int_equal(group.cpu_milli.state, READING_UNREADABLE);
}

static void test_lines_of_proc_self_cgroup(void **state)
{
	(void)state;
	struct slice path;
	struct slice text = slice_string("3:cpu,cpuacct:/a:b\n2:memory:/m\n0::/two\n");
	assert_true(cgroup_path(text, "cpuacct", &path));
	assert_true(text_is(path, "/a:b"));
	assert_true(cgroup_path(text, "", &path));
	assert_true(text_is(path, "/two"));
	assert_false(cgroup_path(text, "pids", &path));
	assert_false(cgroup_path(text, "mem", &path));
	assert_false(cgroup_path(slice_string("memory\n:\n5\n"), "memory", &path));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_version_2_takes_the_tightest_level), cmocka_unit_test(test_version_1),
		cmocka_unit_test(test_paths_that_are_not_there),           cmocka_unit_test(test_nothing_and_nonsense),
		cmocka_unit_test(test_lines_of_proc_self_cgroup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
