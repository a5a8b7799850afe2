/* The certificate of listeners that have none: made once, kept where it is found again, renewed before it ends. */
#include "capture.h"
#include "control/folder.h"
#include "control/tls/development.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define NOW_S ((int64_t)1800000000)
#define YEAR_S ((int64_t)365 * 86400)

static void set_places(const char *state_directory, const char *user_state, const char *home)
{
	unsetenv("STATE_DIRECTORY");
	unsetenv("XDG_STATE_HOME");
	unsetenv("HOME");
	if (state_directory != NULL)
		setenv("STATE_DIRECTORY", state_directory, 1);
	if (user_state != NULL)
		setenv("XDG_STATE_HOME", user_state, 1);
	if (home != NULL)
		setenv("HOME", home, 1);
}

static struct development load(const char *store, int64_t wall_s)
{
	struct development development;
	char fault[DEVELOPMENT_FAULT_BYTES_MAX];
	if (!development_load(&development, store, wall_s, fault))
		fail_msg("%s", fault);
	assert_true(development.size != 0 && strlen(development.fingerprint) == 32 * 3 - 1);
	return development;
}

static void assert_same(const struct development *one, const struct development *other, bool same)
{
	assert_int_equal(strcmp(one->fingerprint, other->fingerprint) == 0, same);
	assert_int_equal(one->size == other->size && memcmp(one->pem, other->pem, one->size) == 0, same);
}

static void test_is_kept(void **state)
{
	const struct folder *folder = *state;
	char bytes[65536], path[PATH_MAX];
	struct stat status;
	set_places(NULL, NULL, folder->path);
	struct development first = load("", NOW_S);
	struct development second = load("", NOW_S + 86400);
	assert_same(&first, &second, true);
	assert_string_equal(first.path, folder_path(folder, ".local/state/roost/development.pem", path));
	assert_int_equal(stat(first.path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600); /* it has the key */
	size_t size = folder_read(folder, ".local/state/roost/development-ca.pem", bytes, sizeof(bytes));
	assert_true(size > 27 && memcmp(bytes, "-----BEGIN CERTIFICATE-----", 27) == 0);
	assert_non_null(memmem(first.pem, first.size, bytes, size));
	/* Whoever removes what clients trust gets it back. */
	assert_int_equal(remove(first.ca_path), 0);
	struct development third = load("", NOW_S);
	assert_int_equal(stat(third.ca_path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0644);
	development_fini(&first);
	development_fini(&second);
	development_fini(&third);
	assert_null(first.pem);
}

static void test_where(void **state)
{
	const struct folder *folder = *state;
	char path[4][PATH_MAX], several[2 * PATH_MAX];
	const char *names[] = {"store", "service", "user", "home"};
	for (size_t i = 0; i < 4; i++)
		folder_path(folder, names[i], path[i]);
	snprintf(several, sizeof(several), "%s:/elsewhere", path[1]);
	set_places(several, path[2], path[3]);
	struct development one = load(path[0], NOW_S);
	assert_true(strncmp(one.path, path[0], strlen(path[0])) == 0);
	struct development two = load("", NOW_S);
	assert_true(strncmp(two.path, path[1], strlen(path[1])) == 0);
	assert_same(&one, &two, false);
	set_places(NULL, path[2], path[3]);
	struct development three = load("", NOW_S);
	assert_true(strncmp(three.path, path[2], strlen(path[2])) == 0);
	set_places(NULL, NULL, NULL);
	struct development four = load("", NOW_S);
	assert_string_equal(four.path, ""); /* in memory alone */
	development_fini(&one);
	development_fini(&two);
	development_fini(&three);
	development_fini(&four);
}

static void test_is_renewed(void **state)
{
	const struct folder *folder = *state;
	struct capture capture = capture_start();
	struct development first = load(folder->path, NOW_S);
	struct development late = load(folder->path, NOW_S + YEAR_S - 29 * (int64_t)86400);
	assert_same(&first, &late, false);
	folder_write(folder, "development.pem", "nonsense", 8, 0600);
	struct development other = load(folder->path, NOW_S + YEAR_S);
	assert_same(&late, &other, false);
	free(capture_stop(&capture));
	development_fini(&first);
	development_fini(&late);
	development_fini(&other);
}

static void test_what_cannot_be(void **state)
{
	const struct folder *folder = *state;
	struct development development;
	char fault[DEVELOPMENT_FAULT_BYTES_MAX];
	folder_write(folder, "development.pem", "secret", 6, 0644);
	assert_false(development_load(&development, folder->path, NOW_S, fault));
	assert_non_null(strstr(fault, "development.pem: everyone may read it"));
	assert_null(development.pem);
	folder_write(folder, "development.pem", "secret", 6, 0600);
	folder_directory(folder, "development-ca.pem");
	struct capture capture = capture_start();
	assert_false(development_load(&development, folder->path, NOW_S, fault));
	free(capture_stop(&capture));
	assert_non_null(strstr(fault, "development-ca.pem: "));
	assert_null(development.pem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_is_kept, folder_make, folder_remove),
		cmocka_unit_test_setup_teardown(test_where, folder_make, folder_remove),
		cmocka_unit_test_setup_teardown(test_is_renewed, folder_make, folder_remove),
		cmocka_unit_test_setup_teardown(test_what_cannot_be, folder_make, folder_remove),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
