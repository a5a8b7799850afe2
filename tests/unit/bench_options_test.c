/* What the bench's command line accepts, and that wrong values end with status 2. */
#include "bench/bench.h"
#include "bench/options/options.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

static void test_good_urls(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum url_scheme scheme;
		const char *host;
		uint16_t port;
		const char *path;
		const char *printed; /* NULL: as it was */
	} cases[] = {
		{"tcp://127.0.0.1:1883", URL_TCP, "127.0.0.1", 1883, "", NULL},
		{"tcp://127.0.0.1", URL_TCP, "127.0.0.1", 1883, "", "tcp://127.0.0.1:1883"},
		{"tcp://[::1]:1", URL_TCP, "::1", 1, "", NULL},
		{"tcp://[::1]", URL_TCP, "::1", 1883, "", "tcp://[::1]:1883"},
		{"tcp://broker.example:65535", URL_TCP, "broker.example", 65535, "", NULL},
		{"tls://broker.example", URL_TLS, "broker.example", 8883, "", "tls://broker.example:8883"},
		{"mqtts://[::1]:9", URL_TLS, "::1", 9, "", "tls://[::1]:9"},
		{"ws://broker.example", URL_WS, "broker.example", 80, "/mqtt", "ws://broker.example:80/mqtt"},
		{"ws://broker.example:8080/", URL_WS, "broker.example", 8080, "/", NULL},
		{"wss://[::1]/a/b?c=d", URL_WSS, "::1", 443, "/a/b?c=d", "wss://[::1]:443/a/b?c=d"},
		{"unix:///run/broker.sock", URL_UNIX, "", 0, "/run/broker.sock", NULL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct url url;
		char printed[URL_TEXT_BYTES];
		assert_null(url_parse(cases[i].text, &url));
		assert_int_equal(url.scheme, cases[i].scheme);
		assert_string_equal(url.host, cases[i].host);
		assert_int_equal(url.port, cases[i].port);
		assert_string_equal(url.path, cases[i].path);
		url_print(&url, printed);
		assert_string_equal(printed, cases[i].printed != NULL ? cases[i].printed : cases[i].text);
	}
}

static void test_bad_urls(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"",
		"127.0.0.1:1883",
		"mqtt://127.0.0.1",
		"tcp://",
		"tcp://:1883",
		"tcp://[::1",
		"tcp://[]:1",
		"tcp://[::1]x",
		"tcp://a:",
		"tcp://a:0",
		"tcp://a:65536",
		"tcp://a:99999999999",
		"tcp://a:1883/",
		"tcp://a:-1",
		"tcp://a/topic",
		"tcp://a: 1",
		"ssl://a",
		"://a",
		"tls://a/mqtt",
		"ws://a:1mqtt",
		"ws://a:/mqtt",
		"ws://a/with blank",
		"ws://a/\"",
		"unix://run/broker.sock",
		"unix://",
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct url url;
		assert_non_null(url_parse(texts[i], &url));
	}
	char text[URL_HOST_BYTES + 16] = "tcp://";
	struct url url;
	memset(text + 6, 'a', URL_HOST_BYTES);
	assert_non_null(url_parse(text, &url));
	memcpy(text, "unix:///", 8);
	memset(text + 8, 'a', URL_PATH_BYTES);
	assert_non_null(url_parse(text, &url));
	text[7 + URL_PATH_BYTES - 1] = '\0';
	assert_null(url_parse(text, &url));
}

static void test_unix_socket_resolves(void **state)
{
	(void)state;
	struct address address;
	struct url url;
	assert_null(url_parse("unix:///run/broker.sock", &url));
	assert_null(url_resolve(&url, &address));
	assert_int_equal(address.storage.ss_family, AF_UNIX);
	assert_string_equal(((struct sockaddr_un *)&address.storage)->sun_path, "/run/broker.sock");
	assert_false(address_is_loopback_v4(&address));
}

