/* A handshake without memory fails by itself, at whatever request: OpenSSL's and ours, at the server. Nothing is lost,
 * nothing stays in the queue of errors, and with memory again the next handshake succeeds. */
#include "handshake_scene.h"

#include "../failing_memory.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

#include <openssl/crypto.h>
#include <openssl/err.h>

#include <stdlib.h>

void *__real_malloc(size_t size); /* NOLINT(bugprone-reserved-identifier): the linker's name */

/* Of so many of OpenSSL's requests one may be refused: a context makes thousands, and each run takes milliseconds. */
static unsigned one_in = 1;
static unsigned requests_since;

/* OpenSSL's requests go by way of the test's malloc(), which the linker has replaced. */
static void *openssl_malloc(size_t size, const char *file, int line)
{
	(void)file, (void)line;
	if (++requests_since % one_in != 0)
		return __real_malloc(size);
	return malloc(size);
}

static void *openssl_realloc(void *block, size_t size, const char *file, int line)
{
	(void)file, (void)line;
	return realloc(block, size);
}

static void openssl_free(void *block, const char *file, int line)
{
	(void)file, (void)line;
	free(block);
}

struct contexts {
	struct tls_context *server, *client;
};

static bool is_of_memory(enum error error)
{
	return error == ERROR_NO_MEMORY || (error >= ERROR_TLS_NOT_TLS && error <= ERROR_TLS_MESSAGE);
}

static void around_server(bool begins)
{
	if (begins)
		failing_memory_start();
	else
		failing_memory_stop();
}

static void play(void *context)
{
	const struct contexts *contexts = context;
	struct scene_pair *pair = calloc(1, sizeof(*pair));
	assert_non_null(pair);
	scene_pair_begin(pair, contexts->server, contexts->client, NULL);
	pair->around_server = around_server;
	scene_pair_run(pair);
	if (failing_memory_refused() == NULL) {
		assert_int_equal(pair->server_error, ERROR_OK);
		assert_int_equal(pair->client_error, ERROR_OK);
	}
	assert_true(pair->server_error == ERROR_OK || pair->server_error == ERROR_MORE ||
		    is_of_memory(pair->server_error));
	scene_pair_end(pair);
	assert_int_equal(ERR_peek_error(), 0);
	free(pair);
}

static void play_beginning(void *context)
{
	const struct contexts *contexts = context;
	failing_memory_start();
	struct tls_handshake *handshake = tls_handshake_new(contexts->client, "localhost", NULL);
	assert_true(failing_memory_stop() == (handshake == NULL));
	tls_handshake_free(handshake);
}

/* With certificates at both ends, so that there is most to ask for. */
static void sweep(bool only_tls_1_2)
{
	struct tls_server_options server = scene_server_options();
	struct tls_client_options client = scene_client_options();
	struct tls_tickets *tickets = tls_tickets_new(3600, scene_wall_s());
	server.tickets = tickets;
	client.only_tls_1_2 = only_tls_1_2;
	client.keeps_tickets = true;
	server.clients = TLS_CLIENTS_REQUIRED;
	server.identity_from = TLS_IDENTITY_CN;
	server.client_ca = scene_document("ca.pem", &scene_files()->ecdsa, TLS_DEVELOPMENT_CA);
	client.identity = scene_client_identity(&scene_files()->ecdsa);
	struct contexts contexts = {scene_server(&server), scene_client(&client)};
	/* What OpenSSL makes once is made before. */
	assert_int_equal(scene_shake_contexts(contexts.server, contexts.client, NULL, NULL).server, ERROR_OK);
	assert_true(failing_memory_sweep(FAILING_ALL, FAILING_ONCE, play_beginning, &contexts) >= 1);
	uint64_t requests = failing_memory_sweep(FAILING_MALLOC | FAILING_REALLOC, FAILING_ONCE, play, &contexts);
	assert_true(requests > 300);
	assert_int_equal(scene_shake_contexts(contexts.server, contexts.client, NULL, NULL).server, ERROR_OK);
	tls_context_put(&contexts.server);
	tls_context_put(&contexts.client);
	tls_tickets_free(tickets);
}

static void test_each_refusal_in_tls_1_3(void **state)
{
	(void)state;
	sweep(false);
}

static void test_each_refusal_in_tls_1_2(void **state)
{
	(void)state;
	sweep(true);
}

/* ---- contexts ---- */

static void play_context(void *unused)
{
	(void)unused;
	struct tls_server_options options = scene_server_options();
	options.clients = TLS_CLIENTS_REQUIRED;
	options.client_ca = scene_document("ca.pem", &scene_files()->ecdsa, TLS_DEVELOPMENT_CA);
	char fault[TLS_FAULT_BYTES_MAX] = "";
	requests_since = 0;
	failing_memory_start();
	struct tls_context *context = tls_context_new_server(&options, fault);
	bool refused = failing_memory_stop();
	assert_true(context != NULL || (refused && fault[0] != '\0'));
	assert_int_equal(ERR_peek_error(), 0);
	tls_context_put(&context);
}

static void test_each_refusal_while_a_context_is_made(void **state)
{
	(void)state;
	struct tls_server_options options = scene_server_options();
	struct tls_context *context = scene_server(&options); /* what OpenSSL makes once */
	tls_context_put(&context);
	one_in = 13;
	assert_true(failing_memory_sweep(FAILING_MALLOC | FAILING_REALLOC, FAILING_ONCE, play_context, NULL) > 100);
	one_in = 1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_each_refusal_in_tls_1_3, failing_memory_teardown),
		cmocka_unit_test_teardown(test_each_refusal_in_tls_1_2, failing_memory_teardown),
		cmocka_unit_test_teardown(test_each_refusal_while_a_context_is_made, failing_memory_teardown),
	};
	if (CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) != 1)
		return 1;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	scene_files_free();
	return failed;
}
