/* Which node of a cluster has a key: slots as the specification computes them, and maps as servers tell them. */
#include "redis/redis_slots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct redis_place ASKED = {"asked", 7000};

static uint16_t slot(const char *key)
{
	return redis_key_slot(slice_string(key));
}

/* The specification's own example, and what CLUSTER KEYSLOT of a server says. */
static void test_slots_of_keys(void **state)
{
	(void)state;
	assert_int_equal(redis_crc16(slice_string("123456789")), 0x31c3);
	assert_int_equal(redis_crc16(slice_of(NULL, 0)), 0);
	assert_int_equal(slot("foo"), 12182);
	assert_int_equal(slot("hello"), 866);
	assert_int_equal(slot("roost:dead"), 5919);
	assert_int_equal(slot(""), 0);
}

static void test_hash_tags(void **state)
{
	(void)state;
	assert_int_equal(slot("{user1000}.following"), slot("user1000"));
	assert_int_equal(slot("a{user1000}b{c}"), slot("user1000"));
	assert_int_equal(slot("foo{{bar}}zap"), slot("{bar"));
	/* None of these has a tag. */
	assert_int_equal(slot("foo{}{bar}"), redis_crc16(slice_string("foo{}{bar}")) % REDIS_SLOTS);
	assert_int_equal(slot("foo{bar"), redis_crc16(slice_string("foo{bar")) % REDIS_SLOTS);
	assert_int_equal(slot("foo}bar{"), redis_crc16(slice_string("foo}bar{")) % REDIS_SLOTS);
}

static redisReply *parse(redisReader *reader, const char *text)
{
	void *reply = NULL;
	assert_int_equal(redisReaderFeed(reader, text, strlen(text)), REDIS_OK);
	assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
	assert_non_null(reply);
	return reply;
}

static bool read_map(struct redis_slots *slots, const char *text)
{
	const char *why;
	redisReader *reader = redisReaderCreate();
	redisReply *reply = parse(reader, text);
	bool good = redis_slots_read(slots, reply, &ASKED, &why);
	if (!good)
		assert_non_null(why);
	freeReplyObject(reply);
	redisReaderFree(reader);
	return good;
}

#define NODE(host, port) "*3\r\n" host ":" port "\r\n$2\r\nid\r\n"
#define A NODE("$1\r\na\r\n", "1")
#define B NODE("$1\r\nb\r\n", "2")

static void test_a_map(void **state)
{
	(void)state;
	static struct redis_slots slots;
	assert_true(read_map(&slots, "*2\r\n*4\r\n:0\r\n:5460\r\n" A B "*3\r\n:5461\r\n:16383\r\n" B));
	assert_int_equal(slots.covered, REDIS_SLOTS);
	assert_int_equal(slots.node_count, 2);
	assert_string_equal(slots.nodes[slots.node_of[5460]].host, "a");
	assert_int_equal(slots.nodes[slots.node_of[5461]].port, 2);
	assert_true(redis_slots_has(&slots, 1));
	/* A slot moves, to a node that is known, and to one that is new. */
	assert_true(redis_slots_move(&slots, 0, &(struct redis_place){"b", 2}));
	assert_int_equal(slots.node_of[0], slots.node_of[16383]);
	assert_true(redis_slots_move(&slots, 0, &(struct redis_place){"c", 3}));
	assert_int_equal(slots.node_count, 3);
	assert_int_equal(slots.covered, REDIS_SLOTS);
}

/* Where the host is missing it is the one that was asked; "?" is a name that nobody knows yet. */
static void test_hosts_that_are_missing(void **state)
{
	(void)state;
	static struct redis_slots slots;
	assert_true(read_map(&slots, "*3\r\n*3\r\n:0\r\n:0\r\n" NODE("$-1\r\n", "1") "*3\r\n:1\r\n:1\r\n" NODE(
					     "$0\r\n\r\n", "2") "*3\r\n:2\r\n:2\r\n" NODE("$1\r\n?\r\n", "3")));
	assert_string_equal(slots.nodes[slots.node_of[0]].host, "asked");
	assert_string_equal(slots.nodes[slots.node_of[1]].host, "asked");
	assert_int_equal(slots.nodes[slots.node_of[1]].port, 2);
	assert_int_equal(slots.node_of[2], REDIS_NO_NODE);
	assert_int_equal(slots.covered, 2);
}

static void test_what_is_no_map(void **state)
{
	(void)state;
	static struct redis_slots slots;
	static const char *const CASES[] = {
		"*0\r\n",
		"+OK\r\n",
		":1\r\n",
		"*1\r\n:1\r\n",
		"*1\r\n*2\r\n:0\r\n:1\r\n",
		"*1\r\n*3\r\n:0\r\n:16384\r\n" A,
		"*1\r\n*3\r\n:-1\r\n:0\r\n" A,
		"*1\r\n*3\r\n:2\r\n:1\r\n" A,
		"*1\r\n*3\r\n$1\r\n0\r\n:1\r\n" A,
		"*1\r\n*3\r\n:0\r\n:1\r\n$1\r\na\r\n",
		"*1\r\n*3\r\n:0\r\n:1\r\n*1\r\n$1\r\na\r\n",
		"*1\r\n*3\r\n:0\r\n:1\r\n" NODE("$1\r\na\r\n", "65536"),
		"*1\r\n*3\r\n:0\r\n:1\r\n" NODE(":1\r\n", "1"),
		"*2\r\n*3\r\n:0\r\n:1\r\n" A "*0\r\n",
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		if (read_map(&slots, CASES[i]))
			fail_msg("%s was taken", CASES[i]);
		assert_int_equal(slots.covered, 0);
		assert_int_equal(slots.node_count, 0);
	}
}

static void test_more_nodes_than_there_is_room_for(void **state)
{
	(void)state;
	static struct redis_slots slots;
	redis_slots_init(&slots);
	for (uint16_t i = 0; i < REDIS_NODES_MAX; i++)
		assert_true(redis_slots_move(&slots, i, &(struct redis_place){"h", (uint16_t)(i + 1)}));
	assert_false(redis_slots_move(&slots, 0, &(struct redis_place){"h", 9999}));
	assert_true(redis_slots_move(&slots, 0, &(struct redis_place){"h", 7}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slots_of_keys),  cmocka_unit_test(test_hash_tags),
		cmocka_unit_test(test_a_map),          cmocka_unit_test(test_hosts_that_are_missing),
		cmocka_unit_test(test_what_is_no_map), cmocka_unit_test(test_more_nodes_than_there_is_room_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
