/* What breaks first on made-up machines, and that what is said to fix it does. */
#include "fake_root.h"

#include "doctor/limits/verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct scene {
	struct fake_root fake;
	struct machine *machine;
	struct verdict verdict;
};

static struct scene *scene_new(const struct fake_file *files)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	assert_non_null(scene);
	scene->fake = fake_root_make(files);
	return scene;
}

static void scene_judge(struct scene *scene, uint64_t connections)
{
	machine_free(scene->machine);
	scene->machine = fake_root_machine(&scene->fake);
	verdict_make(&scene->verdict, scene->machine, connections);
}

static void scene_free(struct scene *scene)
{
	machine_free(scene->machine);
	fake_root_remove(&scene->fake);
	free(scene);
}

static const struct finding *find(const struct scene *scene, const char *key)
{
	for (uint32_t i = 0; i < scene->verdict.count; i++) {
		if (strcmp(scene->verdict.findings[i].limit->key, key) == 0)
			return &scene->verdict.findings[i];
	}
	fail_msg("no limit \"%s\"", key);
	return NULL;
}

static void assert_first(const struct scene *scene, const char *key, bool fits)
{
	assert_non_null(scene->verdict.first);
	assert_string_equal(scene->verdict.first->limit->key, key);
	assert_true(scene->verdict.fits == fits);
}

static void test_table_is_whole(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < LIMIT_TABLE_SIZE; i++) {
		const struct limit *limit = &LIMITS[i];
		char path[LIMIT_PATH_BYTES];
		assert_non_null(limit->key);
		assert_non_null(limit->breaks);
		assert_true((limit->kind == LIMIT_ADVICE) == (limit->need == NULL));
		assert_true(limit->kind == LIMIT_ADVICE || limit->good == NULL);
		if (limit->way == FIX_WORDS || limit->way == FIX_SERVICE)
			assert_non_null(limit->fix);
		/* A sysctl's key names the file that its fact is read from. */
		if (limit->way == FIX_SYSCTL) {
			assert_true(limit_path(limit, path));
			assert_string_equal(path, machine_path(limit->fact));
		}
		for (uint32_t j = 0; j < i; j++)
			assert_string_not_equal(limit->key, LIMITS[j].key);
	}
}

static void test_order(void **state)
{
	(void)state;
	struct scene *scene = scene_new(FAKE_DEBIAN);
	scene_judge(scene, 1000000);
	for (uint32_t i = 1; i < scene->verdict.count; i++) {
		const struct finding *before = &scene->verdict.findings[i - 1];
		const struct finding *here = &scene->verdict.findings[i];
		assert_true(before->limit->kind <= here->limit->kind);
		if (before->limit->kind == here->limit->kind)
			assert_true(before->allows <= here->allows);
	}
	scene_free(scene);
}

static void test_debian_as_installed(void **state)
{
	(void)state;
	struct scene *scene = scene_new(FAKE_DEBIAN);
	scene_judge(scene, 0);
	/* 262,144 less the 44 that are tracked already. */
	assert_first(scene, "net.netfilter.nf_conntrack_max", true);
	assert_int_equal(scene->verdict.holds, 262100);
	scene_judge(scene, 262100);
	assert_true(scene->verdict.fits);
	scene_judge(scene, 262101);
	assert_first(scene, "net.netfilter.nf_conntrack_max", false);
	assert_int_equal(find(scene, "net.netfilter.nf_conntrack_max")->state, FINDING_SHORT);
	assert_int_equal(find(scene, "memory")->state, FINDING_FINE);
	assert_int_equal(find(scene, "transparent huge pages")->state, FINDING_SHORT);
	assert_int_equal(find(scene, "clock source")->state, FINDING_FINE);
	assert_int_equal(find(scene, "net.ipv4.tcp_mem")->state, FINDING_SHORT);
	scene_judge(scene, 2000000);
	assert_int_equal(find(scene, "memory")->state, FINDING_SHORT);
	assert_int_equal(find(scene, "fs.epoll.max_user_watches")->state, FINDING_SHORT);
	assert_int_equal(find(scene, "descriptors, hard")->state, FINDING_FINE);
	scene_free(scene);
}

