/* What is set on a made-up machine, what cannot be, and what the script says. */
#include "fake_root.h"

#include "doctor/fix/fix.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

/* What one of the two writes about the machine of a tree. */
static char *script_of(const struct fake_root *fake, uint64_t connections)
{
	struct machine *machine = fake_root_machine(fake);
	struct verdict verdict;
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	assert_non_null(out);
	verdict_make(&verdict, machine, connections);
	fix_write_script(&verdict, out);
	fclose(out);
	machine_free(machine);
	return text;
}

static char *apply_to(const struct fake_root *fake, uint64_t connections, uint32_t *failed)
{
	struct root root = {.prefix = fake->prefix};
	struct machine *machine = fake_root_machine(fake);
	struct verdict verdict;
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	assert_non_null(out);
	verdict_make(&verdict, machine, connections);
	*failed = fix_apply(&verdict, &root, out);
	fclose(out);
	machine_free(machine);
	return text;
}

static void assert_says(const char *text, const char *wanted)
{
	if (strstr(text, wanted) == NULL)
		fail_msg("\"%s\" is not in:\n%s", wanted, text);
}

static void assert_file(struct fake_root *fake, const char *path, const char *wanted)
{
	char *text = fake_root_text(fake, path);
	assert_string_equal(text, wanted);
	free(text);
}

static void test_apply_sets_and_says_how_to_undo(void **state)
{
	(void)state;
	struct fake_root fake = fake_root_make(FAKE_DEBIAN);
	uint32_t failed;
	char *text = apply_to(&fake, 1000000, &failed);
	/* The kernel's command line. */
	assert_int_equal(failed, 1);
	assert_says(text, "net.ipv4.tcp_ehash_entries: not set: ");
	assert_says(text, "net.netfilter.nf_conntrack_max: 262144 -> 1125376\n"
			  "  undo: sysctl -w net.netfilter.nf_conntrack_max='262144'\n");
	assert_says(text, "net.ipv4.tcp_mem: 91233 121645 182466 -> ");
	assert_says(text, "  undo: sysctl -w net.ipv4.tcp_mem='91233 121645 182466'\n");
	assert_says(text, "  undo: echo always > /sys/kernel/mm/transparent_hugepage/enabled\n");
	assert_file(&fake, "/proc/sys/net/netfilter/nf_conntrack_max", "1125376");
	assert_file(&fake, "/sys/kernel/mm/transparent_hugepage/enabled", "madvise");
	/* What was enough is left as it was. */
	assert_file(&fake, "/proc/sys/net/core/somaxconn", "4096\n");
	assert_file(&fake, "/proc/sys/fs/nr_open", "1048576\n");
	free(text);
	fake_root_remove(&fake);
}

static void test_apply_says_what_it_could_not_set(void **state)
{
	(void)state;
	struct fake_root fake = fake_root_make(FAKE_CONTAINER);
	char path[256];
	uint32_t failed;
	fake_root_write(&fake, "/proc/sys/fs/file-max", "5000\n");
	char *text = apply_to(&fake, 200000, &failed);
	assert_says(text, "fs.file-max: 5000 -> ");
	assert_says(text, "memory, control group: not set: to fix it: raise it where the container is started");
	assert_int_equal(failed, 1);
	free(text);

	fake_root_write(&fake, "/proc/sys/fs/file-max", "5000\n");
	struct machine *machine = fake_root_machine(&fake);
	struct verdict verdict;
	verdict_make(&verdict, machine, 200000);
	/* A directory cannot be written, not even by root. */
	fake_root_delete(&fake, "/proc/sys/fs/file-max");
	snprintf(path, sizeof(path), "%s/proc/sys/fs/file-max", fake.prefix);
	assert_int_equal(mkdir(path, 0755), 0);
	struct root root = {.prefix = fake.prefix};
	size_t size;
	FILE *out = open_memstream(&text, &size);
	assert_non_null(out);
	assert_int_equal(fix_apply(&verdict, &root, out), 2);
	fclose(out);
	assert_says(text, "fs.file-max: not set: /proc/sys/fs/file-max: Is a directory\n");
	free(text);
	machine_free(machine);
	fake_root_remove(&fake);
}

