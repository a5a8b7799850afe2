/* Permissions in a token's claims. */
#include "auth/rules/acl_claims.h"

#include "auth/rules/acl_rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NODES 64u
#define ROOM 1024u

static enum error compile(const char *text, uint8_t *out, size_t room, size_t *size)
{
	struct strict_node nodes[NODES];
	struct strict_json json = {.nodes = nodes, .capacity = NODES};
	uint8_t copy[512];
	size_t at;
	memcpy(copy, text, strlen(text));
	const char *wrong = strict_json_read(&json, copy, strlen(text), &at);
	if (wrong != NULL)
		fail_msg("%s: %s", text, wrong);
	return acl_claims_compile(&json, nodes, out, room, size);
}

static void test_denials_come_first(void **state)
{
	(void)state;
	_Alignas(4) uint8_t out[ROOM];
	size_t size, at = 0;
	assert_int_equal(compile("{\"publish\":[\"a/+\",\"b\"],\"subscribe\":[\"%c\"],"
				 "\"deny\":{\"subscribe\":[\"d\"],\"publish\":[\"e\"]}}",
				 out, sizeof(out), &size),
			 ERROR_OK);
	static const struct {
		const char *text;
		unsigned flags;
	} WANTED[] = {
		{"e", ACL_PUBLISHES | ACL_LITERAL},    {"d", ACL_SUBSCRIBES | ACL_LITERAL},
		{"a/+", ACL_ALLOWS | ACL_PUBLISHES},   {"b", ACL_ALLOWS | ACL_PUBLISHES | ACL_LITERAL},
		{"\xfe", ACL_ALLOWS | ACL_SUBSCRIBES},
	};
	for (size_t i = 0; i < sizeof(WANTED) / sizeof(WANTED[0]); i++) {
		const struct acl_entry *entry = (const struct acl_entry *)(const void *)(out + at);
		assert_int_equal(entry->kind, ACL_RULE);
		assert_int_equal(entry->flags, WANTED[i].flags);
		assert_true(slice_equal(slice_of(entry->text, entry->text_bytes), slice_string(WANTED[i].text)));
		at += acl_entry_bytes(entry->text_bytes);
	}
	assert_int_equal(at, size);
}

static void test_the_same_permissions_are_the_same_bytes(void **state)
{
	(void)state;
	_Alignas(4) uint8_t one[ROOM], other[ROOM];
	size_t one_bytes, other_bytes;
	memset(one, 0x55, sizeof(one));
	memset(other, 0xaa, sizeof(other));
	assert_int_equal(compile("{\"publish\":[\"abc\"],\"subscribe\":[\"d\"]}", one, ROOM, &one_bytes), ERROR_OK);
	assert_int_equal(compile("{ \"subscribe\" : [ \"\\u0064\" ], \"deny\":{}, \"publish\":[\"abc\"] }", other, ROOM,
				 &other_bytes),
			 ERROR_OK);
	assert_true(slice_equal(slice_of(one, one_bytes), slice_of(other, other_bytes)));
}

static void test_nothing_is_a_permission_too(void **state)
{
	(void)state;
	static const char *const NOTHING[] = {"{}", "{\"publish\":[]}", "{\"deny\":{}}", "{\"deny\":{\"publish\":[]}}"};
	for (size_t i = 0; i < sizeof(NOTHING) / sizeof(NOTHING[0]); i++) {
		_Alignas(4) uint8_t out[ROOM];
		size_t size = 1;
		assert_int_equal(compile(NOTHING[i], out, sizeof(out), &size), ERROR_OK);
		assert_int_equal(size, 0);
	}
}

static const char *const BAD[] = {
	"[]",
	"null",
	"true",
	"\"#\"",
	"7",
	"{\"publish\":\"#\"}",
	"{\"publish\":{}}",
	"{\"publish\":null}",
	"{\"publish\":[7]}",
	"{\"publish\":[[\"a\"]]}",
	"{\"publish\":[\"\"]}",
	"{\"publish\":[\"a/#/b\"]}",
	"{\"publish\":[\"a+\"]}",
	"{\"publish\":[\"%x\"]}",
	"{\"publish\":[\"a\",\"b/#/c\"]}",
	"{\"subscribe\":[\"a\\nb\"]}",
	/* a slip must not lose a denial */
	"{\"pubish\":[\"a\"]}",
	"{\"publish\":[\"a\"],\"denny\":{}}",
	"{\"deny\":{\"pub\":[\"a\"]}}",
	"{\"deny\":{\"deny\":{}}}",
	"{\"deny\":[\"a\"]}",
	"{\"deny\":null}",
	"{\"deny_publish\":[\"a\"]}",
};

static void test_what_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		_Alignas(4) uint8_t out[ROOM];
		size_t size;
		if (compile(BAD[i], out, sizeof(out), &size) != ERROR_TOKEN_CLAIM)
			fail_msg("%s", BAD[i]);
	}
}

/* In a block of exactly the room it is told to have. */
static void test_room_is_limited(void **state)
{
	(void)state;
	static const char TEXT[] =
		"{\"publish\":[\"a\",\"bb\",\"%c/#\"],\"deny\":{\"subscribe\":[\"longer/than/that\"]}}";
	_Alignas(4) uint8_t out[ROOM];
	size_t size;
	assert_int_equal(compile(TEXT, out, sizeof(out), &size), ERROR_OK);
	assert_true(size <= ACL_CLAIMS_BYTES_MAX(strlen(TEXT)));
	for (size_t room = 0; room <= size; room++) {
		uint8_t *exact = test_malloc(room + (room == 0));
		size_t got;
		assert_int_equal(compile(TEXT, exact, room, &got), room < size ? ERROR_TOKEN_CLAIM : ERROR_OK);
		test_free(exact);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_denials_come_first),
		cmocka_unit_test(test_the_same_permissions_are_the_same_bytes),
		cmocka_unit_test(test_nothing_is_a_permission_too),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_room_is_limited),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