/* The module is there, but no rule asks for tracking: there are sockets, and none is counted. */
static void test_conntrack_that_tracks_nothing(void **state)
{
	(void)state;
	struct scene *scene = scene_new(FAKE_DEBIAN);
	fake_root_write(&scene->fake, "/proc/sys/net/netfilter/nf_conntrack_count", "0\n");
	scene_judge(scene, 1000000);
	assert_true(find(scene, "net.netfilter.nf_conntrack_max")->allows == VERDICT_UNBOUNDED);
	/* No sockets at all: nothing is shown by none being counted. */
	fake_root_write(&scene->fake, "/proc/net/sockstat", "TCP: inuse 0 orphan 0\n");
	scene_judge(scene, 1000000);
	assert_int_equal(find(scene, "net.netfilter.nf_conntrack_max")->allows, 262144);
	scene_free(scene);
}

/* The chains grow beyond two sockets, which costs time and turns nobody away. */
static void test_hash_buckets(void **state)
{
	(void)state;
	struct scene *scene = scene_new(FAKE_DEBIAN);
	scene_judge(scene, 1000000);
	const struct finding *buckets = find(scene, "net.ipv4.tcp_ehash_entries");
	assert_int_equal(buckets->state, FINDING_SHORT);
	assert_true(buckets->allows >= 524288 && buckets->allows < 524290);
	scene_judge(scene, 500000);
	assert_int_equal(find(scene, "net.ipv4.tcp_ehash_entries")->state, FINDING_FINE);
	scene_free(scene);
}

static void test_container(void **state)
{
	(void)state;
	struct scene *scene = scene_new(FAKE_CONTAINER);
	scene_judge(scene, 200000);
	/* 512 MiB, less what is used, hold some 100,000 sockets. */
	assert_first(scene, "memory, control group", false);
	assert_true(scene->verdict.holds > 90000 && scene->verdict.holds < 120000);
	assert_int_equal(find(scene, "clock source")->state, FINDING_SHORT);
	/* 128 are 38,400 who come back within a minute. */
	assert_int_equal(find(scene, "net.core.somaxconn")->allows, 38400);
	/* Without the module there is no bound, and no complaint; what a container does not show is not known. */
	assert_int_equal(find(scene, "net.netfilter.nf_conntrack_max")->state, FINDING_FINE);
	assert_int_equal(find(scene, "net.ipv4.tcp_mem")->state, FINDING_UNKNOWN);
	/* 4096 descriptors in each of 93 shards: the tasks of the group bound it before the 1024 shards do. */
	const struct finding *tasks = find(scene, "tasks, control group");
	assert_true(tasks->allows > 250000 && tasks->allows < 350000);
	scene_free(scene);
}

static void test_refused_private_tables(void **state)
{
	(void)state;
	struct scene *scene = scene_new(FAKE_CONTAINER);
	scene_judge(scene, 10000);
	assert_int_equal(find(scene, "private descriptor tables")->state, FINDING_FINE);
	assert_int_equal(find(scene, "descriptors, hard")->state, FINDING_FINE);
	scene->machine->facts[FACT_PRIVATE_TABLES] = reading_known(0);
	verdict_make(&scene->verdict, scene->machine, 10000);
	assert_first(scene, "descriptors, hard", false);
	assert_true(scene->verdict.holds > 2900 && scene->verdict.holds < 4096);
	assert_int_equal(find(scene, "private descriptor tables")->state, FINDING_SHORT);
	scene_free(scene);
}

