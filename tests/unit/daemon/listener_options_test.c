/* Options of listeners: for all, for one alone, what must hold between them, and what a reload may change. */
#include "daemon/options/command_line.h"
#include "daemon/options/config_file.h"
#include "daemon/options/listener_options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[64];

static void write_file(const char *text)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	fclose(file);
}

static int make_file(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "/tmp/roost-listeners-XXXXXX");
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	return 0;
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

#define ARGUMENTS_MAX 16

/* Reads the file and these arguments; faults: what was said of it, to be freed. */
static bool read_all(const char *text, char *const *arguments, struct options *options, char **faults)
{
	char *argv[ARGUMENTS_MAX] = {(char *)"serve", (char *)"--config", path};
	int argc = 3;
	size_t size;
	for (; *arguments != NULL; arguments++)
		argv[argc++] = *arguments;
	write_file(text);
	*options = options_default();
	FILE *out = open_memstream(faults, &size);
	assert_non_null(out);
	bool read = command_line_read(argc, argv, options, out);
	fclose(out);
	return read;
}

#define READ(text, options, ...)                                                                                       \
	do {                                                                                                           \
		char *faults_;                                                                                         \
		char *arguments_[] = {__VA_ARGS__ __VA_OPT__(, ) NULL};                                                \
		bool read_ = read_all(text, arguments_, options, &faults_);                                            \
		if (!read_)                                                                                            \
			fail_msg("%s", faults_);                                                                       \
		free(faults_);                                                                                         \
	} while (0)

static void test_for_all_listeners(void **state)
{
	(void)state;
	struct options options;
	READ("listen: [tls://127.0.0.1:1, wss://127.0.0.1:2/x, tcp://127.0.0.1:3]\n", &options, "--tls-certificate",
	     "rsa.pem", "--tls-key", "rsa.key", "--tls-certificate", "ec.pem", "--tls-key=ec.key",
	     "--tls-min-version=1.3");
	for (uint32_t i = 0; i < 3; i++) {
		const struct listener_settings *settings = &options.settings.listener_settings[i];
		assert_int_equal(options.settings.listeners[i].settings, i);
		assert_int_equal(settings->certificate_count, 2);
		assert_string_equal(settings->certificates[0].chain, "rsa.pem");
		assert_string_equal(settings->certificates[0].key, "rsa.key");
		assert_string_equal(settings->certificates[1].chain, "ec.pem");
		assert_string_equal(settings->certificates[1].key, "ec.key");
		assert_true(settings->only_tls_1_3);
		assert_int_equal(settings->is_tls, i < 2);
		assert_int_equal(settings->is_websocket, i == 1);
		assert_int_equal(settings->mode, 0660);
	}
	assert_string_equal(options.settings.listener_settings[1].path, "/x");
}

static const char TWO[] = "tls_certificate: common.pem\n"
			  "tls_key: common.key\n"
			  "listen:\n"
			  "  - url: tls://127.0.0.1:1\n"
			  "    tls_certificate: [own.pem, other.pem]\n"
			  "    tls_client_certificates: required\n"
			  "    tls_client_ca_file: ca.pem\n"
			  "    tls_identity_from: dns\n"
			  "    tls_identity_as: client-id\n"
			  "    proxy_from: [10.0.0.0/8, \"2001:db8::/32\"]\n"
			  "  - tls://127.0.0.1:2\n"
			  "  - url: wss://127.0.0.1:3\n"
			  "    websocket_origin: https://example.org\n"
			  "  - url: unix:///run/roost.sock\n"
			  "    unix_mode: 0600\n"
			  "    unix_owner: root\n"
			  "    unix_group: 7\n"
			  "    unix_peer_is_user: true\n"
			  "    proxy_from: unix\n";

static void test_keys_of_an_entry(void **state)
{
	(void)state;
	struct options options;
	READ(TWO, &options);
	const struct listener_settings *settings = options.settings.listener_settings;
	assert_int_equal(options.settings.listener_count, 4);
	assert_int_equal(settings[0].certificate_count, 2);
	assert_string_equal(settings[0].certificates[1].chain, "other.pem");
	assert_int_equal(settings[0].key_count, 0); /* not those of the common certificate */
	assert_string_equal(settings[0].certificates[0].key, "");
	assert_int_equal(settings[0].client_certificates, TLS_CLIENTS_REQUIRED);
	assert_string_equal(settings[0].client_ca_file, "ca.pem");
	assert_int_equal(settings[0].identity_from, TLS_IDENTITY_DNS);
	assert_int_equal(settings[0].certificate_names, CERTIFICATE_NAMES_CLIENT_ID);
	assert_int_equal(settings[0].proxy_count, 2);
	assert_string_equal(settings[1].certificates[0].chain, "common.pem");
	assert_string_equal(settings[1].certificates[0].key, "common.key");
	assert_int_equal(settings[1].client_certificates, TLS_CLIENTS_NONE);
	assert_int_equal(settings[1].identity_from, TLS_IDENTITY_CN);
	assert_int_equal(settings[1].proxy_count, 0);
	assert_int_equal(settings[2].origin_count, 1);
	assert_string_equal(settings[2].origins[0], "https://example.org");
	assert_int_equal(settings[3].mode, 0600);
	assert_true(settings[3].sets_owner && settings[3].sets_group);
	assert_int_equal(settings[3].owner, 0);
	assert_int_equal(settings[3].group, 7);
	assert_true(settings[3].peer_names_user && settings[3].proxy_all_unix);
	assert_false(settings[2].peer_names_user || settings[2].proxy_all_unix);
}

