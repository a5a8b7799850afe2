/* What a record may be after the handshake, from the standards: each case is sealed with the right keys, so that only
 * what is inside can be wrong. */
#include "twins.h"

#include "tls/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define RECORD_BYTES (TLS_RECORD_BYTES_MAX + 4096u)

static struct tls_ciphers *ciphers;
static uint8_t record[RECORD_BYTES];
static uint8_t plain_bytes[RECORD_BYTES];

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

enum side { SERVER, CLIENT, BOTH };

enum alert {
	CLOSE_NOTIFY = 0,
	UNEXPECTED = 10,
	MAC = 20,
	OVERFLOW = 22,
	ILLEGAL = 47,
	DECODE = 50,
	NO_RENEGOTIATION = 100
};

/* One record that a side reads. */
struct rule {
	const char *name;
	uint16_t cipher;
	enum side reader;
	uint8_t type;
	const char *content;
	size_t size;
	size_t padding;
	enum error error;
	enum alert alert; /* with an error: what the reader owes */
	enum tls_content what;
};

#define C(text) text, sizeof(text) - 1
#define T3 0x1301
#define T2 0xc02b
#define OK ERROR_OK, CLOSE_NOTIFY

static const struct rule RULES[] = {
	/* name, suite, reader, type, content, padding, error, alert, what */
	{"data", T3, BOTH, TYPE_DATA, C("hello"), 0, OK, TLS_CONTENT_DATA},
	{"padded data", T3, BOTH, TYPE_DATA, C("hello"), 1, OK, TLS_CONTENT_DATA},
	{"data with much padding", T3, BOTH, TYPE_DATA, C("hello"), 16379, OK, TLS_CONTENT_DATA},
	{"empty data", T3, BOTH, TYPE_DATA, C(""), 0, OK, TLS_CONTENT_DATA},
	{"empty data with padding", T3, BOTH, TYPE_DATA, C(""), 16384, OK, TLS_CONTENT_DATA},
	{"data that ends with zeros", T3, BOTH, TYPE_DATA, C("a\0\0\0\0\0\0\0\0\0"), 3, OK, TLS_CONTENT_DATA},
	{"padding above the limit", T3, BOTH, TYPE_DATA, C("hello"), 16380, ERROR_TLS_RECORD_LENGTH, OVERFLOW, 0},
	{"no type", T3, BOTH, 0, C(""), 0, ERROR_TLS_RECORD_TYPE, UNEXPECTED, 0},
	{"no type, all zeros", T3, BOTH, 0, C(""), 16384, ERROR_TLS_RECORD_TYPE, UNEXPECTED, 0},
	{"change_cipher_spec inside", T3, BOTH, TYPE_CIPHER, C("\1"), 0, ERROR_TLS_RECORD_TYPE, UNEXPECTED, 0},
	{"heartbeat", T3, BOTH, 24, C("\1\0\0"), 0, ERROR_TLS_RECORD_TYPE, UNEXPECTED, 0},

	{"close_notify", T3, BOTH, TYPE_ALERT, C("\1\0"), 0, OK, TLS_CONTENT_END},
	{"close_notify called fatal", T3, BOTH, TYPE_ALERT, C("\2\0"), 0, OK, TLS_CONTENT_END},
	{"user_canceled", T3, BOTH, TYPE_ALERT, C("\1\132"), 0, OK, TLS_CONTENT_NONE},
	{"any other alert is fatal", T3, BOTH, TYPE_ALERT, C("\1\52"), 0, ERROR_TLS_ALERT, CLOSE_NOTIFY, 0},
	{"internal_error", T3, BOTH, TYPE_ALERT, C("\2\120"), 0, ERROR_TLS_ALERT, CLOSE_NOTIFY, 0},
	{"empty alert", T3, BOTH, TYPE_ALERT, C(""), 0, ERROR_TLS_MESSAGE, UNEXPECTED, 0},
	{"half an alert", T3, BOTH, TYPE_ALERT, C("\1"), 0, ERROR_TLS_MESSAGE, DECODE, 0},
	{"two alerts", T3, BOTH, TYPE_ALERT, C("\1\132\1\0"), 0, ERROR_TLS_MESSAGE, DECODE, 0},

	{"KeyUpdate", T3, BOTH, TYPE_HANDSHAKE, C("\30\0\0\1\0"), 0, OK, TLS_CONTENT_UPDATE},
	{"KeyUpdate that asks", T3, BOTH, TYPE_HANDSHAKE, C("\30\0\0\1\1"), 7, OK, TLS_CONTENT_UPDATE},
	{"KeyUpdate of neither", T3, BOTH, TYPE_HANDSHAKE, C("\30\0\0\1\2"), 0, ERROR_TLS_MESSAGE, ILLEGAL, 0},
	{"KeyUpdate, empty", T3, BOTH, TYPE_HANDSHAKE, C("\30\0\0\0"), 0, ERROR_TLS_MESSAGE, DECODE, 0},
	{"KeyUpdate, long", T3, BOTH, TYPE_HANDSHAKE, C("\30\0\0\2\0\0"), 0, ERROR_TLS_MESSAGE, DECODE, 0},
	{"KeyUpdate, of megabytes", T3, BOTH, TYPE_HANDSHAKE, C("\30\1\0\1\0"), 0, ERROR_TLS_MESSAGE, DECODE, 0},
	{"KeyUpdate and more", T3, BOTH, TYPE_HANDSHAKE, C("\30\0\0\1\0\30"), 0, ERROR_TLS_MESSAGE, UNEXPECTED, 0},
	{"two KeyUpdates", T3, BOTH, TYPE_HANDSHAKE, C("\30\0\0\1\0\30\0\0\1\0"), 0, ERROR_TLS_MESSAGE, UNEXPECTED, 0},
	{"KeyUpdate's beginning", T3, BOTH, TYPE_HANDSHAKE, C("\30\0"), 0, OK, TLS_CONTENT_NONE},
	{"ticket", T3, CLIENT, TYPE_HANDSHAKE, C("\4\0\0\3abc"), 0, OK, TLS_CONTENT_NONE},
	{"two tickets", T3, CLIENT, TYPE_HANDSHAKE, C("\4\0\0\3abc\4\0\0\2de"), 0, OK, TLS_CONTENT_NONE},
	{"ticket and KeyUpdate", T3, CLIENT, TYPE_HANDSHAKE, C("\4\0\0\1a\30\0\0\1\0"), 0, OK, TLS_CONTENT_UPDATE},
	{"ticket's beginning", T3, CLIENT, TYPE_HANDSHAKE, C("\4\0\1\0abc"), 0, OK, TLS_CONTENT_NONE},
	{"ticket of nothing", T3, CLIENT, TYPE_HANDSHAKE, C("\4\0\0\0"), 0, ERROR_TLS_MESSAGE, DECODE, 0},
	{"ticket to a server", T3, SERVER, TYPE_HANDSHAKE, C("\4\0\0\3abc"), 0, ERROR_TLS_MESSAGE, UNEXPECTED, 0},
	{"ClientHello", T3, BOTH, TYPE_HANDSHAKE, C("\1\0\0\100"), 0, ERROR_TLS_MESSAGE, UNEXPECTED, 0},
	{"CertificateRequest", T3, BOTH, TYPE_HANDSHAKE, C("\15\0\0\1"), 0, ERROR_TLS_MESSAGE, UNEXPECTED, 0},
	{"Finished", T3, BOTH, TYPE_HANDSHAKE, C("\24\0\0\40"), 0, ERROR_TLS_MESSAGE, UNEXPECTED, 0},
	{"empty handshake", T3, BOTH, TYPE_HANDSHAKE, C(""), 0, ERROR_TLS_MESSAGE, UNEXPECTED, 0},

	{"data", T2, BOTH, TYPE_DATA, C("hello"), 0, OK, TLS_CONTENT_DATA},
	{"empty data", T2, BOTH, TYPE_DATA, C(""), 0, OK, TLS_CONTENT_DATA},
	{"data that ends with zeros", T2, BOTH, TYPE_DATA, C("a\0\0\0"), 0, OK, TLS_CONTENT_DATA},
	{"close_notify", T2, BOTH, TYPE_ALERT, C("\1\0"), 0, OK, TLS_CONTENT_END},
	{"warning", T2, BOTH, TYPE_ALERT, C("\1\144"), 0, OK, TLS_CONTENT_NONE},
	{"fatal alert", T2, BOTH, TYPE_ALERT, C("\2\52"), 0, ERROR_TLS_ALERT, CLOSE_NOTIFY, 0},
	{"empty alert", T2, BOTH, TYPE_ALERT, C(""), 0, ERROR_TLS_MESSAGE, UNEXPECTED, 0},
	{"change_cipher_spec", T2, BOTH, TYPE_CIPHER, C("\1"), 0, ERROR_TLS_RECORD_TYPE, UNEXPECTED, 0},
	{"renegotiation", T2, SERVER, TYPE_HANDSHAKE, C("\1"), 0, ERROR_TLS_MESSAGE, NO_RENEGOTIATION, 0},
	{"HelloRequest", T2, CLIENT, TYPE_HANDSHAKE, C("\0\0\0\0"), 0, OK, TLS_CONTENT_NONE},
	{"HelloRequests", T2, CLIENT, TYPE_HANDSHAKE, C("\0\0\0\0\0\0\0\0\0"), 0, OK, TLS_CONTENT_NONE},
	{"HelloRequest of something", T2, CLIENT, TYPE_HANDSHAKE, C("\0\0\0\1"), 0, ERROR_TLS_MESSAGE, DECODE, 0},
	{"HelloRequest to a server", T2, SERVER, TYPE_HANDSHAKE, C("\0\0\0\0"), 0, ERROR_TLS_MESSAGE, UNEXPECTED, 0},
	{"KeyUpdate", T2, BOTH, TYPE_HANDSHAKE, C("\30\0\0\1\0"), 0, ERROR_TLS_MESSAGE, UNEXPECTED, 0},
	{"empty handshake", T2, BOTH, TYPE_HANDSHAKE, C(""), 0, ERROR_TLS_MESSAGE, UNEXPECTED, 0},
};

