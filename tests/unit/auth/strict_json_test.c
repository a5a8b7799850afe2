/* The strict JSON reader: what RFC 8259 allows, what we refuse beyond it, and how to find one's way. */
#include "auth/text/strict_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NODES 64u

static struct strict_node nodes[NODES];

/* In a block of exactly its size. */
struct reading {
	struct strict_json json;
	uint8_t *text;
	const char *fault;
	size_t at;
};

static struct reading read_bytes(const void *text, size_t size)
{
	struct reading reading = {.json = {.nodes = nodes, .capacity = NODES},
				  .text = test_malloc(size == 0 ? 1 : size)};
	if (size != 0)
		memcpy(reading.text, text, size);
	reading.fault = strict_json_read(&reading.json, reading.text, size, &reading.at);
	assert_true(reading.at <= size);
	return reading;
}

static struct reading read_text(const char *text)
{
	return read_bytes(text, strlen(text));
}

static void assert_text(struct slice text, const char *wanted)
{
	if (!slice_equal(text, slice_string(wanted)))
		fail_msg("\"%.*s\" instead of \"%s\"", (int)text.size, (const char *)text.data, wanted);
}

static const struct {
	const char *text;
	enum strict_type type;
	const char *value; /* of a string or number */
} GOOD[] = {
	{"null", STRICT_NULL, ""},
	{"true", STRICT_TRUE, ""},
	{"false", STRICT_FALSE, ""},
	{" \t\r\n[ ]\n", STRICT_ARRAY, ""},
	{"{}", STRICT_OBJECT, ""},
	{"0", STRICT_NUMBER, "0"},
	{"-0", STRICT_NUMBER, "-0"},
	{"12", STRICT_NUMBER, "12"},
	{"-1.50e+10", STRICT_NUMBER, "-1.50e+10"},
	{"1E400", STRICT_NUMBER, "1E400"},
	{"0.1e-1", STRICT_NUMBER, "0.1e-1"},
	{"\"\"", STRICT_STRING, ""},
	{"\"a b\"", STRICT_STRING, "a b"},
	{"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", STRICT_STRING, "\"\\/\b\f\n\r\t"},
	{"\"\\u0041\\u00e9\\u20AC\"", STRICT_STRING, "A\xc3\xa9\xe2\x82\xac"},
	{"\"\\ud83d\\uDC14!\"", STRICT_STRING, "\xf0\x9f\x90\x94!"},
	{"\"\\uDBFF\\uDFFF\"", STRICT_STRING, "\xf4\x8f\xbf\xbf"},
	{"\"\\u0001\\u007f\"", STRICT_STRING, "\x01\x7f"},
	{"\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x94\x7f\"", STRICT_STRING, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x94\x7f"},
};

static void test_good_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++) {
		struct reading reading = read_text(GOOD[i].text);
		if (reading.fault != NULL)
			fail_msg("%s: %s", GOOD[i].text, reading.fault);
		assert_int_equal(nodes[0].type, GOOD[i].type);
		assert_text(nodes[0].text, GOOD[i].value);
		assert_int_equal(reading.json.count, 1);
		test_free(reading.text);
	}
}

static const char *const BAD[] = {
	"",
	" ",
	"nul",
	"nulll",
	"True",
	"NaN",
	"Infinity",
	"-Infinity",
	"undefined",
	"'a'",
	"a",
	/* more than one value, or half of one */
	"1 2",
	"{} {}",
	"[1]]",
	"[",
	"]",
	"{",
	"}",
	"[1",
	"[1,",
	"[1,]",
	"[,1]",
	"[,]",
	"[1 2]",
	"{\"a\"}",
	"{\"a\":}",
	"{\"a\":1,}",
	"{,}",
	"{\"a\" 1}",
	"{a:1}",
	"{1:1}",
	"{\"a\":1 \"b\":2}",
	"{\"a\":1",
	"{\"a\"",
	"{\"a",
	"{\"a\":1}x",
	"// a\n1",
	"1 /* a */",
	"\xef\xbb\xbf{}",
	/* numbers */
	"+1",
	"01",
	"-01",
	"-",
	"1.",
	".5",
	"1.e1",
	"1e",
	"1e+",
	"0x10",
	"1_000",
	"- 1",
	"--1",
	"00",
	/* strings */
	"\"",
	"\"a",
	"\"\\\"",
	"\"\\",
	"\"\\x\"",
	"\"\\u\"",
	"\"\\u12\"",
	"\"\\u123",
	"\"\\u12g4\"",
	"\"\\U0041\"",
	"\"a\nb\"",
	"\"a\tb\"",
	"\"\x1f\"",
	"\"\\u0000\"",
	"\"\\ud800\"",
	"\"\\udc00\"",
	"\"\\ud800x\"",
	"\"\\ud800\\n\"",
	"\"\\ud800\\u0041\"",
	"\"\\ud800\\ud800\"",
	"\"\\udc00\\ud800\"",
	"\"\\ud83d\\u",
	"\"\x80\"",
	"\"\xc0\x80\"",
	"\"\xc1\xbf\"",
	"\"\xe0\x9f\xbf\"",
	"\"\xed\xa0\x80\"",
	"\"\xf0\x8f\xbf\xbf\"",
	"\"\xf4\x90\x80\x80\"",
	"\"\xf5\x80\x80\x80\"",
	"\"\xc3\"",
	"\"\xe2\x82\"",
	"\"\xf0\x9f\x90\"",
	"\"\xff\"",
	"\"\xc3\x28\"",
	/* names twice in one object, however they are written and however deep */
	"{\"a\":1,\"a\":2}",
	"{\"a\":1,\"b\":2,\"a\":3}",
	"{\"a\":1,\"\\u0061\":2}",
	"{\"/\":1,\"\\/\":2}",
	"{\"x\":{\"a\":1,\"a\":1}}",
	"[{\"a\":1,\"a\":1}]",
	"{\"\":1,\"\":2}",
	"{\"\xc3\xa9\":1,\"\\u00e9\":2}",
};

