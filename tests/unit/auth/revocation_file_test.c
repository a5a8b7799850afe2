/* Revocations that survive a restart: what was said is there again, torn ends are cut off, and the file does not grow
 * for ever. */
#include "auth/revocation/revocation_file.h"

#include "base/file.h"
#include "scratch.h"

#include <linux/close_range.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW_S INT64_C(1700000000)
#define LIMIT 10000u

static const struct hash_key KEY = {{1}};

struct scene {
	struct scratch scratch;
	char path[SCRATCH_PATH_BYTES];
	struct revocations *table;
	struct revocation_file file;
	struct journal_result result;
};

static void start(struct scene *scene)
{
	scene->table = revocations_new(LIMIT, &KEY);
	const char *fault = revocation_file_open(&scene->file, scene->path, scene->table, NOW_S, &scene->result);
	if (fault != NULL)
		fail_msg("%s", fault);
}

static void stop(struct scene *scene)
{
	revocation_file_close(&scene->file);
	revocations_free(scene->table);
}

static void restart(struct scene *scene)
{
	stop(scene);
	start(scene);
}

static int scene_open(void **state)
{
	static struct scene scene;
	scene.scratch = scratch_open();
	scratch_path(&scene.scratch, "revocations", scene.path);
	start(&scene);
	*state = &scene;
	return 0;
}

static int scene_close(void **state)
{
	struct scene *scene = *state;
	stop(scene);
	scratch_close(&scene->scratch);
	return 0;
}

static enum revocation_change add(struct scene *scene, const char *id, int64_t until_s)
{
	enum revocation_change change;
	const char *fault;
	struct revocation revocation = {.kind = REVOCATION_USER, .id = slice_string(id), .until_s = until_s};
	assert_int_equal(revocation_file_add(&scene->file, &revocation, NOW_S, &change, &fault), ERROR_OK);
	if (fault != NULL)
		fail_msg("%s", fault);
	return change;
}

static bool has(const struct scene *scene, const char *id)
{
	return revocations_has(scene->table, REVOCATION_USER, slice_string(id), NOW_S);
}

static off_t file_bytes(const struct scene *scene)
{
	struct stat status;
	assert_int_equal(stat(scene->path, &status), 0);
	return status.st_size;
}

static void test_it_survives_a_restart(void **state)
{
	struct scene *scene = *state;
	assert_int_equal(add(scene, "alice", REVOKED_FOR_EVER), REVOCATION_ADDED);
	assert_int_equal(add(scene, "bob", NOW_S + 100), REVOCATION_ADDED);
	assert_int_equal(add(scene, "carol", REVOKED_FOR_EVER), REVOCATION_ADDED);
	assert_int_equal(add(scene, "carol", REVOCATION_LIFTED_S), REVOCATION_LIFTED);
	for (int round = 0; round < 2; round++) {
		restart(scene);
		assert_true(has(scene, "alice"));
		assert_true(has(scene, "bob"));
		assert_false(has(scene, "carol"));
		assert_int_equal(scene->result.lines, 4);
		assert_int_equal(scene->result.damaged, 0);
	}
}

