/* Signing in: CONNECT bytes to an admission, or to a refusal and the CONNACK that says it. */
#include "access/admission.h"
#include "access/handshake.h"
#include "mqtt/decode.h"
#include "mqtt/field/reason.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct settings SETTINGS = {.packet_bytes_max = 4096,
					 .connect_bytes_max = 1024,
					 .client_id_bytes_max = 23,
					 .session_expiry_max_s = 1000,
					 .keepalive_max_s = 40000};
static const struct hash_key KEY = {{5}};

#define BYTES(text)                                                                                                    \
	{                                                                                                              \
		(const uint8_t *)(text), sizeof(text) - 1                                                              \
	}

#define CONNECT_4 "\x10\x0e\0\4MQTT\4\2\0\x3c\0\2id"
#define CONNECT_5 "\x10\x0f\0\4MQTT\5\2\0\x3c\0\0\2id"

#define CONNECT_4_RESERVED "\x10\x19\0\4MQTT\4\2\0\x3c\0\x0d$roost/rule/a"
#define CONNECT_5_RESERVED "\x10\x1a\0\4MQTT\5\2\0\x3c\0\0\x0d$roost/rule/a"
/* For ever, and without a keepalive. */
#define CONNECT_5_RULE "\x10\x1f\0\4MQTT\5\0\0\0\5\x11\xff\xff\xff\xff\0\x0d$roost/rule/a"

struct result {
	enum error error;
	struct admission *admission;
	size_t packet_bytes;
	uint8_t version;
};

/* The bytes stand at the end of a block of their size, so that a sanitizer sees a step past them. */
static struct result read_bytes_of(struct slice bytes, const struct handshake_origin *origin)
{
	struct result result = {0};
	uint8_t *copy = malloc(bytes.size + 1);
	assert_non_null(copy);
	memcpy(copy + 1, bytes.data, bytes.size);
	struct sign_in_environment environment = {.settings = &SETTINGS, .key = &KEY};
	result.error = handshake_read(&environment, origin, slice_of(copy + 1, bytes.size), &result.admission,
				      &result.packet_bytes, &result.version);
	free(copy);
	return result;
}

static struct result read_bytes(struct slice bytes, bool loopback)
{
	struct handshake_origin origin = {.loopback = loopback};
	return read_bytes_of(bytes, &origin);
}

/* ---- admitted ---- */

struct good {
	struct slice bytes;
	uint8_t version;
	uint16_t keepalive_s;
	const char *id; /* NULL: assigned */
	uint32_t expiry_s;
	uint32_t packet_bytes_max;
	struct slice will;
};

#define NO_LIMIT (MQTT_BODY_BYTES_MAX + MQTT_HEADER_BYTES_MAX)

