/* The options' table: each kind, the edges of each range, and names with - or _. */
#include "daemon/options/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool set(struct options *options, const char *name, const char *text, char fault[OPTION_FAULT_BYTES_MAX])
{
	const struct option_spec *spec = option_find(name);
	assert_non_null(spec);
	fault[0] = '\0';
	return option_set(spec, options, text, fault);
}

static void test_names_with_dash_or_underscore(void **state)
{
	(void)state;
	const struct option_spec *spec = option_find("connect-timeout-ms");
	assert_non_null(spec);
	assert_ptr_equal(option_find("connect_timeout_ms"), spec);
	assert_ptr_equal(option_find("connect-timeout_ms"), spec);
	static const char *const STRANGERS[] = {"",
						"-",
						"connect",
						"connect-timeout-ms-",
						"connecttimeoutms",
						"Connect-timeout-ms",
						"connect--timeout-ms",
						"connect timeout ms"};
	for (size_t i = 0; i < sizeof(STRANGERS) / sizeof(STRANGERS[0]); i++)
		assert_null(option_find(STRANGERS[i]));
}

struct number {
	const char *name;
	size_t offset;
	uint32_t least;
	uint32_t most;
};

#define NUMBER(field, least, most)                                                                                     \
	{                                                                                                              \
#field, offsetof(struct settings, field), least, most                                                  \
	}

static const struct number NUMBERS[] = {
	NUMBER(gates, 1, 16),
	NUMBER(shards, 0, 1024),
	NUMBER(connections, 0, 16000000),
	NUMBER(connect_timeout_ms, 10, 600000),
	NUMBER(packet_bytes_max, 128, 268435460),
	NUMBER(queue_bytes_max, 1024, 268435460),
	NUMBER(stuck_timeout_ms, 100, 3600000),
	NUMBER(grace_ms, 0, 600000),
	NUMBER(idle_probe_s, 0, 86400),
	NUMBER(drain_ms, 0, 600000),
	NUMBER(client_id_bytes_max, 23, 65535),
	NUMBER(client_subscriptions_max, 1, 1000000),
	NUMBER(client_subscription_bytes_max, 2 << 20, UINT32_MAX),
	NUMBER(queue_messages_max, 1, 10000000),
	NUMBER(inflight_max, 1, 65535),
	NUMBER(receive_max, 1, 65535),
	NUMBER(topic_alias_max, 0, 65535),
	NUMBER(sessions_offline_max, 0, 16000000),
	NUMBER(retained_max, 0, 100000000),
	NUMBER(retained_bytes_max, 0, UINT32_MAX),
	NUMBER(keepalive_max_s, 0, 65535),
	NUMBER(sys_interval_s, 0, 86400),
	NUMBER(handshakes_max, 16, 1000000),
	NUMBER(backlog, 1, 65535),
};

#define NUMBER_COUNT (sizeof(NUMBERS) / sizeof(NUMBERS[0]))

static uint32_t number_of(const struct options *options, const struct number *number)
{
	uint32_t value;
	memcpy(&value, (const uint8_t *)&options->settings + number->offset, sizeof(value));
	return value;
}

static void test_numbers_at_the_edges_of_their_range(void **state)
{
	(void)state;
	char fault[OPTION_FAULT_BYTES_MAX], text[32];
	for (size_t i = 0; i < NUMBER_COUNT; i++) {
		const struct number *number = &NUMBERS[i];
		struct options options = options_default();
		for (int edge = 0; edge < 2; edge++) {
			uint32_t value = edge == 0 ? number->least : number->most;
			snprintf(text, sizeof(text), "%u", value);
			assert_true(set(&options, number->name, text, fault));
			assert_int_equal(number_of(&options, number), value);
		}
		uint32_t before = number_of(&options, number);
		snprintf(text, sizeof(text), "%lu", (unsigned long)number->most + 1);
		assert_false(set(&options, number->name, text, fault));
		assert_non_null(strstr(fault, text));
		snprintf(text, sizeof(text), "%ld", (long)number->least - 1);
		assert_false(set(&options, number->name, text, fault));
		snprintf(text, sizeof(text), "from %u to %u", number->least, number->most);
		assert_non_null(strstr(fault, text));
		assert_int_equal(number_of(&options, number), before);
	}
}

static void test_setting_one_number_leaves_the_others(void **state)
{
	(void)state;
	char fault[OPTION_FAULT_BYTES_MAX], text[32];
	for (size_t i = 0; i < NUMBER_COUNT; i++) {
		struct options options = options_default();
		const struct options defaults = options_default();
		snprintf(text, sizeof(text), "%u", NUMBERS[i].most);
		assert_true(set(&options, NUMBERS[i].name, text, fault));
		for (size_t j = 0; j < NUMBER_COUNT; j++) {
			if (j != i)
				assert_int_equal(number_of(&options, &NUMBERS[j]), number_of(&defaults, &NUMBERS[j]));
		}
	}
}