static void test_only_its_owner_reads_it(void **state)
{
	struct scene *scene = *state;
	struct stat status;
	assert_int_equal(stat(scene->path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
}

static void test_no_change_no_line(void **state)
{
	struct scene *scene = *state;
	add(scene, "alice", REVOKED_FOR_EVER);
	off_t bytes = file_bytes(scene);
	assert_int_equal(add(scene, "alice", REVOKED_FOR_EVER), REVOCATION_UNCHANGED);
	assert_int_equal(add(scene, "over", NOW_S - 1), REVOCATION_UNCHANGED);
	assert_int_equal(file_bytes(scene), bytes);
}

static void test_a_torn_end_is_cut_off(void **state)
{
	struct scene *scene = *state;
	add(scene, "alice", REVOKED_FOR_EVER);
	off_t good = file_bytes(scene);
	add(scene, "bob", REVOKED_FOR_EVER);
	assert_int_equal(truncate(scene->path, file_bytes(scene) - 3), 0);
	restart(scene);
	assert_true(has(scene, "alice"));
	assert_false(has(scene, "bob"));
	assert_int_equal(file_bytes(scene), good);
	add(scene, "carol", REVOKED_FOR_EVER);
	restart(scene);
	assert_true(has(scene, "alice"));
	assert_true(has(scene, "carol"));
	assert_int_equal(scene->result.damaged, 0);
}

static size_t journal_lines(const struct scene *scene)
{
	uint8_t *data;
	size_t size, lines = 0;
	assert_null(file_read(scene->path, REVOCATION_FILE_BYTES_MAX, FILE_SECRET, &data, &size));
	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	free(data);
	return lines;
}

/* The same few, said again and again. */
static void test_it_is_written_anew_when_it_has_grown(void **state)
{
	struct scene *scene = *state;
	size_t most = 0;
	assert_int_equal(scene->file.spare_lines, REVOCATION_SPARE_LINES);
	scene->file.spare_lines = 20;
	add(scene, "expires", NOW_S + 1);
	for (unsigned i = 0; i < 200; i++) {
		char id[16];
		snprintf(id, sizeof(id), "u%u", i % 10);
		add(scene, id, NOW_S + 100 + i);
		most = journal_lines(scene) > most ? journal_lines(scene) : most;
	}
	/* Eleven are in force: twice that, the spare ones and the comment. */
	assert_int_equal(most, 2 * 11 + 20 + 1);
	restart(scene);
	assert_int_equal(revocations_count(scene->table), 11);
	for (unsigned i = 0; i < 10; i++) {
		char id[16];
		snprintf(id, sizeof(id), "u%u", i);
		assert_true(revocations_has(scene->table, REVOCATION_USER, slice_string(id), NOW_S + 100 + 189));
	}
}

static void test_faults_are_told(void **state)
{
	(void)state;
	struct revocation_file file;
	struct journal_result result;
	struct revocations *table = revocations_new(LIMIT, &KEY);
	const char *fault = revocation_file_open(&file, "/nonexistent/revocations", table, NOW_S, &result);
	assert_non_null(fault);
	assert_non_null(strstr(fault, "No such file"));
	assert_non_null(revocation_file_open(&file, "/", table, NOW_S, &result));
	revocations_free(table);
}

/* Whoever may write to it could let in whom it shuts out. */
static void test_a_file_that_everyone_may_write_to(void **state)
{
	struct scene *scene = *state;
	struct revocation_file file;
	struct journal_result result;
	struct revocations *table = revocations_new(LIMIT, &KEY);
	assert_int_equal(chmod(scene->path, 0666), 0);
	const char *fault = revocation_file_open(&file, scene->path, table, NOW_S, &result);
	assert_non_null(fault);
	assert_non_null(strstr(fault, "everyone may write"));
	revocations_free(table);
}

/* A device that is always full stands for a disk that is. */
static void test_a_full_disk(void **state)
{
	(void)state;
	struct revocations *table = revocations_new(LIMIT, &KEY);
	struct revocation_file file = {.path = strdup("/dev/full"), .revocations = table};
	struct revocation revocation = {
		.kind = REVOCATION_USER, .id = slice_string("alice"), .until_s = REVOKED_FOR_EVER};
	enum revocation_change change;
	const char *fault;
	assert_int_equal(revocation_file_add(&file, &revocation, NOW_S, &change, &fault), ERROR_OK);
	assert_non_null(fault);
	assert_non_null(strstr(fault, "No space left"));
	/* In force all the same. */
	assert_int_equal(change, REVOCATION_ADDED);
	assert_true(revocations_has(table, REVOCATION_USER, slice_string("alice"), NOW_S));
	revocation_file_close(&file);
	revocations_free(table);
}

/* What a failed write has left must not spoil the next line: the file is written anew. */
static void test_after_a_failed_write(void **state)
{
	struct scene *scene = *state;
	add(scene, "alice", REVOKED_FOR_EVER);
	int descriptor;
	assert_null(file_append_open(scene->path, &descriptor));
	assert_null(file_append(descriptor, slice_string("half a li")));
	file_append_close(descriptor);
	scene->file.torn = true;
	add(scene, "bob", REVOKED_FOR_EVER);
	assert_false(scene->file.torn);
	restart(scene);
	assert_true(has(scene, "alice"));
	assert_true(has(scene, "bob"));
	assert_int_equal(scene->result.damaged, 0);
}

/* Whoever is told that it was not written tries again: it is in force by then, and still has to be written. */
static void test_it_is_tried_again(void **state)
{
	struct scene *scene = *state;
	struct revocation revocation = {
		.kind = REVOCATION_USER, .id = slice_string("alice"), .until_s = REVOKED_FOR_EVER};
	enum revocation_change change;
	const char *fault;
	char *path = scene->file.path;
	char full[] = "/dev/full", nowhere[] = "/nonexistent/file";
	scene->file.path = full;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(revocation_file_add(&scene->file, &revocation, NOW_S, &change, &fault), ERROR_OK);
		assert_non_null(fault);
		assert_int_equal(change, i == 0 ? REVOCATION_ADDED : REVOCATION_UNCHANGED);
		scene->file.path = i == 0 ? nowhere : path;
	}
	assert_int_equal(add(scene, "alice", REVOKED_FOR_EVER), REVOCATION_UNCHANGED);
	restart(scene);
	assert_true(has(scene, "alice"));
}

/* As the admin side's thread has one. */
static void *add_from_a_table_of_its_own(void *argument)
{
	struct scene *scene = argument;
	assert_int_equal(close_range(3, ~0U, CLOSE_RANGE_UNSHARE), 0);
	add(scene, "bob", REVOKED_FOR_EVER);
	return NULL;
}

static void test_threads_with_tables_of_their_own(void **state)
{
	struct scene *scene = *state;
	/* The file grows so that it is written anew by either of them. */
	scene->file.spare_lines = 0;
	add(scene, "alice", REVOKED_FOR_EVER);
	for (uint32_t round = 0; round < 3; round++) {
		pthread_t thread;
		assert_int_equal(pthread_create(&thread, NULL, add_from_a_table_of_its_own, scene), 0);
		pthread_join(thread, NULL);
		add(scene, "alice", NOW_S + 100 + round);
		add(scene, "bob", NOW_S + 100 + round);
	}
	restart(scene);
	assert_true(has(scene, "alice"));
	assert_true(has(scene, "bob"));
	assert_int_equal(scene->result.damaged, 0);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, scene_open, scene_close)
	const struct CMUnitTest tests[] = {
		TEST(test_it_survives_a_restart),
		TEST(test_only_its_owner_reads_it),
		TEST(test_no_change_no_line),
		TEST(test_a_torn_end_is_cut_off),
		TEST(test_it_is_written_anew_when_it_has_grown),
		cmocka_unit_test(test_faults_are_told),
		TEST(test_a_file_that_everyone_may_write_to),
		cmocka_unit_test(test_a_full_disk),
		TEST(test_it_is_tried_again),
		TEST(test_after_a_failed_write),
		TEST(test_threads_with_tables_of_their_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