static void test_bad_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		struct reading reading = read_text(BAD[i]);
		if (reading.fault == NULL)
			fail_msg("%s", BAD[i]);
		test_free(reading.text);
	}
	struct reading reading = read_bytes("\"a\0b\"", 5);
	assert_non_null(reading.fault);
	test_free(reading.text);
	reading = read_bytes("1\0", 2);
	assert_non_null(reading.fault);
	test_free(reading.text);
}

/* The same name in two objects is no repetition. */
static void test_names_are_the_objects_own(void **state)
{
	(void)state;
	struct reading reading = read_text("{\"a\":{\"a\":{\"a\":1}},\"b\":[{\"a\":1},{\"a\":2}]}");
	assert_null(reading.fault);
	test_free(reading.text);
}

static const char *const DOCUMENT = "{\"one\":1, \"list\":[true,[],{\"in\":\"x\"},\"last\"], "
				    "\"t\\u0077o\":{\"deep\":{\"er\":\"y\"}}, \"end\":null}";

static void test_finding_members(void **state)
{
	(void)state;
	struct reading reading = read_text(DOCUMENT);
	assert_null(reading.fault);
	const struct strict_json *json = &reading.json;
	const struct strict_node *root = json->nodes;
	assert_int_equal(root->count, 4);
	assert_text(strict_member(json, root, slice_string("one"))->text, "1");
	const struct strict_node *two = strict_member(json, root, slice_string("two"));
	const struct strict_node *deep = strict_member(json, two, slice_string("deep"));
	assert_text(strict_member(json, deep, slice_string("er"))->text, "y");
	assert_int_equal(strict_member(json, root, slice_string("end"))->type, STRICT_NULL);
	assert_null(strict_member(json, root, slice_string("deep")));
	assert_null(strict_member(json, root, slice_string("er")));
	assert_null(strict_member(json, root, slice_string("")));
	assert_null(strict_member(json, strict_member(json, root, slice_string("one")), slice_string("one")));
	assert_null(strict_member(json, strict_member(json, root, slice_string("list")), slice_string("in")));
	test_free(reading.text);
}

static void test_walking_a_list(void **state)
{
	(void)state;
	struct reading reading = read_text(DOCUMENT);
	const struct strict_node *list = strict_member(&reading.json, reading.json.nodes, slice_string("list"));
	static const enum strict_type TYPES[] = {STRICT_TRUE, STRICT_ARRAY, STRICT_OBJECT, STRICT_STRING};
	assert_int_equal(list->count, 4);
	const struct strict_node *child = strict_first(list);
	for (uint32_t i = 0; i < list->count; i++, child = strict_next(&reading.json, child))
		assert_int_equal(child->type, TYPES[i]);
	test_free(reading.text);
}

/* A good document, cut anywhere, is none; and never reads past its end. */
static void test_cut_at_every_byte(void **state)
{
	(void)state;
	for (size_t size = 0; size < strlen(DOCUMENT); size++) {
		struct reading reading = read_bytes(DOCUMENT, size);
		assert_non_null(reading.fault);
		test_free(reading.text);
	}
}

static void test_depth_is_limited(void **state)
{
	(void)state;
	char text[2 * STRICT_DEPTH_MAX + 3] = "";
	for (unsigned depth = STRICT_DEPTH_MAX; depth <= STRICT_DEPTH_MAX + 1; depth++) {
		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		struct reading reading = read_bytes(text, 2 * (size_t)depth);
		assert_int_equal(reading.fault == NULL, depth == STRICT_DEPTH_MAX);
		test_free(reading.text);
	}
	/* One behind the other is not deep. */
	struct reading reading = read_text("[[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[]]");
	assert_null(reading.fault);
	test_free(reading.text);
}

static void test_values_are_limited(void **state)
{
	(void)state;
	char text[2 * NODES + 2] = "[1";
	for (unsigned i = 2; i < NODES; i++)
		strcat(text, ",1");
	struct reading reading;
	strcat(text, "]");
	reading = read_text(text);
	assert_null(reading.fault);
	assert_int_equal(reading.json.count, NODES);
	test_free(reading.text);
	strcpy(text + strlen(text) - 1, ",1]");
	reading = read_text(text);
	assert_string_equal(reading.fault, "too many values");
	test_free(reading.text);
}

static void test_the_place_of_a_fault(void **state)
{
	(void)state;
	struct reading reading = read_text("{\"a\": 1, \"b\" 2}");
	assert_string_equal(reading.fault, "a member has no value");
	assert_int_equal(reading.at, 13);
	test_free(reading.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_values),
		cmocka_unit_test(test_bad_values),
		cmocka_unit_test(test_names_are_the_objects_own),
		cmocka_unit_test(test_finding_members),
		cmocka_unit_test(test_walking_a_list),
		cmocka_unit_test(test_cut_at_every_byte),
		cmocka_unit_test(test_depth_is_limited),
		cmocka_unit_test(test_values_are_limited),
		cmocka_unit_test(test_the_place_of_a_fault),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
