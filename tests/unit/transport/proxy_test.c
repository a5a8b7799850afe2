/* PROXY heads of both versions, good and bad, and cut at every byte. */
#include "transport/proxy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The bytes stand at the end of a block of their size, so that a sanitizer sees a step past them. */
static enum error read_copy(const uint8_t *bytes, size_t size, struct proxy_head *head, uint8_t **copy)
{
	*copy = malloc(size + 1);
	assert_non_null(*copy);
	memcpy(*copy + 1, bytes, size);
	return proxy_head_read(slice_of(*copy + 1, size), head);
}

static enum error read_result(const uint8_t *bytes, size_t size)
{
	struct proxy_head head;
	uint8_t *copy;
	enum error error = read_copy(bytes, size, &head, &copy);
	free(copy);
	return error;
}

/* ---- version 1 ---- */

struct line {
	const char *text;
	enum error error;
	const char *client; /* peer_print() */
};

static const struct line LINES[] = {
	{"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n", ERROR_OK, "192.0.2.1:56324"},
	{"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", ERROR_OK, "255.255.255.255:65535"},
	{"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", ERROR_OK, "0.0.0.0:0"},
	{"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n", ERROR_OK, "[2001:db8::1]:1"},
	{"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
	 ERROR_OK, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
	{"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 7 8\r\n", ERROR_OK, "192.0.2.1:7"},
	{"PROXY UNKNOWN\r\n", ERROR_OK, "unknown"},
	{"PROXY UNKNOWN ffff::1 whatever it says 99999 -1\r\n", ERROR_OK, "unknown"},
	/* malformed */
	{"PROXY \r\n", ERROR_PROXY_MALFORMED, NULL},
	{"PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n", ERROR_PROXY_MALFORMED, NULL},
	{"PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n", ERROR_PROXY_MALFORMED, NULL},
	{"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n", ERROR_PROXY_MALFORMED, NULL},
	{"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n", ERROR_PROXY_MALFORMED, NULL},
	{"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", ERROR_PROXY_MALFORMED, NULL},
	{"PROXY TCP4 1.2.3.4 1.2.3.4\r\n", ERROR_PROXY_MALFORMED, NULL},
	{"PROXY TCP4 1.2.3.4\r\n", ERROR_PROXY_MALFORMED, NULL},
	{"PROXY TCP4\r\n", ERROR_PROXY_MALFORMED, NULL},
	{"PROXY TCP4 \r\n", ERROR_PROXY_MALFORMED, NULL},
	{"PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n", ERROR_PROXY_MALFORMED, NULL},
	{"PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n", ERROR_PROXY_MALFORMED, NULL},
	{"PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n", ERROR_PROXY_MALFORMED, NULL},
	{"PROXY UNKNOWNS\r\n", ERROR_PROXY_MALFORMED, NULL},
	{"PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n", ERROR_PROXY_MALFORMED, NULL},
	{"PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n", ERROR_PROXY_MALFORMED, NULL},
	{"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n", ERROR_PROXY_MALFORMED, NULL},
	{"PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n", ERROR_PROXY_MALFORMED, NULL},
	{"PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n", ERROR_PROXY_MALFORMED, NULL},
	{"PROXY TCP4 1.2.3.4 1.2.3.4 a 2\r\n", ERROR_PROXY_MALFORMED, NULL},
	{"PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n", ERROR_PROXY_MALFORMED, NULL},
	{"PROXY TCP4 1.2.3.4 1.2.3 1 2\r\n", ERROR_PROXY_MALFORMED, NULL},
	{"PROXY TCP4 1.2.3.04 1.2.3.4 1 2\r\n", ERROR_PROXY_MALFORMED, NULL},
	{"PROXY TCP4 ::1 ::1 1 2\r\n", ERROR_PROXY_MALFORMED, NULL},
	{"PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n", ERROR_PROXY_MALFORMED, NULL},
	{"PROXY TCP6 ::1%lo ::1 1 2\r\n", ERROR_PROXY_MALFORMED, NULL},
	{"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", ERROR_PROXY_MALFORMED, NULL},
	{"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\r\n", ERROR_PROXY_MALFORMED, NULL},
	{"PROXY TCP4\t1.2.3.4\t1.2.3.4\t1\t2\r\n", ERROR_PROXY_MALFORMED, NULL},
	/* none */
	{"proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n", ERROR_PROXY_MISSING, NULL},
	{"PROXYTCP4", ERROR_PROXY_MISSING, NULL},
	{"GET / HTTP/1.1\r\n", ERROR_PROXY_MISSING, NULL},
	{"\x10\x0e", ERROR_PROXY_MISSING, NULL},
	{"\x16\x03\x01", ERROR_PROXY_MISSING, NULL},
};

/* With something behind it, and cut anywhere before its end. */
static void check_line(const struct line *line)
{
	uint8_t bytes[256];
	char text[PEER_TEXT_BYTES_MAX];
	struct proxy_head head;
	uint8_t *copy;
	size_t size = strlen(line->text);
	memcpy(bytes, line->text, size);
	memcpy(bytes + size, "\x10\x0e\n", 3);
	enum error error = read_copy(bytes, size + 3, &head, &copy);
	if (error != line->error)
		fail_msg("%s: %s", line->text, error_name(error));
	if (error == ERROR_OK) {
		assert_int_equal(head.bytes, size);
		assert_false(head.is_local || head.is_tls || head.is_verified);
		assert_string_equal(peer_print(&head.client, text), line->client);
	}
	free(copy);
	for (size_t cut = 0; cut < size; cut++) {
		enum error part = read_result(bytes, cut);
		bool told = part == ERROR_MORE || (part == line->error && part != ERROR_OK);
		if (!told)
			fail_msg("%s, %zu bytes of it: %s", line->text, cut, error_name(part));
	}
}

static void test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(LINES) / sizeof(LINES[0]); i++)
		check_line(&LINES[i]);
}

