/* The mark of a copy that was taken over, and what waits for a replica's word. */
#include "commit/confirms.h"
#include "commit/follow/mark.h"
#include "sim_disk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void a_mark_is_there_or_not(void **state)
{
	(void)state;
	struct sim_disk *sim = sim_disk_new();
	struct mark put = {.store_id = {0xab, 1}, .epoch = 3, .commit = 77, .sessions = MARK_UNDERWAY}, got;
	assert_int_equal(mark_load(&sim->disk, &got), ERROR_NOT_FOUND);
	assert_int_equal(mark_save(&sim->disk, &put), ERROR_OK);
	assert_int_equal(mark_load(&sim->disk, &got), ERROR_OK);
	assert_memory_equal(&put, &got, sizeof(put));
	put.sessions = 12;
	assert_int_equal(mark_save(&sim->disk, &put), ERROR_OK);
	assert_int_equal(mark_load(&sim->disk, &got), ERROR_OK);
	assert_int_equal(got.sessions, 12);
	/* Whenever the power fails it is the one or the other. */
	unsigned seed = 1;
	for (size_t count = 0; count <= sim->count; count++) {
		struct sim_disk *cut = sim_disk_cut(sim, count, SIM_SOME, &seed);
		enum error error = mark_load(&cut->disk, &got);
		assert_true(error == ERROR_NOT_FOUND || (error == ERROR_OK && got.commit == 77));
		sim_disk_free(cut);
	}
	assert_int_equal(mark_remove(&sim->disk), ERROR_OK);
	assert_int_equal(mark_load(&sim->disk, &got), ERROR_NOT_FOUND);
	assert_int_equal(mark_remove(&sim->disk), ERROR_OK);
	sim_disk_free(sim);
}

static void what_is_no_mark_is_none(void **state)
{
	(void)state;
	static const char *const TEXTS[] = {
		"",
		"taken",
		"taken 1 2 3 \n",
		"taken 1 2 3 ab\n",
		"taken 1 2 3 000102030405060708090a0b0c0d0e0f",
		"taken 1 2 000102030405060708090a0b0c0d0e0f\n",
		"taken x 2 3 000102030405060708090a0b0c0d0e0f\n",
	};
	for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
		struct sim_disk *sim = sim_disk_new();
		struct disk_file *file;
		struct mark got;
		const struct disk *disk = &sim->disk;
		assert_int_equal(disk->operations->open(disk->context, MARK_NAME, true, &file), 0);
		assert_int_equal(disk->operations->write(disk->context, file, TEXTS[i], strlen(TEXTS[i]), 0), 0);
		disk->operations->close(disk->context, file);
		assert_int_equal(mark_load(disk, &got), ERROR_NOT_FOUND);
		sim_disk_free(sim);
	}
}

static void confirms_come_in_order(void **state)
{
	(void)state;
	struct confirms confirms = {.count = 0};
	assert_int_equal(confirms_take(&confirms, UINT64_MAX), 0);
	confirms_add(&confirms, 5, 10);
	confirms_add(&confirms, 6, 10);
	confirms_add(&confirms, 9, 12);
	assert_int_equal(confirms_take(&confirms, 9), 0);
	assert_int_equal(confirms_take(&confirms, 11), 6);
	assert_int_equal(confirms_take(&confirms, 11), 0);
	assert_int_equal(confirms_take(&confirms, UINT64_MAX), 9);
}

/* The last one waits for more than it needs: nothing is confirmed too early. */
static void many_confirms_share_a_place(void **state)
{
	(void)state;
	struct confirms confirms = {.count = 0};
	for (uint64_t i = 1; i <= 3 * CONFIRMS_MAX; i++)
		confirms_add(&confirms, i, i);
	for (uint64_t i = 1; i < CONFIRMS_MAX; i++)
		assert_int_equal(confirms_take(&confirms, i), i);
	assert_int_equal(confirms_take(&confirms, 3 * CONFIRMS_MAX - 1), 0);
	assert_int_equal(confirms_take(&confirms, 3 * CONFIRMS_MAX), 3 * CONFIRMS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mark_is_there_or_not),
		cmocka_unit_test(what_is_no_mark_is_none),
		cmocka_unit_test(confirms_come_in_order),
		cmocka_unit_test(many_confirms_share_a_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
