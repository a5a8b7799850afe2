/* What is read from the files of who may come in: all of it, or nothing and one line that says why. */
#include "access/snapshot.h"

#include "access_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define SECRET "0123456789abcdef0123456789abcdef"
/* Keys of a set: a shared secret, a public key, one that is not for us. */
#define JWK_SECRET                                                                                                     \
	"{\"kty\":\"oct\",\"alg\":\"HS256\",\"kid\":\"s\",\"k\":\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY\"}"
#define JWK_PUBLIC                                                                                                     \
	"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"p\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}"
#define JWK_OTHER "{\"kty\":\"oct\",\"alg\":\"A128KW\",\"k\":\"GawgguFyGrWKav7AX4VKUg\"}"

struct scene {
	struct access_files files;
	struct access_settings settings;
	struct access_snapshot snapshot;
	char *report;
};

static int scene_open(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	access_files_make(&scene->files);
	scene->settings.allow_by_default = true;
	*state = scene;
	return 0;
}

static int scene_close(void **state)
{
	struct scene *scene = *state;
	access_snapshot_drop(&scene->snapshot);
	access_files_remove(&scene->files);
	free(scene->report);
	free(scene);
	return 0;
}

static bool read_again(struct scene *scene, const char *fetched)
{
	size_t size;
	free(scene->report);
	access_snapshot_drop(&scene->snapshot);
	FILE *report = open_memstream(&scene->report, &size);
	assert_non_null(report);
	bool good = access_snapshot_read(&scene->settings, slice_string(fetched), report, &scene->snapshot);
	fclose(report);
	if (good) {
		assert_string_equal(scene->report, "");
		assert_non_null(scene->snapshot.keys);
		assert_non_null(scene->snapshot.acl);
	} else {
		assert_null(scene->snapshot.keys);
		assert_null(scene->snapshot.passwords);
		assert_null(scene->snapshot.acl);
		/* One line. */
		assert_non_null(strchr(scene->report, '\n'));
		assert_string_equal(strchr(scene->report, '\n'), "\n");
	}
	return good;
}

static void assert_says(const struct scene *scene, const char *path, const char *why)
{
	assert_ptr_equal(strstr(scene->report, path), scene->report);
	if (strstr(scene->report, why) == NULL)
		fail_msg("%s", scene->report);
}

static void write_all(struct scene *scene)
{
	struct access_settings *settings = &scene->settings;
	access_files_write(&scene->files, settings->token_secret_file, "secret", SECRET "\r\n");
	access_files_write(&scene->files, settings->token_jwks_file, "jwks", "{\"keys\":[" JWK_PUBLIC "]}");
	access_files_write(&scene->files, settings->password_file, "passwords", TEST_PASSWORDS);
	access_files_write(&scene->files, settings->rule_file, "rules", "# first\n\nallow all a/#\n");
}

static void test_nothing_configured(void **state)
{
	struct scene *scene = *state;
	assert_true(read_again(scene, ""));
	assert_int_equal(key_set_count(scene->snapshot.keys), 0);
	assert_null(scene->snapshot.passwords);
}

static void test_all_of_it(void **state)
{
	struct scene *scene = *state;
	write_all(scene);
	assert_true(read_again(scene, ""));
	assert_int_equal(key_set_count(scene->snapshot.keys), 2);
	assert_non_null(scene->snapshot.passwords);
	assert_true(read_again(scene, "{\"keys\":[" JWK_SECRET "]}"));
	assert_int_equal(key_set_count(scene->snapshot.keys), 3);
}

/* Each in turn, with everything else as it should be. */
static void test_faults(void **state)
{
	struct scene *scene = *state;
	struct access_settings *settings = &scene->settings;
	struct {
		char *setting;
		const char *name;
		const char *content;
		const char *why;
	} cases[] = {
		{settings->rule_file, "rules", "allow all a/#\n\nallow all a/#/b\n", ":3: "},
		{settings->password_file, "passwords", "alice\n", ":1: "},
		{settings->token_jwks_file, "jwks", "{\"keys\":[" JWK_OTHER "]}", "the set has no usable key"},
		{settings->token_jwks_file, "jwks", "{\"keys\":[]}", "the set has no usable key"},
		{settings->token_jwks_file, "jwks", "{", ": "},
		{settings->token_secret_file, "secret", "short\n", ": "},
		{settings->token_key_file, "key", "no key\n", ": "},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		settings->token_key_file[0] = '\0';
		write_all(scene);
		assert_true(read_again(scene, ""));
		access_files_write(&scene->files, cases[i].setting, cases[i].name, cases[i].content);
		assert_false(read_again(scene, ""));
		assert_says(scene, cases[i].setting, cases[i].why);
	}
}

static void test_a_file_that_is_not_there(void **state)
{
	struct scene *scene = *state;
	write_all(scene);
	snprintf(scene->settings.rule_file, sizeof(scene->settings.rule_file), "%s/none", scene->files.folder);
	assert_false(read_again(scene, ""));
	assert_says(scene, scene->settings.rule_file, "No such file");
}

/* A key set that everyone may read has public keys only. */
static void test_secrets_that_everyone_may_read(void **state)
{
	struct scene *scene = *state;
	struct access_settings *settings = &scene->settings;
	access_files_write(&scene->files, settings->token_jwks_file, "jwks", "{\"keys\":[" JWK_PUBLIC "]}");
	assert_int_equal(chmod(settings->token_jwks_file, 0644), 0);
	assert_true(read_again(scene, ""));
	assert_int_equal(chmod(settings->token_jwks_file, 0600), 0);
	access_files_write(&scene->files, settings->token_jwks_file, "jwks",
			   "{\"keys\":[" JWK_PUBLIC "," JWK_SECRET "]}");
	assert_true(read_again(scene, ""));
	assert_int_equal(chmod(settings->token_jwks_file, 0644), 0);
	assert_false(read_again(scene, ""));
	assert_says(scene, settings->token_jwks_file, "");
}

static void test_sets_for_us(void **state)
{
	(void)state;
	struct fault fault = {0};
	assert_true(access_keys_try(slice_string("{\"keys\":[" JWK_OTHER "," JWK_PUBLIC "]}"), &fault));
	assert_false(access_keys_try(slice_string("{\"keys\":[" JWK_OTHER "]}"), &fault));
	assert_non_null(strstr(fault.text, "the set has no usable key"));
	fault = (struct fault){0};
	assert_false(access_keys_try(slice_string("[]"), &fault));
	assert_true(fault.text[0] != '\0');
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, scene_open, scene_close)
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_configured),
		TEST(test_all_of_it),
		TEST(test_faults),
		TEST(test_a_file_that_is_not_there),
		TEST(test_secrets_that_everyone_may_read),
		cmocka_unit_test(test_sets_for_us),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