static void open_record(struct tls_session *reader, size_t size, uint8_t *out, const struct rule *rule)
{
	struct slice plain = {0};
	enum tls_content what = 0;
	enum error error = tls_record_open(ciphers, reader, record, size, out, &plain, &what);
	if (error != rule->error || reader->alert != rule->alert || (error == ERROR_OK && what != rule->what))
		fail_msg("%s: %s, alert %u, content %d", rule->name, error_name(error), reader->alert, (int)what);
	assert_int_equal(reader->error, rule->error);
	assert_int_equal(reader->closed, rule->error != ERROR_OK || rule->what == TLS_CONTENT_END);
	if (error == ERROR_OK && what == TLS_CONTENT_DATA) {
		assert_int_equal(plain.size, rule->size);
		assert_memory_equal(plain.data, rule->content, rule->size);
	}
}

static void play_rule(const struct rule *rule, bool is_server, uint8_t *out)
{
	struct twins twins;
	twins_make(&twins, ciphers, rule->cipher);
	struct tls_session *reader = is_server ? twins.server.session : twins.client.session;
	struct tls_session *writer = is_server ? twins.client.session : twins.server.session;
	size_t size = seal_anything(ciphers, writer, rule->type, rule->content, rule->size, rule->padding, record);
	size_t told = 0;
	assert_int_equal(tls_record_size(slice_of(record, TLS_HEAD_BYTES), &told), ERROR_OK);
	assert_int_equal(told, size);
	open_record(reader, size, out, rule);

	/* The reader's last words tell the peer. */
	if (!reader->closed)
		return;
	size = tls_alert_write(ciphers, reader, record);
	assert_in_range(size, 1, TLS_ALERT_BYTES_MAX);
	struct slice plain;
	enum tls_content what;
	enum error error = tls_record_open(ciphers, writer, record, size, NULL, &plain, &what);
	bool is_warning = rule->alert == NO_RENEGOTIATION;
	assert_int_equal(error, rule->alert == CLOSE_NOTIFY || is_warning ? ERROR_OK : ERROR_TLS_ALERT);
	assert_int_equal(plain.size, 2);
	assert_int_equal(plain.data[0], rule->alert == CLOSE_NOTIFY || is_warning ? 1 : 2);
	assert_int_equal(plain.data[1], rule->alert);
}