static void test_the_command_line_replaces_lists(void **state)
{
	(void)state;
	struct options options;
	READ(TWO, &options, "--tls-key", "line.key", "--tls-certificate", "line.pem");
	assert_string_equal(options.settings.listener_settings[1].certificates[0].chain, "line.pem");
	assert_string_equal(options.settings.listener_settings[1].certificates[0].key, "line.key");
	assert_int_equal(options.settings.listener_settings[1].certificate_count, 1);
	assert_string_equal(options.settings.listener_settings[0].certificates[0].chain, "own.pem");
	/* A listener there has nothing of an entry of the file. */
	READ(TWO, &options, "--listen", "tls://127.0.0.1:9");
	assert_int_equal(options.settings.listener_count, 1);
	assert_int_equal(options.settings.listener_settings[0].client_certificates, TLS_CLIENTS_NONE);
	assert_string_equal(options.settings.listener_settings[0].certificates[0].chain, "common.pem");
}

#define TLS "listen:\n  - url: tls://127.0.0.1:1\n"

static const struct {
	const char *text;
	const char *place; /* what the fault begins with, behind the file's name */
	const char *why;
} FAULTS[] = {
	{TLS "    tls_certificate: [a, b]\n    tls_key: a\n", ":2: tls_key: ", "as many"},
	{"tls_key: a\n" TLS, ":1: tls_key: ", "as many"},
	{TLS "    tls_client_certificates: optional\n", ":2: tls_client_certificates: ", "tls-client-ca-file"},
	{"\ntls_client_certificates: required\n" TLS, ":2: tls_client_certificates: ", "tls-client-ca-file"},
	{TLS "    tls_client_ca_file: a\n", ":2: tls_client_ca_file: ", "no use"},
	{TLS "    tls_client_crl_file: a\n", ":2: tls_client_crl_file: ", "no use"},
	{TLS "    tls_identity_as: user\n", ":2: tls_identity_as: ", "no certificate"},
	{"listen:\n  - url: tcp://127.0.0.1:1\n    tls_key: a\n", ":2: tls_key: ", "no TLS"},
	{"listen:\n  - url: tcp://127.0.0.1:1\n    tls_identity_as: user\n", ":2: tls_identity_as: ", "no TLS"},
	{"listen:\n  - url: tls://127.0.0.1:1\n    websocket_origin: \"*\"\n", ":2: websocket_origin: ", "WebSockets"},
	{"listen:\n  - url: tls://127.0.0.1:1\n    unix_mode: 0600\n", ":2: unix_mode: ", "no unix socket"},
	{TLS "    tls_min_version: 1.1\n", ":3: tls_min_version: ", "1.2 or 1.3"},
	{TLS "    websocket_origin: https://a/b\n", ":3: websocket_origin: ", "no path"},
	{TLS "    websocket_origin: example.org\n", ":3: websocket_origin: ", "no origin"},
	{TLS "    unix_mode: 0999\n", ":3: unix_mode: ", "octal"},
	{TLS "    unix_mode: 01777\n", ":3: unix_mode: ", "octal"},
	{TLS "    unix_owner: no-such-user\n", ":3: unix_owner: ", "no user"},
	{TLS "    unix_group: no-such-group\n", ":3: unix_group: ", "no group"},
	{TLS "    proxy_from: 10.0.0.0/33\n", ":3: proxy_from: ", "10.0.0.0/33"},
	{TLS "    tls_certificate: \"\"\n", ":3: tls_certificate: ", "empty"},
	{TLS "    tls_ticket_file: a\n", ":3: tls_ticket_file: ", "no such key"},
};

static void test_faults(void **state)
{
	(void)state;
	char *none[] = {NULL};
	char wanted[256];
	for (size_t i = 0; i < sizeof(FAULTS) / sizeof(FAULTS[0]); i++) {
		struct options options;
		char *faults;
		assert_false(read_all(FAULTS[i].text, none, &options, &faults));
		snprintf(wanted, sizeof(wanted), "roost: %s%s", path, FAULTS[i].place);
		if (strncmp(faults, wanted, strlen(wanted)) != 0 || strstr(faults, FAULTS[i].why) == NULL)
			fail_msg("case %zu: %s", i, faults);
		free(faults);
	}
}