/* Where the tables of one shard a core hold them nothing is to be gained by io_uring, and nothing is said. */
static void test_refused_fixed_files(void **state)
{
	(void)state;
	struct scene *scene = scene_new(FAKE_CONTAINER);
	/* 16 tables of 4096. */
	scene_judge(scene, 50000);
	assert_int_equal(find(scene, "io_uring fixed files")->state, FINDING_FINE);
	assert_int_equal(find(scene, "kernel.io_uring_disabled")->state, FINDING_FINE);
	/* The kernel's setting is the cause, and setting it fixes it. */
	scene_judge(scene, 80000);
	assert_int_equal(find(scene, "io_uring fixed files")->state, FINDING_FINE);
	const struct finding *disabled = find(scene, "kernel.io_uring_disabled");
	assert_int_equal(disabled->state, FINDING_SHORT);
	assert_true(disabled->fixable);
	fake_root_write(&scene->fake, "/proc/sys/kernel/io_uring_disabled", disabled->wanted);
	uint64_t tasks = find(scene, "tasks, control group")->allows;
	scene_judge(scene, 80000);
	assert_int_equal(find(scene, "kernel.io_uring_disabled")->state, FINDING_FINE);
	assert_int_equal(find(scene, "io_uring fixed files")->state, FINDING_FINE);
	assert_true(tasks < VERDICT_UNBOUNDED);
	assert_true(find(scene, "tasks, control group")->allows == VERDICT_UNBOUNDED);
	/* The setting is none, and it is refused nevertheless: a profile of seccomp, or an old kernel. */
	scene->machine->facts[FACT_FIXED_FILES] = reading_known(0);
	verdict_make(&scene->verdict, scene->machine, 80000);
	assert_int_equal(find(scene, "io_uring fixed files")->state, FINDING_SHORT);
	assert_false(find(scene, "io_uring fixed files")->fixable);
	assert_int_equal(find(scene, "kernel.io_uring_disabled")->state, FINDING_FINE);
	scene_free(scene);
}

static void test_tuned_server(void **state)
{
	(void)state;
	struct scene *scene = scene_new(FAKE_TUNED);
	scene_judge(scene, 3000000);
	assert_true(scene->verdict.fits);
	assert_int_equal(find(scene, "net.core.somaxconn")->state, FINDING_FINE);
	assert_int_equal(find(scene, "net.ipv4.tcp_mem")->state, FINDING_FINE);
	/* It turned the cookies off, so the other queue counts. */
	assert_int_equal(find(scene, "net.ipv4.tcp_syncookies")->state, FINDING_SHORT);
	assert_true(find(scene, "net.ipv4.tcp_max_syn_backlog")->allows < VERDICT_UNBOUNDED);
	/* Strict accounting bounds what may be promised. */
	assert_true(find(scene, "vm.overcommit_memory")->allows < VERDICT_UNBOUNDED);
	fake_root_write(
		&scene->fake, "/proc/meminfo",
		"MemTotal: 65536000 kB\nMemAvailable: 60000000 kB\nCommitLimit: 2000000 kB\nCommitted_AS: 500000 kB\n");
	scene_judge(scene, 10000000);
	assert_first(scene, "vm.overcommit_memory", false);
	scene_free(scene);
}

static void test_nothing_known_bounds_nothing(void **state)
{
	(void)state;
	static const struct fake_file NOTHING[] = {{NULL, NULL}};
	struct scene *scene = scene_new(NOTHING);
	scene_judge(scene, 1000000);
	assert_null(scene->verdict.first);
	assert_true(scene->verdict.fits);
	assert_int_equal(find(scene, "memory")->state, FINDING_UNKNOWN);
	assert_int_equal(find(scene, "fs.file-max")->state, FINDING_UNKNOWN);
	assert_int_equal(find(scene, "memory, service")->state, FINDING_FINE);
	fake_root_write(&scene->fake, "/proc/sys/fs/file-max", "lots\n");
	scene_judge(scene, 1000000);
	assert_int_equal(find(scene, "fs.file-max")->state, FINDING_UNKNOWN);
	scene_free(scene);
}

