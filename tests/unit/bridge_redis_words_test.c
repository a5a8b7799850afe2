/* What servers of a cluster and Sentinels say. */
#include "redis/redis_words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct redis_place ASKED = {"asked", 7000};

static void test_redirections(void **state)
{
	(void)state;
	static const struct {
		const char *error;
		struct redis_redirect redirect;
	} CASES[] = {
		{"MOVED 3999 127.0.0.1:6381", {REDIS_MOVED, 3999, {"127.0.0.1", 6381}}},
		{"ASK 16383 h:1", {REDIS_ASK, 16383, {"h", 1}}},
		{"MOVED 0 ::1:65535", {REDIS_MOVED, 0, {"::1", 65535}}},
		{"MOVED 1 :6381", {REDIS_MOVED, 1, {"asked", 6381}}},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct redis_redirect redirect;
		assert_true(redis_redirect_read(slice_string(CASES[i].error), &ASKED, &redirect));
		assert_int_equal(redirect.kind, CASES[i].redirect.kind);
		assert_int_equal(redirect.slot, CASES[i].redirect.slot);
		assert_true(redis_place_equal(&redirect.place, &CASES[i].redirect.place));
	}
}

static void test_what_is_no_redirection(void **state)
{
	(void)state;
	static const char *const CASES[] = {
		"",
		"MOVED",
		"MOVED ",
		"MOVED 1",
		"MOVED 1 ",
		"MOVED 1 h",
		"MOVED 1 h:",
		"MOVED 1 h:0",
		"MOVED 1 h:65536",
		"MOVED 16384 h:1",
		"MOVED x h:1",
		"MOVED -1 h:1",
		"MOVEDX 1 h:1",
		"moved 1 h:1",
		"ASK  h:1",
		"TRYAGAIN Multiple",
		"CLUSTERDOWN The cluster",
		"MOVED 1 h:1 x",
		"MOVED 99999999999 h:1",
		"MOVED 1 ?:1",
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct redis_redirect redirect;
		if (redis_redirect_read(slice_string(CASES[i]), &ASKED, &redirect))
			fail_msg("%s was taken", CASES[i]);
	}
}

static bool read_master(const char *text, struct redis_place *place)
{
	void *reply = NULL;
	const char *why = NULL;
	redisReader *reader = redisReaderCreate();
	assert_int_equal(redisReaderFeed(reader, text, strlen(text)), REDIS_OK);
	assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
	bool good = redis_master_read(reply, place, &why);
	assert_non_null(why);
	freeReplyObject(reply);
	redisReaderFree(reader);
	return good;
}

static void test_the_master_that_a_sentinel_names(void **state)
{
	(void)state;
	static const char *const CASES[] = {
		"*-1\r\n",
		"$-1\r\n",
		"+OK\r\n",
		"*0\r\n",
		"*1\r\n$1\r\nh\r\n",
		"*2\r\n$1\r\nh\r\n:6379\r\n",
		"*2\r\n$0\r\n\r\n$1\r\n1\r\n",
		"*2\r\n$1\r\nh\r\n$1\r\n0\r\n",
		"*2\r\n$1\r\nh\r\n$0\r\n\r\n",
		"*2\r\n$1\r\nh\r\n$5\r\n65536\r\n",
	};
	struct redis_place place;
	assert_true(read_master("*2\r\n$3\r\n::1\r\n$4\r\n6379\r\n", &place));
	assert_string_equal(place.host, "::1");
	assert_int_equal(place.port, 6379);
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		if (read_master(CASES[i], &place))
			fail_msg("%s was taken", CASES[i]);
	}
}

static void test_another_master(void **state)
{
	(void)state;
	struct redis_place place;
	assert_true(redis_switch_read(slice_string("main 10.0.0.1 6379 10.0.0.2 6380"), "main", &place));
	assert_string_equal(place.host, "10.0.0.2");
	assert_int_equal(place.port, 6380);
	static const char *const CASES[] = {
		"",           "main", "main a 1 b", "main a 1 b ", "main a 1 b 0", "main a 1 b 1 ", "other a 1 b 1",
		"main a 1  1"};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		if (redis_switch_read(slice_string(CASES[i]), "main", &place))
			fail_msg("%s was taken", CASES[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_redirections),
		cmocka_unit_test(test_what_is_no_redirection),
		cmocka_unit_test(test_the_master_that_a_sentinel_names),
		cmocka_unit_test(test_another_master),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