/* 107 bytes are the most; a line without an end is no reason to wait longer. */
static void test_line_of_any_length(void **state)
{
	(void)state;
	for (size_t size = 16; size < 130; size++) {
		uint8_t bytes[130];
		memset(bytes, 'x', sizeof(bytes));
		memcpy(bytes, "PROXY UNKNOWN ", 14);
		assert_int_equal(read_result(bytes, size), size < 107 ? ERROR_MORE : ERROR_PROXY_MALFORMED);
		memcpy(bytes + size - 2, "\r\n", 2);
		assert_int_equal(read_result(bytes, size), size <= 107 ? ERROR_OK : ERROR_PROXY_MALFORMED);
	}
	/* A NUL is no text. */
	static const uint8_t NUL[] = "PROXY TCP4 1.2.3.4\0 1.2.3.4 1 2\r\n";
	assert_int_equal(read_result(NUL, sizeof(NUL) - 1), ERROR_PROXY_MALFORMED);
}

/* ---- version 2 ---- */

struct message {
	uint8_t bytes[PROXY_HEAD_BYTES_MAX + 64];
	size_t size;
};

static void add(struct message *message, const void *bytes, size_t size)
{
	assert_true(message->size + size <= sizeof(message->bytes));
	if (size != 0)
		memcpy(message->bytes + message->size, bytes, size);
	message->size += size;
}

static void set_length(struct message *message)
{
	message->bytes[14] = (uint8_t)((message->size - 16) >> 8);
	message->bytes[15] = (uint8_t)(message->size - 16);
}

static void begin(struct message *message, uint8_t command, uint8_t family, const void *addresses, size_t size)
{
	const uint8_t rest[] = {command, family, 0, 0};
	message->size = 0;
	add(message, "\r\n\r\n\0\r\nQUIT\n", 12);
	add(message, rest, sizeof(rest));
	add(message, addresses, size);
	set_length(message);
}

/* Returns where the value is. */
static size_t add_tlv(struct message *message, uint8_t type, const void *value, size_t size)
{
	const uint8_t head[] = {type, (uint8_t)(size >> 8), (uint8_t)size};
	add(message, head, sizeof(head));
	size_t at = message->size;
	add(message, value, size);
	set_length(message);
	return at;
}

