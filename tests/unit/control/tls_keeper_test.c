/* Certificates are loaded, renewed when their files change, and kept where the new ones will not do; each fault is
 * told. */
#include "capture.h"
#include "control/folder.h"
#include "control/tls/tls_keeper.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define DAY_S ((int64_t)86400)

struct scene {
	struct folder *folder;
	struct settings *settings;
	struct tls_keeper keeper;
};

static void listen_with(struct scene *scene, const char *chain, const char *key)
{
	struct settings *settings = scene->settings;
	uint32_t place = settings->listener_count++;
	struct listener *listener = &settings->listeners[place];
	struct listener_settings *own = &settings->listener_settings[place];
	char path[PATH_MAX];
	snprintf(listener->url, sizeof(listener->url), "tls://127.0.0.1:%u", 8883 + place);
	listener->scheme = LISTENER_TLS;
	listener->settings = (uint8_t)place;
	own->is_tls = true;
	snprintf(own->certificates[0].chain, LISTENER_PATH_BYTES_MAX, "%s", folder_path(scene->folder, chain, path));
	if (key != NULL)
		snprintf(own->certificates[0].key, LISTENER_PATH_BYTES_MAX, "%s",
			 folder_path(scene->folder, key, path));
	own->certificate_count = 1;
	own->key_count = key != NULL ? 1 : 0;
}

static int scene_open(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	folder_make((void **)&scene->folder);
	scene->settings = calloc(1, sizeof(*scene->settings));
	scene->settings->tls_tickets.lifetime_s = 3600;
	folder_certificate(scene->folder, "one", "one.example", time(NULL) - DAY_S, 90);
	listen_with(scene, "one-chain.pem", "one-key.pem");
	*state = scene;
	return 0;
}

static int scene_close(void **state)
{
	struct scene *scene = *state;
	tls_keeper_close(&scene->keeper);
	folder_remove((void **)&scene->folder);
	free(scene->settings);
	free(scene);
	return 0;
}

/* The names that the first listener's first certificate is shown for. */
static void assert_shows(struct scene *scene, const char *names)
{
	struct tls_context_set taken = {.items = {NULL}};
	struct tls_certificate_facts facts;
	tls_contexts_take(&scene->keeper.contexts, &taken);
	assert_non_null(taken.items[0]);
	assert_true(tls_context_certificate(taken.items[0], 0, &facts));
	assert_string_equal(facts.names, names);
	tls_context_set_drop(&taken);
}

static void open_keeper(struct scene *scene)
{
	struct capture capture = capture_start();
	bool opened = tls_keeper_open(&scene->keeper, scene->settings);
	char *text = capture_stop(&capture);
	if (!opened)
		fail_msg("%s", text);
	free(text);
}

/* What the log says of a start that fails. */
static char *fail_to_open(struct scene *scene)
{
	struct capture capture = capture_start();
	bool opened = tls_keeper_open(&scene->keeper, scene->settings);
	char *text = capture_stop(&capture);
	assert_false(opened);
	return text;
}

static void test_without_tls(void **state)
{
	struct scene *scene = *state;
	struct tls_context_set fresh;
	scene->settings->listeners[0].scheme = LISTENER_TCP;
	open_keeper(scene);
	assert_int_equal(tls_contexts_version(&scene->keeper.contexts), 0);
	tls_keeper_watch(&scene->keeper);
	assert_int_equal(tls_keeper_watch_fd(&scene->keeper), -1);
	assert_true(tls_keeper_turn(&scene->keeper, scene->settings, 1, 1) >= 60000);
	assert_true(tls_keeper_read(&scene->keeper, scene->settings, stderr, &fresh));
	tls_keeper_use(&scene->keeper, scene->settings, &fresh);
	assert_int_equal(tls_contexts_version(&scene->keeper.contexts), 0);
}

