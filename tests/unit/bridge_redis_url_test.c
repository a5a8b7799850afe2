/* Where Redis is: what a URL means, and what is none. */
#include "redis/redis_url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_good_ones(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		struct redis_url url;
	} cases[] = {
		{"redis://h", {.host = "h", .port = 6379}},
		{"redis://h/", {.host = "h", .port = 6379}},
		{"redis://h:1", {.host = "h", .port = 1}},
		{"redis://h:65535/65535", {.host = "h", .port = 65535, .database = 65535}},
		{"redis://10.0.0.1/3", {.host = "10.0.0.1", .port = 6379, .database = 3}},
		{"redis://[::1]", {.host = "::1", .port = 6379}},
		{"redis://[::1]:7/2", {.host = "::1", .port = 7, .database = 2}},
		{"redis://u@h", {.host = "h", .port = 6379, .user = "u"}},
		{"redis://u:p@h", {.host = "h", .port = 6379, .user = "u", .password = "p"}},
		{"redis://:p@h:2", {.host = "h", .port = 2, .password = "p"}},
		{"redis://:p:q@h", {.host = "h", .port = 6379, .password = "p:q"}},
		{"redis://u:p@q@h", {.host = "h", .port = 6379, .user = "u", .password = "p@q"}},
		{"redis://u%3a:%2F%40%c3%A9@h", {.host = "h", .port = 6379, .user = "u:", .password = "/@\xc3\xa9"}},
		{"rediss://h", {.is_tls = true, .host = "h", .port = 6379}},
		{"rediss://u:p@[::1]:7/2",
		 {.is_tls = true, .host = "::1", .port = 7, .user = "u", .password = "p", .database = 2}},
		{"unix:///run/redis", {.is_unix = true, .host = "/run/redis"}},
		{"unix:///run/redis?db=7", {.is_unix = true, .host = "/run/redis", .database = 7}},
		{"unix:///run/a@b", {.is_unix = true, .host = "/run/a@b"}},
		{"unix://u:p@/run/a@b", {.is_unix = true, .host = "/run/a@b", .user = "u", .password = "p"}},
		{"unix:///run/a%20b", {.is_unix = true, .host = "/run/a b"}},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct redis_url url;
		const char *why;
		if (!redis_url_parse(cases[i].text, &url, &why))
			fail_msg("%s: %s", cases[i].text, why);
		assert_int_equal(url.is_unix, cases[i].url.is_unix);
		assert_int_equal(url.is_tls, cases[i].url.is_tls);
		assert_int_equal(url.port, cases[i].url.port);
		assert_int_equal(url.database, cases[i].url.database);
		assert_string_equal(url.host, cases[i].url.host);
		assert_string_equal(url.user, cases[i].url.user);
		assert_string_equal(url.password, cases[i].url.password);
	}
}

static void test_bad_ones(void **state)
{
	(void)state;
	static const char *const CASES[] = {
		"",
		"redis",
		"rediss:/h",
		"redisss://h",
		"http://h",
		"REDIS://h",
		"redis://",
		"redis:///1",
		"redis://:80",
		"redis://h:",
		"redis://h:0",
		"redis://h:65536",
		"redis://h:4294967297",
		"redis://h:1x",
		"redis://h:-1",
		"redis://h/x",
		"redis://h/65536",
		"redis://h/1/2",
		"redis://[::1",
		"redis://[::1]x",
		"redis://[]",
		"redis://u:%@h",
		"redis://u:%4@h",
		"redis://u:%4g@h",
		"redis://u:%00@h",
		"redis://h%00",
		"unix://",
		"unix://run/redis",
		"unix://u:p@run",
		"unix:///run?",
		"unix:///run?db=",
		"unix:///run?db=x",
		"unix:///run?database=1",
		"unix:///run%0",
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct redis_url url;
		const char *why = NULL;
		if (redis_url_parse(CASES[i], &url, &why))
			fail_msg("%s was taken", CASES[i]);
		assert_non_null(why);
	}
}

/* The longest that fits, and one byte more. */
static void test_lengths(void **state)
{
	(void)state;
	char text[2 * REDIS_TEXT_BYTES_MAX] = "redis://u:";
	size_t begin = strlen(text);
	struct redis_url url;
	const char *why;
	memset(text + begin, 'x', REDIS_TEXT_BYTES_MAX - 1);
	memcpy(text + begin + REDIS_TEXT_BYTES_MAX - 1, "@h", 3);
	assert_true(redis_url_parse(text, &url, &why));
	assert_int_equal(strlen(url.password), REDIS_TEXT_BYTES_MAX - 1);
	memcpy(text + begin + REDIS_TEXT_BYTES_MAX - 1, "x@h", 4);
	assert_false(redis_url_parse(text, &url, &why));
	assert_null(strstr(why, "xx"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_ones),
		cmocka_unit_test(test_bad_ones),
		cmocka_unit_test(test_lengths),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