static const struct good GOOD[] = {
	{BYTES(CONNECT_4), 4, 60, "id", 0, NO_LIMIT, {0}},
	{BYTES(CONNECT_5), 5, 60, "id", 0, NO_LIMIT, {0}},
	{BYTES("\x10\x10\0\6MQIsdp\3\2\0\0\0\2id"), 3, 0, "id", 0, NO_LIMIT, {0}},
	{BYTES("\x10\x0c\0\4MQTT\4\2\xff\xff\0\0"), 4, 65535, NULL, 0, NO_LIMIT, {0}},
	{BYTES("\x10\x0d\0\4MQTT\5\0\0\0\0\0\0"), 5, 40000, NULL, 0, NO_LIMIT, {0}},
	/* the longest id; user name and password, which nobody looks at yet */
	{BYTES("\x10\x23\0\4MQTT\4\2\0\1\0\x17"
	       "abcdefghijklmnopqrstuvw"),
	 4,
	 1,
	 "abcdefghijklmnopqrstuvw",
	 0,
	 NO_LIMIT,
	 {0}},
	{BYTES("\x10\x14\0\4MQTT\4\xc2\0\x3c\0\2id\0\1u\0\1p"), 4, 60, "id", 0, NO_LIMIT, {0}},
	/* session expiry, maximum packet size */
	{BYTES("\x10\x19\0\4MQTT\5\2\0\x3c\x0a\x11\0\0\0\1\x27\0\0\1\0\0\2id"), 5, 60, "id", 1, 256, {0}},
	/* Longer than is granted: of version 5, and for ever as 3.1.1 means it. */
	{BYTES("\x10\x14\0\4MQTT\5\2\xff\xff\5\x11\xff\xff\xff\xff\0\2id"), 5, 40000, "id", 1000, NO_LIMIT, {0}},
	{BYTES("\x10\x0e\0\4MQTT\4\0\0\x3c\0\2id"), 4, 60, "id", 1000, NO_LIMIT, {0}},
	/* Wills, with QoS and retain flag. */
	{BYTES("\x10\x18\0\4MQTT\4\x2e\0\x3c\0\2id\0\3w/t\0\3bye"), 4, 60, "id", 0, NO_LIMIT,
	 BYTES("\x33\x0a\0\3w/t\0\1bye")},
	{BYTES("\x10\x15\0\4MQTT\4\6\0\x3c\0\2id\0\3w/t\0\0"), 4, 60, "id", 0, NO_LIMIT, BYTES("\x30\5\0\3w/t")},
	{BYTES("\x10\x1a\0\4MQTT\5\6\0\x3c\0\0\2id\0\0\3w/t\0\3bye"), 5, 60, "id", 0, NO_LIMIT,
	 BYTES("\x30\x09\0\3w/t\0bye")},
	/* The delay is not the message's; the properties around it are, in their order. */
	{BYTES("\x10\x28\0\4MQTT\5\6\0\x3c\0\0\2id\x0e\1\1\x18\0\0\0\7\x26\0\1k\0\1v\0\3w/t\0\3bye"), 5, 60, "id", 0,
	 NO_LIMIT,
	 BYTES("\x30\x12\0\3w/t\x09\1\1\x26\0\1k\0\1v"
	       "bye")},
	{BYTES("\x10\x1f\0\4MQTT\5\6\0\x3c\0\0\2id\5\x18\0\0\0\7\0\3w/t\0\3bye"), 5, 60, "id", 0, NO_LIMIT,
	 BYTES("\x30\x09\0\3w/t\0bye")},
};

#define GOOD_COUNT (sizeof(GOOD) / sizeof(GOOD[0]))

static void assert_slice(struct slice got, struct slice wanted)
{
	assert_int_equal(got.size, wanted.size);
	if (wanted.size != 0)
		assert_memory_equal(got.data, wanted.data, wanted.size);
}

static void assert_assigned(struct slice id)
{
	assert_in_range(id.size, 10, SETTINGS.client_id_bytes_max + 20);
	assert_memory_equal(id.data, "roost-", 6);
}

static void assert_admitted(const struct good *good, const struct result *result, struct slice rest)
{
	assert_int_equal(result->error, ERROR_OK);
	assert_int_equal(result->packet_bytes, good->bytes.size);
	assert_int_equal(result->version, good->version);
	const struct admission *admission = result->admission;
	assert_int_equal(admission->version, good->version);
	assert_int_equal(admission->keepalive_s, good->keepalive_s);
	assert_int_equal(admission->session_expiry_s, good->expiry_s);
	assert_int_equal(admission->packet_bytes_max, good->packet_bytes_max);
	assert_int_equal(admission->assigned_id, good->id == NULL);
	if (good->id != NULL)
		assert_slice(admission_id(admission), slice_string(good->id));
	else
		assert_assigned(admission_id(admission));
	assert_true(admission->hash == hash_slice(&KEY, admission_id(admission)));
	assert_slice(admission_will(admission), good->will);
	assert_slice(admission_rest(admission), rest);
}

