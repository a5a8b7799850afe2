/* Keys from secrets, by other ways than the schedule's own: OpenSSL's KDFs. Sessions in memory. */
#include "twins.h"

#include "tls/record.h"
#include "tls/schedule.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct tls_ciphers *ciphers;

static int setup(void **state)
{
	(void)state;
	ciphers = tls_ciphers_new();
	return ciphers == NULL;
}

static int teardown(void **state)
{
	(void)state;
	tls_ciphers_free(ciphers);
	return 0;
}

static void derive(const char *kdf_name, const OSSL_PARAM *parameters, uint8_t *out, size_t size)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, kdf_name, NULL);
	EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
	assert_int_equal(EVP_KDF_derive(context, out, size, parameters), 1);
	EVP_KDF_CTX_free(context);
	EVP_KDF_free(kdf);
}

static void expand(const char *digest, const uint8_t *secret, size_t secret_bytes, const char *label, uint8_t *out,
		   size_t size)
{
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
	uint8_t info[64] = {0, (uint8_t)size, (uint8_t)(6 + strlen(label)), 't', 'l', 's', '1', '3', ' '};
	memcpy(info + 9, label, strlen(label));
	const OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t)digest, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)secret, secret_bytes),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, 10 + strlen(label)),
		OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
		OSSL_PARAM_construct_end(),
	};
	derive("HKDF", parameters, out, size);
}

static const struct {
	uint16_t cipher;
	const char *digest;
	size_t key_bytes;
	size_t secret_bytes;
	size_t session_bytes;
} SUITES[] = {
	{0x1301, "SHA256", 16, 32, 152},
	{0x1302, "SHA384", 32, 48, 216},
	{0x1303, "SHA256", 32, 32, 184},
};

/* The first keys, and those after each of some updates. */
static void test_keys_of_1_3(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct twins twins;
		uint8_t secret[48] = {1, 2, 3}; /* the client's, of the twins */
		uint8_t expected[48];
		twins_make(&twins, ciphers, SUITES[i].cipher);
		struct tls_session *session = twins.server.session;
		assert_int_equal(tls_session_bytes(session->version, session->suite), SUITES[i].session_bytes);
		assert_int_equal(tls_secret_bytes(session->suite), SUITES[i].secret_bytes);
		for (int update = 0; update < 4; update++) {
			assert_memory_equal(tls_session_secret(session, TLS_READ), secret, SUITES[i].secret_bytes);
			expand(SUITES[i].digest, secret, SUITES[i].secret_bytes, "key", expected, SUITES[i].key_bytes);
			assert_memory_equal(tls_session_key(session, TLS_READ), expected, SUITES[i].key_bytes);
			expand(SUITES[i].digest, secret, SUITES[i].secret_bytes, "iv", expected, 12);
			assert_memory_equal(tls_session_iv(session, TLS_READ), expected, 12);
			assert_int_equal(session->sequence[TLS_READ], 0);
			session->sequence[TLS_READ] = 77;
			tls_session_update(ciphers, session, TLS_READ);
			expand(SUITES[i].digest, secret, SUITES[i].secret_bytes, "traffic upd", expected,
			       SUITES[i].secret_bytes);
			memcpy(secret, expected, sizeof(secret));
		}
		/* The other direction is as it was. */
		assert_memory_equal(tls_session_key(session, TLS_WRITE),
				    tls_session_key(twins.client.session, TLS_READ), SUITES[i].key_bytes);
	}
}

static void test_keys_of_1_2(void **state)
{
	static const struct {
		uint16_t cipher;
		const char *digest;
		size_t key_bytes;
		size_t iv_bytes;
	} OLD[] = {{0xc02b, "SHA256", 16, 4}, {0xc02c, "SHA384", 32, 4}, {0xcca9, "SHA256", 32, 12}};
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		uint8_t master[48], client[32], server[32], block[88];
		uint8_t seed[13 + 64];
		memset(master, 7, sizeof(master));
		memset(client, 8, sizeof(client));
		memset(server, 9, sizeof(server));
		memcpy(seed, "key expansion", 13);
		memcpy(seed + 13, server, 32);
		memcpy(seed + 45, client, 32);
		const OSSL_PARAM parameters[] = {
			OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t)OLD[i].digest, 0),
			OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, master, sizeof(master)),
			OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, seed, sizeof(seed)),
			OSSL_PARAM_construct_end(),
		};
		size_t key = OLD[i].key_bytes;
		size_t iv = OLD[i].iv_bytes;
		derive("TLS1-PRF", parameters, block, 2 * (key + iv));
		for (int is_server = 0; is_server < 2; is_server++) {
			struct twin twin;
			static const uint8_t ZEROS[12];
			twin.session = (struct tls_session *)(void *)twin.memory;
			tls_session_init_1_2(ciphers, twin.session, OLD[i].cipher, master, client, server, is_server);
			enum tls_direction of_client = is_server ? TLS_READ : TLS_WRITE;
			enum tls_direction of_server = is_server ? TLS_WRITE : TLS_READ;
			assert_memory_equal(tls_session_key(twin.session, of_client), block, key);
			assert_memory_equal(tls_session_key(twin.session, of_server), block + key, key);
			assert_memory_equal(tls_session_iv(twin.session, of_client), block + 2 * key, iv);
			assert_memory_equal(tls_session_iv(twin.session, of_server), block + 2 * key + iv, iv);
			assert_memory_equal(tls_session_iv(twin.session, of_server) + iv, ZEROS, 12 - iv);
		}
	}
}