static void test_each_listener_has_its_own(void **state)
{
	struct scene *scene = *state;
	struct tls_context_set taken = {.items = {NULL}};
	folder_certificate(scene->folder, "two", "two.example", time(NULL) - DAY_S, 90);
	listen_with(scene, "two-chain.pem", "two-key.pem");
	open_keeper(scene);
	tls_contexts_take(&scene->keeper.contexts, &taken);
	assert_non_null(taken.items[0]);
	assert_non_null(taken.items[1]);
	assert_ptr_not_equal(taken.items[0], taken.items[1]);
	assert_null(taken.items[2]);
	tls_context_set_drop(&taken);
	assert_shows(scene, "one.example");
}

static void test_certificate_and_key_in_one_file(void **state)
{
	struct scene *scene = *state;
	char bytes[65536];
	size_t size = folder_read(scene->folder, "one-chain.pem", bytes, sizeof(bytes));
	size += folder_read(scene->folder, "one-key.pem", bytes + size, sizeof(bytes) - size);
	folder_write(scene->folder, "both.pem", bytes, size, 0600);
	scene->settings->listener_count = 0;
	listen_with(scene, "both.pem", NULL);
	open_keeper(scene);
	assert_shows(scene, "one.example");
	tls_keeper_close(&scene->keeper);
	/* It is as secret as a key. */
	folder_write(scene->folder, "both.pem", bytes, size, 0644);
	char *text = fail_to_open(scene);
	assert_non_null(strstr(text, "tls://127.0.0.1:8883: "));
	assert_non_null(strstr(text, "both.pem: everyone may read it"));
	free(text);
}

/* Every listener's fault is told at once. */
static void test_files_that_will_not_do(void **state)
{
	struct scene *scene = *state;
	folder_certificate(scene->folder, "two", "two.example", time(NULL) - DAY_S, 90);
	listen_with(scene, "one-chain.pem", "two-key.pem");
	listen_with(scene, "none.pem", "two-key.pem");
	listen_with(scene, "two-chain.pem", "two-chain.pem");
	char *text = fail_to_open(scene);
	assert_null(strstr(text, "tls://127.0.0.1:8883"));
	assert_non_null(strstr(text, "tls://127.0.0.1:8884: the key in "));
	assert_non_null(strstr(text, "tls://127.0.0.1:8885: "));
	assert_non_null(strstr(text, "none.pem: No such file or directory"));
	assert_non_null(strstr(text, "tls://127.0.0.1:8886: "));
	assert_int_equal(tls_contexts_version(&scene->keeper.contexts), 0);
	free(text);
}

/* ---- renewal ---- */

/* Turns that the clock is set for; what they log, to be freed. */
static char *turns(struct scene *scene, uint64_t *now_ms, uint64_t until_ms)
{
	struct capture capture = capture_start();
	while (*now_ms < until_ms) {
		uint32_t wait_ms = tls_keeper_turn(&scene->keeper, scene->settings, *now_ms, (int64_t)time(NULL));
		*now_ms += wait_ms != 0 ? wait_ms : 1;
	}
	tls_keeper_turn(&scene->keeper, scene->settings, *now_ms, (int64_t)time(NULL));
	return capture_stop(&capture);
}

static void test_a_change_is_taken_up_when_all_is_quiet(void **state)
{
	struct scene *scene = *state;
	uint64_t now_ms = 100000;
	open_keeper(scene);
	tls_keeper_watch(&scene->keeper);
	free(turns(scene, &now_ms, now_ms + 1));
	folder_certificate(scene->folder, "one", "new.example", time(NULL) - DAY_S, 90);
	uint32_t wait_ms = tls_keeper_turn(&scene->keeper, scene->settings, now_ms, (int64_t)time(NULL));
	assert_true(wait_ms > 0 && wait_ms <= 1000);
	assert_shows(scene, "one.example"); /* more of it may come */
	char *text = turns(scene, &now_ms, now_ms + 1001);
	assert_non_null(strstr(text, "one-chain.pem has changed"));
	assert_non_null(strstr(text, "certificates renewed"));
	free(text);
	assert_shows(scene, "new.example");
	assert_int_equal(tls_contexts_version(&scene->keeper.contexts), 2);
	assert_int_equal(scene->keeper.reloads, 1);
}