/* Each sysctl is set to almost nothing in turn; with what is wanted written in its place it is no longer too low. */
static void test_what_is_wanted_fixes_it(void **state)
{
	(void)state;
	uint32_t tried = 0;
	for (uint32_t i = 0; i < LIMIT_TABLE_SIZE; i++) {
		const struct limit *limit = &LIMITS[i];
		if (limit->way != FIX_SYSCTL || (limit->kind != LIMIT_HOLDS && limit->kind != LIMIT_AT_ONCE))
			continue;
		struct scene *scene = scene_new(FAKE_TUNED);
		if (limit->fact == FACT_CONNTRACK_MAX)
			fake_root_write(&scene->fake, "/proc/sys/net/netfilter/nf_conntrack_count", "5\n");
		bool lower = limit->words == 3 && limit->fact != FACT_TCP_PAGES;
		const char *bad = lower ? "4096 16384 99999999" : limit->words == 3 ? "1 2 3" : "2";
		fake_root_write(&scene->fake, machine_path(limit->fact), bad);
		if (limit->fact == FACT_OVERCOMMIT)
			fake_root_write(&scene->fake, "/proc/meminfo", "CommitLimit: 5 kB\n");
		scene_judge(scene, 2000000);
		const struct finding *finding = find(scene, limit->key);
		if (finding->state != FINDING_SHORT || !finding->fixable)
			fail_msg("%s: \"%s\" is not seen as too low", limit->key, bad);
		fake_root_write(&scene->fake, machine_path(limit->fact), finding->wanted);
		scene_judge(scene, 2000000);
		if (find(scene, limit->key)->state != FINDING_FINE)
			fail_msg("%s: what was wanted does not fix it", limit->key);
		scene_free(scene);
		tried++;
	}
	assert_true(tried > 8);
}

static void test_descriptors_wanted(void **state)
{
	(void)state;
	struct scene *scene = scene_new(FAKE_DEBIAN);
	fake_root_write(&scene->fake, "/proc/self/limits",
			"Max open files            64                 64              files\n");
	scene_judge(scene, 1000000);
	const struct finding *finding = find(scene, "descriptors, hard");
	assert_int_equal(finding->state, FINDING_SHORT);
	assert_string_equal(finding->wanted, "1048576");
	/* Not above what the kernel lets a limit be. */
	fake_root_write(&scene->fake, "/proc/sys/fs/nr_open", "300000\n");
	scene_judge(scene, 1000000);
	assert_string_equal(find(scene, "descriptors, hard")->wanted, "300000");
	scene_free(scene);
}

static void test_what_was_set_before(void **state)
{
	(void)state;
	char before[NEED_WANTED_BYTES];
	struct scene *scene = scene_new(FAKE_DEBIAN);
	scene_judge(scene, 1000000);
	assert_true(limit_before(find(scene, "net.ipv4.tcp_mem")->limit, scene->machine, before));
	assert_string_equal(before, "91233 121645 182466");
	assert_true(limit_before(find(scene, "net.ipv4.ip_local_port_range")->limit, scene->machine, before));
	assert_string_equal(before, "32768 60999");
	assert_true(limit_before(find(scene, "net.core.somaxconn")->limit, scene->machine, before));
	assert_string_equal(before, "4096");
	assert_true(limit_before(find(scene, "transparent huge pages")->limit, scene->machine, before));
	assert_string_equal(before, "always");
	assert_false(limit_before(find(scene, "memory")->limit, scene->machine, before));
	static const char *const BROKEN[] = {"always", "[", "[]", "[al;ways]", "[always", ""};
	for (size_t i = 0; i < sizeof(BROKEN) / sizeof(BROKEN[0]); i++) {
		snprintf(scene->machine->huge_pages, sizeof(scene->machine->huge_pages), "%s", BROKEN[i]);
		assert_false(limit_before(find(scene, "transparent huge pages")->limit, scene->machine, before));
	}
	fake_root_write(&scene->fake, "/proc/sys/net/ipv4/tcp_mem", "1 2\n");
	scene_judge(scene, 1000000);
	assert_false(limit_before(find(scene, "net.ipv4.tcp_mem")->limit, scene->machine, before));
	scene_free(scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table_is_whole),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_debian_as_installed),
		cmocka_unit_test(test_conntrack_that_tracks_nothing),
		cmocka_unit_test(test_hash_buckets),
		cmocka_unit_test(test_container),
		cmocka_unit_test(test_refused_private_tables),
		cmocka_unit_test(test_refused_fixed_files),
		cmocka_unit_test(test_tuned_server),
		cmocka_unit_test(test_nothing_known_bounds_nothing),
		cmocka_unit_test(test_what_is_wanted_fixes_it),
		cmocka_unit_test(test_descriptors_wanted),
		cmocka_unit_test(test_what_was_set_before),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