static void test_suites(void **state)
{
	enum tls_version version;
	enum tls_suite suite;
	(void)state;
	assert_true(tls_suite_of(0x1303, &version, &suite));
	assert_true(version == TLS_1_3 && suite == TLS_CHACHA20_POLY1305);
	assert_true(tls_suite_of(0xc030, &version, &suite));
	assert_true(version == TLS_1_2 && suite == TLS_AES_256_GCM);
	assert_false(tls_suite_of(0x002f, &version, &suite)); /* TLS_RSA_WITH_AES_128_CBC_SHA */
	assert_false(tls_suite_of(0x1304, &version, &suite)); /* TLS_AES_128_CCM_SHA256 */
	assert_false(tls_suite_of(0, &version, &suite));
}

static void test_wiped(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct twins twins;
		uint8_t *bytes = twins.server.memory;
		twins_make(&twins, ciphers, SUITES[i].cipher);
		bytes[SUITES[i].session_bytes < sizeof(twins.server.memory) ? SUITES[i].session_bytes : 0] = 1;
		tls_session_wipe(twins.server.session);
		for (size_t j = 0; j < SUITES[i].session_bytes; j++)
			assert_int_equal(bytes[j], 0);
	}
}

/* ---- our own KeyUpdate ---- */

static void exchange(struct twins *twins, struct tls_session *writer, struct tls_session *reader, size_t records)
{
	uint8_t out[64 + TLS_SEAL_BYTES_MAX];
	struct slice part = slice_string("hello");
	size_t size = tls_record_seal(twins->ciphers, writer, &part, 1, part.size, out);
	for (size_t at = 0; at < size; records--) {
		size_t record = 0;
		struct slice plain;
		enum tls_content what;
		assert_int_not_equal(records, 0);
		assert_int_equal(tls_record_size(slice_of(out + at, size - at), &record), ERROR_OK);
		assert_int_equal(tls_record_open(twins->ciphers, reader, out + at, record, NULL, &plain, &what),
				 ERROR_OK);
		assert_int_equal(what, records == 1 ? TLS_CONTENT_DATA : TLS_CONTENT_UPDATE);
		at += record;
	}
	assert_int_equal(records, 0);
}

static void test_update_before_the_bound(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct twins twins;
		twins_make(&twins, ciphers, SUITES[i].cipher);
		struct tls_session *server = twins.server.session;
		struct tls_session *client = twins.client.session;
		server->sequence[TLS_WRITE] = client->sequence[TLS_READ] = TLS_RECORDS_PER_KEY - 2;
		exchange(&twins, server, client, 1);
		exchange(&twins, server, client, 1);
		assert_true(tls_key_update_due(server));
		exchange(&twins, server, client, 2);
		assert_int_equal(server->sequence[TLS_WRITE], 1);
		assert_false(tls_key_update_due(server));
		exchange(&twins, server, client, 1);
		exchange(&twins, client, server, 1);
	}
}

/* TLS 1.2 has no KeyUpdate. */
static void test_no_update_in_1_2(void **state)
{
	struct twins twins;
	uint8_t out[TLS_KEY_UPDATE_BYTES_MAX];
	(void)state;
	twins_make(&twins, ciphers, 0xc02b);
	assert_int_equal(tls_key_update_write(ciphers, twins.server.session, out), 0);
	twins.server.session->sequence[TLS_WRITE] = twins.client.session->sequence[TLS_READ] = TLS_RECORDS_PER_KEY + 1;
	exchange(&twins, twins.server.session, twins.client.session, 1);
}

/* A number is used again for other bytes only where nobody saw the first. */
static void test_unsealed(void **state)
{
	struct twins twins;
	uint8_t out[64];
	(void)state;
	twins_make(&twins, ciphers, 0x1301);
	struct slice part = slice_string("never sent");
	tls_record_seal(ciphers, twins.client.session, &part, 1, part.size, out);
	tls_record_unseal(twins.client.session);
	exchange(&twins, twins.client.session, twins.server.session, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys_of_1_3),
		cmocka_unit_test(test_keys_of_1_2),
		cmocka_unit_test(test_suites),
		cmocka_unit_test(test_wiped),
		cmocka_unit_test(test_update_before_the_bound),
		cmocka_unit_test(test_no_update_in_1_2),
		cmocka_unit_test(test_unsealed),
	};
	return cmocka_run_group_tests_name("tls_schedule", tests, setup, teardown);
}