static void test_what_is_no_number(void **state)
{
	(void)state;
	struct options options = options_default();
	char fault[OPTION_FAULT_BYTES_MAX];
	static const char *const WRONG[] = {"",
					    " ",
					    " 5",
					    "5 ",
					    "+5",
					    "-5",
					    "5s",
					    "0x5",
					    "5.0",
					    "five",
					    "1e3",
					    "18446744073709551617",
					    "99999999999999999999999"};
	for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++)
		assert_false(set(&options, "gates", WRONG[i], fault));
	assert_int_equal(options.settings.gates, 1);
	char longest[2000];
	memset(longest, '9', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	assert_false(set(&options, "gates", longest, fault));
	assert_true(strlen(fault) < OPTION_FAULT_BYTES_MAX);
}

static void test_switches(void **state)
{
	(void)state;
	struct options options = options_default();
	char fault[OPTION_FAULT_BYTES_MAX];
	assert_true(options.settings.private_tables && options.settings.defer_accept);
	assert_true(set(&options, "private_tables", "false", fault));
	assert_false(options.settings.private_tables);
	assert_true(options.settings.defer_accept);
	assert_true(set(&options, "private_tables", "yes", fault));
	assert_true(options.settings.private_tables);
	assert_true(set(&options, "defer-accept", "no", fault));
	assert_false(options.settings.defer_accept);
	assert_true(set(&options, "defer-accept", "true", fault));
	assert_false(set(&options, "defer-accept", "1", fault));
	assert_non_null(strstr(fault, "neither true nor false"));
	assert_false(set(&options, "defer-accept", "", fault));
	assert_true(options.settings.defer_accept);
}

static void test_log_level(void **state)
{
	(void)state;
	struct options options = options_default();
	char fault[OPTION_FAULT_BYTES_MAX];
	assert_int_equal(options.log_level, LOG_INFO);
	assert_true(set(&options, "log-level", "debug", fault));
	assert_int_equal(options.log_level, LOG_DEBUG);
	assert_false(set(&options, "log-level", "loud", fault));
	assert_non_null(strstr(fault, "loud"));
	assert_int_equal(options.log_level, LOG_DEBUG);
}

static void test_listeners_add_up_to_a_limit(void **state)
{
	(void)state;
	struct options options = options_default();
	char fault[OPTION_FAULT_BYTES_MAX], url[64];
	for (int i = 0; i < SETTINGS_LISTENERS_MAX; i++) {
		snprintf(url, sizeof(url), "tcp://127.0.0.1:%d", 1000 + i);
		assert_true(set(&options, "listen", url, fault));
		assert_int_equal(options.settings.listener_count, i + 1);
		assert_string_equal(options.settings.listeners[i].url, url);
	}
	assert_false(set(&options, "listen", url, fault));
	assert_non_null(strstr(fault, "16"));
	assert_int_equal(options.settings.listener_count, SETTINGS_LISTENERS_MAX);
}

static void test_bad_listener_is_named_and_not_added(void **state)
{
	(void)state;
	struct options options = options_default();
	char fault[OPTION_FAULT_BYTES_MAX];
	assert_false(set(&options, "listen", "tcp://somewhere.1:1883", fault));
	assert_non_null(strstr(fault, "tcp://somewhere.1:1883"));
	assert_non_null(strstr(fault, "address"));
	assert_int_equal(options.settings.listener_count, 0);
}

static void test_default_listener_only_where_none_was_given(void **state)
{
	(void)state;
	struct options options = options_default();
	char fault[OPTION_FAULT_BYTES_MAX];
	assert_true(options_complete(&options, fault));
	assert_int_equal(options.settings.listener_count, 1);
	assert_string_equal(options.settings.listeners[0].url, "tcp://127.0.0.1:1883");
	assert_true(options.settings.listeners[0].loopback);
	options = options_default();
	assert_true(set(&options, "listen", "tcp://[::1]:0", fault));
	assert_true(options_complete(&options, fault));
	assert_int_equal(options.settings.listener_count, 1);
	assert_string_equal(options.settings.listeners[0].url, "tcp://[::1]:0");
}

