/* What a stranger's first bytes are, cut at every byte; and what a ClientHello says of sessions and names. */
#include "handshake_scene.h"

#include "tls/peer/hello.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

#include <stdlib.h>

#define BYTES(text)                                                                                                    \
	{                                                                                                              \
		(const uint8_t *)(text), sizeof(text) - 1                                                              \
	}

static const struct {
	struct slice input;
	enum error error;
	size_t after; /* so many bytes say it; fewer: ERROR_MORE */
} FIRST_BYTES[] = {
	{BYTES("\x10\x0c\x00\x04MQTT\x04\x02"), ERROR_TLS_PLAIN_MQTT, 5},
	{BYTES("\x10\x8c\x01\x00\x04MQTT\x05"), ERROR_TLS_PLAIN_MQTT, 6},
	{BYTES("\x10\xff\xff\xff\x7f\x00\x06MQIsdp\x03"), ERROR_TLS_PLAIN_MQTT, 8},
	{BYTES("\x10\x0c\x00\x04WXYZ"), ERROR_TLS_NOT_TLS, 5},
	{BYTES("\x10\x0c\x01"), ERROR_TLS_NOT_TLS, 3},
	{BYTES("GET / HTTP/1.1\r\n"), ERROR_TLS_PLAIN_HTTP, 4},
	{BYTES("HEAD / HTTP/1.1\r\n"), ERROR_TLS_PLAIN_HTTP, 5},
	{BYTES("OPTIONS * HTTP/1.1\r\n"), ERROR_TLS_PLAIN_HTTP, 8},
	{BYTES("PRI * HTTP/2.0\r\n"), ERROR_TLS_PLAIN_HTTP, 4},
	{BYTES("PROXY TCP4 192.0.2.1"), ERROR_TLS_NOT_TLS, 3},
	{BYTES("GETX"), ERROR_TLS_NOT_TLS, 4},
	{BYTES("\x80\x2e\x01\x00\x02"), ERROR_TLS_VERSION, 3},
	{BYTES("\x80\x2e\x02"), ERROR_TLS_NOT_TLS, 3},
	{BYTES("\x16\x02\x00"), ERROR_TLS_NOT_TLS, 2},
	{BYTES("\x16\x03\x01\x00\x00"), ERROR_TLS_RECORD_LENGTH, 5},
	{BYTES("\x16\x03\x01\x40\x01"), ERROR_TLS_RECORD_LENGTH, 5},
	{BYTES("\x16\x03\x01\x00\x06\x02"), ERROR_TLS_NOT_TLS, 6}, /* a ServerHello */
	{BYTES("\x16\x03\x01\x00\x02\x01\x00"), ERROR_OK, 7},
	{BYTES("\x15\x03\x01\x00\x02\x02\x28"), ERROR_TLS_NOT_TLS, 1}, /* an alert */
	{BYTES("\x17\x03\x03\x00\x20"), ERROR_TLS_NOT_TLS, 1},
	{BYTES("\x00\x00\x00"), ERROR_TLS_NOT_TLS, 1},
	{BYTES("\r\n\r\n\x00\r\nQUIT\n"), ERROR_TLS_NOT_TLS, 1}, /* PROXY, version 2 */
};

static void test_first_bytes_say_what_it_is(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(FIRST_BYTES) / sizeof(FIRST_BYTES[0]); i++) {
		for (size_t size = 0; size <= FIRST_BYTES[i].input.size; size++) {
			/* A copy of that size: who reads further is seen by ASan. */
			uint8_t *copy = malloc(size + (size == 0));
			memcpy(copy, FIRST_BYTES[i].input.data, size);
			enum error error = tls_hello_look(slice_of(copy, size));
			enum error expected = size < FIRST_BYTES[i].after ? ERROR_MORE : FIRST_BYTES[i].error;
			if (error != expected)
				fail_msg("case %zu, %zu bytes: %s", i, size, error_name(error));
			free(copy);
		}
	}
}

/* A hello of our own client. The caller frees it. */
static struct slice hello_of(struct tls_context *context, const char *name, const struct tls_ticket *ticket)
{
	size_t consumed;
	struct tls_handshake *handshake = tls_handshake_new(context, name, ticket);
	assert_int_equal(tls_handshake_step(handshake, slice_of(NULL, 0), &consumed), ERROR_MORE);
	struct slice output = tls_handshake_output(handshake);
	uint8_t *copy = malloc(output.size);
	memcpy(copy, output.data, output.size);
	tls_handshake_free(handshake);
	return slice_of(copy, output.size);
}

