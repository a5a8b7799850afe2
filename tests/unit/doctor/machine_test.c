/* Made-up machines, read whole: what is there, what is missing and what is nonsense. */
#include "fake_root.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_known(const struct machine *machine, enum fact fact, uint64_t value)
{
	struct reading reading = machine->facts[fact];
	if (reading.state != READING_KNOWN || reading.value != value)
		fail_msg("%s: state %d, value %llu", machine_path(fact), (int)reading.state,
			 (unsigned long long)reading.value);
}

static void assert_state(const struct machine *machine, enum fact fact, enum reading_state state)
{
	if (machine->facts[fact].state != state)
		fail_msg("%s: state %d, value %llu", machine_path(fact), (int)machine->facts[fact].state,
			 (unsigned long long)machine->facts[fact].value);
}

static void test_debian_as_installed(void **state)
{
	(void)state;
	struct fake_root fake = fake_root_make(FAKE_DEBIAN);
	struct machine *machine = fake_root_machine(&fake);
	assert_known(machine, FACT_DESCRIPTORS_SOFT, 1024);
	assert_known(machine, FACT_DESCRIPTORS_HARD, 1048576);
	assert_known(machine, FACT_PROCESSES, 31000);
	assert_state(machine, FACT_ADDRESS_SPACE, READING_UNLIMITED);
	assert_state(machine, FACT_FILE_MAX, READING_UNLIMITED);
	assert_known(machine, FACT_FILES_USED, 1504);
	assert_known(machine, FACT_PORT_FIRST, 32768);
	assert_known(machine, FACT_PORT_LAST, 60999);
	assert_known(machine, FACT_TCP_PAGES, 182466);
	assert_known(machine, FACT_WRITE_MAX, 4194304);
	assert_known(machine, FACT_TCP_SOCKETS, 40);
	assert_known(machine, FACT_MEMORY_AVAILABLE, (uint64_t)6291456 * 1024);
	assert_known(machine, FACT_THREADS_USED, 217);
	assert_known(machine, FACT_CORES, 4);
	assert_known(machine, FACT_GROUP_TASKS, 20480);
	assert_state(machine, FACT_GROUP_MEMORY, READING_UNLIMITED);
	assert_state(machine, FACT_GROUP_CPU, READING_ABSENT);
	assert_known(machine, FACT_LINK_MBIT, 1000);
	/* systemd's own default, for a unit that says nothing. */
	assert_true(machine->has_unit);
	assert_known(machine, FACT_DESCRIPTORS_SERVICE, 524288);
	assert_state(machine, FACT_DESCRIPTORS_LOGIN, READING_ABSENT);
	assert_string_equal(machine->huge_pages, "[always] madvise never");
	assert_string_equal(machine->clock_source, "tsc");
	assert_false(machine_may_raise(machine));
	uint64_t socket = machine->facts[FACT_SOCKET_BYTES].value;
	assert_true(socket > 3500 && socket < 4200);
	machine_free(machine);
	fake_root_remove(&fake);
}

static void test_container(void **state)
{
	(void)state;
	struct fake_root fake = fake_root_make(FAKE_CONTAINER);
	struct machine *machine = fake_root_machine(&fake);
	assert_known(machine, FACT_DESCRIPTORS_HARD, 4096);
	assert_known(machine, FACT_SECCOMP, 2);
	assert_known(machine, FACT_CORES, 16);
	assert_known(machine, FACT_GROUP_MEMORY, 536870912);
	assert_known(machine, FACT_GROUP_MEMORY_USED, 52428800);
	assert_known(machine, FACT_GROUP_TASKS, 100);
	assert_known(machine, FACT_GROUP_CPU, 500);
	/* Not to be seen in a network namespace of its own. */
	assert_state(machine, FACT_TCP_PAGES, READING_ABSENT);
	assert_state(machine, FACT_CONNTRACK_MAX, READING_ABSENT);
	assert_state(machine, FACT_SOCKET_BYTES, READING_ABSENT);
	assert_state(machine, FACT_LINK_MBIT, READING_ABSENT);
	assert_false(machine->has_unit);
	assert_state(machine, FACT_DESCRIPTORS_SERVICE, READING_ABSENT);
	assert_false(machine_may_raise(machine));
	machine_free(machine);
	fake_root_remove(&fake);
}

static void test_tuned_server(void **state)
{
	(void)state;
	struct fake_root fake = fake_root_make(FAKE_TUNED);
	struct machine *machine = fake_root_machine(&fake);
	assert_known(machine, FACT_CORES, 64);
	assert_known(machine, FACT_NR_OPEN, 4194304);
	assert_known(machine, FACT_OVERCOMMIT, 2);
	assert_true(machine_may_raise(machine));
	machine_free(machine);
	fake_root_remove(&fake);
}

