/* Contexts from files: what an operator gets wrong is said in a sentence; what they have is told; who asks for a name
 * gets its certificate. */
#include "handshake_scene.h"

#include "tls/certificate/names.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

#include <openssl/pem.h>

#include <stdio.h>
#include <stdlib.h>

/* ---- faults ---- */

static void expect_fault(const struct tls_server_options *options, const char *expected)
{
	char fault[TLS_FAULT_BYTES_MAX] = "";
	struct tls_context *context = tls_context_new_server(options, fault);
	assert_null(context);
	if (strstr(fault, expected) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", fault, expected);
}

static struct tls_document text(const char *path, const char *pem)
{
	return (struct tls_document){.path = path, .pem = slice_string(pem)};
}

static void test_a_chain_that_is_none_is_named(void **state)
{
	(void)state;
	static const struct {
		const char *pem, *fault;
	} CASES[] = {
		{"", "x.pem is empty"},
		{"hello", "x.pem is not PEM: it has no line -----BEGIN"},
		{"0\x82\x01\x02", "x.pem is not PEM; it may be DER (`openssl x509 -inform DER`"},
		{"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
		 "x.pem has a request for a certificate, and no certificate"},
		{"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
		 "x.pem has a public key, and no certificate"},
		{"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
		 "x.pem: certificate 1 of the file is damaged"},
		{"-----BEGIN CERTIFICATE-----\nAAAA\n", "x.pem: certificate 1 of the file is damaged"},
	};
	struct tls_server_options options = scene_server_options();
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		options.identities[0].chain = text("x.pem", CASES[i].pem);
		expect_fault(&options, CASES[i].fault);
	}
	options.identities[0].chain = scene_document("x.pem", &scene_files()->ecdsa, TLS_DEVELOPMENT_SERVER_KEY);
	expect_fault(&options, "x.pem has a private key, and no certificate");
}

/* On the heap. strndup() looks for an end in what has none, to an AddressSanitizer that is strict about strings. */
static char *copy_text(const char *bytes, size_t size)
{
	char *copy = malloc(size + 1);
	assert_non_null(copy);
	memcpy(copy, bytes, size);
	copy[size] = '\0';
	return copy;
}

/* The key in other forms than the one that is taken. The caller frees it. */
static char *key_as(bool encrypted)
{
	BIO *in = BIO_new_mem_buf(scene_files()->ecdsa.pem[TLS_DEVELOPMENT_SERVER_KEY].data, -1);
	BIO *out = BIO_new(BIO_s_mem());
	EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
	char *bytes;
	if (encrypted)
		PEM_write_bio_PKCS8PrivateKey(out, key, EVP_aes_256_cbc(), "secret", 6, NULL, NULL);
	else
		PEM_write_bio_PrivateKey_traditional(out, key, NULL, NULL, 0, NULL, NULL);
	long size = BIO_get_mem_data(out, &bytes);
	char *copy = copy_text(bytes, (size_t)size);
	EVP_PKEY_free(key);
	BIO_free(in);
	BIO_free(out);
	return copy;
}