static void test_admitted(void **state)
{
	(void)state;
	for (size_t i = 0; i < GOOD_COUNT; i++) {
		struct result result = read_bytes(GOOD[i].bytes, true);
		assert_admitted(&GOOD[i], &result, slice_of(NULL, 0));
		free(result.admission);
	}
}

/* What came behind CONNECT goes along, whatever it is. */
static void test_rest_behind_connect(void **state)
{
	(void)state;
	static const struct slice RESTS[] = {BYTES("\xc0\0"), BYTES("\x10"), BYTES("\0\xff not MQTT at all")};
	for (size_t i = 0; i < GOOD_COUNT; i++) {
		for (size_t r = 0; r < 3; r++) {
			uint8_t both[256];
			memcpy(both, GOOD[i].bytes.data, GOOD[i].bytes.size);
			memcpy(both + GOOD[i].bytes.size, RESTS[r].data, RESTS[r].size);
			struct result result = read_bytes(slice_of(both, GOOD[i].bytes.size + RESTS[r].size), true);
			assert_admitted(&GOOD[i], &result, RESTS[r]);
			free(result.admission);
		}
	}
}

static void test_cut_at_every_byte_is_not_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < GOOD_COUNT; i++) {
		for (size_t cut = 0; cut < GOOD[i].bytes.size; cut++) {
			struct result result = read_bytes(slice_of(GOOD[i].bytes.data, cut), true);
			assert_int_equal(result.error, ERROR_MORE);
			assert_int_equal(result.packet_bytes, cut < 2 ? 0 : GOOD[i].bytes.size);
			assert_null(result.admission);
		}
	}
}

static void test_assigned_ids_are_all_different(void **state)
{
	(void)state;
	static char ids[200][64];
	for (int i = 0; i < 200; i++) {
		struct result result = read_bytes(GOOD[3].bytes, true);
		struct slice id = admission_id(result.admission);
		assert_true(id.size < sizeof(ids[i]));
		memcpy(ids[i], id.data, id.size);
		ids[i][id.size] = '\0';
		free(result.admission);
		for (int j = 0; j < i; j++)
			assert_string_not_equal(ids[i], ids[j]);
	}
}

/* ---- refused ---- */

struct bad {
	struct slice bytes;
	bool remote; /* not on a loopback listener */
	enum error error;
	uint8_t version;
	uint8_t code; /* of CONNACK; 0: none is sent */
};