static void test_each_rule(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(RULES) / sizeof(RULES[0]); i++)
		for (int is_server = 0; is_server < 2; is_server++) {
			if (RULES[i].reader != BOTH && (RULES[i].reader == SERVER) != is_server)
				continue;
			play_rule(&RULES[i], is_server, plain_bytes);
			play_rule(&RULES[i], is_server, NULL);
		}
}

/* ---- in the clear ---- */

static void test_nothing_comes_in_the_clear(void **state)
{
	static const char *const RECORDS[] = {"\24\3\3\0\1\1", "\25\3\3\0\2\2\50", "\26\3\3\0\4\1\0\0\0"};
	static const size_t SIZES[] = {6, 7, 9};
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct twins twins;
		struct slice plain;
		enum tls_content what;
		twins_make(&twins, ciphers, T3);
		memcpy(record, RECORDS[i], SIZES[i]);
		assert_int_equal(tls_record_open(ciphers, twins.server.session, record, SIZES[i], NULL, &plain, &what),
				 ERROR_TLS_RECORD_TYPE);
		assert_int_equal(twins.server.session->alert, UNEXPECTED);
	}
}

/* ---- heads ---- */

static void test_heads(void **state)
{
	static const struct {
		uint8_t head[5];
		size_t size;
		enum error error;
	} HEADS[] = {
		{{23, 3, 3, 0, 0}, 5, ERROR_OK},
		{{23, 3, 1, 0, 17}, 22, ERROR_OK}, /* the version's second byte says nothing any more */
		{{20, 3, 3, 0, 1}, 6, ERROR_OK},
		{{22, 3, 3, 0x41, 0}, 16645, ERROR_OK},
		{{23, 3, 3, 0x41, 1}, 0, ERROR_TLS_RECORD_LENGTH},
		{{23, 3, 3, 0xff, 0xff}, 0, ERROR_TLS_RECORD_LENGTH},
		{{19, 3, 3, 0, 20}, 0, ERROR_TLS_RECORD_TYPE},
		{{24, 3, 3, 0, 20}, 0, ERROR_TLS_RECORD_TYPE},
		{{23, 2, 3, 0, 20}, 0, ERROR_TLS_RECORD_TYPE},
		{{0x10, 0x10, 0, 4, 'M'}, 0, ERROR_TLS_RECORD_TYPE},
		{{'G', 'E', 'T', ' ', '/'}, 0, ERROR_TLS_RECORD_TYPE},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(HEADS) / sizeof(HEADS[0]); i++) {
		size_t size = 99;
		assert_int_equal(tls_record_size(slice_of(HEADS[i].head, 5), &size), HEADS[i].error);
		assert_int_equal(size, HEADS[i].size);
		for (size_t cut = 0; cut < 5; cut++) {
			assert_int_equal(tls_record_size(slice_of(HEADS[i].head, cut), &size), ERROR_OK);
			assert_int_equal(size, 0);
		}
	}
	struct twins twins;
	twins_make(&twins, ciphers, T3);
	tls_session_fail(twins.server.session, ERROR_TLS_RECORD_LENGTH);
	assert_int_equal(twins.server.session->alert, OVERFLOW);
	assert_true(twins.server.session->closed);
	tls_session_fail(twins.client.session, ERROR_TLS_RECORD_TYPE);
	assert_int_equal(twins.client.session->alert, UNEXPECTED);
}

