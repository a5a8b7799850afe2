/* The keys of tickets: how long each is good for, and how they come out of a file. */
#include "tls/tickets.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on

#include <openssl/evp.h>

#include <stdlib.h>

#define LIFETIME_S 1000u
#define BEGIN_S INT64_C(1700000000)

/* What OpenSSL would have of a ticket. */
struct sealed {
	uint8_t name[TLS_TICKET_NAME_BYTES];
	uint8_t iv[TLS_TICKET_IV_BYTES];
};

struct openssl_parts {
	EVP_CIPHER_CTX *cipher;
	EVP_MAC *mac_kind;
	EVP_MAC_CTX *mac;
};

static struct openssl_parts parts;

static int setup(void **state)
{
	(void)state;
	parts.cipher = EVP_CIPHER_CTX_new();
	parts.mac_kind = EVP_MAC_fetch(NULL, "HMAC", NULL);
	parts.mac = EVP_MAC_CTX_new(parts.mac_kind);
	return parts.mac == NULL;
}

static int teardown(void **state)
{
	(void)state;
	EVP_CIPHER_CTX_free(parts.cipher);
	EVP_MAC_CTX_free(parts.mac);
	EVP_MAC_free(parts.mac_kind);
	return 0;
}

static struct sealed seal(struct tls_tickets *tickets)
{
	struct sealed sealed;
	assert_true(tls_tickets_seal(tickets, sealed.name, sealed.iv, parts.cipher, parts.mac));
	return sealed;
}

static bool opens(struct tls_tickets *tickets, const struct sealed *sealed, bool *newest)
{
	return tls_tickets_open(tickets, sealed->name, sealed->iv, parts.cipher, parts.mac, newest);
}

static void test_what_is_sealed_opens_for_its_lifetime(void **state)
{
	(void)state;
	struct tls_tickets *tickets = tls_tickets_new(LIFETIME_S, BEGIN_S);
	struct sealed ticket = {{0}, {0}};
	bool newest;
	for (uint32_t now_s = 0; now_s < 3 * LIFETIME_S; now_s++) {
		tls_tickets_rotate(tickets, BEGIN_S + now_s);
		/* Made with the first key, in the last second in which it seals. */
		if (now_s == LIFETIME_S / 2 - 1) {
			ticket = seal(tickets);
			assert_true(opens(tickets, &ticket, &newest) && newest);
		}
		if (now_s >= LIFETIME_S / 2 && now_s < LIFETIME_S / 2 + LIFETIME_S)
			assert_true(opens(tickets, &ticket, &newest) && !newest);
		if (now_s >= LIFETIME_S / 2 + LIFETIME_S)
			assert_false(opens(tickets, &ticket, &newest));
		int64_t newest_s;
		assert_true(tls_tickets_keys(tickets, &newest_s) <= TLS_TICKET_KEYS_MAX);
		assert_true(newest_s > BEGIN_S + now_s - LIFETIME_S / 2);
	}
	tls_tickets_free(tickets);
}

static void test_a_rotation_is_told_when_it_changes_something(void **state)
{
	(void)state;
	struct tls_tickets *tickets = tls_tickets_new(LIFETIME_S, BEGIN_S);
	assert_false(tls_tickets_rotate(tickets, BEGIN_S));
	assert_false(tls_tickets_rotate(tickets, BEGIN_S - 1000000)); /* the clock was set back */
	assert_true(tls_tickets_rotate(tickets, BEGIN_S + LIFETIME_S / 2));
	assert_false(tls_tickets_rotate(tickets, BEGIN_S + LIFETIME_S / 2));
	/* After a long rest one key is left, a fresh one. */
	int64_t newest_s;
	assert_true(tls_tickets_rotate(tickets, BEGIN_S + 1000000));
	assert_int_equal(tls_tickets_keys(tickets, &newest_s), 1);
	assert_int_equal(newest_s, BEGIN_S + 1000000);
	tls_tickets_free(tickets);
}