static const struct bad BAD[] = {
	/* Another packet is told at its first byte. */
	{BYTES("\xc0"), false, ERROR_NOT_CONNECT, 0, 0},
	{BYTES("\xc0\0"), false, ERROR_NOT_CONNECT, 0, 0},
	{BYTES("\0"), false, ERROR_NOT_CONNECT, 0, 0},
	/* What is meant for another port is named. */
	{BYTES("GET / HTTP/1.1\r\n"), false, ERROR_HTTP_UNEXPECTED, 0, 0},
	{BYTES("GET"), false, ERROR_NOT_CONNECT, 0, 0},
	{BYTES("\x16\3\1\2\0\1\0\1\xfc"), false, ERROR_TLS_UNEXPECTED, 0, 0},
	{BYTES("\x16\4\1\2"), false, ERROR_FLAGS_RESERVED, 0, 0},
	{BYTES("PROXY UNKNOWN\r\n"), false, ERROR_PROXY_UNEXPECTED, 0, 0},
	{BYTES("\r\n\r\n\0\r\nQUIT\n"), false, ERROR_PROXY_UNEXPECTED, 0, 0},
	{BYTES("\x30\xff\xff\xff\xff"), false, ERROR_NOT_CONNECT, 0, 0},
	{BYTES("\x11\x0e"), false, ERROR_FLAGS_RESERVED, 0, 0},
	{BYTES("\x10\xff\xff\xff\xff"), false, ERROR_LENGTH_MALFORMED, 0, 0},
	{BYTES("\x10\x80\x08"), false, ERROR_CONNECT_TOO_LARGE, 0, 0},
	/* Who has said as much of it is told. */
	{BYTES("\x10\x80\x08\0\4MQTT\5"), false, ERROR_CONNECT_TOO_LARGE, 5, 0x95},
	{BYTES("\x10\x80\x08\0\4MQTT\4"), false, ERROR_CONNECT_TOO_LARGE, 4, 0},
	{BYTES("\x10\0"), false, ERROR_PACKET_SHORT, 0, 0},
	{BYTES("\x10\x0e\0\4MQTX\4\2\0\x3c\0\2id"), false, ERROR_PROTOCOL_NAME, 0, 0},
	{BYTES("\x10\x0e\0\4MQTT\6\2\0\x3c\0\2id"), false, ERROR_PROTOCOL_LEVEL, 0, 1},
	{BYTES("\x10\x0e\0\4MQTT\3\2\0\x3c\0\2id"), false, ERROR_PROTOCOL_LEVEL, 0, 1},
	{BYTES("\x10\x0e\0\4MQTT\4\3\0\x3c\0\2id"), false, ERROR_CONNECT_RESERVED, 4, 0},
	{BYTES("\x10\x0f\0\4MQTT\5\3\0\x3c\0\0\2id"), false, ERROR_CONNECT_RESERVED, 5, MQTT_REASON_MALFORMED_PACKET},
	{BYTES("\x10\x0c\0\4MQTT\4\0\0\x3c\0\0"), false, ERROR_CLIENT_ID_EMPTY, 4, 2},
	{BYTES("\x10\x24\0\4MQTT\4\2\0\1\0\x18"
	       "abcdefghijklmnopqrstuvwx"),
	 false, ERROR_CLIENT_ID_LONG, 4, 2},
	{BYTES("\x10\x25\0\4MQTT\5\2\0\1\0\0\x18"
	       "abcdefghijklmnopqrstuvwx"),
	 false, ERROR_CLIENT_ID_LONG, 5, MQTT_REASON_CLIENT_ID_NOT_VALID},
	{BYTES(CONNECT_4_RESERVED), false, ERROR_CLIENT_ID_RESERVED, 4, 2},
	{BYTES(CONNECT_5_RESERVED), false, ERROR_CLIENT_ID_RESERVED, 5, MQTT_REASON_CLIENT_ID_NOT_VALID},
	{BYTES(CONNECT_4), true, ERROR_NOT_AUTHORIZED, 4, 5},
	{BYTES(CONNECT_5), true, ERROR_NOT_AUTHORIZED, 5, MQTT_REASON_NOT_AUTHORIZED},
	{BYTES("\x10\x14\0\4MQTT\4\xc2\0\x3c\0\2id\0\1u\0\1p"), true, ERROR_NOT_AUTHORIZED, 4, 5},
	{BYTES("\x10\x13\0\4MQTT\5\2\0\x3c\4\x15\0\1m\0\2id"), false, ERROR_AUTH_METHOD, 5,
	 MQTT_REASON_BAD_AUTHENTICATION_METHOD},
	{BYTES("\x10\x19\0\4MQTT\5\6\0\x3c\0\0\2id\0\0\4$SYS\0\1b"), false, ERROR_TOPIC_RESERVED, 5,
	 MQTT_REASON_NOT_AUTHORIZED},
	{BYTES("\x10\x10\0\4MQTT\4\2\0\x3c\0\2id\0\0"), false, ERROR_PACKET_TRAILING, 4, 0},
	{BYTES("\x10\x0f\0\4MQTT\5\2\0\x3c\0\0\3id"), false, ERROR_PACKET_SHORT, 5, MQTT_REASON_MALFORMED_PACKET},
};