static void test_numeric_hosts_resolve(void **state)
{
	(void)state;
	struct address address;
	struct url url = {.host = "127.9.9.9", .port = 5};
	assert_null(url_resolve(&url, &address));
	assert_true(address_is_loopback_v4(&address));
	assert_int_equal(ntohs(((struct sockaddr_in *)&address.storage)->sin_port), 5);
	strcpy(url.host, "192.0.2.1");
	assert_null(url_resolve(&url, &address));
	assert_false(address_is_loopback_v4(&address));
	strcpy(url.host, "::1");
	assert_null(url_resolve(&url, &address));
	assert_int_equal(address.storage.ss_family, AF_INET6);
	assert_false(address_is_loopback_v4(&address));
}

static void test_networks(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint32_t first;
		uint32_t hosts;
	} cases[] = {
		{"127.66.0.0/16", 0x7F420001, 65534}, {"127.66.3.9/24", 0x7F420301, 254},
		{"10.0.0.9/30", 0x0A000009, 2},       {"10.0.0.9/31", 0x0A000008, 2},
		{"10.0.0.9/32", 0x0A000009, 1},       {"10.0.0.9", 0x0A000009, 1},
		{"10.0.0.0/1", 1, 0x7FFFFFFE},
	};
	static const char *const bad[] = {"",
					  "10.0.0.0/",
					  "10.0.0.0/0",
					  "10.0.0.0/33",
					  "10.0.0.0/-1",
					  "10.0.0/24",
					  "10.0.0.0/8/",
					  "10.0.0.0/ 8",
					  "::1/128",
					  "host/8",
					  "10.0.0.0/008",
					  "1234567890123456/8"};
	struct source_range network;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_null(source_range_parse(cases[i].text, &network));
		assert_int_equal(network.first, cases[i].first);
		assert_int_equal(network.hosts, cases[i].hosts);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_non_null(source_range_parse(bad[i], &network));
}

static void test_numbers(void **state)
{
	(void)state;
	static const char *const bad[] = {"",   "-1", "+1", " 1", "1 ", "0x10", "1e3", "ten", "18446744073709551616",
					  "_1", "11", "1."};
	uint64_t value = 0;
	assert_true(option_number("-n", "1_000_000", 1, 1000000, &value));
	assert_int_equal(value, 1000000);
	assert_true(option_number("-n", "0", 0, 0, &value));
	assert_true(option_number("-n", "18446744073709551615", 0, UINT64_MAX, &value));
	assert_true(value == UINT64_MAX);
	value = 3;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(option_number("-n", bad[i], 0, 10, &value));
	assert_int_equal(value, 3);
}

static void test_rates_and_versions(void **state)
{
	(void)state;
	uint32_t rate = 1;
	uint8_t version = 0;
	assert_true(option_rate("--rate", "full", &rate));
	assert_int_equal(rate, 0);
	assert_true(option_rate("--rate", "20000", &rate));
	assert_int_equal(rate, 20000);
	assert_false(option_rate("--rate", "0", &rate));
	assert_true(option_version("--version", "3.1.1", &version));
	assert_int_equal(version, 4);
	assert_true(option_version("--version", "5", &version));
	assert_int_equal(version, 5);
	assert_false(option_version("--version", "6", &version));
	uint8_t qos = 7;
	assert_true(option_qos("--qos", "2", &qos));
	assert_int_equal(qos, 2);
	assert_false(option_qos("--qos", "3", &qos));
	assert_true(option_prefix("--topic-prefix", "a/b/", 4));
	assert_false(option_prefix("--topic-prefix", "a/b/c", 4));
	assert_false(option_prefix("--topic-prefix", "a/#", 4));
}

/* Splits the line at blanks, as a shell would. */
static int run(const char *line)
{
	char text[256];
	char *argv[32];
	int argc = 0;
	snprintf(text, sizeof(text), "%s", line);
	for (char *word = strtok(text, " "); word != NULL && argc < 31; word = strtok(NULL, " "))
		argv[argc++] = word;
	argv[argc] = NULL;
	return bench_main(argc, argv);
}

