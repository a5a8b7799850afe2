/* Which sessions resume, and which do not: a ticket is worth no more than what made it. OpenSSL's clock is the test's
 * (time() below), so that certificates and tickets grow old at once. */
#include "handshake_scene.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

#include <stdlib.h>
#include <time.h>

#define FAR_S INT64_C(4000000000)
#define LIFETIME_S 7200u

static int64_t now_s = INT64_C(1764374400);

/* In place of libc's, for libcrypto and libssl as well. */
time_t time(time_t *out)
{
	if (out != NULL)
		*out = (time_t)now_s;
	return (time_t)now_s;
}

struct resuming {
	struct tls_tickets *tickets;
	struct tls_server_options server;
	struct tls_client_options client;
	struct tls_ticket *ticket;
};

/* A server that requires certificates, a client that has one, and a ticket of a whole handshake between them. */
static void begin_resuming(struct resuming *made, bool only_tls_1_2)
{
	now_s = scene_wall_s() + 1000;
	*made = (struct resuming){.tickets = tls_tickets_new(LIFETIME_S, now_s),
				  .server = scene_server_options(),
				  .client = scene_client_options()};
	made->server.tickets = made->tickets;
	made->server.clients = TLS_CLIENTS_REQUIRED;
	made->server.client_ca = scene_document("clients.pem", &scene_files()->ecdsa, TLS_DEVELOPMENT_CA);
	made->server.identity_from = TLS_IDENTITY_CN;
	made->client.identity = scene_client_identity(&scene_files()->ecdsa);
	made->client.keeps_tickets = true;
	made->client.only_tls_1_2 = only_tls_1_2;
}

static void get_ticket(struct resuming *made)
{
	struct tls_context *server = scene_server(&made->server), *client = scene_client(&made->client);
	tls_ticket_free(made->ticket);
	made->ticket = NULL;
	struct scene_result result = scene_shake_contexts(server, client, NULL, &made->ticket);
	assert_int_equal(result.server, ERROR_OK);
	assert_false(result.resumed);
	assert_non_null(made->ticket);
	assert_true(tls_ticket_bytes(made->ticket) < 4096);
	tls_context_put(&server);
	tls_context_put(&client);
}

/* With new contexts, as after a reload. */
static struct scene_result come_back(const struct resuming *made)
{
	struct tls_context *server = scene_server(&made->server), *client = scene_client(&made->client);
	struct scene_result result = scene_shake_contexts(server, client, made->ticket, NULL);
	tls_context_put(&server);
	tls_context_put(&client);
	return result;
}

static void expect_resumed(const struct resuming *made, bool resumed)
{
	struct scene_result result = come_back(made);
	if (result.server != ERROR_OK || result.client != ERROR_OK)
		fail_msg("%s; %s", result.server_fault, result.client_fault);
	assert_true(result.resumed == resumed);
}

static void end_resuming(struct resuming *made)
{
	tls_ticket_free(made->ticket);
	tls_tickets_free(made->tickets);
}

/* Each with both versions. */
#define BOTH_VERSIONS(made)                                                                                            \
	for (int version = 0; version < 2 && (begin_resuming(&(made), version == 1), true);                            \
	     end_resuming(&(made)), version++)

static void test_a_ticket_resumes_across_a_reload(void **state)
{
	(void)state;
	struct resuming made;
	BOTH_VERSIONS(made)
	{
		get_ticket(&made);
		expect_resumed(&made, true);
		expect_resumed(&made, true); /* and again: it is not spent */
	}
}

static void test_the_identity_is_known_after_resumption(void **state)
{
	(void)state;
	struct resuming made;
	BOTH_VERSIONS(made)
	{
		get_ticket(&made);
		struct tls_context *server = scene_server(&made.server), *client = scene_client(&made.client);
		struct scene_pair *pair = malloc(sizeof(*pair));
		scene_pair_begin(pair, server, client, made.ticket);
		scene_pair_run(pair);
		assert_int_equal(pair->server_error, ERROR_OK);
		assert_true(tls_handshake_resumed(pair->server));
		assert_true(slice_equal(tls_handshake_identity(pair->server), slice_string("sensor-17")));
		assert_true(slice_equal(tls_handshake_subject(pair->server), slice_string("CN=sensor-17")));
		scene_pair_end(pair);
		free(pair);
		tls_context_put(&server);
		tls_context_put(&client);
	}
}

static void test_another_ca_ends_resumption(void **state)
{
	(void)state;
	struct resuming made;
	BOTH_VERSIONS(made)
	{
		get_ticket(&made);
		made.server.client_ca = scene_document("clients.pem", &scene_files()->rsa, TLS_DEVELOPMENT_CA);
		assert_int_equal(come_back(&made).server, ERROR_TLS_CERTIFICATE_UNTRUSTED);
	}
}