static void test_a_key_that_is_none_is_named(void **state)
{
	(void)state;
	struct tls_server_options options = scene_server_options();
	options.identities[0].key = scene_document("x.key", &scene_files()->ecdsa, TLS_DEVELOPMENT_SERVER);
	expect_fault(&options, "x.key has a certificate, and no private key");
	options.identities[0].key = text("x.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
	expect_fault(&options, "x.key: its private key is damaged");
	options.identities[0].key = text("x.key", "0\x82");
	expect_fault(&options, "`openssl pkey -inform DER`");
	char *encrypted = key_as(true), *traditional = key_as(false);
	options.identities[0].key = text("x.key", encrypted);
	expect_fault(&options, "x.key is encrypted with a passphrase");
	options.identities[0].key = text("x.key", traditional);
	struct tls_context *context = scene_server(&options);
	tls_context_put(&context);
	free(encrypted);
	free(traditional);
}

static void test_a_key_of_another_certificate_is_refused(void **state)
{
	(void)state;
	struct tls_server_options options = scene_server_options();
	options.identities[0].key = scene_document("other.key", &scene_files()->rsa, TLS_DEVELOPMENT_SERVER_KEY);
	expect_fault(&options, "the key in other.key is not that of the certificate in server.pem");
}

static char *joined(struct slice first, struct slice second)
{
	char *both = malloc(first.size + second.size + 1);
	memcpy(both, first.data, first.size);
	memcpy(both + first.size, second.data, second.size);
	both[first.size + second.size] = '\0';
	return both;
}

static void test_a_chain_in_the_wrong_order_is_told(void **state)
{
	(void)state;
	const struct tls_development *files = &scene_files()->ecdsa;
	struct tls_server_options options = scene_server_options();
	char *chain = joined(files->pem[TLS_DEVELOPMENT_CA], files->pem[TLS_DEVELOPMENT_SERVER]);
	options.identities[0].chain = text("x.pem", chain);
	expect_fault(&options, "x.pem: its certificate 2 is the one of the key in server.key; it must come first");
	free(chain);
}

/* With a key of its own, signed by itself. */
static void write_weak(int bits, char **certificate, char **key)
{
	EVP_PKEY *pkey = EVP_RSA_gen((unsigned)bits);
	X509 *x509 = X509_new();
	BIO *out = BIO_new(BIO_s_mem()), *secret = BIO_new(BIO_s_mem());
	char *bytes;
	ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
	ASN1_TIME_set(X509_getm_notBefore(x509), scene_wall_s());
	ASN1_TIME_set(X509_getm_notAfter(x509), scene_wall_s() + 86400);
	X509_set_pubkey(x509, pkey);
	X509_sign(x509, pkey, EVP_sha256());
	PEM_write_bio_X509(out, x509);
	PEM_write_bio_PrivateKey(secret, pkey, NULL, NULL, 0, NULL, NULL);
	long size = BIO_get_mem_data(out, &bytes);
	*certificate = copy_text(bytes, (size_t)size);
	size = BIO_get_mem_data(secret, &bytes);
	*key = copy_text(bytes, (size_t)size);
	EVP_PKEY_free(pkey);
	X509_free(x509);
	BIO_free(out);
	BIO_free(secret);
}

static void test_a_weak_key_is_refused(void **state)
{
	(void)state;
	char *certificate, *key;
	write_weak(1024, &certificate, &key);
	struct tls_server_options options = scene_server_options();
	options.identities[0].chain = text("weak.pem", certificate);
	options.identities[0].key = text("weak.key", key);
	expect_fault(&options, "weak.pem: its key is too weak; RSA takes 2048 bits");
	/* Nor may a list of ciphers lower what is asked. */
	options.ciphers = "@SECLEVEL=0:ECDHE-RSA-AES128-GCM-SHA256";
	expect_fault(&options, "weak.pem: its key is too weak");
	free(certificate);
	free(key);
}

static void test_only_ciphers_of_the_record_layer_are_taken(void **state)
{
	(void)state;
	static const struct {
		const char *ciphers, *suites, *fault;
	} CASES[] = {
		{"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-SHA", NULL,
		 "cipher ECDHE-ECDSA-AES128-SHA is not allowed"},
		{"AES128-GCM-SHA256", NULL, "cipher AES128-GCM-SHA256 is not allowed"},
		{"ECDHE-ECDSA-AES128-CCM", NULL, "cipher ECDHE-ECDSA-AES128-CCM is not allowed"},
		{"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-TYPO", NULL,
		 "cipher \"ECDHE-TYPO\" is not one that OpenSSL knows for TLS 1.2"},
		{"!ALL", NULL, "no cipher is left"},
		{NULL, "TLS_AES_128_CCM_SHA256", "cipher TLS_AES_128_CCM_SHA256 is not allowed"},
		{NULL, "TLS_AES_128_GCM_SHA256:TLS_TYPO",
		 "cipher \"TLS_TYPO\" is not one that OpenSSL knows for TLS 1.3"},
	};
	struct tls_server_options options = scene_server_options();
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		options.ciphers = CASES[i].ciphers;
		options.ciphersuites = CASES[i].suites;
		expect_fault(&options, CASES[i].fault);
	}
	options.ciphers = "ECDHE+AESGCM:DHE+CHACHA20:!PSK";
	options.ciphersuites = NULL;
	struct tls_context *context = scene_server(&options);
	tls_context_put(&context);
}

