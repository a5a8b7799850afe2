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
		{"redis://h", {.seeds = {{.host = "h", .port = 6379}}, .seed_count = 1}},
		{"redis://h/", {.seeds = {{.host = "h", .port = 6379}}, .seed_count = 1}},
		{"redis://h:1", {.seeds = {{.host = "h", .port = 1}}, .seed_count = 1}},
		{"redis://h:65535/65535",
		 {.database = 65535, .seeds = {{.host = "h", .port = 65535}}, .seed_count = 1}},
		{"redis://10.0.0.1/3", {.database = 3, .seeds = {{.host = "10.0.0.1", .port = 6379}}, .seed_count = 1}},
		{"redis://[::1]", {.seeds = {{.host = "::1", .port = 6379}}, .seed_count = 1}},
		{"redis://[::1]:7/2", {.database = 2, .seeds = {{.host = "::1", .port = 7}}, .seed_count = 1}},
		{"redis://u@h", {.seeds = {{.host = "h", .port = 6379}}, .seed_count = 1, .login = {.user = "u"}}},
		{"redis://u:p@h",
		 {.seeds = {{.host = "h", .port = 6379}}, .seed_count = 1, .login = {.user = "u", .password = "p"}}},
		{"redis://:p@h:2", {.seeds = {{.host = "h", .port = 2}}, .seed_count = 1, .login = {.password = "p"}}},
		{"redis://:p:q@h",
		 {.seeds = {{.host = "h", .port = 6379}}, .seed_count = 1, .login = {.password = "p:q"}}},
		{"redis://u:p@q@h",
		 {.seeds = {{.host = "h", .port = 6379}}, .seed_count = 1, .login = {.user = "u", .password = "p@q"}}},
		{"redis://u%3a:%2F%40%c3%A9@h",
		 {.seeds = {{.host = "h", .port = 6379}},
		  .seed_count = 1,
		  .login = {.user = "u:", .password = "/@\xc3\xa9"}}},
		{"rediss://h", {.is_tls = true, .seeds = {{.host = "h", .port = 6379}}, .seed_count = 1}},
		{"rediss://u:p@[::1]:7/2",
		 {.is_tls = true,
		  .database = 2,
		  .seeds = {{.host = "::1", .port = 7}},
		  .seed_count = 1,
		  .login = {.user = "u", .password = "p"}}},
		{"unix:///run/redis", {.seeds = {{.host = "/run/redis"}}, .seed_count = 1}},
		{"unix:///run/redis?db=7", {.database = 7, .seeds = {{.host = "/run/redis"}}, .seed_count = 1}},
		{"unix:///run/a@b", {.seeds = {{.host = "/run/a@b"}}, .seed_count = 1}},
		{"unix://u:p@/run/a@b",
		 {.seeds = {{.host = "/run/a@b"}}, .seed_count = 1, .login = {.user = "u", .password = "p"}}},
		{"unix:///run/a%20b", {.seeds = {{.host = "/run/a b"}}, .seed_count = 1}},
		{"redis+cluster://h", {.kind = REDIS_CLUSTER, .seeds = {{"h", 6379}}, .seed_count = 1}},
		{"rediss+cluster://u:p@a:1,[::1],b/0",
		 {.kind = REDIS_CLUSTER,
		  .is_tls = true,
		  .login = {"u", "p"},
		  .seeds = {{"a", 1}, {"::1", 6379}, {"b", 6379}},
		  .seed_count = 3}},
		{"redis+sentinel://a,b:7/main",
		 {.kind = REDIS_SENTINEL, .seeds = {{"a", 26379}, {"b", 7}}, .seed_count = 2, .master = "main"}},
		{"redis+sentinel://:p?q@a/m%2F/3?sentinel_user=u&sentinel_password=p%26%40",
		 {.kind = REDIS_SENTINEL,
		  .database = 3,
		  .login = {"", "p?q"},
		  .sentinel_login = {"u", "p&@"},
		  .seeds = {{"a", 26379}},
		  .seed_count = 1,
		  .master = "m/"}},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct redis_url url;
		char fault[REDIS_URL_FAULT_BYTES];
		if (!redis_url_parse(cases[i].text, &url, fault))
			fail_msg("%s: %s", cases[i].text, fault);
		assert_int_equal(url.kind, cases[i].url.kind);
		assert_int_equal(url.is_tls, cases[i].url.is_tls);
		assert_int_equal(url.database, cases[i].url.database);
		assert_int_equal(url.seed_count, cases[i].url.seed_count);
		for (uint32_t j = 0; j < url.seed_count; j++)
			assert_true(redis_place_equal(&url.seeds[j], &cases[i].url.seeds[j]));
		assert_string_equal(url.login.user, cases[i].url.login.user);
		assert_string_equal(url.login.password, cases[i].url.login.password);
		assert_string_equal(url.sentinel_login.user, cases[i].url.sentinel_login.user);
		assert_string_equal(url.sentinel_login.password, cases[i].url.sentinel_login.password);
		assert_string_equal(url.master, cases[i].url.master);
	}
}

static void test_places_in_words(void **state)
{
	(void)state;
	char text[REDIS_PLACE_BYTES];
	assert_string_equal(redis_place_text(&(struct redis_place){"h", 7}, text), "h:7");
	assert_string_equal(redis_place_text(&(struct redis_place){"::1", 7}, text), "[::1]:7");
	assert_string_equal(redis_place_text(&(struct redis_place){"/run/redis", 0}, text), "/run/redis");
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
		"redis://a,b",
		"redis+cluster://",
		"redis+cluster://a,",
		"redis+cluster://,a",
		"redis+cluster://a,b:0",
		"redis+cluster://a/1",
		"redis+cluster://1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17",
		"redis+sentinel://a",
		"redis+sentinel://a/",
		"redis+sentinel:///main",
		"redis+sentinel://a/main/x",
		"redis+sentinel://a/main?sentinel_x=1",
		"redis+sentinel://a/main?sentinel_user=u&password=1",
		"redis+sentinel://a/main?sentinel_user=%",
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
		char fault[REDIS_URL_FAULT_BYTES] = "";
		if (redis_url_parse(CASES[i], &url, fault))
			fail_msg("%s was taken", CASES[i]);
		assert_true(fault[0] != '\0');
	}
}

static void test_the_wrong_server_is_named(void **state)
{
	(void)state;
	struct redis_url url;
	char fault[REDIS_URL_FAULT_BYTES];
	assert_false(redis_url_parse("redis+cluster://u:secret@a:1,b:99999,c", &url, fault));
	assert_string_equal(fault, "server 2, \"b:99999\": there is no host, or no port from 1 to 65535 behind it");
}

/* The longest that fits, and one byte more. */
static void test_lengths(void **state)
{
	(void)state;
	char text[2 * REDIS_TEXT_BYTES_MAX] = "redis://u:";
	size_t begin = strlen(text);
	struct redis_url url;
	char fault[REDIS_URL_FAULT_BYTES];
	memset(text + begin, 'x', REDIS_TEXT_BYTES_MAX - 1);
	memcpy(text + begin + REDIS_TEXT_BYTES_MAX - 1, "@h", 3);
	assert_true(redis_url_parse(text, &url, fault));
	assert_int_equal(strlen(url.login.password), REDIS_TEXT_BYTES_MAX - 1);
	memcpy(text + begin + REDIS_TEXT_BYTES_MAX - 1, "x@h", 4);
	assert_false(redis_url_parse(text, &url, fault));
	assert_null(strstr(fault, "xx"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_ones),
		cmocka_unit_test(test_bad_ones),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_places_in_words),
		cmocka_unit_test(test_the_wrong_server_is_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