static void test_empty_tree_knows_nothing(void **state)
{
	(void)state;
	static const struct fake_file NOTHING[] = {{NULL, NULL}};
	struct fake_root fake = fake_root_make(NOTHING);
	struct machine *machine = fake_root_machine(&fake);
	for (int i = 0; i < FACT_COUNT; i++) {
		if (i != FACT_PRIVATE_TABLES && i != FACT_FIXED_FILES)
			assert_state(machine, (enum fact)i, READING_ABSENT);
	}
	assert_string_equal(machine->huge_pages, "");
	machine_free(machine);
	fake_root_remove(&fake);
}

/* Every single file in turn says something that is no number: that figure is unknown, and no other one changes. */
static void test_nonsense_in_every_file(void **state)
{
	(void)state;
	static const char *const NONSENSE[] = {"",        "\n", "-1\n", "garbage\n", "99999999999999999999999999\n",
					       "\xff\xfe"};
	for (size_t n = 0; n < sizeof(NONSENSE) / sizeof(NONSENSE[0]); n++) {
		struct fake_root fake = fake_root_make(FAKE_DEBIAN);
		for (const struct fake_file *file = FAKE_DEBIAN; file->path != NULL; file++)
			fake_root_write(&fake, file->path, NONSENSE[n]);
		struct machine *machine = fake_root_machine(&fake);
		for (int i = 0; i < FACT_COUNT; i++) {
			enum fact fact = (enum fact)i;
			if (fact == FACT_PRIVATE_TABLES || fact == FACT_FIXED_FILES ||
			    fact == FACT_DESCRIPTORS_SERVICE || fact == FACT_HUGE_PAGES || fact == FACT_CLOCK_SOURCE)
				continue;
			if (machine->facts[i].state == READING_KNOWN)
				fail_msg("%s is known from \"%s\"", machine_path(fact), NONSENSE[n]);
		}
		assert_state(machine, FACT_FILE_MAX, READING_UNREADABLE);
		assert_state(machine, FACT_MEMORY_AVAILABLE, READING_ABSENT);
		machine_free(machine);
		fake_root_remove(&fake);
	}
}

static void test_max_where_a_number_is_usual(void **state)
{
	(void)state;
	struct fake_root fake = fake_root_make(FAKE_DEBIAN);
	fake_root_write(&fake, "/proc/sys/fs/nr_open", "max\n");
	struct machine *machine = fake_root_machine(&fake);
	assert_state(machine, FACT_NR_OPEN, READING_UNLIMITED);
	machine_free(machine);
	fake_root_remove(&fake);
}

static void test_overlong_files(void **state)
{
	(void)state;
	size_t size = ROOT_FILE_BYTES_MAX + 100;
	char *digits = malloc(size + 1);
	assert_non_null(digits);
	memset(digits, '7', size);
	digits[size] = '\0';
	struct fake_root fake = fake_root_make(FAKE_DEBIAN);
	fake_root_write(&fake, "/proc/sys/fs/file-max", digits);
	fake_root_write(&fake, "/sys/devices/system/clocksource/clocksource0/current_clocksource", digits);
	struct machine *machine = fake_root_machine(&fake);
	assert_state(machine, FACT_FILE_MAX, READING_UNREADABLE);
	assert_int_equal(strlen(machine->clock_source), MACHINE_WORDS_BYTES - 1);
	machine_free(machine);
	fake_root_remove(&fake);
	free(digits);
}

/* The unit in /etc stands before the one of the package; drop-ins of both count, by their names. */
static void test_units_and_drop_ins(void **state)
{
	(void)state;
	struct fake_root fake = fake_root_make(FAKE_DEBIAN);
	fake_root_write(&fake, "/etc/systemd/system.conf", "[Manager]\nDefaultLimitNOFILE=1024:2000\n");
	struct machine *machine = fake_root_machine(&fake);
	assert_known(machine, FACT_DESCRIPTORS_SERVICE, 2000);
	machine_free(machine);

	fake_root_write(&fake, "/lib/systemd/system/roost.service", "[Service]\nLimitNOFILE=3000\n");
	fake_root_write(&fake, "/etc/systemd/system/roost.service", "[Service]\nLimitNOFILE=4000\nTasksMax=10%\n");
	machine = fake_root_machine(&fake);
	assert_known(machine, FACT_DESCRIPTORS_SERVICE, 4000);
	assert_known(machine, FACT_TASKS_SERVICE, 6300);
	machine_free(machine);

	fake_root_write(&fake, "/etc/systemd/system/roost.service.d/90-b.conf", "[Service]\nLimitNOFILE=6000\n");
	fake_root_write(&fake, "/etc/systemd/system/roost.service.d/10-a.conf",
			"[Service]\nLimitNOFILE=5000\nMemoryMax=50%\n");
	fake_root_write(&fake, "/etc/systemd/system/roost.service.d/99-notes", "[Service]\nLimitNOFILE=7000\n");
	machine = fake_root_machine(&fake);
	assert_known(machine, FACT_DESCRIPTORS_SERVICE, 6000);
	assert_known(machine, FACT_MEMORY_SERVICE, (uint64_t)8142516 * 1024 / 2);
	machine_free(machine);
	fake_root_remove(&fake);
}