/* Files that are written all the time must not put it off for ever. */
static void test_where_it_is_never_quiet(void **state)
{
	struct scene *scene = *state;
	uint64_t now_ms = 100000;
	open_keeper(scene);
	tls_keeper_watch(&scene->keeper);
	free(turns(scene, &now_ms, now_ms + 1));
	folder_certificate(scene->folder, "one", "new.example", time(NULL) - DAY_S, 90);
	struct capture capture = capture_start();
	for (uint64_t until_ms = now_ms + 12000; now_ms < until_ms; now_ms += 500) {
		folder_write(scene->folder, "log", "line", 4, 0600);
		tls_keeper_turn(&scene->keeper, scene->settings, now_ms, (int64_t)time(NULL));
	}
	free(capture_stop(&capture));
	assert_shows(scene, "new.example");
	assert_int_equal(scene->keeper.reloads, 1);
}

static void test_a_bad_file_keeps_the_old_one(void **state)
{
	struct scene *scene = *state;
	uint64_t now_ms = 100000;
	char key[65536];
	open_keeper(scene);
	tls_keeper_watch(&scene->keeper);
	free(turns(scene, &now_ms, now_ms + 1));
	/* The certificate of tomorrow with the key of today, as while both are being copied. */
	size_t size = folder_read(scene->folder, "one-key.pem", key, sizeof(key));
	folder_certificate(scene->folder, "one", "new.example", time(NULL) - DAY_S, 90);
	char fresh[65536];
	size_t fresh_size = folder_read(scene->folder, "one-key.pem", fresh, sizeof(fresh));
	folder_replace(scene->folder, "one-key.pem", key, size, 0600);
	char *text = turns(scene, &now_ms, now_ms + 2001);
	assert_non_null(strstr(text, "the key in "));
	assert_non_null(strstr(text, "those of before stay in use"));
	free(text);
	assert_shows(scene, "one.example");
	assert_int_equal(scene->keeper.reload_failures, 1);
	/* It is not tried again until something happens. */
	text = turns(scene, &now_ms, now_ms + 120000);
	assert_string_equal(text, "");
	free(text);
	folder_replace(scene->folder, "one-key.pem", fresh, fresh_size, 0600);
	free(turns(scene, &now_ms, now_ms + 2001));
	assert_shows(scene, "new.example");
	assert_int_equal(scene->keeper.reload_failures, 1);
}

/* A reload, on another thread, names another file: that one is watched, and a change before it was shows. */
static void test_files_that_a_reload_names(void **state)
{
	struct scene *scene = *state;
	struct tls_context_set fresh;
	uint64_t now_ms = 100000;
	char path[PATH_MAX];
	open_keeper(scene);
	tls_keeper_watch(&scene->keeper);
	free(turns(scene, &now_ms, now_ms + 1));
	folder_directory(scene->folder, "other");
	folder_certificate(scene->folder, "other/two", "two.example", time(NULL) - DAY_S, 90);
	struct certificate_files *files = &scene->settings->listener_settings[0].certificates[0];
	snprintf(files->chain, sizeof(files->chain), "%s", folder_path(scene->folder, "other/two-chain.pem", path));
	snprintf(files->key, sizeof(files->key), "%s", folder_path(scene->folder, "other/two-key.pem", path));
	struct capture capture = capture_start();
	assert_true(tls_keeper_read(&scene->keeper, scene->settings, stderr, &fresh));
	tls_keeper_use(&scene->keeper, scene->settings, &fresh);
	free(capture_stop(&capture));
	assert_shows(scene, "two.example");
	folder_certificate(scene->folder, "other/two", "three.example", time(NULL) - DAY_S, 90);
	free(turns(scene, &now_ms, now_ms + 1));
	assert_shows(scene, "three.example");
	folder_certificate(scene->folder, "other/two", "four.example", time(NULL) - DAY_S, 90);
	free(turns(scene, &now_ms, now_ms + 2001));
	assert_shows(scene, "four.example");
}