/* ---- what the cipher finds ---- */

static const uint16_t CIPHERS[] = {0x1301, 0x1302, 0x1303, 0xc02b, 0xc02c, 0xcca9};

/* Any bit of a record changed, head included. */
static void test_each_bit_is_authenticated(void **state)
{
	(void)state;
	for (size_t c = 0; c < sizeof(CIPHERS) / sizeof(CIPHERS[0]); c++) {
		struct twins twins;
		twins_make(&twins, ciphers, CIPHERS[c]);
		uint8_t sealed[64];
		size_t size = seal_anything(ciphers, twins.client.session, TYPE_DATA, "hello", 5, 0, sealed);
		for (size_t bit = 0; bit < size * 8; bit++) {
			struct slice plain;
			enum tls_content what;
			twins_make(&twins, ciphers, CIPHERS[c]);
			memcpy(record, sealed, size);
			record[bit / 8] ^= (uint8_t)(1u << bit % 8);
			if (bit / 8 == 3 || bit / 8 == 4)
				continue; /* the length says where the record ends: below */
			enum error error = tls_record_open(ciphers, twins.server.session, record, size, plain_bytes,
							   &plain, &what);
			bool is_type = bit / 8 == 0 && twins.server.session->version == TLS_1_3;
			assert_int_equal(error, is_type ? ERROR_TLS_RECORD_TYPE : ERROR_TLS_RECORD_TAG);
			assert_int_equal(twins.server.session->alert, is_type ? UNEXPECTED : MAC);
		}
	}
}

