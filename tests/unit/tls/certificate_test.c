/* What a certificate says, as text; and certificates for development, as other programs read them. */
#include "tls/certificate/development.h"
#include "tls/certificate/facts.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <stdio.h>
#include <stdlib.h>

#define BEGIN_S INT64_C(1764374400)

/* ---- names of clients ---- */

static X509 *with_alternatives(const char *alternatives)
{
	X509 *certificate = X509_new();
	if (alternatives != NULL) {
		X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alternatives);
		assert_non_null(extension);
		X509_add_ext(certificate, extension, -1);
		X509_EXTENSION_free(extension);
	}
	return certificate;
}

static void add_to_subject(X509 *certificate, const char *field, int type, const void *bytes, int size)
{
	assert_int_equal(
		X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), field, type, bytes, size, -1, 0), 1);
}

static void expect_text(char *text, const char *expected)
{
	if (expected == NULL)
		assert_null(text);
	else
		assert_string_equal(text, expected);
	free(text);
}

static void test_the_first_name_of_a_kind_counts(void **state)
{
	(void)state;
	X509 *certificate = with_alternatives("email:a@example.com,DNS:First.example,DNS:second.example,URI:urn:dev:17,"
					      "URI:urn:dev:18,IP:192.0.2.1");
	expect_text(tls_certificate_alternative(certificate, GEN_DNS), "First.example");
	expect_text(tls_certificate_alternative(certificate, GEN_EMAIL), "a@example.com");
	expect_text(tls_certificate_alternative(certificate, GEN_URI), "urn:dev:17");
	expect_text(tls_certificate_cn(certificate), NULL);
	X509_free(certificate);
	certificate = with_alternatives(NULL);
	expect_text(tls_certificate_alternative(certificate, GEN_DNS), NULL);
	X509_free(certificate);
}

static void test_the_last_cn_counts_in_whatever_it_is_written(void **state)
{
	(void)state;
	X509 *certificate = with_alternatives(NULL);
	add_to_subject(certificate, "O", MBSTRING_UTF8, "Example", -1);
	add_to_subject(certificate, "CN", MBSTRING_UTF8, "general", -1);
	add_to_subject(certificate, "CN", MBSTRING_BMP, "\0g\0\xfc\0r\0t\0e\0l", 12);
	expect_text(tls_certificate_cn(certificate), "g\xc3\xbcrtel");
	expect_text(tls_certificate_subject(X509_get_subject_name(certificate)),
		    "CN=g\xc3\xbcrtel,CN=general,O=Example");
	X509_free(certificate);
}

static void test_a_name_that_mqtt_cannot_carry_is_none(void **state)
{
	(void)state;
	X509 *certificate = with_alternatives(NULL);
	add_to_subject(certificate, "CN", V_ASN1_UTF8STRING, "admin\0.example", 14);
	expect_text(tls_certificate_cn(certificate), NULL);
	X509_free(certificate);
	certificate = with_alternatives(NULL);
	add_to_subject(certificate, "CN", V_ASN1_UTF8STRING, "\xff\xfe", 2); /* no UTF-8 */
	expect_text(tls_certificate_cn(certificate), NULL);
	X509_free(certificate);
}

static void test_a_subject_is_cut_at_a_whole_character(void **state)
{
	(void)state;
	X509 *certificate = with_alternatives(NULL);
	for (int i = 0; i < 10; i++)
		add_to_subject(certificate, "O", MBSTRING_UTF8,
			       "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac"
			       "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac",
			       -1);
	char *subject = tls_certificate_subject(X509_get_subject_name(certificate));
	size_t size = strlen(subject);
	assert_true(size <= TLS_SUBJECT_BYTES_MAX && size > TLS_SUBJECT_BYTES_MAX - 4);
	assert_int_equal((uint8_t)subject[size - 1], 0xac);
	free(subject);
	X509_free(certificate);
	certificate = with_alternatives(NULL);
	add_to_subject(certificate, "CN", MBSTRING_UTF8, "a\nb", -1);
	expect_text(tls_certificate_subject(X509_get_subject_name(certificate)), "CN=a\\0Ab");
	X509_free(certificate);
	/* What only says that it is UTF-8 is told all the same, in ASCII. */
	certificate = with_alternatives(NULL);
	add_to_subject(certificate, "CN", V_ASN1_UTF8STRING, "a\xff\xc3\xbc", 4);
	expect_text(tls_certificate_subject(X509_get_subject_name(certificate)), "CN=a\\FF\\C3\\BC");
	X509_free(certificate);
}

