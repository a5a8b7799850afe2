/* Whoever renews a file is noticed, however it is done: written in place, renamed over, links that lead elsewhere, such
 * as certbot's and those of Kubernetes, and folders that are exchanged. */
#include "control/folder.h"
#include "control/tls/file_watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

static void add(const struct folder *folder, const struct file_watch *watch, const char *name)
{
	char path[PATH_MAX];
	assert_true(file_watch_add(watch, folder_path(folder, name, path)));
	file_watch_take(watch);
	assert_false(file_watch_take(watch));
}

static void test_in_place_and_renamed(void **state)
{
	const struct folder *folder = *state;
	struct file_watch watch;
	char path[PATH_MAX];
	file_watch_open(&watch);
	assert_true(watch.fd >= 0);
	add(folder, &watch, "file"); /* which is not there yet */
	folder_write(folder, "file", "a", 1, 0600);
	assert_true(file_watch_take(&watch));
	assert_false(file_watch_take(&watch));
	folder_write(folder, "file", "b", 1, 0600);
	assert_true(file_watch_take(&watch));
	folder_replace(folder, "file", "c", 1, 0600);
	assert_true(file_watch_take(&watch));
	assert_int_equal(unlink(folder_path(folder, "file", path)), 0);
	assert_true(file_watch_take(&watch));
	file_watch_close(&watch);
	assert_int_equal(watch.fd, -1);
	assert_false(file_watch_take(&watch));
}

static void test_certbot(void **state)
{
	const struct folder *folder = *state;
	struct file_watch watch;
	folder_directory(folder, "archive");
	folder_directory(folder, "live");
	folder_write(folder, "archive/cert1.pem", "1", 1, 0600);
	folder_link(folder, "live/cert.pem", "../archive/cert1.pem");
	file_watch_open(&watch);
	add(folder, &watch, "live/cert.pem");
	folder_write(folder, "archive/cert1.pem", "2", 1, 0600); /* where the link leads */
	assert_true(file_watch_take(&watch));
	folder_write(folder, "archive/cert2.pem", "3", 1, 0600);
	file_watch_take(&watch);
	folder_link(folder, "live/cert.pem", "../archive/cert2.pem");
	assert_true(file_watch_take(&watch));
	file_watch_close(&watch);
}

/* A mounted secret: name -> ..data/name, ..data -> ..timestamp, and the last is exchanged. */
static void test_kubernetes(void **state)
{
	const struct folder *folder = *state;
	struct file_watch watch;
	folder_directory(folder, "secret");
	folder_directory(folder, "secret/..one");
	folder_directory(folder, "secret/..two");
	folder_write(folder, "secret/..one/tls.crt", "1", 1, 0600);
	folder_write(folder, "secret/..two/tls.crt", "2", 1, 0600);
	folder_link(folder, "secret/..data", "..one");
	folder_link(folder, "secret/tls.crt", "..data/tls.crt");
	file_watch_open(&watch);
	add(folder, &watch, "secret/tls.crt");
	folder_link(folder, "secret/..data", "..two");
	assert_true(file_watch_take(&watch));
	add(folder, &watch, "secret/tls.crt");
	folder_write(folder, "secret/..two/tls.crt", "3", 1, 0600);
	assert_true(file_watch_take(&watch));
	file_watch_close(&watch);
}

/* The link stands above the file's own folder: current -> release-1. */
static void test_a_link_further_up(void **state)
{
	const struct folder *folder = *state;
	struct file_watch watch;
	folder_directory(folder, "releases");
	folder_directory(folder, "releases/one");
	folder_directory(folder, "releases/two");
	folder_directory(folder, "etc");
	folder_write(folder, "releases/one/cert.pem", "1", 1, 0600);
	folder_write(folder, "releases/two/cert.pem", "2", 1, 0600);
	folder_link(folder, "etc/current", "../releases/one");
	file_watch_open(&watch);
	add(folder, &watch, "etc/current/cert.pem");
	folder_link(folder, "etc/current", "../releases/two");
	assert_true(file_watch_take(&watch));
	file_watch_close(&watch);
}

static void test_what_cannot_be_watched(void **state)
{
	const struct folder *folder = *state;
	struct file_watch watch;
	char path[PATH_MAX];
	file_watch_open(&watch);
	assert_false(file_watch_add(&watch, folder_path(folder, "none/file", path)));
	folder_link(folder, "one", "two");
	folder_link(folder, "two", "one");
	assert_false(file_watch_add(&watch, folder_path(folder, "one", path)));
	assert_false(file_watch_add(&watch, folder_path(folder, "one/file", path)));
	assert_true(file_watch_add(&watch, "file")); /* of the working directory */
	file_watch_close(&watch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_in_place_and_renamed, folder_make, folder_remove),
		cmocka_unit_test_setup_teardown(test_certbot, folder_make, folder_remove),
		cmocka_unit_test_setup_teardown(test_kubernetes, folder_make, folder_remove),
		cmocka_unit_test_setup_teardown(test_a_link_further_up, folder_make, folder_remove),
		cmocka_unit_test_setup_teardown(test_what_cannot_be_watched, folder_make, folder_remove),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