static void test_what_clients_are_checked_with_must_fit(void **state)
{
	(void)state;
	const struct tls_development *files = &scene_files()->ecdsa;
	struct slice crl = scene_crl(&scene_files()->rsa, NULL, INT64_C(4000000000));
	struct tls_server_options options = scene_server_options();
	options.clients = TLS_CLIENTS_REQUIRED;
	expect_fault(&options, "there is no file of the CA that signs them");
	options.client_ca = scene_document("clients.pem", files, TLS_DEVELOPMENT_CLIENT);
	expect_fault(&options, "clients.pem: its certificate 1 is none of a CA");
	options.client_ca = scene_document("clients.pem", files, TLS_DEVELOPMENT_CA);
	options.client_crl = text("x.crl", "hello");
	expect_fault(&options, "x.crl is not PEM");
	options.client_crl = (struct tls_document){.path = "x.crl", .pem = crl};
	expect_fault(&options, "x.crl: its revocation list 1 is not signed by a CA in clients.pem");
	options.client_ca = (struct tls_document){0};
	options.clients = TLS_CLIENTS_NONE;
	expect_fault(&options, "x.crl: there is no CA that it could belong to");
	free((void *)(uintptr_t)crl.data);
}

static void test_a_server_without_a_certificate_is_refused(void **state)
{
	(void)state;
	struct tls_server_options options = scene_server_options();
	options.identity_count = 0;
	expect_fault(&options, "there is no certificate");
}

static void test_a_clients_files_are_checked_too(void **state)
{
	(void)state;
	char fault[TLS_FAULT_BYTES_MAX];
	struct tls_client_options options = scene_client_options();
	options.ca = text("ca.pem", "hello");
	assert_null(tls_context_new_client(&options, fault));
	assert_non_null(strstr(fault, "ca.pem is not PEM"));
	options = scene_client_options();
	options.identity = scene_client_identity(&scene_files()->ecdsa);
	options.identity.key = scene_document("x.key", &scene_files()->ecdsa, TLS_DEVELOPMENT_SERVER_KEY);
	assert_null(tls_context_new_client(&options, fault));
	assert_non_null(strstr(fault, "the key in x.key is not that of the certificate in client.pem"));
	options = (struct tls_client_options){.check = true}; /* the system's CAs */
	struct tls_context *context = scene_client(&options);
	tls_context_put(&context);
}

/* ---- facts ---- */

static void test_a_context_tells_what_it_has(void **state)
{
	(void)state;
	const struct tls_development *files = &scene_files()->ecdsa;
	struct slice crl = scene_crl(files, NULL, INT64_C(4000000000));
	struct tls_server_options options = scene_server_options();
	options.identities[1] = scene_identity(&scene_files()->rsa);
	options.identities[1].chain.path = "rsa.pem";
	options.identity_count = 2;
	options.clients = TLS_CLIENTS_OPTIONAL;
	options.client_ca = scene_document("clients.pem", files, TLS_DEVELOPMENT_CA);
	options.client_crl = (struct tls_document){.path = "clients.crl", .pem = crl};
	struct tls_context *context = scene_server(&options);
	struct tls_certificate_facts facts;
	assert_true(tls_context_certificate(context, 0, &facts));
	assert_int_equal(facts.kind, TLS_CERTIFICATE_OWN);
	assert_string_equal(facts.path, "server.pem");
	assert_string_equal(facts.subject, "CN=localhost");
	assert_string_equal(facts.names, "localhost, *.wild.example, 127.0.0.1");
	assert_string_equal(facts.key, "EC prime256v1");
	assert_int_equal(facts.begins_s, scene_wall_s());
	assert_int_equal(facts.expires_s, scene_wall_s() + (int64_t)SCENE_DAYS * 86400);
	assert_false(facts.self_signed);
	assert_true(tls_context_certificate(context, 1, &facts));
	assert_string_equal(facts.path, "rsa.pem");
	assert_string_equal(facts.key, "RSA 2048");
	assert_true(tls_context_certificate(context, 2, &facts));
	assert_int_equal(facts.kind, TLS_CERTIFICATE_CLIENT_CA);
	assert_string_equal(facts.path, "clients.pem");
	assert_true(strncmp(facts.subject, "CN=Roost development CA ", 24) == 0 && facts.self_signed);
	assert_true(tls_context_certificate(context, 3, &facts));
	assert_int_equal(facts.kind, TLS_CERTIFICATE_CLIENT_CRL);
	assert_int_equal(facts.expires_s, INT64_C(4000000000));
	assert_false(tls_context_certificate(context, 4, &facts));
	const char *path = NULL;
	assert_int_equal(tls_context_expires_s(context, &path), scene_wall_s() + (int64_t)SCENE_DAYS * 86400);
	assert_string_equal(path, "server.pem");
	tls_context_put(&context);
	free((void *)(uintptr_t)crl.data);
}

