/* The real disk: what is written is read, names and locks are the directory's, and what others could change is refused.
 */
#include "store/format/disk.h"

#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct scene {
	struct scratch scratch;
	char path[SCRATCH_PATH_BYTES];
	struct disk disk;
};

static int set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	const char *why;
	scene->scratch = scratch_open();
	scratch_path(&scene->scratch, "store", scene->path);
	assert_int_equal(disk_open_directory(&scene->disk, scene->path, false, &why), -ENOENT);
	assert_int_equal(disk_open_directory(&scene->disk, scene->path, true, &why), 0);
	*state = scene;
	return 0;
}

static void remove_all(void *argument, const char *name)
{
	struct scene *scene = argument;
	assert_int_equal(scene->disk.operations->remove(scene->disk.context, name), 0);
}

static int tear_down(void **state)
{
	struct scene *scene = *state;
	scene->disk.operations->list(scene->disk.context, remove_all, scene);
	disk_close_directory(&scene->disk);
	disk_close_directory(&scene->disk); /* closed: nothing */
	assert_int_equal(rmdir(scene->path), 0);
	scratch_close(&scene->scratch);
	free(scene);
	return 0;
}

static struct disk_file *make_file(const struct scene *scene, const char *name)
{
	struct disk_file *file;
	assert_int_equal(scene->disk.operations->open(scene->disk.context, name, true, &file), 0);
	return file;
}