static void check_connack_5(struct slice bytes, enum error error, uint8_t code)
{
	struct mqtt_header header;
	struct mqtt_connack connack;
	assert_int_equal(mqtt_header_decode(bytes.data, bytes.size, &header), ERROR_OK);
	assert_int_equal(header.type, MQTT_CONNACK);
	assert_int_equal(header.header_bytes + header.body_bytes, bytes.size);
	assert_int_equal(
		mqtt_connack_decode(slice_of(bytes.data + header.header_bytes, header.body_bytes), 5, &connack),
		ERROR_OK);
	assert_int_equal(connack.reason, code);
	assert_false(connack.session_present);
	assert_slice(connack.reason_string, slice_string(error_sentence(error)));
}

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		const struct bad *bad = &BAD[i];
		struct result result = read_bytes(bad->bytes, !bad->remote);
		if (result.error != bad->error || result.version != bad->version)
			fail_msg("case %zu: %s in version %u", i, error_name(result.error), result.version);
		assert_null(result.admission);
		uint8_t out[REFUSAL_BYTES_MAX];
		size_t size = handshake_refusal(result.error, "", result.version, 0, out);
		const uint8_t before_5[] = {0x20, 2, 0, bad->code};
		if (bad->code == 0)
			assert_int_equal(size, 0);
		else if (bad->version == 5)
			check_connack_5(slice_of(out, size), bad->error, bad->code);
		else
			assert_slice(slice_of(out, size), slice_of(before_5, 4));
	}
}

/* Whatever the reason is, version 5 is told it with a code that a CONNACK may carry, and before version 5 with one of
 * the five or by the closed connection alone. */
static void test_every_reason_has_a_refusal(void **state)
{
	(void)state;
	for (int i = ERROR_MORE + 1; i < ERROR_COUNT; i++) {
		uint8_t out[REFUSAL_BYTES_MAX];
		enum error error = (enum error)i;
		size_t size = handshake_refusal(error, "", 5, 0, out);
		assert_true(size > 4);
		if (!mqtt_reason_allowed(out[3], MQTT_CONNACK, true) || out[3] < MQTT_REASON_UNSPECIFIED_ERROR)
			fail_msg("%s is refused with %02x", error_name(error), out[3]);
		check_connack_5(slice_of(out, size), error, out[3]);
		size = handshake_refusal(error, "", 4, 0, out);
		assert_true(size == 0 || (size == 4 && out[3] >= 1 && out[3] <= 5));
		size = handshake_refusal(error, "", 0, 0, out);
		assert_int_equal(size, error == ERROR_PROTOCOL_LEVEL ? 4 : 0);
	}
}

/* ---- who has signed in before ---- */

#define CONNECT_4_NO_ID "\x10\x0c\0\4MQTT\4\2\0\x3c\0\0"
#define CONNECT_4_PASSWORD "\x10\x14\0\4MQTT\4\xc2\0\x3c\0\2id\0\1u\0\1p"

struct origin_case {
	struct slice bytes;
	bool loopback;
	const char *user;      /* of the certificate, or the process */
	const char *client_id; /* of the certificate */
	enum error error;
	const char *gets_id; /* "": assigned */
};