static void test_a_certificate_that_has_expired_is_taken_and_told(void **state)
{
	(void)state;
	struct tls_development expired = scene_make(NULL, NULL, scene_wall_s() - INT64_C(10) * 365 * 86400, 1);
	struct tls_server_options options = scene_server_options();
	const char *path;
	options.identities[0] = scene_identity(&expired);
	struct tls_context *context = scene_server(&options);
	assert_int_equal(tls_context_expires_s(context, &path), scene_wall_s() - INT64_C(3649) * 86400);
	tls_context_put(&context);
	tls_development_fini(&expired);
}

/* ---- names ---- */

static void test_names_are_found_as_certificates_have_them(void **state)
{
	(void)state;
	static const struct {
		const char *host;
		uint16_t identities;
	} CASES[] = {
		{"a.example.com", 1 << 0 | 1 << 2},
		{"A.Example.COM", 1 << 0 | 1 << 2},
		{"a.example.com.", 1 << 0 | 1 << 2},
		{"b.example.com", 1 << 1},
		{"x.b.example.com", 0}, /* a star is one label */
		{"example.com", 0},
		{".example.com", 0},
		{"*.example.com", 0}, /* nobody's name */
		{"com", 0},
		{"", 0},
		{".", 0},
		{"192.0.2.1", 1 << 1},
	};
	struct tls_names *names = tls_names_new();
	assert_true(tls_names_add(names, "a.example.com", 0));
	assert_true(tls_names_add(names, "*.example.com, 192.0.2.1", 1));
	assert_true(tls_names_add(names, "a.example.com", 2));
	assert_true(tls_names_add(names, "", 3));
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		uint16_t found = tls_names_find(names, slice_string(CASES[i].host));
		if (found != CASES[i].identities)
			fail_msg("%s: %x", CASES[i].host, found);
	}
	uint8_t nul[] = "a.example.com\0";
	assert_int_equal(tls_names_find(names, slice_of(nul, sizeof(nul))), 0);
	tls_names_free(names);
}

/* The subject of the certificate that a client sees which asks for a name. */
static void expect_shown(struct tls_context *server, struct tls_context *client, const char *name, const char *subject)
{
	struct scene_pair *pair = malloc(sizeof(*pair));
	scene_pair_begin(pair, server, client, NULL);
	tls_handshake_free(pair->client);
	pair->client = tls_handshake_new(client, name, NULL);
	scene_pair_run(pair);
	assert_int_equal(pair->client_error, ERROR_OK);
	if (!slice_equal(tls_handshake_subject(pair->client), slice_string(subject)))
		fail_msg("%s: %s", name == NULL ? "" : name, (const char *)tls_handshake_subject(pair->client).data);
	scene_pair_end(pair);
	free(pair);
}