static void test_bytes_are_read_as_written(void **state)
{
	const struct scene *scene = *state;
	const struct disk_operations *operations = scene->disk.operations;
	void *context = scene->disk.context;
	struct disk_file *file = make_file(scene, "a");
	char bytes[16];
	size_t got;
	uint64_t size;
	assert_int_equal(operations->write(context, file, "world", 5, 6), 0);
	assert_int_equal(operations->write(context, file, "hello ", 6, 0), 0);
	assert_int_equal(operations->sync(context, file), 0);
	assert_int_equal(operations->size(context, file, &size), 0);
	assert_int_equal(size, 11);
	operations->close(context, file);
	assert_int_equal(operations->open(context, "a", true, &file), -EEXIST);
	assert_null(file);
	assert_int_equal(operations->open(context, "a", false, &file), 0);
	assert_int_equal(operations->read(context, file, bytes, sizeof(bytes), 0, &got), 0);
	assert_int_equal(got, 11);
	assert_memory_equal(bytes, "hello world", 11);
	assert_int_equal(operations->read(context, file, bytes, sizeof(bytes), 11, &got), 0);
	assert_int_equal(got, 0);
	assert_int_equal(operations->truncate(context, file, 5), 0);
	assert_int_equal(operations->allocate(context, file, 4096), 0);
	assert_int_equal(operations->read(context, file, bytes, 8, 0, &got), 0);
	assert_int_equal(got, 8);
	assert_memory_equal(bytes, "hello\0\0\0", 8);
	struct stat status;
	assert_int_equal(stat(scene->path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0700);
	operations->close(context, file);
}

static void count_name(void *argument, const char *name)
{
	int *counts = argument;
	counts[strcmp(name, "b") == 0 ? 0 : 1]++;
}

/* Whether the file system knows its holes or not. */
static void test_data_is_never_passed_over(void **state)
{
	const struct scene *scene = *state;
	const struct disk_operations *operations = scene->disk.operations;
	void *context = scene->disk.context;
	struct disk_file *file = make_file(scene, "a");
	const uint64_t far = 3u << 20, size = 5u << 20;
	uint64_t next;
	assert_int_equal(operations->next_data(context, file, 0, &next), 0);
	assert_int_equal(next, 0); /* the end */
	assert_int_equal(operations->allocate(context, file, size), 0);
	assert_int_equal(operations->truncate(context, file, size), 0);
	assert_int_equal(operations->write(context, file, "x", 1, far), 0);
	for (uint64_t at = 0; at < far; at = next + 4096) {
		assert_int_equal(operations->next_data(context, file, at, &next), 0);
		assert_true(next >= at && next <= far);
	}
	assert_int_equal(operations->next_data(context, file, far, &next), 0);
	assert_int_equal(next, far);
	assert_int_equal(operations->next_data(context, file, size, &next), 0);
	assert_int_equal(next, size);
	operations->close(context, file);
}

static void test_names(void **state)
{
	const struct scene *scene = *state;
	const struct disk_operations *operations = scene->disk.operations;
	void *context = scene->disk.context;
	operations->close(context, make_file(scene, "a"));
	assert_int_equal(operations->rename(context, "a", "b"), 0);
	assert_int_equal(operations->sync_names(context), 0);
	for (int i = 0; i < 2; i++) { /* from the beginning each time */
		int counts[2] = {0};
		assert_int_equal(operations->list(context, count_name, counts), 0);
		assert_int_equal(counts[0], 1);
		assert_int_equal(counts[1], 0);
	}
	assert_int_equal(operations->remove(context, "a"), -ENOENT);
	assert_int_equal(operations->rename(context, "a", "c"), -ENOENT);
	struct disk_file *file;
	assert_int_equal(operations->open(context, "a", false, &file), -ENOENT);
	uint64_t room = 0;
	assert_int_equal(operations->room(context, &room), 0);
	assert_true(room > 0);
}

static void test_only_plain_files_are_opened(void **state)
{
	const struct scene *scene = *state;
	char path[SCRATCH_PATH_BYTES + 16];
	struct disk_file *file;
	snprintf(path, sizeof(path), "%s/link", scene->path);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(scene->disk.operations->open(scene->disk.context, "link", false, &file), -ELOOP);
	snprintf(path, sizeof(path), "%s/fifo", scene->path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(scene->disk.operations->open(scene->disk.context, "fifo", false, &file), -EINVAL);
}

/* The kernel writes up to the limit, and then refuses: a short write is gone on with, and the reason told. */
static void test_a_write_that_stops_half_way(void **state)
{
	const struct scene *scene = *state;
	struct disk_file *file = make_file(scene, "a");
	pid_t child = fork();
	if (child == 0) {
		static const uint8_t BYTES[8192];
		struct rlimit limit = {.rlim_cur = 6000, .rlim_max = 6000};
		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &limit);
		int error = scene->disk.operations->write(scene->disk.context, file, BYTES, sizeof(BYTES), 0);
		_exit(error == -EFBIG ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	uint64_t size;
	assert_int_equal(scene->disk.operations->size(scene->disk.context, file, &size), 0);
	assert_int_equal(size, 6000);
	scene->disk.operations->close(scene->disk.context, file);
}

static void test_one_process_has_the_lock(void **state)
{
	struct scene *scene = *state;
	int holder;
	assert_int_equal(disk_lock(&scene->disk, &holder), 0);
	/* Of another description of the same file, as another process has it. */
	struct disk other;
	const char *why;
	assert_int_equal(disk_open_directory(&other, scene->path, false, &why), 0);
	assert_int_equal(disk_lock(&other, &holder), -EAGAIN);
	assert_int_equal(holder, getpid());
	disk_close_directory(&scene->disk);
	assert_int_equal(disk_lock(&other, &holder), 0);
	scene->disk = other;
}

static bool outlives_execve(int descriptor)
{
	return (fcntl(descriptor, F_GETFD) & FD_CLOEXEC) == 0;
}

/* From one program to the next; in between nobody else gets it. */
static void test_the_lock_is_handed_over(void **state)
{
	struct scene *scene = *state;
	int holder;
	const char *why;
	struct disk other, next;
	assert_int_equal(disk_lock(&scene->disk, &holder), 0);
	struct disk_descriptors kept = disk_keep(&scene->disk, false);
	assert_true(!outlives_execve(kept.directory) && !outlives_execve(kept.lock));
	disk_keep(&scene->disk, true);
	assert_true(outlives_execve(kept.directory) && outlives_execve(kept.lock));
	/* What execve() leaves of it. */
	disk_leave(&scene->disk);
	assert_int_equal(disk_open_directory(&other, scene->path, false, &why), 0);
	assert_int_equal(disk_lock(&other, &holder), -EAGAIN);
	assert_int_equal(holder, getpid());
	assert_int_equal(disk_take(&next, scene->path, kept, &why), 0);
	assert_null(why);
	disk_keep(&next, false);
	assert_true(!outlives_execve(kept.directory) && !outlives_execve(kept.lock));
	scene->disk.operations = NULL;
	struct disk_file *file;
	assert_int_equal(next.operations->open(next.context, "a", true, &file), 0);
	next.operations->close(next.context, file);
	disk_close_directory(&next);
	assert_int_equal(disk_lock(&other, &holder), 0);
	scene->disk = other;
}

static void test_another_directory_is_not_taken_over(void **state)
{
	struct scene *scene = *state;
	int holder;
	const char *why;
	char path[SCRATCH_PATH_BYTES + 16];
	struct disk next;
	assert_int_equal(disk_lock(&scene->disk, &holder), 0);
	struct disk_descriptors kept = disk_keep(&scene->disk, false);
	snprintf(path, sizeof(path), "%s/other", scene->path);
	assert_int_equal(disk_take(&next, path, kept, &why), -ENOENT);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(disk_take(&next, path, kept, &why), -EINVAL);
	assert_non_null(strstr(why, "not the directory"));
	assert_int_equal(rmdir(path), 0);
	/* Somebody has put another lock file there. */
	snprintf(path, sizeof(path), "%s/lock", scene->path);
	assert_int_equal(unlink(path), 0);
	scene->disk.operations->close(scene->disk.context, make_file(scene, "lock"));
	assert_int_equal(disk_take(&next, scene->path, kept, &why), -EINVAL);
	assert_non_null(strstr(why, "its lock is not the one"));
}

static void test_a_directory_of_others_is_refused(void **state)
{
	struct scene *scene = *state;
	struct disk other;
	const char *why;
	assert_int_equal(chmod(scene->path, 0720), 0);
	assert_int_equal(disk_open_directory(&other, scene->path, true, &why), -EPERM);
	assert_non_null(strstr(why, "chmod go-w"));
	assert_int_equal(chmod(scene->path, 0755), 0);
	assert_int_equal(disk_open_directory(&other, scene->path, true, &why), 0);
	assert_null(why);
	disk_close_directory(&other);
	char path[SCRATCH_PATH_BYTES + 16];
	snprintf(path, sizeof(path), "%s/a", scene->path);
	scene->disk.operations->close(scene->disk.context, make_file(scene, "a"));
	assert_int_equal(disk_open_directory(&other, path, true, &why), -ENOTDIR);
	if (geteuid() == 0) {
		assert_int_equal(chown(scene->path, 65534, 65534), 0);
		assert_int_equal(disk_open_directory(&other, scene->path, true, &why), -EPERM);
		assert_non_null(strstr(why, "another user owns it"));
		/* As a tool does that makes none. */
		assert_int_equal(disk_open_directory(&other, scene->path, false, &why), 0);
		disk_close_directory(&other);
		assert_int_equal(chown(scene->path, 0, 0), 0);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bytes_are_read_as_written),
		TEST(data_is_never_passed_over),
		TEST(names),
		TEST(only_plain_files_are_opened),
		TEST(a_write_that_stops_half_way),
		TEST(one_process_has_the_lock),
		TEST(the_lock_is_handed_over),
		TEST(another_directory_is_not_taken_over),
		TEST(a_directory_of_others_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