/* ---- names of servers ---- */

static void test_what_can_be_no_host_is_no_name(void **state)
{
	(void)state;
	X509 *certificate = with_alternatives("DNS:A.Example,DNS:*.b.example,DNS:c d,DNS:e/f,IP:2001:db8::1,email:x@y");
	expect_text(tls_certificate_names(certificate), "a.example, *.b.example, 2001:db8:0:0:0:0:0:1");
	X509_free(certificate);
	certificate = with_alternatives(NULL); /* without any, the CN is the name, as it was before there were others */
	add_to_subject(certificate, "CN", MBSTRING_UTF8, "Mqtt.example", -1);
	expect_text(tls_certificate_names(certificate), "mqtt.example");
	X509_free(certificate);
	certificate = with_alternatives(NULL);
	add_to_subject(certificate, "CN", MBSTRING_UTF8, "Our gateway", -1);
	expect_text(tls_certificate_names(certificate), "");
	X509_free(certificate);
}

static void test_times_are_seconds(void **state)
{
	(void)state;
	static const int64_t TIMES[] = {0, 1, 86399, 86400, BEGIN_S, INT64_C(4102444800), INT64_C(253402300799)};
	for (size_t i = 0; i < sizeof(TIMES) / sizeof(TIMES[0]); i++) {
		ASN1_TIME *time = ASN1_TIME_set(NULL, TIMES[i]);
		assert_int_equal(tls_certificate_time(time), TIMES[i]);
		ASN1_TIME_free(time);
	}
	assert_int_equal(tls_certificate_time(NULL), INT64_MAX);
}

/* ---- certificates for development ---- */

static X509 *read_pem(struct slice pem, int number)
{
	BIO *text = BIO_new_mem_buf(pem.data, (int)pem.size);
	X509 *certificate = NULL;
	for (int i = 0; i <= number; i++) {
		X509_free(certificate);
		certificate = PEM_read_bio_X509(text, NULL, NULL, NULL);
	}
	BIO_free(text);
	return certificate;
}

static bool verifies(X509 *ca, X509 *certificate, const char *purpose)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *context = X509_STORE_CTX_new();
	X509_STORE_add_cert(store, ca);
	X509_STORE_CTX_init(context, store, certificate, NULL);
	X509_STORE_CTX_set_default(context, purpose);
	X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(context), BEGIN_S + 1);
	X509_STORE_CTX_set_flags(context, X509_V_FLAG_X509_STRICT);
	bool good = X509_verify_cert(context) == 1;
	X509_STORE_CTX_free(context);
	X509_STORE_free(store);
	return good;
}

