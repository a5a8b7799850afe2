/* Whole files: read with limits and a look at who else may, put in another's place, appended to. */
#include "base/file.h"

#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define BYTES_MAX 100000u

struct scene {
	struct scratch scratch;
	char path[SCRATCH_PATH_BYTES];
};

static int scene_open(void **state)
{
	static struct scene scene;
	scene.scratch = scratch_open();
	scratch_path(&scene.scratch, "file", scene.path);
	*state = &scene;
	return 0;
}

static int scene_close(void **state)
{
	struct scene *scene = *state;
	scratch_close(&scene->scratch);
	return 0;
}

static void write_file(const char *path, struct slice content, mode_t mode)
{
	FILE *stream = fopen(path, "wb");
	assert_non_null(stream);
	assert_int_equal(fwrite(content.data, 1, content.size, stream), content.size);
	assert_int_equal(fclose(stream), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void assert_content(const char *path, struct slice wanted)
{
	uint8_t *data;
	size_t size;
	const char *fault = file_read(path, BYTES_MAX, FILE_PUBLIC, &data, &size);
	if (fault != NULL)
		fail_msg("%s", fault);
	assert_true(slice_equal(slice_of(data, size), wanted));
	assert_int_equal(data[size], '\0');
	free(data);
}

static mode_t mode_of(const char *path)
{
	struct stat status;
	assert_int_equal(stat(path, &status), 0);
	return status.st_mode & 07777;
}

static void test_files_of_all_sizes(void **state)
{
	struct scene *scene = *state;
	static const size_t SIZES[] = {0, 1, 100, 16383, 16384, 16385, 65536, BYTES_MAX - 1, BYTES_MAX};
	uint8_t *content = test_malloc(BYTES_MAX + 1);
	for (size_t i = 0; i <= BYTES_MAX; i++)
		content[i] = (uint8_t)(i * 131);
	for (size_t i = 0; i < sizeof(SIZES) / sizeof(SIZES[0]); i++) {
		write_file(scene->path, slice_of(content, SIZES[i]), 0644);
		assert_content(scene->path, slice_of(content, SIZES[i]));
	}
	uint8_t *data;
	size_t size;
	write_file(scene->path, slice_of(content, BYTES_MAX + 1), 0644);
	assert_string_equal(file_read(scene->path, BYTES_MAX, FILE_PUBLIC, &data, &size), "it is too large");
	assert_null(data);
	test_free(content);
}

static const struct {
	mode_t mode;
	enum file_secrecy secrecy;
	const char *fault; /* NULL: it is read */
} MODES[] = {
	{0600, FILE_SECRET, NULL},
	{0400, FILE_SECRET, NULL},
	{0640, FILE_SECRET, NULL},
	{0660, FILE_SECRET, "its group may write"},
	{0644, FILE_SECRET, "everyone may read"},
	{0604, FILE_SECRET, "everyone may read"},
	{0602, FILE_SECRET, "everyone may write"},
	{0644, FILE_PUBLIC, NULL},
	{0664, FILE_PUBLIC, NULL},
	{0666, FILE_PUBLIC, "everyone may write"},
};

static void test_who_else_may(void **state)
{
	struct scene *scene = *state;
	for (size_t i = 0; i < sizeof(MODES) / sizeof(MODES[0]); i++) {
		uint8_t *data;
		size_t size;
		write_file(scene->path, slice_string("x"), MODES[i].mode);
		const char *fault = file_read(scene->path, BYTES_MAX, MODES[i].secrecy, &data, &size);
		if (MODES[i].fault == NULL)
			assert_null(fault);
		else if (fault == NULL || strstr(fault, MODES[i].fault) == NULL)
			fail_msg("%o: %s", MODES[i].mode, fault);
		free(data);
		assert_int_equal(chmod(scene->path, 0600), 0);
	}
}

static void test_what_cannot_be_read(void **state)
{
	struct scene *scene = *state;
	uint8_t *data;
	size_t size;
	assert_non_null(strstr(file_read(scene->path, BYTES_MAX, FILE_PUBLIC, &data, &size), "No such file"));
	assert_null(data);
	assert_string_equal(file_read(scene->scratch.directory, BYTES_MAX, FILE_PUBLIC, &data, &size),
			    "it is a directory");
}

/* A secret may come through a pipe: there nobody else can look. */
static void test_pipe(void **state)
{
	(void)state;
	int ends[2];
	char path[64];
	uint8_t *data;
	size_t size;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "secret", 6), 6);
	close(ends[1]);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[0]);
	assert_null(file_read(path, BYTES_MAX, FILE_SECRET, &data, &size));
	assert_true(slice_equal(slice_of(data, size), slice_string("secret")));
	free(data);
	close(ends[0]);
}

