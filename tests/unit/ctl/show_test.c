/* What `roost ctl` prints, and how it writes client ids into paths. */
#include "ctl/http_client.h"
#include "ctl/show.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *shown(void (*show)(const json_t *answer, FILE *out), const char *text)
{
	char *out_text = NULL;
	size_t size;
	json_t *json = json_loads(text, 0, NULL);
	FILE *out = open_memstream(&out_text, &size);
	assert_non_null(json);
	assert_non_null(out);
	show(json, out);
	fclose(out);
	json_decref(json);
	return out_text;
}

static void clients_with_headings(const json_t *answer, FILE *out)
{
	show_clients(answer, true, out);
}

static void clients_without(const json_t *answer, FILE *out)
{
	show_clients(answer, false, out);
}

static void revocations(const json_t *answer, FILE *out)
{
	show_revocations(answer, true, out);
}

static void check(void (*show)(const json_t *answer, FILE *out), const char *json, const char *wanted)
{
	char *text = shown(show, json);
	assert_string_equal(text, wanted);
	free(text);
}

#define HEADINGS                                                                                                       \
	"STATE      HEARTBEAT  MQTT   OVER  ADDRESS                SUBSCRIPTIONS  QUEUED  DROPPED      SILENT  "       \
	"CLIENT ID\n"
#define OFFLINE                                                                                                        \
	"offline    -          5.0    -     -                                  2       7        3           -  "       \
	"a?b?[2J\n"
#define HERE                                                                                                           \
	"connected  quiet      3.1.1  wss   [2001:db8:7777:8888:9999:aaaa:bbbb:cccc]:54321              0       0    " \
	"    - "                                                                                                       \
	"     42.1 s  x y\n"

static void test_clients(void **state)
{
	(void)state;
	static const char JSON[] =
		"{\"clients\": [{\"client_id\": \"a\\tb\\u001b[2J\", \"state\": \"offline\", \"protocol\": \"5.0\", "
		"\"grade\": null, \"address\": null, \"subscriptions\": 2, \"queued_messages\": 7, "
		"\"dropped_messages\": 3, "
		"\"silent_seconds\": null}, {\"client_id\": \"x y\", \"state\": \"connected\", \"grade\": \"quiet\", "
		"\"protocol\": \"3.1.1\", \"transport\": \"wss\", \"address\": "
		"\"[2001:db8:7777:8888:9999:aaaa:bbbb:cccc]:54321\", "
		"\"subscriptions\": 0, \"queued_messages\": 0, \"silent_seconds\": 42.1}], \"next\": null}";
	check(clients_with_headings, JSON, HEADINGS OFFLINE HERE);
	check(clients_without, JSON, OFFLINE HERE);
	check(clients_with_headings, "{\"clients\": []}", "");
}

static void test_client(void **state)
{
	(void)state;
	check(show_client,
	      "{\"client_id\": \"x\", \"paused\": true, \"silent_seconds\": 1.5, \"packet_bytes_max\": 1048576, "
	      "\"queued_bytes\": 12, \"session_ends_in_seconds\": null, \"tcp\": {\"round_trip_seconds\": 0.0012}, "
	      "\"subscription_list\": [{\"filter\": \"a/#\", \"qos\": 1, \"no_local\": false, \"retain_as_published\": "
	      "true, \"identifier\": 7}]}",
	      "client id                  x\n"
	      "paused                     yes\n"
	      "silent                     1.5 s\n"
	      "packet bytes max           1.0 MiB\n"
	      "queued                     12 B\n"
	      "session ends in            -\n"
	      "\nTCP\n"
	      "  round trip                 1.2 ms\n"
	      "\nsubscriptions\n"
	      "  QOS  NO LOCAL  RETAIN AS PUBLISHED  IDENTIFIER  FILTER\n"
	      "    1  no        yes                           7  a/#\n");
}

static void test_members(void **state)
{
	(void)state;
	check(show_members, "{\"changed\": [\"one\", \"two\"]}", "one\ntwo\n");
	check(show_members, "{\"kind\": \"user\", \"until\": 1795882577}",
	      "kind                       user\nuntil                      2026-11-28 16:16:17 UTC\n");
	check(show_members, "{\"until\": null}", "until                      for ever\n");
}