static struct tls_development named(const char *first, const char *second, bool rsa)
{
	const char *names[] = {first, second};
	const struct tls_development_options options = {.names = names,
							.name_count = second == NULL ? 1 : 2,
							.rsa = rsa,
							.begins_s = scene_wall_s(),
							.days = SCENE_DAYS};
	struct tls_development made;
	char fault[TLS_FAULT_BYTES_MAX];
	assert_true(tls_development_make(&options, NULL, &made, fault));
	return made;
}

static void test_who_asks_for_a_name_gets_its_certificate(void **state)
{
	(void)state;
	struct tls_development first = named("first.example", NULL, false),
			       second = named("second.example", NULL, false),
			       wild = named("wild.example", "*.wild.example", false),
			       second_rsa = named("second.example", "rsa.example", true);
	struct tls_server_options options = scene_server_options();
	const struct tls_development *all[] = {&first, &second, &wild, &second_rsa};
	for (size_t i = 0; i < 4; i++)
		options.identities[i] = scene_identity(all[i]);
	options.identity_count = 4;
	struct tls_client_options client_options = {.alpn = "mqtt"};
	struct tls_context *server = scene_server(&options), *client = scene_client(&client_options);
	expect_shown(server, client, NULL, "CN=first.example");
	expect_shown(server, client, "unknown.example", "CN=first.example");
	expect_shown(server, client, "second.example", "CN=second.example");
	expect_shown(server, client, "SECOND.example", "CN=second.example");
	expect_shown(server, client, "a.wild.example", "CN=wild.example");
	expect_shown(server, client, "192.0.2.1", "CN=first.example");
	tls_context_put(&client);
	/* Both kinds of key for one name: the client's ciphers choose. */
	client_options.only_tls_1_2 = true;
	client_options.ciphers = "ECDHE-RSA-AES128-GCM-SHA256";
	client = scene_client(&client_options);
	expect_shown(server, client, "second.example", "CN=second.example");
	expect_shown(server, client, "rsa.example", "CN=second.example");
	tls_context_put(&client);
	tls_context_put(&server);
	for (size_t i = 0; i < 4; i++)
		tls_development_fini((struct tls_development *)(uintptr_t)all[i]);
}

static void test_a_context_lives_as_long_as_a_handshake_has_it(void **state)
{
	(void)state;
	struct tls_server_options options = scene_server_options();
	struct tls_client_options client_options = scene_client_options();
	struct tls_context *server = scene_server(&options), *client = scene_client(&client_options);
	struct scene_pair *pair = malloc(sizeof(*pair));
	scene_pair_begin(pair, server, client, NULL);
	struct tls_context *again = tls_context_get(server);
	assert_ptr_equal(again, server);
	tls_context_put(&again);
	tls_context_put(&server);
	tls_context_put(&client);
	assert_null(server);
	scene_pair_run(pair);
	assert_int_equal(pair->server_error, ERROR_OK);
	assert_int_equal(pair->client_error, ERROR_OK);
	scene_pair_end(pair);
	free(pair);
	tls_context_put(&server); /* NULL is allowed */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_chain_that_is_none_is_named),
		cmocka_unit_test(test_a_key_that_is_none_is_named),
		cmocka_unit_test(test_a_key_of_another_certificate_is_refused),
		cmocka_unit_test(test_a_chain_in_the_wrong_order_is_told),
		cmocka_unit_test(test_a_weak_key_is_refused),
		cmocka_unit_test(test_only_ciphers_of_the_record_layer_are_taken),
		cmocka_unit_test(test_what_clients_are_checked_with_must_fit),
		cmocka_unit_test(test_a_server_without_a_certificate_is_refused),
		cmocka_unit_test(test_a_clients_files_are_checked_too),
		cmocka_unit_test(test_a_context_tells_what_it_has),
		cmocka_unit_test(test_a_certificate_that_has_expired_is_taken_and_told),
		cmocka_unit_test(test_names_are_found_as_certificates_have_them),
		cmocka_unit_test(test_who_asks_for_a_name_gets_its_certificate),
		cmocka_unit_test(test_a_context_lives_as_long_as_a_handshake_has_it),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	scene_files_free();
	return failed;
}