static void test_nothing_to_set_sets_nothing(void **state)
{
	(void)state;
	struct fake_root fake = fake_root_make(FAKE_TUNED);
	fake_root_write(&fake, "/proc/sys/net/ipv4/tcp_syncookies", "1\n");
	uint32_t failed;
	char *text = apply_to(&fake, 50000, &failed);
	assert_int_equal(failed, 0);
	assert_string_equal(text, "");
	free(text);
	fake_root_remove(&fake);
}

static void test_script_names_files_and_values(void **state)
{
	(void)state;
	struct fake_root fake = fake_root_make(FAKE_DEBIAN);
	fake_root_write(&fake, "/proc/self/limits",
			"Max open files            64                   64                   files     \n");
	char *text = script_of(&fake, 1000000);
	assert_says(text, "for 1000000 connections");
	assert_says(text, "write /etc/sysctl.d/90-roost.conf <<'EOF'\n");
	assert_says(text, "\nnet.netfilter.nf_conntrack_max = 1125376\n");
	assert_says(
		text,
		"write /etc/systemd/system/roost.service.d/90-roost.conf <<'EOF'\n[Service]\nLimitNOFILE=1048576\n");
	assert_says(text, "* hard nofile 1048576\nroot hard nofile 1048576\n");
	assert_says(text, "w /sys/kernel/mm/transparent_hugepage/enabled - - - - madvise\n");
	assert_says(text, "try sysctl -q -w net.netfilter.nf_conntrack_max='262144'\n");
	assert_says(text, "try set_file /sys/kernel/mm/transparent_hugepage/enabled always\n");
	free(text);
	fake_root_remove(&fake);
}

static void test_script_names_what_it_does_not_fix(void **state)
{
	(void)state;
	struct fake_root fake = fake_root_make(FAKE_CONTAINER);
	char *text = script_of(&fake, 1000000);
	assert_says(text, "not fixed by this script: memory, control group (raise it where the container is started");
	free(text);
	fake_root_remove(&fake);
}

/* Files of another machine may say anything: nothing of it comes into the script but numbers. */
static void test_script_takes_no_words_from_files(void **state)
{
	(void)state;
	struct fake_root fake = fake_root_make(FAKE_DEBIAN);
	fake_root_write(&fake, "/proc/sys/net/netfilter/nf_conntrack_max", "5 ; touch /tmp/x\n");
	fake_root_write(&fake, "/proc/sys/net/ipv4/tcp_mem", "'$(touch x)' 5 6\n");
	fake_root_write(&fake, "/sys/kernel/mm/transparent_hugepage/enabled", "[always] [$(touch x)]\n");
	char *text = script_of(&fake, 1000000);
	assert_null(strstr(text, "touch"));
	free(text);
	fake_root_remove(&fake);
}

static void test_words_for_each_way(void **state)
{
	(void)state;
	struct fake_root fake = fake_root_make(FAKE_DEBIAN);
	fake_root_write(&fake, "/etc/systemd/system/roost.service.d/a.conf", "[Service]\nTasksMax=3\nMemoryMax=1M\n");
	struct machine *machine = fake_root_machine(&fake);
	struct verdict verdict;
	verdict_make(&verdict, machine, 2000000);
	uint32_t described = 0;
	for (uint32_t i = 0; i < verdict.count; i++) {
		const struct finding *finding = &verdict.findings[i];
		char words[FIX_BYTES];
		if (finding->state != FINDING_SHORT)
			continue;
		fix_describe(finding, words);
		assert_string_not_equal(words, "");
		if (strcmp(finding->limit->key, "tasks, service") == 0)
			assert_says(words, "TasksMax=1024 in /etc/systemd/system/roost.service.d/90-roost.conf");
		if (strcmp(finding->limit->key, "net.netfilter.nf_conntrack_max") == 0)
			assert_says(words, "sysctl -w net.netfilter.nf_conntrack_max='");
		described++;
	}
	assert_true(described > 5);
	machine_free(machine);
	fake_root_remove(&fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_apply_sets_and_says_how_to_undo),
		cmocka_unit_test(test_apply_says_what_it_could_not_set),
		cmocka_unit_test(test_nothing_to_set_sets_nothing),
		cmocka_unit_test(test_script_names_files_and_values),
		cmocka_unit_test(test_script_names_what_it_does_not_fix),
		cmocka_unit_test(test_script_takes_no_words_from_files),
		cmocka_unit_test(test_words_for_each_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