static void test_a_revocation_ends_resumption(void **state)
{
	(void)state;
	const struct tls_development *files = &scene_files()->ecdsa;
	struct slice none = scene_crl(files, NULL, FAR_S),
		     it = scene_crl(files, &files->pem[TLS_DEVELOPMENT_CLIENT], FAR_S);
	struct resuming made;
	BOTH_VERSIONS(made)
	{
		made.server.client_crl = (struct tls_document){.path = "x.crl", .pem = none};
		get_ticket(&made);
		expect_resumed(&made, true);
		made.server.client_crl.pem = it;
		assert_int_equal(come_back(&made).server, ERROR_TLS_CERTIFICATE_REVOKED);
	}
	free((void *)(uintptr_t)none.data);
	free((void *)(uintptr_t)it.data);
}

static void test_a_ticket_does_not_open_a_listener_that_demands_more(void **state)
{
	(void)state;
	struct resuming made;
	BOTH_VERSIONS(made)
	{
		struct tls_identity identity = made.client.identity;
		made.client.identity = (struct tls_identity){0};
		made.server.clients = TLS_CLIENTS_NONE;
		get_ticket(&made);
		expect_resumed(&made, true);
		made.server.clients = TLS_CLIENTS_OPTIONAL;
		expect_resumed(&made, false);
		made.server.clients = TLS_CLIENTS_REQUIRED;
		assert_int_equal(come_back(&made).server, ERROR_TLS_CERTIFICATE_MISSING);
		/* Nor where the name is taken from elsewhere. */
		made.client.identity = identity;
		get_ticket(&made);
		made.server.identity_from = TLS_IDENTITY_NONE;
		expect_resumed(&made, false);
	}
}

static void test_an_expired_certificate_does_not_resume(void **state)
{
	(void)state;
	struct resuming made;
	BOTH_VERSIONS(made)
	{
		struct tls_development brief = scene_make(&scene_files()->ecdsa, "sensor-17", scene_wall_s(), 1);
		now_s = scene_wall_s() + 86400 - 100;
		made.client.identity = scene_client_identity(&brief);
		get_ticket(&made);
		now_s += 99;
		expect_resumed(&made, true);
		now_s += 2; /* the ticket is good for two hours, the certificate no longer is */
		assert_int_equal(come_back(&made).server, ERROR_TLS_CERTIFICATE_EXPIRED);
		tls_development_fini(&brief);
	}
}

static void test_a_ticket_ends_with_its_lifetime(void **state)
{
	(void)state;
	struct resuming made;
	BOTH_VERSIONS(made)
	{
		get_ticket(&made);
		now_s += LIFETIME_S - 1;
		tls_tickets_rotate(made.tickets, now_s);
		expect_resumed(&made, true);
		now_s += 2;
		tls_tickets_rotate(made.tickets, now_s);
		expect_resumed(&made, false);
	}
}

static void test_a_ticket_of_other_keys_is_passed_over(void **state)
{
	(void)state;
	struct resuming made;
	BOTH_VERSIONS(made)
	{
		get_ticket(&made);
		struct tls_tickets *others = tls_tickets_new(LIFETIME_S, now_s);
		made.server.tickets = others;
		expect_resumed(&made, false);
		made.server.tickets = NULL; /* nobody resumes */
		expect_resumed(&made, false);
		/* Another node with the same file. */
		uint8_t file[TLS_TICKETS_FILE_BYTES_MAX];
		size_t size = tls_tickets_save(made.tickets, file);
		assert_int_equal(tls_tickets_load(others, slice_of(file, size), now_s), ERROR_OK);
		made.server.tickets = others;
		expect_resumed(&made, true);
		tls_tickets_free(others);
	}
}

/* In TLS 1.2 a ticket of an older key gets a new one, which makes the session no younger: its master secret is the
 * same. In 1.3 each handshake gives one, with a secret of its own. */
static void test_an_older_key_still_resumes_and_gives_a_new_ticket(void **state)
{
	(void)state;
	struct resuming made;
	BOTH_VERSIONS(made)
	{
		get_ticket(&made);
		now_s += LIFETIME_S / 2 + 1;
		assert_true(tls_tickets_rotate(made.tickets, now_s));
		struct tls_context *server = scene_server(&made.server), *client = scene_client(&made.client);
		struct tls_ticket *fresh = NULL;
		struct scene_result result = scene_shake_contexts(server, client, made.ticket, &fresh);
		assert_int_equal(result.server, ERROR_OK);
		assert_true(result.resumed);
		assert_non_null(fresh);
		tls_ticket_free(made.ticket);
		made.ticket = fresh;
		now_s += LIFETIME_S / 2 + 10;
		tls_tickets_rotate(made.tickets, now_s);
		expect_resumed(&made, version == 0);
		tls_context_put(&server);
		tls_context_put(&client);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_ticket_resumes_across_a_reload),
		cmocka_unit_test(test_the_identity_is_known_after_resumption),
		cmocka_unit_test(test_another_ca_ends_resumption),
		cmocka_unit_test(test_a_revocation_ends_resumption),
		cmocka_unit_test(test_a_ticket_does_not_open_a_listener_that_demands_more),
		cmocka_unit_test(test_an_expired_certificate_does_not_resume),
		cmocka_unit_test(test_a_ticket_ends_with_its_lifetime),
		cmocka_unit_test(test_a_ticket_of_other_keys_is_passed_over),
		cmocka_unit_test(test_an_older_key_still_resumes_and_gives_a_new_ticket),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	scene_files_free();
	return failed;
}
