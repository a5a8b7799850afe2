/* URLs of NATS servers: parts, defaults, and what is wrong with others, without a word of a password. */
#include "nodes/bus/bus_url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_urls(void **state)
{
	static const struct {
		const char *text, *host, *shown, *full;
	} CASES[] = {
		{"nats://127.0.0.1", "127.0.0.1", "nats://127.0.0.1:4222", "nats://127.0.0.1:4222"},
		{"nats://a.example:99/", "a.example", "nats://a.example:99", "nats://a.example:99"},
		{"tls://a", "a", "tls://a:4222", "nats://a:4222"},
		{"nats://u:p@a:1", "a", "nats://a:1", "nats://u:p@a:1"},
		{"nats://token@a", "a", "nats://a:4222", "nats://token@a:4222"},
		{"nats://u:p@@a", "a", "nats://a:4222", "nats://u:p@@a:4222"},
		{"nats://[::1]", "::1", "nats://[::1]:4222", "nats://[::1]:4222"},
		{" nats://u:p@[::1]:65535 ", "::1", "nats://[::1]:65535", "nats://u:p@[::1]:65535"},
	};
	struct bus_url urls[BUS_URLS_MAX];
	char fault[BUS_TEXT_BYTES];
	(void)state;
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		assert_int_equal(bus_urls_read(CASES[i].text, urls, fault), 1);
		assert_string_equal(urls[0].host, CASES[i].host);
		assert_string_equal(urls[0].shown, CASES[i].shown);
		assert_string_equal(urls[0].full, CASES[i].full);
		assert_int_equal(urls[0].is_tls, strstr(CASES[i].text, "tls:") != NULL);
	}
}

static void test_several(void **state)
{
	struct bus_url urls[BUS_URLS_MAX];
	char fault[BUS_TEXT_BYTES];
	char many[BUS_URLS_MAX * 9 + 16];
	size_t size = 0;
	(void)state;
	assert_int_equal(bus_urls_read("nats://a, tls://b:7,nats://c", urls, fault), 3);
	assert_string_equal(urls[1].shown, "tls://b:7");
	for (uint32_t i = 0; i < BUS_URLS_MAX; i++)
		size += (size_t)snprintf(many + size, sizeof(many) - size, "%snats://a", i == 0 ? "" : ",");
	assert_int_equal(bus_urls_read(many, urls, fault), BUS_URLS_MAX);
	snprintf(many + size, sizeof(many) - size, ",nats://a");
	assert_int_equal(bus_urls_read(many, urls, fault), 0);
	assert_non_null(strstr(fault, "more than 16"));
}

static void test_faults(void **state)
{
	static const char *const CASES[] = {
		"",
		"a:4222",
		"http://a",
		"nats://",
		"nats://:4222",
		"nats://a:",
		"nats://a:0",
		"nats://a:65536",
		"nats://a:4x",
		"nats://[::1",
		"nats://[::1]x",
		"nats://secret@",
		"nats://a b",
		"nats://a,",
		"nats://a/b",
		"nats://a\n:4222",
		"nats://a:99999999999999999999",
	};
	struct bus_url urls[BUS_URLS_MAX];
	char fault[BUS_TEXT_BYTES];
	(void)state;
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		fault[0] = '\0';
		if (bus_urls_read(CASES[i], urls, fault) != 0)
			fail_msg("taken: %s", CASES[i]);
		assert_non_null(strstr(fault, "URL "));
		assert_null(strstr(fault, "secret"));
	}
}

static void test_long_ones(void **state)
{
	struct bus_url urls[BUS_URLS_MAX];
	char fault[BUS_TEXT_BYTES];
	char text[2 * BUS_URL_BYTES_MAX] = "nats://";
	(void)state;
	memset(text + 7, 'x', BUS_TEXT_BYTES - 33);
	assert_int_equal(bus_urls_read(text, urls, fault), 1);
	memset(text + 7, 'x', BUS_TEXT_BYTES - 32);
	assert_int_equal(bus_urls_read(text, urls, fault), 0);
	memset(text + 7, 'x', BUS_URL_BYTES_MAX);
	text[300] = '@';
	assert_int_equal(bus_urls_read(text, urls, fault), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_long_ones),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