/* Revocations lie beside what they are about, unless another place is given. */
static void test_revocations_are_kept_in_the_store(void **state)
{
	(void)state;
	struct options options = options_default();
	char fault[OPTION_FAULT_BYTES_MAX];
	assert_true(options_complete(&options, fault));
	assert_string_equal(options.settings.access.revocation_file, "");
	assert_true(set(&options, "store", "/var/lib/roost", fault));
	assert_true(options_complete(&options, fault));
	assert_string_equal(options.settings.access.revocation_file, "/var/lib/roost/revocations");
	assert_true(set(&options, "revocation-file", "/etc/revoked", fault));
	assert_true(options_complete(&options, fault));
	assert_string_equal(options.settings.access.revocation_file, "/etc/revoked");
}

static void test_store_whose_revocations_have_too_long_a_name(void **state)
{
	(void)state;
	struct options options = options_default();
	char fault[OPTION_FAULT_BYTES_MAX], directory[ACCESS_TEXT_BYTES_MAX];
	memset(directory, 'd', sizeof(directory) - 1);
	directory[sizeof(directory) - 1] = '\0';
	assert_true(set(&options, "store", directory, fault));
	assert_false(options_complete(&options, fault));
	assert_non_null(strstr(fault, "revocation-file"));
	assert_true(set(&options, "revocation-file", "/etc/revoked", fault));
	assert_true(options_complete(&options, fault));
}

/* Bytes that do not fit into 32 bits. */
static void test_bytes(void **state)
{
	(void)state;
	struct options options = options_default();
	struct options copy = options_default();
	char fault[OPTION_FAULT_BYTES_MAX];
	assert_int_equal(options.settings.queue_memory_max, 256u << 20);
	for (const char *const *bad = (const char *const[]){"1048575", "1099511627777", "-1", "1g", "", NULL};
	     *bad != NULL; bad++) {
		assert_false(set(&options, "queue-memory-max", *bad, fault));
		assert_non_null(strstr(fault, "1048576 to 1099511627776"));
	}
	assert_int_equal(options.settings.queue_memory_max, 256u << 20);
	assert_true(set(&options, "queue-memory-max", "0", fault));
	assert_true(set(&options, "queue-memory-max", "1099511627776", fault));
	assert_int_equal(options.settings.queue_memory_max, UINT64_C(1) << 40);
	option_copy(option_find("queue-memory-max"), &copy, &options);
	assert_int_equal(copy.settings.queue_memory_max, UINT64_C(1) << 40);
	assert_true(option_is_live(option_find("queue-memory-max")));
	assert_true(option_is_live(option_find("store-full")));
	assert_false(option_is_live(option_find("store")));
	assert_false(option_is_live(option_find("durability")));
}

static void test_kinds(void **state)
{
	(void)state;
	assert_true(option_is_switch(option_find("private-tables")));
	assert_false(option_is_switch(option_find("gates")));
	assert_false(option_is_switch(option_find("listen")));
	assert_true(option_is_list(option_find("listen")));
	assert_false(option_is_list(option_find("log-level")));
}

/* Help names each option with a default that the option itself would take. */
static void test_help(void **state)
{
	(void)state;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	assert_non_null(out);
	options_print_help(out);
	fclose(out);
	struct options defaults = options_default();
	char fault[OPTION_FAULT_BYTES_MAX], name[64], value[16];
	for (size_t i = 0; i < NUMBER_COUNT; i++) {
		snprintf(name, sizeof(name), "  --%s N\n", NUMBERS[i].name);
		for (char *at = name; *at != '\0'; at++)
			*at = *at == '_' ? '-' : *at;
		const char *entry = strstr(text, name);
		assert_non_null(entry);
		snprintf(value, sizeof(value), "(%u)\n", number_of(&defaults, &NUMBERS[i]));
		const char *shown = strstr(entry + strlen(name), value);
		assert_non_null(shown);
		assert_ptr_equal(strchr(entry + strlen(name), '\n'), shown + strlen(value) - 1);
		snprintf(value, sizeof(value), "%u", number_of(&defaults, &NUMBERS[i]));
		assert_true(set(&defaults, NUMBERS[i].name, value, fault));
	}
	assert_non_null(strstr(text, "--listen URL"));
	assert_non_null(strstr(text, "--[no-]private-tables"));
	assert_non_null(strstr(text, "--log-level error|warning|info|debug"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_with_dash_or_underscore),
		cmocka_unit_test(test_numbers_at_the_edges_of_their_range),
		cmocka_unit_test(test_setting_one_number_leaves_the_others),
		cmocka_unit_test(test_what_is_no_number),
		cmocka_unit_test(test_switches),
		cmocka_unit_test(test_log_level),
		cmocka_unit_test(test_listeners_add_up_to_a_limit),
		cmocka_unit_test(test_bad_listener_is_named_and_not_added),
		cmocka_unit_test(test_default_listener_only_where_none_was_given),
		cmocka_unit_test(test_revocations_are_kept_in_the_store),
		cmocka_unit_test(test_store_whose_revocations_have_too_long_a_name),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_help),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
