/* Every way in which a file comes to have other bytes shows. */
#include "control/folder.h"
#include "control/tls/file_stamps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

static const char *changed(const struct folder *folder, struct file_stamps *stamps, const char *name)
{
	char path[PATH_MAX];
	const char *first = file_stamps_changed(stamps);
	if (first != NULL)
		assert_string_equal(first, folder_path(folder, name, path));
	file_stamps_clear(stamps);
	assert_true(file_stamps_note(stamps, folder_path(folder, name, path)));
	assert_null(file_stamps_changed(stamps));
	return first;
}

static void test_changes(void **state)
{
	const struct folder *folder = *state;
	struct file_stamps stamps = {.count = 0};
	char path[PATH_MAX];
	assert_null(changed(folder, &stamps, "file"));
	folder_write(folder, "file", "a", 1, 0600);
	assert_non_null(changed(folder, &stamps, "file"));
	folder_write(folder, "file", "ab", 2, 0600);
	assert_non_null(changed(folder, &stamps, "file"));
	folder_replace(folder, "file", "ab", 2, 0600);
	assert_non_null(changed(folder, &stamps, "file"));
	assert_null(changed(folder, &stamps, "file"));
	assert_int_equal(unlink(folder_path(folder, "file", path)), 0);
	assert_non_null(changed(folder, &stamps, "file"));
	folder_write(folder, "target", "ab", 2, 0600);
	folder_link(folder, "file", "target");
	assert_non_null(changed(folder, &stamps, "file"));
	folder_write(folder, "target", "abc", 3, 0600);
	assert_non_null(changed(folder, &stamps, "file"));
	file_stamps_clear(&stamps);
}

static void test_several_files(void **state)
{
	const struct folder *folder = *state;
	struct file_stamps stamps = {.count = 0};
	char path[PATH_MAX], name[32];
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 20; i++) {
			snprintf(name, sizeof(name), "file-%d", i);
			assert_true(file_stamps_note(&stamps, folder_path(folder, name, path)));
		}
	}
	assert_int_equal(stamps.count, 20); /* each once */
	assert_string_equal(file_stamps_path(&stamps, 19), path);
	/* The first look counts: a file that is named twice was read in between. */
	folder_write(folder, "file-7", "a", 1, 0600);
	assert_true(file_stamps_note(&stamps, folder_path(folder, "file-7", path)));
	assert_string_equal(file_stamps_changed(&stamps), path);
	file_stamps_clear(&stamps);
	assert_null(file_stamps_changed(&stamps));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_changes, folder_make, folder_remove),
		cmocka_unit_test_setup_teardown(test_several_files, folder_make, folder_remove),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
