/* Messages as CloudEvents, and the signature of a request. */
#include "fetch/signature.h"
#include "relay/hook/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct relay_message message_of(const char *topic, const char *payload)
{
	return (struct relay_message){
		.topic = slice_string(topic),
		.payload = slice_string(payload),
		.client = slice_string("c"),
		.time = slice_string("1790000000123"),
		.qos = 1,
	};
}

/* Static: until the next call. */
static const char *event_of(const struct hook *hook, const struct relay_message *message)
{
	static char text[4096];
	struct bytes out = {0};
	event_append(&out, hook, "urn:roost:h", message);
	assert_true(!out.failed && out.size < sizeof(text));
	memcpy(text, out.data, out.size);
	text[out.size] = '\0';
	bytes_free(&out);
	return text;
}

static const char *id_in(const char *event)
{
	static char ids[2][33];
	static unsigned turn;
	char *id = ids[turn++ % 2];
	const char *at = strstr(event, "\"id\":\"");
	assert_non_null(at);
	snprintf(id, sizeof(ids[0]), "%.32s", at + 6);
	assert_int_equal(strspn(id, "0123456789abcdef"), 32);
	return id;
}

static void test_whole(void **state)
{
	(void)state;
	const struct hook hook = {.source = "https://example.org/x"};
	struct relay_message message = message_of("a/\"b", "hello");
	message.user = slice_string("anna");
	message.retain = true;
	char expected[512];
	const char *event = event_of(&hook, &message);
	snprintf(expected, sizeof(expected),
		 "{\"specversion\":\"1.0\",\"id\":\"%s\",\"source\":\"https://example.org/"
		 "x\",\"type\":\"io.roost.message\","
		 "\"subject\":\"a/"
		 "\\\"b\",\"time\":\"2026-09-21T14:13:20.123Z\",\"client\":\"c\",\"user\":\"anna\",\"qos\":1,"
		 "\"retain\":true,\"datacontenttype\":\"text/plain; charset=utf-8\",\"data\":\"hello\"}",
		 id_in(event));
	assert_string_equal(event, expected);
}

static void test_nobodys(void **state)
{
	(void)state;
	const struct hook hook = {0};
	struct relay_message message = message_of("$SYS/presence/will/Sent", "{\"a\":1}");
	message.client = slice_of(NULL, 0);
	const char *event = event_of(&hook, &message);
	assert_non_null(strstr(event, "\"source\":\"urn:roost:h\",\"type\":\"io.roost.presence.will..ent\""));
	assert_non_null(strstr(event, "\"datacontenttype\":\"application/json\",\"data\":{\"a\":1}}"));
	assert_null(strstr(event, "client"));
	assert_null(strstr(event, "user"));
}

static void test_ids(void **state)
{
	(void)state;
	const struct hook hook = {0};
	struct relay_message message = message_of("a", "b");
	const char *id = id_in(event_of(&hook, &message));
	assert_string_equal(id, id_in(event_of(&hook, &message)));
	struct relay_message others[] = {message, message, message, message, message};
	others[0].topic = slice_string("ab");
	others[0].payload = slice_of(NULL, 0);
	others[1].payload = slice_string("c");
	others[2].client = slice_string("d");
	others[3].time = slice_string("1790000000124");
	others[4].topic = slice_string("b");
	for (size_t i = 0; i < 5; i++)
		assert_string_not_equal(id_in(event_of(&hook, &message)), id_in(event_of(&hook, &others[i])));
	/* Nothing tells such a message from another one. */
	message.time = slice_of(NULL, 0);
	assert_string_not_equal(id_in(event_of(&hook, &message)), id_in(event_of(&hook, &message)));
	assert_null(strstr(event_of(&hook, &message), "\"time\""));
}

static struct slice with_type(uint8_t *wire, const char *type)
{
	size_t size = strlen(type);
	wire[0] = 0x03;
	wire[1] = 0;
	wire[2] = (uint8_t)size;
	memcpy(wire + 3, type, size);
	return slice_of(wire, size + 3);
}

static void test_data(void **state)
{
	(void)state;
	static const struct {
		const char *type, *fallback, *payload, *expected;
	} CASES[] = {
		{"application/json", "", "{\"a\": 1}", "\"data\":{\"a\": 1}}"},
		{"Application/JSON ; charset=utf-8", "", "1", "\"data\":1}"},
		{"text/json", "", "[]", "\"data\":[]}"},
		{"application/cloud+json", "", "null", "\"data\":null}"},
		{"application/json", "", "{", "\"data_base64\":\"ew==\"}"},
		{"application/jsonp", "", "1", "\"data\":\"1\"}"},
		{"text/xml", "", "<a/>", "\"datacontenttype\":\"text/xml\",\"data\":\"<a/>\"}"},
		{"text/xml", "", "\xff", "\"data_base64\":\"/w==\"}"},
		{"", "application/json", "1", "\"datacontenttype\":\"application/json\",\"data\":1}"},
		{"text/plain", "application/json", "1", "\"datacontenttype\":\"text/plain\",\"data\":\"1\"}"},
		{"", "", "", "\"data\":\"\"}"},
		{"", "", "\xff", "\"datacontenttype\":\"application/octet-stream\",\"data_base64\":\"/w==\"}"},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		uint8_t wire[64];
		struct hook hook = {0};
		struct relay_message message = message_of("t", CASES[i].payload);
		snprintf(hook.content_type, sizeof(hook.content_type), "%s", CASES[i].fallback);
		if (CASES[i].type[0] != '\0')
			message.properties = with_type(wire, CASES[i].type);
		if (strstr(event_of(&hook, &message), CASES[i].expected) == NULL)
			fail_msg("%s is not in %s", CASES[i].expected, event_of(&hook, &message));
	}
}

/* By Python's hmac. */
static void test_signature(void **state)
{
	(void)state;
	char line[SIGNATURE_LINE_BYTES];
	signature_write(slice_string("secret"), 1790000000, slice_string("[]"), line);
	assert_string_equal(
		line,
		"Roost-Signature: t=1790000000,v1=16784b8c6606eef6fe17ece5002d8ffd209349f51af00f325541f7010c348617");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole), cmocka_unit_test(test_nobodys),   cmocka_unit_test(test_ids),
		cmocka_unit_test(test_data),  cmocka_unit_test(test_signature),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