static void test_logins_in_order(void **state)
{
	(void)state;
	struct fake_root fake = fake_root_make(FAKE_DEBIAN);
	fake_root_write(&fake, "/etc/security/limits.conf", "* hard nofile 10\n");
	fake_root_write(&fake, "/etc/security/limits.d/20-b.conf", "* hard nofile 30\n");
	fake_root_write(&fake, "/etc/security/limits.d/10-a.conf", "* hard nofile 20\n");
	struct machine *machine = fake_root_machine(&fake);
	assert_known(machine, FACT_DESCRIPTORS_LOGIN, 30);
	machine_free(machine);
	fake_root_remove(&fake);
}

/* Nothing can be tried on another machine: what its files do not refuse is allowed. */
static void test_what_cannot_be_tried(void **state)
{
	(void)state;
	static const struct {
		const char *disabled;
		bool works;
	} CASES[] = {{NULL, true}, {"0\n", true}, {"1\n", false}, {"2\n", false}, {"garbage\n", true}};
	struct fake_root fake = fake_root_make(FAKE_DEBIAN);
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		if (CASES[i].disabled != NULL)
			fake_root_write(&fake, "/proc/sys/kernel/io_uring_disabled", CASES[i].disabled);
		struct machine *machine = fake_root_machine(&fake);
		assert_known(machine, FACT_FIXED_FILES, CASES[i].works);
		assert_known(machine, FACT_PRIVATE_TABLES, 1);
		machine_free(machine);
	}
	fake_root_remove(&fake);
}

/* Here what was tried counts, whatever files say: a privileged process may do it where the kernel refuses others. */
static void test_what_was_tried(void **state)
{
	(void)state;
	struct fake_root fake = fake_root_make(FAKE_CONTAINER);
	struct root root = {.prefix = fake.prefix};
	for (int tried = 0; tried < 4; tried++) {
		bool private_tables = (tried & 1) != 0;
		bool fixed_files = (tried & 2) != 0;
		struct machine_probes probes = {
			.private_tables = private_tables, .fixed_files = fixed_files, .page_bytes = 4096};
		struct machine *machine = machine_read(&root, &probes);
		assert_non_null(machine);
		assert_known(machine, FACT_PRIVATE_TABLES, private_tables);
		assert_known(machine, FACT_FIXED_FILES, fixed_files);
		assert_known(machine, FACT_IO_URING_DISABLED, 2);
		machine_free(machine);
	}
	fake_root_remove(&fake);
}

/* This very machine: whatever it is, /proc says how many cores and how much memory. */
static void test_the_machine_itself(void **state)
{
	(void)state;
	struct root root = {.prefix = ""};
	struct machine_probes probes = {.private_tables = true, .page_bytes = 4096};
	struct machine *machine = machine_read(&root, &probes);
	assert_non_null(machine);
	assert_state(machine, FACT_CORES, READING_KNOWN);
	assert_state(machine, FACT_MEMORY_TOTAL, READING_KNOWN);
	assert_true(machine->facts[FACT_MEMORY_AVAILABLE].value <= machine->facts[FACT_MEMORY_TOTAL].value);
	assert_true(machine->facts[FACT_DESCRIPTORS_HARD].state >= READING_UNLIMITED);
	machine_free(machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_debian_as_installed),    cmocka_unit_test(test_container),
		cmocka_unit_test(test_tuned_server),           cmocka_unit_test(test_empty_tree_knows_nothing),
		cmocka_unit_test(test_nonsense_in_every_file), cmocka_unit_test(test_max_where_a_number_is_usual),
		cmocka_unit_test(test_overlong_files),         cmocka_unit_test(test_units_and_drop_ins),
		cmocka_unit_test(test_logins_in_order),        cmocka_unit_test(test_what_cannot_be_tried),
		cmocka_unit_test(test_what_was_tried),         cmocka_unit_test(test_the_machine_itself),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