static const struct origin_case ORIGINS[] = {
	/* A name that is a user is enough to sign in, wherever the client comes from. */
	{BYTES(CONNECT_4), false, "sensor-17", NULL, ERROR_OK, "id"},
	{BYTES(CONNECT_4_NO_ID), false, "sensor-17", NULL, ERROR_OK, ""},
	{BYTES(CONNECT_4_PASSWORD), false, "sensor-17", NULL, ERROR_OK, "id"},
	{BYTES(CONNECT_4), false, "unix:1000", NULL, ERROR_OK, "id"},
	/* A name that is a client id is the only one, and lets in where no other sign-in is configured. */
	{BYTES(CONNECT_4), false, NULL, "id", ERROR_OK, "id"},
	{BYTES(CONNECT_4), true, NULL, "id", ERROR_OK, "id"},
	{BYTES(CONNECT_5), false, NULL, "id", ERROR_OK, "id"},
	{BYTES(CONNECT_4_NO_ID), false, NULL, "sensor-17", ERROR_OK, "sensor-17"},
	{BYTES(CONNECT_4), false, NULL, "ID", ERROR_CERTIFICATE_CLIENT_ID, NULL},
	{BYTES(CONNECT_4), true, NULL, "i", ERROR_CERTIFICATE_CLIENT_ID, NULL},
	{BYTES(CONNECT_5), true, NULL, "idd", ERROR_CERTIFICATE_CLIENT_ID, NULL},
	{BYTES(CONNECT_4_NO_ID), true, NULL, "abcdefghijklmnopqrstuvwx", ERROR_CLIENT_ID_LONG, NULL},
	{BYTES(CONNECT_4), false, NULL, NULL, ERROR_NOT_AUTHORIZED, NULL},
	/* An id that is Roost's own is nobody's, wherever it comes from. */
	{BYTES(CONNECT_4_RESERVED), false, "sensor-17", NULL, ERROR_CLIENT_ID_RESERVED, NULL},
	{BYTES(CONNECT_4_NO_ID), false, NULL, "$roost/rule/a", ERROR_CLIENT_ID_RESERVED, NULL},
};

static void test_signed_in_before(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(ORIGINS) / sizeof(ORIGINS[0]); i++) {
		const struct origin_case *row = &ORIGINS[i];
		struct handshake_origin origin = {.loopback = row->loopback};
		if (row->user != NULL)
			origin.user = slice_string(row->user);
		if (row->client_id != NULL)
			origin.client_id = slice_string(row->client_id);
		struct result result = read_bytes_of(row->bytes, &origin);
		if (result.error != row->error)
			fail_msg("case %zu: %s", i, error_name(result.error));
		if (result.error != ERROR_OK)
			continue;
		assert_slice(admission_user(result.admission), origin.user);
		assert_int_equal(result.admission->has_principal, row->user != NULL);
		assert_int_equal(result.admission->user_hash != 0, row->user != NULL);
		if (row->gets_id[0] != '\0')
			assert_slice(admission_id(result.admission), slice_string(row->gets_id));
		else
			assert_assigned(admission_id(result.admission));
		free(result.admission);
	}
}

/* Roost's own connections: no credentials, no refusal of all, no bounds of what is granted. */
static void test_internal(void **state)
{
	(void)state;
	struct handshake_origin origin = {.is_internal = true};
	struct sign_in_environment environment = {.settings = &SETTINGS, .key = &KEY, .refusal = ERROR_OVERLOADED};
	struct slice rule = slice_of((const uint8_t *)CONNECT_5_RULE, sizeof(CONNECT_5_RULE) - 1);
	struct admission *admission;
	size_t packet_bytes;
	uint8_t version;
	assert_int_equal(handshake_read(&environment, &origin, rule, &admission, &packet_bytes, &version), ERROR_OK);
	assert_slice(admission_id(admission), slice_string("$roost/rule/a"));
	assert_int_equal(admission->session_expiry_s, UINT32_MAX);
	assert_int_equal(admission->keepalive_s, 0);
	assert_false(admission->expiry_changed || admission->keepalive_changed || admission->has_principal);
	free(admission);
	/* But no other id: nobody would know the session for one of Roost's own. */
	struct slice other = slice_of((const uint8_t *)CONNECT_5, sizeof(CONNECT_5) - 1);
	assert_int_equal(read_bytes_of(other, &origin).error, ERROR_CLIENT_ID_RESERVED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signed_in_before),
		cmocka_unit_test(test_internal),
		cmocka_unit_test(test_admitted),
		cmocka_unit_test(test_rest_behind_connect),
		cmocka_unit_test(test_cut_at_every_byte_is_not_whole),
		cmocka_unit_test(test_assigned_ids_are_all_different),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_every_reason_has_a_refusal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
