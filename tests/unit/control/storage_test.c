/* Whether a program can go on with the store of the one before, by what it says before anything stands still. */
#include "control/storage.h"
#include "runtime/settings/settings.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define SHARDS 2u

static struct store_options options_of(const char *directory)
{
	struct store_options options = {.sync_interval_ms = 100, .checkpoint_bytes = 64u << 20};
	snprintf(options.directory, sizeof(options.directory), "%s", directory);
	return options;
}

/* What the storage says of a program with these options; "": that it may follow. */
static const char *refusal_of(const struct storage *storage, const struct store_options *options)
{
	static struct store_refusal refusal;
	char text[STORAGE_TEXT_BYTES];
	refusal.why[0] = '\0';
	storage_describe(options, text);
	assert_null(strchr(text, '\n'));
	bool may_follow = storage_may_follow(storage, text, &refusal);
	assert_int_equal(may_follow, refusal.why[0] == '\0');
	return refusal.why;
}

static void the_same_directory_may_be_gone_on_with(void **state)
{
	(void)state;
	struct scratch scratch = scratch_open();
	char link[SCRATCH_PATH_BYTES + 8];
	struct store_options options = options_of(scratch.directory);
	struct storage storage = {.store = NULL};
	assert_int_equal(storage_open(&storage, &options, SHARDS, NULL), ERROR_OK);
	assert_string_equal(refusal_of(&storage, &options), "");
	/* By whatever path, and in whatever mode. */
	snprintf(link, sizeof(link), "%s-link", scratch.directory);
	assert_int_equal(symlink(scratch.directory, link), 0);
	struct store_options by_link = options_of(link);
	by_link.periodic = true;
	assert_string_equal(refusal_of(&storage, &by_link), "");
	assert_int_equal(unlink(link), 0);
	storage_close(&storage);
	scratch_close(&scratch);
}

static void another_store_is_refused_in_a_sentence(void **state)
{
	(void)state;
	struct scratch scratch = scratch_open(), other = scratch_open();
	struct store_options options = options_of(scratch.directory), elsewhere = options_of(other.directory);
	struct store_options nowhere = options_of("/nowhere/at/all"), none = options_of("");
	struct storage storage = {.store = NULL}, empty = {.store = NULL};
	struct store_refusal refusal;
	assert_int_equal(storage_open(&storage, &options, SHARDS, NULL), ERROR_OK);
	assert_int_equal(storage_open(&empty, &none, SHARDS, NULL), ERROR_OK);
	assert_non_null(strstr(refusal_of(&storage, &elsewhere), "another directory"));
	assert_non_null(strstr(refusal_of(&storage, &nowhere), "another directory"));
	assert_non_null(strstr(refusal_of(&storage, &none), "there is a store, and its configuration has none"));
	assert_non_null(strstr(refusal_of(&empty, &options), "there is no store, and its configuration has one"));
	assert_string_equal(refusal_of(&empty, &none), "");
	/* Of a later version. */
	char text[STORAGE_TEXT_BYTES];
	storage_describe(&options, text);
	text[0]++;
	assert_false(storage_may_follow(&storage, text, &refusal));
	assert_non_null(strstr(refusal.why, "the store has format 1, and it writes format 2"));
	assert_false(storage_may_follow(&storage, "nonsense", &refusal));
	storage_close(&storage);
	storage_close(&empty);
	scratch_close(&scratch);
	scratch_close(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(the_same_directory_may_be_gone_on_with),
					   cmocka_unit_test(another_store_is_refused_in_a_sentence)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