static void test_more_than_there_is_room_for(void **state)
{
	(void)state;
	static const char *const NAMES[] = {"tls-certificate", "tls-key", "websocket-origin", "proxy-from"};
	static const char *const VALUES[] = {"a.pem", "a.key", "https://example.org", "10.0.0.1"};
	char fault[OPTION_FAULT_BYTES_MAX];
	for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
		struct options options = options_default();
		assert_true(option_is_list(option_find(NAMES[i])));
		assert_true(option_is_empty(option_find(NAMES[i]), &options));
		for (int value = 0; value < 16; value++)
			assert_true(option_set(option_find(NAMES[i]), &options, VALUES[i], fault));
		assert_false(option_is_empty(option_find(NAMES[i]), &options));
		assert_false(option_set(option_find(NAMES[i]), &options, VALUES[i], fault));
		assert_non_null(strstr(fault, "more than 16"));
	}
}

/* ---- reloads ---- */

static enum error change(struct options *into, const struct options *started, const char *text, char **report)
{
	struct options wanted;
	size_t size;
	READ(text, &wanted);
	FILE *out = open_memstream(report, &size);
	assert_non_null(out);
	enum error error = options_change(into, started, &wanted, path, out);
	fclose(out);
	return error;
}

static void test_what_a_reload_changes(void **state)
{
	(void)state;
	struct options started, current;
	char *report;
	READ(TWO, &started);
	current = started;
	assert_int_equal(change(&current, &started, TWO, &report), ERROR_OK);
	assert_string_equal(report, "");
	free(report);
	assert_int_equal(change(&current, &started,
				"tls_certificate: new.pem\n"
				"listen:\n"
				"  - url: tls://127.0.0.1:1\n"
				"    tls_certificate: [own.pem]\n"
				"  - tls://127.0.0.1:2\n"
				"  - url: wss://127.0.0.1:3\n"
				"    websocket_origin: [https://example.org, https://example.com]\n"
				"  - url: unix:///run/roost.sock\n"
				"    unix_mode: 0600\n"
				"    unix_owner: root\n"
				"    unix_group: 7\n",
				&report),
			 ERROR_OK);
	const struct listener_settings *settings = current.settings.listener_settings;
	assert_int_equal(settings[0].certificate_count, 1);
	assert_int_equal(settings[0].client_certificates, TLS_CLIENTS_NONE);
	assert_string_equal(settings[1].certificates[0].chain, "new.pem");
	assert_int_equal(settings[2].origin_count, 2);
	assert_false(settings[3].peer_names_user);
	assert_non_null(strstr(report, "tls_certificate: common.pem -> new.pem\n"));
	assert_non_null(strstr(report, "tls_key: common.key -> \n"));
	assert_non_null(strstr(report, "tls_certificate of tls://127.0.0.1:1: own.pem, other.pem -> own.pem\n"));
	assert_non_null(strstr(report, "proxy_from of tls://127.0.0.1:1: 10.0.0.0/8, 2001:db8::/32 -> as for all "
				       "listeners\n"));
	assert_non_null(
		strstr(report, "websocket_origin of wss://127.0.0.1:3: https://example.org -> https://example.org, "));
	free(report);
}

static void test_what_a_reload_does_not_change(void **state)
{
	(void)state;
	struct options started, current;
	char *report;
	READ(TWO, &started);
	current = started;
	assert_int_equal(change(&current, &started,
				"listen:\n"
				"  - tls://127.0.0.1:1\n"
				"  - tls://127.0.0.1:2\n"
				"  - wss://127.0.0.1:3\n"
				"  - url: unix:///run/roost.sock\n"
				"    unix_mode: 0640\n"
				"    unix_owner: root\n"
				"    unix_group: 7\n",
				&report),
			 ERROR_LIMIT);
	assert_non_null(strstr(report, ":5: unix_mode: that of unix:///run/roost.sock changes with a restart only"));
	assert_int_equal(current.settings.listener_settings[3].mode, 0600);
	assert_int_equal(current.settings.listener_settings[0].certificate_count, 2);
	free(report);
	assert_int_equal(change(&current, &started, "listen: tls://127.0.0.1:2\n", &report), ERROR_LIMIT);
	assert_non_null(strstr(report, "listen: "));
	free(report);
}

static void test_files_of_the_store(void **state)
{
	(void)state;
	struct options options;
	READ("store: /var/lib/roost\n", &options);
	assert_string_equal(options.settings.tls_tickets.file, "/var/lib/roost/tls-tickets");
	READ("store: /var/lib/roost\ntls_ticket_file: /etc/roost/tickets\n", &options);
	assert_string_equal(options.settings.tls_tickets.file, "/etc/roost/tickets");
	READ("gates: 1\n", &options);
	assert_string_equal(options.settings.tls_tickets.file, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_for_all_listeners),
		cmocka_unit_test(test_keys_of_an_entry),
		cmocka_unit_test(test_the_command_line_replaces_lists),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_more_than_there_is_room_for),
		cmocka_unit_test(test_what_a_reload_changes),
		cmocka_unit_test(test_what_a_reload_does_not_change),
		cmocka_unit_test(test_files_of_the_store),
	};
	return cmocka_run_group_tests(tests, make_file, remove_file);
}
