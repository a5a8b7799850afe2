/* How a client comes has one word, and its TLS the names that the standards give it. */
#include "runtime/client_transport.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_words(void **state)
{
	(void)state;
	static const struct {
		uint16_t tls;
		bool is_websocket;
		bool is_unix;
		const char *word;
	} CASES[] = {
		{0, false, false, "tcp"}, {0x0303, false, false, "tls"}, {0x0304, false, false, "tls"},
		{0, true, false, "ws"},   {0x0304, true, false, "wss"},  {0x0303, true, false, "wss"},
		{0, false, true, "unix"},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct stream_facts facts = {.tls_version = CASES[i].tls, .is_websocket = CASES[i].is_websocket};
		enum client_transport transport = client_transport(&facts, CASES[i].is_unix);
		assert_string_equal(client_transport_name(transport), CASES[i].word);
	}
	for (int one = 0; one < CLIENT_TRANSPORTS; one++) {
		for (int other = 0; other < one; other++)
			assert_string_not_equal(client_transport_name((enum client_transport)one),
						client_transport_name((enum client_transport)other));
	}
}

static void test_tls(void **state)
{
	(void)state;
	assert_null(client_tls_version(0));
	assert_string_equal(client_tls_version(0x0303), "1.2");
	assert_string_equal(client_tls_version(0x0304), "1.3");
	assert_null(client_tls_version(0x0302));
	assert_null(client_tls_cipher(0));
	assert_string_equal(client_tls_cipher(0x1301), "TLS_AES_128_GCM_SHA256");
	assert_string_equal(client_tls_cipher(0xc02f), "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
	assert_null(client_tls_cipher(0x002f)); /* CBC: the record layer has none */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_tls),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