static void test_what_is_made_verifies(void **state)
{
	(void)state;
	static const char *const NAMES[] = {"mqtt.example", "*.example.org", "192.0.2.1", "::1"};
	for (int rsa = 0; rsa < 2; rsa++) {
		struct tls_development made;
		char fault[TLS_FAULT_BYTES_MAX];
		const struct tls_development_options options = {.names = NAMES,
								.name_count = 4,
								.client = "bob",
								.rsa = rsa == 1,
								.begins_s = BEGIN_S,
								.days = 7};
		assert_true(tls_development_make(&options, NULL, &made, fault));
		X509 *ca = read_pem(made.pem[TLS_DEVELOPMENT_CA], 0),
		     *sent = read_pem(made.pem[TLS_DEVELOPMENT_SERVER], 1),
		     *server = read_pem(made.pem[TLS_DEVELOPMENT_SERVER], 0),
		     *client = read_pem(made.pem[TLS_DEVELOPMENT_CLIENT], 0);
		assert_int_equal(X509_cmp(ca, sent), 0);
		assert_true(verifies(ca, server, "ssl_server") && !verifies(ca, server, "ssl_client"));
		assert_true(verifies(ca, client, "ssl_client") && !verifies(ca, client, "ssl_server"));
		assert_int_equal(X509_check_host(server, "a.example.org", 0, 0, NULL), 1);
		assert_int_equal(X509_check_ip_asc(server, "192.0.2.1", 0), 1);
		expect_text(tls_certificate_names(server), "mqtt.example, *.example.org, 192.0.2.1, 0:0:0:0:0:0:0:1");
		expect_text(tls_certificate_cn(client), "bob");
		expect_text(tls_certificate_key(server), rsa == 1 ? "RSA 2048" : "EC prime256v1");
		assert_int_equal(tls_certificate_time(X509_get0_notAfter(server)), BEGIN_S + 7 * 86400);
		assert_int_equal(strlen(made.fingerprint), 32 * 3 - 1);
		X509_free(ca);
		X509_free(sent);
		X509_free(server);
		X509_free(client);
		tls_development_fini(&made);
	}
}

static void test_what_cannot_be_made_is_said(void **state)
{
	(void)state;
	static const struct {
		const char *name, *client;
		uint32_t days;
		const char *fault;
	} CASES[] = {
		{"a b", NULL, 1, "\"a b\" is no host's name and no address"},
		{"a,DNS:b", NULL, 1, "is no host's name"},
		{"", NULL, 1, "is no host's name"},
		{"*", NULL, 1, "is no host's name"},
		{"localhost", NULL, 0, "valid for 1 to 825 days"},
		{"localhost", NULL, 826, "valid for 1 to 825 days"},
		{"localhost", "", 1, "the client's name has 1 to 64 bytes"},
		{"localhost", "12345678901234567890123456789012345678901234567890123456789012345", 1,
		 "the client's name has 1 to 64 bytes"},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct tls_development made;
		char fault[TLS_FAULT_BYTES_MAX];
		const struct tls_development_options options = {.names = &CASES[i].name,
								.name_count = 1,
								.client = CASES[i].client,
								.begins_s = BEGIN_S,
								.days = CASES[i].days};
		assert_false(tls_development_make(&options, NULL, &made, fault));
		if (strstr(fault, CASES[i].fault) == NULL)
			fail_msg("case %zu: %s", i, fault);
		assert_null(made.pem[TLS_DEVELOPMENT_SERVER].data);
	}
}

static void test_an_identity_for_a_server_without_one(void **state)
{
	(void)state;
	struct tls_development made;
	char fault[TLS_FAULT_BYTES_MAX];
	assert_true(tls_development_identity("my-host", BEGIN_S, &made, fault));
	X509 *server = read_pem(made.pem[TLS_DEVELOPMENT_SERVER], 0);
	expect_text(tls_certificate_names(server), "localhost, 127.0.0.1, 0:0:0:0:0:0:0:1, my-host");
	X509_free(server);
	tls_development_fini(&made);
	assert_true(tls_development_identity("no host!", BEGIN_S, &made, fault));
	tls_development_fini(&made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_first_name_of_a_kind_counts),
		cmocka_unit_test(test_the_last_cn_counts_in_whatever_it_is_written),
		cmocka_unit_test(test_a_name_that_mqtt_cannot_carry_is_none),
		cmocka_unit_test(test_a_subject_is_cut_at_a_whole_character),
		cmocka_unit_test(test_what_can_be_no_host_is_no_name),
		cmocka_unit_test(test_times_are_seconds),
		cmocka_unit_test(test_what_is_made_verifies),
		cmocka_unit_test(test_what_cannot_be_made_is_said),
		cmocka_unit_test(test_an_identity_for_a_server_without_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