/* From the standard's description, not from the code: the remainder of a division of polynomials, byte by byte from a
 * table of all bytes. */
static uint32_t checksum_of(const uint8_t *bytes, size_t size)
{
	uint32_t table[256];
	for (uint32_t i = 0; i < 256; i++) {
		table[i] = i;
		for (int bit = 0; bit < 8; bit++)
			table[i] = (table[i] >> 1) ^ (0x82f63b78u & (0u - (table[i] & 1u)));
	}
	uint32_t crc = UINT32_MAX;
	for (size_t i = 0; i < size; i++)
		crc = table[(crc ^ bytes[i]) & 0xff] ^ (crc >> 8);
	return crc ^ UINT32_MAX;
}

static void seal(struct message *message, size_t at)
{
	uint32_t sum = checksum_of(message->bytes, message->size);
	for (size_t i = 0; i < 4; i++)
		message->bytes[at + i] = (uint8_t)(sum >> (24 - 8 * i));
}

static const uint8_t V4[12] = {192, 0, 2, 1, 198, 51, 100, 7, 0xdc, 0x04, 0x01, 0xbb};
static const uint8_t V6[36] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1, [31] = 1, [32] = 0, 7, 0, 8};
static const uint8_t UNIX[216] = {'/'};

static void expect(const struct message *message, enum error expected)
{
	assert_int_equal(read_result(message->bytes, message->size), expected);
	for (size_t cut = 0; cut < message->size; cut++) {
		enum error part = read_result(message->bytes, cut);
		bool told = part == ERROR_MORE || (part == expected && part != ERROR_OK);
		if (!told)
			fail_msg("%zu of %zu bytes: %s", cut, message->size, error_name(part));
	}
}

static void expect_client(const struct message *message, const char *client)
{
	struct proxy_head head;
	char text[PEER_TEXT_BYTES_MAX];
	uint8_t *copy;
	expect(message, ERROR_OK);
	assert_int_equal(read_copy(message->bytes, message->size, &head, &copy), ERROR_OK);
	assert_string_equal(peer_print(&head.client, text), client);
	assert_int_equal(head.bytes, message->size);
	assert_int_equal(head.is_local, message->bytes[12] == 0x20);
	free(copy);
}

static void test_families(void **state)
{
	(void)state;
	struct message message;
	begin(&message, 0x21, 0x11, V4, sizeof(V4));
	expect_client(&message, "192.0.2.1:56324");
	begin(&message, 0x21, 0x21, V6, sizeof(V6));
	expect_client(&message, "[2001:db8::1]:7");
	uint8_t mapped[36] = {[10] = 0xff, 0xff, 192, 0, 2, 1, [33] = 7};
	begin(&message, 0x21, 0x21, mapped, sizeof(mapped));
	expect_client(&message, "192.0.2.1:7");
	begin(&message, 0x21, 0x12, V4, sizeof(V4)); /* over UDP */
	expect_client(&message, "192.0.2.1:56324");
	begin(&message, 0x21, 0x31, UNIX, sizeof(UNIX));
	expect_client(&message, "unknown");
	begin(&message, 0x21, 0x00, NULL, 0);
	expect_client(&message, "unknown");
	begin(&message, 0x21, 0x10, V4, sizeof(V4)); /* a family without a transport */
	expect_client(&message, "unknown");
	/* A balancer's own connection, whatever it says besides. */
	begin(&message, 0x20, 0x00, NULL, 0);
	expect_client(&message, "unknown");
	begin(&message, 0x20, 0x11, V4, sizeof(V4));
	expect_client(&message, "unknown");
	begin(&message, 0x20, 0xff, V4, 3);
	expect_client(&message, "unknown");
}