/* Every length below that of the record, which the head tells as it is. */
static void test_truncated(void **state)
{
	(void)state;
	for (size_t c = 0; c < sizeof(CIPHERS) / sizeof(CIPHERS[0]); c++) {
		struct twins twins;
		twins_make(&twins, ciphers, CIPHERS[c]);
		uint8_t sealed[64];
		size_t size = seal_anything(ciphers, twins.client.session, TYPE_DATA, "hello", 5, 0, sealed);
		size_t least = size - 5;
		for (size_t cut = TLS_HEAD_BYTES; cut < size; cut++) {
			struct slice plain;
			enum tls_content what;
			twins_make(&twins, ciphers, CIPHERS[c]);
			memcpy(record, sealed, cut);
			record[3] = 0;
			record[4] = (uint8_t)(cut - TLS_HEAD_BYTES);
			enum error error =
				tls_record_open(ciphers, twins.server.session, record, cut, plain_bytes, &plain, &what);
			assert_int_equal(error, cut < least ? ERROR_TLS_RECORD_LENGTH : ERROR_TLS_RECORD_TAG);
			assert_int_equal(twins.server.session->alert, MAC);
		}
	}
}

static void test_each_record_once_and_in_order(void **state)
{
	(void)state;
	for (size_t c = 0; c < sizeof(CIPHERS) / sizeof(CIPHERS[0]); c++)
		for (int swapped = 0; swapped < 2; swapped++) {
			struct twins twins;
			struct slice plain;
			enum tls_content what;
			uint8_t sealed[2][64];
			size_t size = 0;
			twins_make(&twins, ciphers, CIPHERS[c]);
			for (int i = 0; i < 2; i++)
				size = seal_anything(ciphers, twins.client.session, TYPE_DATA, "hello", 5, 0,
						     sealed[i]);
			if (!swapped) {
				memcpy(record, sealed[0], size);
				assert_int_equal(tls_record_open(ciphers, twins.server.session, record, size, NULL,
								 &plain, &what),
						 ERROR_OK);
			}
			memcpy(record, sealed[swapped], size);
			assert_int_equal(
				tls_record_open(ciphers, twins.server.session, record, size, NULL, &plain, &what),
				ERROR_TLS_RECORD_TAG);
		}
}

/* ---- what costs us and is nothing ---- */