static void test_a_reload_with_bad_files(void **state)
{
	struct scene *scene = *state;
	struct tls_context_set fresh;
	char *text = NULL;
	size_t size;
	open_keeper(scene);
	folder_write(scene->folder, "one-chain.pem", "nonsense", 8, 0600);
	FILE *report = open_memstream(&text, &size);
	assert_false(tls_keeper_read(&scene->keeper, scene->settings, report, &fresh));
	fclose(report);
	assert_non_null(strstr(text, "tls://127.0.0.1:8883: "));
	assert_non_null(strstr(text, "one-chain.pem"));
	free(text);
	assert_null(fresh.items[0]);
	assert_shows(scene, "one.example");
	assert_int_equal(scene->keeper.reload_failures, 1);
}

/* ---- time ---- */

static uint32_t lines_with(const char *text, const char *what)
{
	uint32_t count = 0;
	for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
		count++;
	return count;
}

static void test_warnings_once_a_day(void **state)
{
	struct scene *scene = *state;
	int64_t begin_s = time(NULL) - DAY_S - 60; /* the certificate is some seconds older than this test */
	uint64_t now_ms = 100000;
	open_keeper(scene);
	tls_keeper_watch(&scene->keeper);
	struct capture capture = capture_start();
	for (int64_t hour = 24; hour < 92 * 24; hour++, now_ms += 3600 * 1000)
		tls_keeper_turn(&scene->keeper, scene->settings, now_ms, begin_s + hour * 3600);
	char *text = capture_stop(&capture);
	uint32_t warnings = lines_with(text, "expires in ");
	uint32_t errors = lines_with(text, "has expired");
	assert_true(warnings >= 29 && warnings <= 31);
	assert_true(errors >= 1 && errors <= 3);
	assert_non_null(strstr(text, " hours, at "));
	free(text);
}

static void test_those_that_are_told_at_the_start(void **state)
{
	struct scene *scene = *state;
	folder_certificate(scene->folder, "late", "late.example", time(NULL) - 30 * DAY_S, 20);
	folder_certificate(scene->folder, "early", "early.example", time(NULL) + 2 * DAY_S, 20);
	folder_certificate(scene->folder, "soon", "soon.example", time(NULL) - 80 * DAY_S - 3600, 90);
	folder_certificate(scene->folder, "short", "short.example", time(NULL) - DAY_S, 7);
	listen_with(scene, "late-chain.pem", "late-key.pem");
	listen_with(scene, "early-chain.pem", "early-key.pem");
	listen_with(scene, "soon-chain.pem", "soon-key.pem");
	listen_with(scene, "short-chain.pem", "short-key.pem");
	struct capture capture = capture_start();
	bool opened = tls_keeper_open(&scene->keeper, scene->settings);
	char *text = capture_stop(&capture);
	if (!opened)
		fail_msg("%s", text);
	assert_non_null(strstr(text, "late-chain.pem: the certificate of CN=late.example has expired"));
	assert_non_null(strstr(text, "early-chain.pem: the certificate of CN=early.example is not valid yet"));
	assert_non_null(strstr(text, "soon-chain.pem: the certificate of CN=soon.example expires in 9 days"));
	assert_int_equal(lines_with(text, "expires in"), 1); /* six days of seven are left of the last */
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_without_tls, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_each_listener_has_its_own, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_certificate_and_key_in_one_file, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_files_that_will_not_do, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_a_change_is_taken_up_when_all_is_quiet, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_where_it_is_never_quiet, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_a_bad_file_keeps_the_old_one, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_files_that_a_reload_names, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_a_reload_with_bad_files, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_warnings_once_a_day, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_those_that_are_told_at_the_start, scene_open, scene_close),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