static void test_malformed_heads(void **state)
{
	(void)state;
	static const struct {
		uint8_t command;
		uint8_t family;
		size_t size;
	} ROWS[] = {
		{0x11, 0x11, 12}, {0x01, 0x11, 12}, {0x22, 0x11, 12}, {0x2f, 0x11, 12}, {0x31, 0x11, 12},
		{0x21, 0x41, 12}, {0x21, 0xf1, 12}, {0x21, 0x13, 12}, {0x21, 0x1f, 12}, {0x21, 0x11, 11},
		{0x21, 0x21, 35}, {0x21, 0x31, 36}, {0x21, 0x11, 0},
	};
	for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
		struct message message;
		begin(&message, ROWS[i].command, ROWS[i].family, V6, ROWS[i].size);
		expect(&message, ERROR_PROXY_MALFORMED);
	}
	struct message message;
	begin(&message, 0x21, 0x11, V4, sizeof(V4));
	message.bytes[11] = '\r';
	expect(&message, ERROR_PROXY_MISSING);
}

/* Up to PROXY_HEAD_BYTES_MAX, and not a byte more is waited for. */
static void test_length(void **state)
{
	(void)state;
	static const uint8_t PADDING[PROXY_HEAD_BYTES_MAX] = {0};
	struct message message;
	begin(&message, 0x21, 0x11, V4, sizeof(V4));
	add_tlv(&message, 0x04, PADDING, PROXY_HEAD_BYTES_MAX - message.size - 3);
	assert_int_equal(message.size, PROXY_HEAD_BYTES_MAX);
	expect_client(&message, "192.0.2.1:56324");
	begin(&message, 0x21, 0x11, V4, sizeof(V4));
	add_tlv(&message, 0x04, PADDING, PROXY_HEAD_BYTES_MAX - message.size - 2);
	assert_int_equal(read_result(message.bytes, 16), ERROR_PROXY_MALFORMED);
}

/* ---- TLVs ---- */

static void expect_text(struct slice slice, const char *text)
{
	assert_int_equal(slice.size, strlen(text));
	assert_memory_equal(slice.data, text, slice.size);
}

/* flags: of PP2_TYPE_SSL. */
static void begin_ssl(struct message *message, uint8_t flags, uint32_t verdict)
{
	uint8_t ssl[64] = {flags,
			   (uint8_t)(verdict >> 24),
			   (uint8_t)(verdict >> 16),
			   (uint8_t)(verdict >> 8),
			   (uint8_t)verdict,
			   0x21,
			   0,
			   7,
			   'T',
			   'L',
			   'S',
			   'v',
			   '1',
			   '.',
			   '3'};
	memcpy(ssl + 15,
	       "\x22\0\x09sensor-17\x23\0\x06"
	       "CIPHER",
	       21);
	begin(message, 0x21, 0x11, V4, sizeof(V4));
	add_tlv(message, 0x01, "mqtt", 4);
	add_tlv(message, 0x02, "mqtt.example.org", 16);
	add_tlv(message, 0x20, ssl, 36);
	add_tlv(message, 0xee, NULL, 0);
}

static void test_what_the_balancer_says_of_tls(void **state)
{
	(void)state;
	static const struct {
		uint8_t flags;
		uint32_t verdict;
		bool is_tls;
		bool is_verified;
	} ROWS[] = {
		{0x07, 0, true, true},   {0x03, 0, true, true},  {0x05, 0, true, true},
		{0x01, 0, true, false},  {0x07, 1, true, false}, {0x07, 20, true, false},
		{0x00, 0, false, false}, {0x01, 1, true, false}, {0x07, 1u << 31, true, false},
	};
	for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
		struct message message;
		struct proxy_head head;
		uint8_t *copy;
		begin_ssl(&message, ROWS[i].flags, ROWS[i].verdict);
		expect_client(&message, "192.0.2.1:56324");
		assert_int_equal(read_copy(message.bytes, message.size, &head, &copy), ERROR_OK);
		assert_int_equal(head.is_tls, ROWS[i].is_tls);
		assert_int_equal(head.is_verified, ROWS[i].is_verified);
		expect_text(head.authority, "mqtt.example.org");
		expect_text(head.tls_version, "TLSv1.3");
		expect_text(head.common_name, "sensor-17");
		expect_text(head.tls_cipher, "CIPHER");
		free(copy);
	}
}