static enum error send_idle(struct twins *twins, uint8_t type, const char *content, size_t content_bytes)
{
	struct slice plain;
	enum tls_content what;
	size_t size = seal_anything(ciphers, twins->server.session, type, content, content_bytes, 0, record);
	enum error error = tls_record_open(ciphers, twins->client.session, record, size, NULL, &plain, &what);
	/* The peer follows its own KeyUpdate. */
	if (error == ERROR_OK && what == TLS_CONTENT_UPDATE) {
		memcpy(tls_session_secret(twins->server.session, TLS_WRITE),
		       tls_session_secret(twins->client.session, TLS_READ), 32);
		memcpy(tls_session_iv(twins->server.session, TLS_WRITE),
		       tls_session_iv(twins->client.session, TLS_READ), 12);
		memcpy(tls_session_key(twins->server.session, TLS_WRITE),
		       tls_session_key(twins->client.session, TLS_READ), 16);
		twins->server.session->sequence[TLS_WRITE] = 0;
	}
	return error;
}

static void test_so_many_idle_records_in_a_row(void **state)
{
	static const struct {
		uint16_t cipher;
		uint8_t type;
		const char *content;
		size_t size;
	} IDLE[] = {
		{T3, TYPE_DATA, C("")},
		{T3, TYPE_HANDSHAKE, C("\30\0\0\1\1")},
		{T3, TYPE_ALERT, C("\1\132")},
		{T3, TYPE_HANDSHAKE, C("\4\0\0\1a")},
		{T2, TYPE_DATA, C("")},
		{T2, TYPE_ALERT, C("\1\144")},
		{T2, TYPE_HANDSHAKE, C("\0\0\0\0")},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(IDLE) / sizeof(IDLE[0]); i++) {
		struct twins twins;
		twins_make(&twins, ciphers, IDLE[i].cipher);
		for (int round = 0; round < 3; round++) {
			for (unsigned n = 0; n < TLS_IDLE_RECORDS_MAX; n++)
				assert_int_equal(send_idle(&twins, IDLE[i].type, IDLE[i].content, IDLE[i].size),
						 ERROR_OK);
			if (round < 2) /* data begins the count again */
				assert_int_equal(send_idle(&twins, TYPE_DATA, "x", 1), ERROR_OK);
		}
		assert_int_equal(send_idle(&twins, IDLE[i].type, IDLE[i].content, IDLE[i].size), ERROR_TLS_MESSAGE);
		assert_int_equal(twins.client.session->alert, UNEXPECTED);
	}
}

/* ---- messages over records ---- */

/* A ticket and a KeyUpdate, cut into records of every size, and with data in between, which may not be. */
static void test_messages_cut_at_every_byte(void **state)
{
	static const char MESSAGES[] = "\4\0\0\12ticket-one\4\0\0\1t\30\0\0\1\1";
	size_t total = sizeof(MESSAGES) - 1;
	(void)state;
	for (size_t part = 1; part <= total; part++) {
		struct twins twins;
		twins_make(&twins, ciphers, T3);
		for (size_t at = 0; at < total; at += part) {
			size_t size = total - at < part ? total - at : part;
			assert_int_equal(send_idle(&twins, TYPE_HANDSHAKE, MESSAGES + at, size), ERROR_OK);
		}
		assert_true(twins.client.session->update_due);
		assert_int_equal(twins.client.session->message_bytes, 0);
		assert_int_equal(send_idle(&twins, TYPE_DATA, "x", 1), ERROR_OK);
	}
	for (size_t cut = 1; cut < total; cut++) {
		struct twins twins;
		twins_make(&twins, ciphers, T3);
		assert_int_equal(send_idle(&twins, TYPE_HANDSHAKE, MESSAGES, cut), ERROR_OK);
		bool between = cut == 14 || cut == 19;
		assert_int_equal(send_idle(&twins, TYPE_DATA, "x", 1), between ? ERROR_OK : ERROR_TLS_MESSAGE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_rule),
		cmocka_unit_test(test_nothing_comes_in_the_clear),
		cmocka_unit_test(test_heads),
		cmocka_unit_test(test_each_bit_is_authenticated),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_each_record_once_and_in_order),
		cmocka_unit_test(test_so_many_idle_records_in_a_row),
		cmocka_unit_test(test_messages_cut_at_every_byte),
	};
	return cmocka_run_group_tests_name("tls_rules", tests, setup, teardown);
}
