/* Files below a prefix: read whole but bounded, written only where they are, listed in order. */
#include "fake_root.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct fake_file FILES[] = {
	{"/proc/a", "text\n"}, {"/etc/d/20-b.conf", ""}, {"/etc/d/10-a.conf", ""},
	{"/etc/d/notes", ""},  {"/etc/d/.conf", ""},     {NULL, NULL},
};

static void test_read_and_write(void **state)
{
	(void)state;
	struct fake_root fake = fake_root_make(FILES);
	struct root root = {.prefix = fake.prefix};
	struct slice text;
	assert_int_equal(root_read(&root, "/proc/a", fake.buffer, &text), ERROR_OK);
	assert_true(slice_equal(text, slice_string("text\n")));
	assert_int_equal(root_write(&root, "/proc/a", "new"), ERROR_OK);
	assert_int_equal(root_read(&root, "/proc/a", fake.buffer, &text), ERROR_OK);
	assert_true(slice_equal(text, slice_string("new")));

	assert_int_equal(root_read(&root, "/proc/none", fake.buffer, &text), ERROR_SYSTEM);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(text.size, 0);
	assert_int_equal(root_read(&root, "/proc", fake.buffer, &text), ERROR_SYSTEM);
	assert_int_equal(errno, EISDIR);
	assert_int_equal(root_write(&root, "/proc/none", "new"), ERROR_SYSTEM);
	assert_int_equal(errno, ENOENT);
	fake_root_remove(&fake);
}

static void test_long_files_are_cut_and_long_paths_refused(void **state)
{
	(void)state;
	struct fake_root fake = fake_root_make(FILES);
	struct root root = {.prefix = fake.prefix};
	struct slice text;
	char *large = malloc(ROOT_FILE_BYTES_MAX + 5000);
	assert_non_null(large);
	memset(large, 'x', ROOT_FILE_BYTES_MAX + 4999);
	large[ROOT_FILE_BYTES_MAX + 4999] = '\0';
	fake_root_write(&fake, "/proc/large", large);
	assert_int_equal(root_read(&root, "/proc/large", fake.buffer, &text), ERROR_OK);
	assert_int_equal(text.size, ROOT_FILE_BYTES_MAX);
	large[5000] = '\0';
	large[0] = '/';
	assert_int_equal(root_read(&root, large, fake.buffer, &text), ERROR_SYSTEM);
	assert_int_equal(errno, ENAMETOOLONG);
	free(large);
	fake_root_remove(&fake);
}

#define SEEN_BYTES 256

static void note(void *context, const char *path)
{
	char *seen = context;
	size_t size = strlen(seen);
	snprintf(seen + size, SEEN_BYTES - size, "%s ", path);
}

static void test_list_is_in_order(void **state)
{
	(void)state;
	struct fake_root fake = fake_root_make(FILES);
	struct root root = {.prefix = fake.prefix};
	char seen[SEEN_BYTES] = "";
	root_list(&root, "/etc/d", ".conf", note, seen);
	assert_string_equal(seen, "/etc/d/10-a.conf /etc/d/20-b.conf ");
	seen[0] = '\0';
	root_list(&root, "/etc/none", ".conf", note, seen);
	assert_string_equal(seen, "");
	fake_root_remove(&fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_and_write),
		cmocka_unit_test(test_long_files_are_cut_and_long_paths_refused),
		cmocka_unit_test(test_list_is_in_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