static void test_malformed_tlvs(void **state)
{
	(void)state;
	struct message message;
	for (size_t size = 1; size < 3; size++) { /* half a head */
		begin(&message, 0x21, 0x11, V4, sizeof(V4));
		add(&message, "\x02\0", size);
		set_length(&message);
		expect(&message, ERROR_PROXY_MALFORMED);
	}
	begin(&message, 0x21, 0x11, V4, sizeof(V4)); /* longer than what there is */
	add(&message, "\x02\0\x05mqtt", 7);
	set_length(&message);
	expect(&message, ERROR_PROXY_MALFORMED);
	for (size_t size = 0; size < 5; size++) { /* too short for its head */
		begin(&message, 0x21, 0x11, V4, sizeof(V4));
		add_tlv(&message, 0x20, "\1\0\0\0", size);
		expect(&message, ERROR_PROXY_MALFORMED);
	}
	begin(&message, 0x21, 0x11, V4, sizeof(V4)); /* what lies in it is longer than itself */
	add_tlv(&message, 0x20, "\1\0\0\0\0\x22\0\2a", 9);
	expect(&message, ERROR_PROXY_MALFORMED);
}

static void test_checksum(void **state)
{
	(void)state;
	static const uint8_t ZERO[8] = {0};
	struct message message;
	/* The check value of CRC-32C [RFC 3720, B.4: 32 bytes of zeroes]. */
	static const uint8_t ZEROES[32] = {0};
	assert_int_equal(checksum_of(ZEROES, sizeof(ZEROES)), 0x8a9136aau);
	for (size_t place = 0; place < 2; place++) {
		begin(&message, 0x21, 0x11, V4, sizeof(V4));
		if (place == 1)
			add_tlv(&message, 0x02, "a", 1);
		size_t at = add_tlv(&message, 0x03, ZERO, 4);
		if (place == 0)
			add_tlv(&message, 0x02, "a", 1);
		seal(&message, at);
		expect_client(&message, "192.0.2.1:56324");
		for (size_t i = 16; i < message.size; i++) {
			message.bytes[i] ^= 1; /* in an address, or in the checksum itself */
			bool in_tlv = i >= 28 && !(i >= at && i < at + 4);
			enum error error = read_result(message.bytes, message.size);
			assert_true(error == ERROR_PROXY_CHECKSUM || (in_tlv && error == ERROR_PROXY_MALFORMED) ||
				    (in_tlv && error == ERROR_OK && message.bytes[at - 3] != 0x03));
			message.bytes[i] ^= 1;
		}
	}
	begin(&message, 0x21, 0x11, V4, sizeof(V4));
	add_tlv(&message, 0x03, ZERO, 4);
	expect(&message, ERROR_PROXY_CHECKSUM);
	for (size_t size = 0; size < 8; size++) {
		begin(&message, 0x21, 0x11, V4, sizeof(V4));
		add_tlv(&message, 0x03, ZERO, size);
		expect(&message, size == 4 ? ERROR_PROXY_CHECKSUM : ERROR_PROXY_MALFORMED);
	}
}

static void test_look(void **state)
{
	(void)state;
	static const char *const HEADS[] = {"PROXY ", "\r\n\r\n\0\r\nQUIT\n"};
	static const size_t SIZES[] = {6, 12};
	for (size_t i = 0; i < 2; i++) {
		for (size_t size = 0; size <= SIZES[i]; size++)
			assert_int_equal(proxy_head_look(slice_of(HEADS[i], size)),
					 size == SIZES[i] ? ERROR_OK : ERROR_MORE);
	}
	assert_int_equal(proxy_head_look(slice_string("POST")), ERROR_PROXY_MISSING);
	assert_int_equal(proxy_head_look(slice_string("\r\n\r\r")), ERROR_PROXY_MISSING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),          cmocka_unit_test(test_line_of_any_length),
		cmocka_unit_test(test_families),       cmocka_unit_test(test_malformed_heads),
		cmocka_unit_test(test_length),         cmocka_unit_test(test_what_the_balancer_says_of_tls),
		cmocka_unit_test(test_malformed_tlvs), cmocka_unit_test(test_checksum),
		cmocka_unit_test(test_look),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