static void test_revocations(void **state)
{
	(void)state;
	check(revocations,
	      "{\"revocations\": [{\"kind\": \"token\", \"id\": \"a b\", \"until\": 1795882577}, {\"kind\": "
	      "\"client\", "
	      "\"id\": \"c\\u0007\", \"until\": null}]}",
	      "KIND    UNTIL                    ID\n"
	      "token   2026-11-28 16:16:17 UTC  a b\n"
	      "client  for ever                 c?\n");
}

static void test_stats(void **state)
{
	(void)state;
	check(show_stats,
	      "{\"time\": 1795882577.5, \"uptime_seconds\": 93784, \"clients\": {\"connected\": 2}, \"memory\": "
	      "{\"resident_bytes\": 12582912, \"parts\": {\"queues\": 512}}, \"counters\": {\"bytes_in\": 1234567}, "
	      "\"ends\": {\"timeout\": {\"count\": 3, \"meaning\": \"too late\"}}, \"timing_bounds_seconds\": [1e-6, "
	      "0.002, 10], \"delivery_counts\": [3, 0, 0, 1], \"shards\": [{\"shard\": 0, \"clients\": 2, "
	      "\"cpu_seconds\": "
	      "0.25, \"turns\": 10, \"longest_turn_seconds\": 0.0012, \"longest_recent_turn_seconds\": 0, "
	      "\"descriptors\": 12, \"descriptors_allowed\": 20000, \"turn_counts\": [98, 1, 1, 0], "
	      "\"wake_lag_counts\": "
	      "[0, 0, 0, 0]}]}",
	      "time                       2026-11-28 16:16:17 UTC\n"
	      "uptime                     1 d 2 h\n"
	      "\nclients\n"
	      "  connected                  2\n"
	      "\nmemory\n"
	      "  resident                   12.0 MiB\n"
	      "  of sessions: queues        512 B\n"
	      "\nshards\n"
	      "  SHARD    CLIENTS           CPU         TURNS  99 % WITHIN     LONGEST    RECENTLY  WAKE-UP 99 %  "
	      "DESCRIPTORS         OF\n"
	      "      0          2        250 ms            10         2 ms      1.2 ms         0 s             -  "
	      "         12      20000\n"
	      "\ntime of a message from its reading to its writing\n"
	      "  up to 1 us                 3 (75.0 %)\n"
	      "  above 10 s                 1 (25.0 %)\n"
	      "\nconnections that ended, by reason\n"
	      "  timeout                             3  too late\n"
	      "\ncounters\n"
	      "  bytes_in                    1234567\n");
}

/* An answer of another version, or of something else: what is not there is left out. */
static void test_answers_without_members(void **state)
{
	(void)state;
	check(show_stats, "{}", "");
	check(show_stats,
	      "{\"clients\": {\"connected\": 3, \"by_transport\": {\"tcp\": 1, \"wss\": 2}}, \"tls\": "
	      "{\"certificates\": "
	      "[{\"kind\": \"own\", \"path\": \"/a b.pem\", \"subject\": \"CN=a\", \"expires\": 1795882577}, "
	      "{\"kind\": \"client_crl\", \"path\": \"/c\", \"subject\": \"CN=c\", \"expires\": null}], "
	      "\"reload_failures\": 4}}",
	      "\nclients\n"
	      "  connected                  3\n"
	      "  of these over tcp          1\n"
	      "  of these over wss          2\n"
	      "\ntls\n"
	      "  reload failures            4\n"
	      "                    EXPIRES  KIND        SUBJECT                         PATH\n"
	      "    2026-11-28 16:16:17 UTC  own         CN=a                            /a b.pem\n"
	      "                   for ever  client_crl  CN=c                            /c\n");
	check(show_stats, "{\"shards\": 1, \"counters\": [], \"delivery_counts\": [1], \"ends\": \"x\"}",
	      "shards                     1\nends                       x\n");
	check(show_client, "[]", "");
}

static void test_escape(void **state)
{
	(void)state;
	static const char *const CASES[][2] = {
		{"", ""}, {"abc-1._~", "abc-1._~"}, {"a/b?c#d%e", "a%2Fb%3Fc%23d%25e"}, {"\xc3\xa4 +", "%C3%A4%20%2B"}};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		char *escaped = http_client_escape(CASES[i][0]);
		assert_string_equal(escaped, CASES[i][1]);
		free(escaped);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clients), cmocka_unit_test(test_client),
		cmocka_unit_test(test_members), cmocka_unit_test(test_revocations),
		cmocka_unit_test(test_stats),   cmocka_unit_test(test_answers_without_members),
		cmocka_unit_test(test_escape),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