static void test_keys_come_back_from_a_file(void **state)
{
	(void)state;
	uint8_t file[TLS_TICKETS_FILE_BYTES_MAX];
	bool newest;
	struct tls_tickets *before = tls_tickets_new(LIFETIME_S, BEGIN_S),
			   *after = tls_tickets_new(LIFETIME_S, BEGIN_S);
	struct sealed older = seal(before);
	tls_tickets_rotate(before, BEGIN_S + LIFETIME_S / 2);
	struct sealed newer = seal(before);
	size_t size = tls_tickets_save(before, file);
	assert_true(size <= sizeof(file));
	assert_false(opens(after, &newer, &newest));
	assert_int_equal(tls_tickets_load(after, slice_of(file, size), BEGIN_S + LIFETIME_S / 2), ERROR_OK);
	assert_true(opens(after, &newer, &newest) && newest);
	assert_true(opens(after, &older, &newest) && !newest);
	int64_t newest_s;
	assert_int_equal(tls_tickets_keys(after, &newest_s), 2);
	assert_int_equal(newest_s, BEGIN_S + LIFETIME_S / 2);
	tls_tickets_free(before);
	tls_tickets_free(after);
}

static void test_a_damaged_file_changes_nothing(void **state)
{
	(void)state;
	uint8_t file[TLS_TICKETS_FILE_BYTES_MAX + 1];
	bool newest;
	struct tls_tickets *before = tls_tickets_new(LIFETIME_S, BEGIN_S),
			   *after = tls_tickets_new(LIFETIME_S, BEGIN_S);
	struct sealed ticket = seal(after);
	size_t size = tls_tickets_save(before, file);
	for (size_t at = 0; at < size; at++) {
		file[at] ^= 1;
		assert_int_equal(tls_tickets_load(after, slice_of(file, size), BEGIN_S), ERROR_NOT_FOUND);
		file[at] ^= 1;
		uint8_t *cut = malloc(at + 1);
		memcpy(cut, file, at);
		assert_int_equal(tls_tickets_load(after, slice_of(cut, at), BEGIN_S), ERROR_NOT_FOUND);
		free(cut);
	}
	assert_int_equal(tls_tickets_load(after, slice_of(file, size + 1), BEGIN_S), ERROR_NOT_FOUND);
	assert_true(opens(after, &ticket, &newest) && newest);
	tls_tickets_free(before);
	tls_tickets_free(after);
}

static void test_keys_that_are_too_old_stay_in_the_file(void **state)
{
	(void)state;
	uint8_t file[TLS_TICKETS_FILE_BYTES_MAX];
	int64_t newest_s;
	struct tls_tickets *before = tls_tickets_new(LIFETIME_S, BEGIN_S),
			   *after = tls_tickets_new(LIFETIME_S, BEGIN_S);
	struct slice saved = slice_of(file, tls_tickets_save(before, file));
	assert_int_equal(tls_tickets_load(after, saved, BEGIN_S + 3 * LIFETIME_S / 2), ERROR_TIMEOUT);
	assert_int_equal(tls_tickets_load(after, saved, BEGIN_S + 3 * LIFETIME_S / 2 - 1), ERROR_OK);
	assert_true(tls_tickets_rotate(after, BEGIN_S + 3 * LIFETIME_S / 2 - 1));
	/* A key that says that it is of tomorrow is taken for one of now. */
	assert_int_equal(tls_tickets_load(after, saved, BEGIN_S - 5), ERROR_OK);
	tls_tickets_keys(after, &newest_s);
	assert_int_equal(newest_s, BEGIN_S - 5);
	tls_tickets_free(before);
	tls_tickets_free(after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_sealed_opens_for_its_lifetime),
		cmocka_unit_test(test_a_rotation_is_told_when_it_changes_something),
		cmocka_unit_test(test_keys_come_back_from_a_file),
		cmocka_unit_test(test_a_damaged_file_changes_nothing),
		cmocka_unit_test(test_keys_that_are_too_old_stay_in_the_file),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