static void test_a_hello_names_its_host(void **state)
{
	(void)state;
	struct tls_client_options options = scene_client_options();
	struct tls_context *context = scene_client(&options);
	struct slice hello = hello_of(context, "mqtt.example.com", NULL);
	assert_int_equal(tls_hello_look(hello), ERROR_OK);
	assert_true(slice_equal(tls_hello_server_name(hello), slice_string("mqtt.example.com")));
	free((void *)(uintptr_t)hello.data);
	hello = hello_of(context, "192.0.2.1", NULL);
	assert_int_equal(tls_hello_server_name(hello).size, 0);
	free((void *)(uintptr_t)hello.data);
	tls_context_put(&context);
}

/* Whole and cut at every byte. */
static void check_resumes(struct slice hello, bool resumes)
{
	assert_true(tls_hello_resumes(hello) == resumes);
	/* What is no TLS resumes nothing. */
	uint8_t *version = (uint8_t *)(uintptr_t)hello.data + 1;
	*version = 2;
	assert_false(tls_hello_resumes(hello));
	*version = 3;
	for (size_t size = 0; size < hello.size; size++) {
		uint8_t *copy = malloc(size + (size == 0));
		memcpy(copy, hello.data, size);
		assert_false(tls_hello_resumes(slice_of(copy, size)));
		assert_int_equal(tls_hello_server_name(slice_of(copy, size)).size, 0);
		assert_int_equal(tls_hello_look(slice_of(copy, size)), ERROR_MORE);
		free(copy);
	}
}

static void test_a_ticket_is_seen_before_anything_costs(void **state)
{
	(void)state;
	for (int only_tls_1_2 = 0; only_tls_1_2 < 2; only_tls_1_2++) {
		struct tls_tickets *tickets = tls_tickets_new(3600, scene_wall_s());
		struct tls_server_options server_options = scene_server_options();
		struct tls_client_options client_options = scene_client_options();
		server_options.tickets = tickets;
		client_options.keeps_tickets = true;
		client_options.only_tls_1_2 = only_tls_1_2 == 1;
		struct tls_context *server = scene_server(&server_options), *client = scene_client(&client_options);
		struct tls_ticket *ticket = NULL;
		assert_int_equal(scene_shake_contexts(server, client, NULL, &ticket).server, ERROR_OK);
		assert_non_null(ticket);
		struct slice whole = hello_of(client, "localhost", NULL), again = hello_of(client, "localhost", ticket);
		check_resumes(whole, false);
		check_resumes(again, true);
		free((void *)(uintptr_t)whole.data);
		free((void *)(uintptr_t)again.data);
		tls_ticket_free(ticket);
		tls_context_put(&server);
		tls_context_put(&client);
		tls_tickets_free(tickets);
	}
}

/* Each byte of the hello takes each of some values: nothing is read that is not there. */
static void test_a_spoilt_hello_does_no_harm(void **state)
{
	(void)state;
	static const uint8_t VALUES[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
	struct tls_client_options options = scene_client_options();
	struct tls_context *context = scene_client(&options);
	struct slice hello = hello_of(context, "localhost", NULL);
	uint8_t *bytes = (uint8_t *)(uintptr_t)hello.data;
	for (size_t at = 0; at < hello.size; at++) {
		uint8_t kept = bytes[at];
		for (size_t i = 0; i < sizeof(VALUES); i++) {
			bytes[at] = VALUES[i];
			tls_hello_resumes(hello);
			struct slice name = tls_hello_server_name(hello);
			assert_true(name.size == 0 ||
				    (name.data >= bytes && name.data + name.size <= bytes + hello.size));
		}
		bytes[at] = kept;
	}
	free(bytes);
	tls_context_put(&context);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_bytes_say_what_it_is),
		cmocka_unit_test(test_a_hello_names_its_host),
		cmocka_unit_test(test_a_ticket_is_seen_before_anything_costs),
		cmocka_unit_test(test_a_spoilt_hello_does_no_harm),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	scene_files_free();
	return failed;
}