static void test_new_files(void **state)
{
	struct scene *scene = *state;
	assert_null(file_replace(scene->path, slice_string("one"), FILE_SECRET));
	assert_content(scene->path, slice_string("one"));
	assert_int_equal(mode_of(scene->path), 0600);
	assert_int_equal(unlink(scene->path), 0);
	assert_null(file_replace(scene->path, slice_string(""), FILE_PUBLIC));
	assert_content(scene->path, slice_string(""));
	assert_int_equal(mode_of(scene->path), 0644);
}

static void test_a_file_hands_its_mode_on(void **state)
{
	struct scene *scene = *state;
	write_file(scene->path, slice_string("old"), 0640);
	assert_null(file_replace(scene->path, slice_string("new"), FILE_SECRET));
	assert_content(scene->path, slice_string("new"));
	assert_int_equal(mode_of(scene->path), 0640);
}

/* Whoever has the old one open still reads it, whole. */
static void test_the_old_file_is_not_touched(void **state)
{
	struct scene *scene = *state;
	write_file(scene->path, slice_string("old"), 0600);
	FILE *old = fopen(scene->path, "rb");
	assert_null(file_replace(scene->path, slice_string("new"), FILE_SECRET));
	char content[8] = "";
	assert_int_equal(fread(content, 1, sizeof(content) - 1, old), 3);
	assert_string_equal(content, "old");
	fclose(old);
}

static void test_what_a_link_leads_to_is_replaced(void **state)
{
	struct scene *scene = *state;
	char link[SCRATCH_PATH_BYTES];
	write_file(scene->path, slice_string("old"), 0600);
	assert_int_equal(symlink("file", scratch_path(&scene->scratch, "link", link)), 0);
	assert_null(file_replace(link, slice_string("new"), FILE_SECRET));
	assert_content(scene->path, slice_string("new"));
	struct stat status;
	assert_int_equal(lstat(link, &status), 0);
	assert_true(S_ISLNK(status.st_mode));
}

static void test_what_cannot_be_replaced(void **state)
{
	(void)state;
	char path[5000];
	assert_non_null(strstr(file_replace("/nonexistent/file", slice_string("x"), FILE_SECRET), "No such file"));
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_string_equal(file_replace(path, slice_string("x"), FILE_SECRET), "its path is too long");
	assert_string_equal(file_replace("/dev/null", slice_string("x"), FILE_SECRET),
			    "it is there, and no regular file");
	struct stat status;
	assert_int_equal(stat("/dev/null", &status), 0);
	assert_true(S_ISCHR(status.st_mode));
}

static void test_appending(void **state)
{
	struct scene *scene = *state;
	int descriptor;
	assert_null(file_append_open(scene->path, &descriptor));
	assert_int_equal(mode_of(scene->path), 0600);
	assert_null(file_append(descriptor, slice_string("one ")));
	assert_null(file_append(descriptor, slice_string("two")));
	file_append_close(descriptor);
	assert_content(scene->path, slice_string("one two"));
	assert_null(file_append_open(scene->path, &descriptor));
	assert_null(file_append_cut(descriptor, 4));
	assert_null(file_append(descriptor, slice_string("three")));
	file_append_close(descriptor);
	assert_content(scene->path, slice_string("one three"));
}

static void test_appending_where_it_cannot_be(void **state)
{
	(void)state;
	int descriptor;
	assert_non_null(strstr(file_append_open("/nonexistent/file", &descriptor), "No such file"));
	assert_int_equal(descriptor, -1);
	assert_null(file_append_open("/dev/full", &descriptor));
	assert_non_null(strstr(file_append(descriptor, slice_string("x")), "No space left"));
	file_append_close(descriptor);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, scene_open, scene_close)
	const struct CMUnitTest tests[] = {
		TEST(test_files_of_all_sizes),
		TEST(test_who_else_may),
		TEST(test_what_cannot_be_read),
		cmocka_unit_test(test_pipe),
		TEST(test_new_files),
		TEST(test_a_file_hands_its_mode_on),
		TEST(test_the_old_file_is_not_touched),
		TEST(test_what_a_link_leads_to_is_replaced),
		cmocka_unit_test(test_what_cannot_be_replaced),
		TEST(test_appending),
		cmocka_unit_test(test_appending_where_it_cannot_be),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
