/* What lies below a directory. */
#include "device/device.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const char MOUNTS[] = "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
			     "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard\n"
			     "30 27 0:44 / /data rw shared:1 master:2 - btrfs /dev/sdb1 rw\n"
			     "31 27 0:50 / /x rw - tmpfs\n";

static void test_the_mount_is_found_by_its_numbers(void **state)
{
	(void)state;
	char file_system[DEVICE_NAME_BYTES];
	char source[DEVICE_NAME_BYTES];
	assert_true(device_find_mount(MOUNTS, 254, 0, file_system, source));
	assert_string_equal(file_system, "ext4");
	assert_string_equal(source, "/dev/vda");
	assert_true(device_find_mount(MOUNTS, 0, 44, file_system, source));
	assert_string_equal(file_system, "btrfs");
	assert_string_equal(source, "/dev/sdb1");
	assert_true(device_find_mount(MOUNTS, 0, 50, file_system, source));
	assert_string_equal(file_system, "tmpfs");
	assert_string_equal(source, "");
	assert_false(device_find_mount(MOUNTS, 254, 1, file_system, source));
}

static void test_lines_that_are_none(void **state)
{
	(void)state;
	static const char *const texts[] = {"",    "\n\n",         "254:0", "1 2 254:0", "1 2 254:0 / / rw",
					    " - ", "1 2 254 - x y"};
	char file_system[DEVICE_NAME_BYTES];
	char source[DEVICE_NAME_BYTES];
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_false(device_find_mount(texts[i], 254, 0, file_system, source));
}

static void test_kinds_of_file_systems(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		enum device_kind kind;
	} known[] = {{"ext4", DEVICE_DISK},       {"xfs", DEVICE_DISK},     {"tmpfs", DEVICE_MEMORY},
		     {"overlay", DEVICE_OVERLAY}, {"nfs4", DEVICE_NETWORK}, {"fuse.sshfs", DEVICE_NETWORK},
		     {"fuseblk", DEVICE_NETWORK}, {"unknown", DEVICE_DISK}};
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		assert_int_equal(device_kind_of(known[i].name), known[i].kind);
}

static void test_a_directory_of_this_machine(void **state)
{
	(void)state;
	struct scratch scratch = scratch_open();
	struct device device;
	assert_int_equal(device_of(scratch.directory, &device), ERROR_OK);
	assert_true(device.size_bytes > 0 && device.free_bytes <= device.size_bytes);
	assert_true(device.file_system[0] != '\0');
	scratch_close(&scratch);
	assert_int_equal(device_of(scratch.directory, &device), ERROR_NOT_FOUND);
	assert_int_equal(device_of("/dev/shm", &device), ERROR_OK);
	assert_int_equal(device.kind, DEVICE_MEMORY);
	assert_false(device.has_stat);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_mount_is_found_by_its_numbers),
		cmocka_unit_test(test_lines_that_are_none),
		cmocka_unit_test(test_kinds_of_file_systems),
		cmocka_unit_test(test_a_directory_of_this_machine),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