static void test_wrong_command_lines_end_with_status_2(void **state)
{
	(void)state;
	static const char *const lines[] = {
		"bench",
		"bench what",
		"bench hold",
		"bench hold -n 0",
		"bench hold -n ten",
		"bench hold -n",
		"bench hold -n 10 --url http://127.0.0.1",
		"bench hold -n 10 --what",
		"bench hold -n 10 more",
		"bench hold -n 10 --version 2",
		"bench hold -n 10 --keepalive 65536",
		"bench pubsub",
		"bench pubsub --pattern one-to-many",
		"bench pubsub --pattern one-to-one --qos 3",
		"bench pubsub --pattern one-to-one --qos 1 --window 65536",
		"bench pubsub --pattern one-to-one --members 10",
		"bench pubsub --pattern shared --members 0",
		"bench pubsub --pattern shared --clients 100",
		"bench pubsub --pattern shared --members 1 --threads 2",
		"bench pubsub --pattern one-to-one --size 23",
		"bench pubsub --pattern one-to-one --clients 127",
		"bench pubsub --pattern one-to-one --burst 4 --window 3",
		"bench pubsub --pattern fan-in --clients 500",
		"bench pubsub --pattern fan-in --clients 20000",
		"bench pubsub --pattern fan-out --threads 2",
		"bench pubsub --pattern fan-out --also tcp://127.0.0.1:1883",
		"bench pubsub --pattern fan-out --also 127.0.0.1=m",
		"bench storm --established 127",
		"bench storm --stay 19000",
		"bench storm --in-progress 0",
		"bench storm --rate 0",
		"bench storm --warm-up 60001",
		"bench pubsub --pattern fan-out --warm-up -1",
		"bench storm --nice 20",
		"bench storm --from 127.0.0.1/0",
		"bench storm --token a --token-secret b",
		"bench storm --token-claims x",
		"bench storm --token-secret a --client-prefix \"",
		"bench storm --storm-prefix bench-",
		"bench storm more",
		"bench floor --url tcp://",
		"bench floor --seconds 0",
		"bench latency --size 31",
		"bench latency --clients 3",
		"bench latency --neighbour 0",
		"bench latency --neighbour=65",
		"bench latency --neighbour x",
		"bench latency --beside mosquito",
		"bench latency --beside 0",
		"bench latency --beside http://127.0.0.1",
		"bench latency --beside 1 --beside 2 --beside 3 --beside 4",
		"bench latency --url tcp://127.0.0.1:1 --serve x",
		"bench latency --server-pid 1",
		"bench latency --transport quic",
		"bench latency --transport unix",
		"bench storm --transport tls",
		"bench latency --tls-version 1.1",
		"bench hold -n 10 --tls-resume 101",
		"bench hold -n 10 --tls-cert a",
		"bench pubsub --pattern fan-out --tls-key a",
		"bench durable --tls-cert a",
		"bench run x.yaml --tls-key a",
		"bench pubsub --pattern fan-out --floor-url tls://127.0.0.1",
		"bench floor --url ws://127.0.0.1",
	};
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_int_equal(run(lines[i]), BENCH_EXIT_USAGE);
}

static void test_help_is_no_error(void **state)
{
	(void)state;
	assert_int_equal(run("bench --help"), BENCH_EXIT_OK);
	assert_int_equal(run("bench hold --help"), BENCH_EXIT_OK);
	assert_int_equal(run("bench pubsub --help"), BENCH_EXIT_OK);
	assert_int_equal(run("bench floor --help"), BENCH_EXIT_OK);
	assert_int_equal(run("bench storm --help"), BENCH_EXIT_OK);
	assert_int_equal(run("bench latency --help"), BENCH_EXIT_OK);
	assert_int_equal(run("bench run --help"), BENCH_EXIT_OK);
	assert_int_equal(run("bench durable --help"), BENCH_EXIT_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_urls),
		cmocka_unit_test(test_bad_urls),
		cmocka_unit_test(test_unix_socket_resolves),
		cmocka_unit_test(test_numeric_hosts_resolve),
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_rates_and_versions),
		cmocka_unit_test(test_wrong_command_lines_end_with_status_2),
		cmocka_unit_test(test_help_is_no_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
