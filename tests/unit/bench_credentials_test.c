/* What the bench's clients sign in with. The tokens expected here were made with Python's hmac. */
#include "bench/client/credentials.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define ISSUED_S 1700000000u

static const char SECRET[] = "a secret of 32 bytes and no more.";

static const char TOKEN[] =
	"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJzdG9ybS03IiwiaWF0IjoxNzAwMDAwMDAwLCJleHAiOjE3MDAwODY"
	"0MDB9.Tqh_D-tkhKWv1BVstD2UuSOVq2YMAzsrNH78T-VP2Y0";
static const char TOKEN_WITH_ISSUER[] =
	"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJzdG9ybS03IiwiaWF0IjoxNzAwMDAwMDAwLCJleHAiOjE3MDAwODY"
	"0MDAsImlzcyI6Im1lIn0.aKzxSAh5vOPTtMkzCT-Y3AXkCyd3nXFH7H06rttcGG8";

struct scene {
	char path[32];
	struct credentials credentials;
};

/* A file with this content, which the test removes. */
static void write_file(struct scene *scene, const void *bytes, size_t size)
{
	memset(scene, 0, sizeof(*scene));
	memcpy(scene->path, "/tmp/roost-bench-XXXXXX", 24);
	int fd = mkstemp(scene->path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
}

static void scene_close(struct scene *scene)
{
	credentials_close(&scene->credentials);
	unlink(scene->path);
}

static void assert_password(const struct credentials *credentials, uint32_t number, const char *expected)
{
	uint8_t password[CREDENTIALS_PASSWORD_BYTES_MAX];
	size_t size = credentials_password(credentials, number, slice_string("storm-7"), password);
	assert_int_equal(size, strlen(expected));
	assert_memory_equal(password, expected, size);
}

static void test_tokens_are_made_with_the_secret(void **state)
{
	(void)state;
	struct scene scene;
	write_file(&scene, SECRET, sizeof(SECRET) - 1);
	assert_null(credentials_open_secret(&scene.credentials, scene.path, NULL, ISSUED_S));
	assert_password(&scene.credentials, 7, TOKEN);
	scene_close(&scene);
}

static void test_claims_are_added_and_one_newline_is_not_the_secrets(void **state)
{
	(void)state;
	struct scene scene;
	char text[sizeof(SECRET)];
	memcpy(text, SECRET, sizeof(SECRET) - 1);
	text[sizeof(text) - 1] = '\n';
	write_file(&scene, text, sizeof(text));
	assert_null(credentials_open_secret(&scene.credentials, scene.path, "\"iss\":\"me\"", ISSUED_S));
	assert_password(&scene.credentials, 7, TOKEN_WITH_ISSUER);
	scene_close(&scene);
}

static void test_longest_claims_fit_into_a_password(void **state)
{
	(void)state;
	struct scene scene;
	char claims[CREDENTIALS_CLAIMS_BYTES_MAX + 1];
	char id[74];
	uint8_t password[CREDENTIALS_PASSWORD_BYTES_MAX];
	memset(claims, 'c', sizeof(claims) - 1);
	claims[sizeof(claims) - 1] = '\0';
	memset(id, 'i', sizeof(id));
	write_file(&scene, SECRET, sizeof(SECRET) - 1);
	assert_null(credentials_open_secret(&scene.credentials, scene.path, claims, UINT64_MAX / 2));
	size_t size = credentials_password(&scene.credentials, 0, slice_of(id, sizeof(id)), password);
	assert_true(size > 1024 * 4 / 3 && size <= sizeof(password));
	scene_close(&scene);
}

static void test_tokens_of_a_file_are_taken_in_turns(void **state)
{
	(void)state;
	static const char text[] = "first\n\nsecond\r\nthird";
	struct scene scene;
	write_file(&scene, text, sizeof(text) - 1);
	assert_null(credentials_open_tokens(&scene.credentials, scene.path));
	assert_password(&scene.credentials, 0, "first");
	assert_password(&scene.credentials, 1, "second");
	assert_password(&scene.credentials, 2, "third");
	assert_password(&scene.credentials, 3, "first");
	scene_close(&scene);
}

static void test_many_tokens(void **state)
{
	(void)state;
	static char text[1000 * 8];
	struct scene scene;
	size_t size = 0;
	for (int i = 0; i < 1000; i++)
		size += (size_t)snprintf(text + size, sizeof(text) - size, "t%d\n", i);
	write_file(&scene, text, size);
	assert_null(credentials_open_tokens(&scene.credentials, scene.path));
	assert_int_equal(scene.credentials.token_count, 1000);
	assert_password(&scene.credentials, 999, "t999");
	scene_close(&scene);
}

static void test_wrong_files(void **state)
{
	(void)state;
	static char large[CREDENTIALS_PASSWORD_BYTES_MAX + 1];
	struct scene scene;
	memset(large, 'x', sizeof(large));
	write_file(&scene, large, sizeof(large));
	assert_non_null(credentials_open_tokens(&scene.credentials, scene.path));
	scene_close(&scene);
	assert_non_null(credentials_open_tokens(&scene.credentials, scene.path)); /* it is gone */
	write_file(&scene, large, CREDENTIALS_SECRET_BYTES_MAX + 1);
	assert_non_null(credentials_open_secret(&scene.credentials, scene.path, NULL, ISSUED_S));
	scene_close(&scene);
	write_file(&scene, "\n", 1);
	assert_non_null(credentials_open_tokens(&scene.credentials, scene.path));
	scene_close(&scene);
	write_file(&scene, "\n", 1);
	assert_non_null(credentials_open_secret(&scene.credentials, scene.path, NULL, ISSUED_S));
	scene_close(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tokens_are_made_with_the_secret),
		cmocka_unit_test(test_claims_are_added_and_one_newline_is_not_the_secrets),
		cmocka_unit_test(test_longest_claims_fit_into_a_password),
		cmocka_unit_test(test_tokens_of_a_file_are_taken_in_turns),
		cmocka_unit_test(test_many_tokens),
		cmocka_unit_test(test_wrong_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
