/* What goes to a server of a cluster, what it answers in every order, and what becomes of it. */
#include "relay/stream/lane.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define OK "+OK\r\n"
#define QUEUED "+QUEUED\r\n"
#define ID "$3\r\n1-1\r\n"
#define MOVED "-MOVED 7 h:2\r\n"
#define ASK "-ASK 7 h:3\r\n"
#define ABORTED "-EXECABORT Transaction discarded\r\n"

static const struct redis_place SERVER = {"h", 1};

/* A rule's lane whose pool has five entries: of the streams a, b, a, c, a. */
struct scene {
	struct rule rule;
	struct lane lane;
	struct flight *flight;
	redisReader *reader;
	char fault[FLIGHT_FAULT_BYTES];
};

static void add(struct scene *scene, const char *topic, const char *payload)
{
	const struct relay_message message = {.topic = slice_string(topic), .payload = slice_string(payload)};
	assert_true(entry_batch_add(&scene->lane.pool, &scene->rule, &message, 0, 1700000000000u));
}

static void scene_open(struct scene *scene)
{
	memset(scene, 0, sizeof(*scene));
	rule_init(&scene->rule);
	snprintf(scene->rule.name, sizeof(scene->rule.name), "r");
	snprintf(scene->rule.stream, sizeof(scene->rule.stream), "%s", "{topic}");
	scene->rule.fields = 1u << RULE_FIELD_PAYLOAD;
	lane_init(&scene->lane, &scene->rule, true);
	add(scene, "a", "0");
	add(scene, "b", "1");
	add(scene, "a", "2");
	add(scene, "c", "3");
	add(scene, "a", "4");
	scene->flight = lane_flight(&scene->lane, 3);
	scene->reader = redisReaderCreate();
}

static void scene_close(struct scene *scene)
{
	lane_fini(&scene->lane);
	redisReaderFree(scene->reader);
}

static void take(struct scene *scene, const uint32_t *numbers, uint32_t count, bool asking)
{
	assert_true(flight_add(scene->flight, &scene->lane.pool, numbers, count, 7, asking));
	for (uint32_t i = 0; i < count; i++)
		entry_batch_heard(&scene->lane.pool, numbers[i], BATCH_DONE);
}

/* The streams a, in a transaction, and b, alone, go; c stays. */
static void launch(struct scene *scene, bool asking, const char *expected)
{
	struct bytes out = {0};
	take(scene, (uint32_t[]){0, 2, 4}, 3, asking);
	take(scene, (uint32_t[]){1}, 1, false);
	assert_true(lane_drop_moved(&scene->lane));
	assert_int_equal(scene->lane.pool.count, 1);
	flight_write(scene->flight, &out);
	if (expected != NULL) {
		assert_int_equal(out.size, strlen(expected));
		assert_memory_equal(out.data, expected, out.size);
	}
	bytes_free(&out);
}

/* Hears all of these answers, and sends on what is redirected: what was asked goes to node 9. Returns the last news. */
static enum flight_news hear(struct scene *scene, const char *answers)
{
	enum flight_news news = FLIGHT_GOES_ON;
	void *reply = NULL;
	assert_int_equal(redisReaderFeed(scene->reader, answers, strlen(answers)), REDIS_OK);
	while (redisReaderGetReply(scene->reader, &reply) == REDIS_OK && reply != NULL) {
		news = flight_hear(scene->flight, &SERVER, reply, scene->fault);
		freeReplyObject(reply);
		if (news == FLIGHT_WRONG)
			return news;
		if (news == FLIGHT_PARCEL && scene->flight->is_redirected)
			flight_send_on(scene->flight, scene->flight->redirect.kind == REDIS_ASK ? 9 : BATCH_NOT_ASKED);
	}
	return news;
}

static void assert_pool(const struct scene *scene, const char *payloads)
{
	char text[16] = "";
	for (uint32_t i = 0; i < scene->lane.pool.count; i++) {
		const struct batch_entry *entry = &scene->lane.pool.entries[i];
		/* "...$1\r\n0\r\n" */
		size_t at = entry->command_at + entry->command_bytes - 3;
		strncat(text, (const char *)scene->lane.pool.commands.data + at, 1);
	}
	assert_string_equal(text, payloads);
}

#define XADD(stream, payload)                                                                                          \
	"*5\r\n$4\r\nXADD\r\n$1\r\n" stream "\r\n$1\r\n*\r\n$7\r\npayload\r\n$1\r\n" payload "\r\n"
#define MULTI "*1\r\n$5\r\nMULTI\r\n"
#define EXEC "*1\r\n$4\r\nEXEC\r\n"

/* Each stream's part by itself; a command alone needs no transaction. */
static void test_what_goes(void **state)
{
	(void)state;
	struct scene scene;
	scene_open(&scene);
	launch(&scene, true,
	       "*1\r\n$6\r\nASKING\r\n" MULTI XADD("a", "0") XADD("a", "2") XADD("a", "4") EXEC XADD("b", "1"));
	assert_pool(&scene, "3");
	assert_int_equal(flight_owed(scene.flight), 6);
	scene_close(&scene);
}

struct answers {
	const char *answers; /* to the parcel of a, then of b */
	const char *pool;    /* afterwards; "3" is there all the time, and comes last */
	uint64_t confirmed;
	bool pauses;
	const char *fault; /* that the lane has then */
};

static void test_what_comes_back(void **state)
{
	(void)state;
	static const struct answers CASES[] = {
		{OK QUEUED QUEUED QUEUED "*3\r\n" ID ID ID ID, "3", 4, false, ""},
		/* One stream goes elsewhere, whichever answer says so, and the other does not. */
		{OK MOVED MOVED MOVED ABORTED ID, "0243", 1, false, ""},
		{OK QUEUED MOVED MOVED ABORTED ID, "0243", 1, false, ""},
		{OK QUEUED QUEUED QUEUED MOVED ID, "0243", 1, false, ""},
		{OK ASK ASK ASK ABORTED ID, "0243", 1, false, ""},
		{OK QUEUED QUEUED QUEUED "*3\r\n" ID ID ID MOVED, "13", 3, false, ""},
		{OK QUEUED QUEUED QUEUED "*3\r\n" ID ID ID ASK, "13", 3, false, ""},
		/* Both do. */
		{OK MOVED MOVED MOVED ABORTED MOVED, "02413", 0, false, ""},
		{OK MOVED MOVED MOVED ABORTED ASK, "02413", 0, false, ""},
		/* One is refused, and the other goes elsewhere, or is taken. */
		{OK MOVED MOVED MOVED ABORTED "-CLUSTERDOWN The cluster is down\r\n", "02413", 0, true,
		 "CLUSTERDOWN The cluster is down"},
		{OK "-OOM x\r\n" MOVED "-OOM x\r\n" ABORTED ID, "0243", 1, true, "OOM x"},
		{OK QUEUED QUEUED QUEUED "-OOM x\r\n" MOVED, "02413", 0, true, "OOM x"},
		{OK QUEUED QUEUED QUEUED "*3\r\n" ID ID ID "-TRYAGAIN x\r\n", "13", 3, true, "TRYAGAIN x"},
		/* A server that is loading carries nothing out as a transaction. */
		{"-LOADING x\r\n-LOADING x\r\n-LOADING x\r\n-LOADING x\r\n-ERR EXEC without MULTI\r\n-LOADING x\r\n",
		 "02413", 0, true, "LOADING x"},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct scene scene;
		scene_open(&scene);
		launch(&scene, false, NULL);
		assert_int_equal(hear(&scene, CASES[i].answers), FLIGHT_PARCEL);
		assert_true(flight_is_answered(scene.flight));
		lane_settle(&scene.lane, scene.flight, "", 1000);
		assert_pool(&scene, CASES[i].pool);
		assert_int_equal(scene.lane.counts.entries, CASES[i].confirmed);
		assert_int_equal(scene.flight->pause.until_ms > 1000, CASES[i].pauses);
		assert_string_equal(scene.lane.fault, CASES[i].fault);
		assert_int_equal(scene.flight->batch.count, 0);
		assert_false(scene.flight->is_at_redis);
		scene_close(&scene);
	}
}

/* Entries know where they are asked to go, once, and whoever comes behind them in their stream goes with them. */
static void test_asked(void **state)
{
	(void)state;
	struct scene scene;
	scene_open(&scene);
	launch(&scene, false, NULL);
	hear(&scene, OK ASK ASK ASK ABORTED MOVED);
	lane_settle(&scene.lane, scene.flight, "", 1000);
	assert_pool(&scene, "02413");
	assert_int_equal(scene.lane.pool.entries[0].asked, 9);
	assert_int_equal(scene.lane.pool.entries[2].asked, 9);
	assert_int_equal(scene.lane.pool.entries[3].asked, BATCH_NOT_ASKED);
	/* Behind ASKING, its answer comes first. */
	take(&scene, (uint32_t[]){0, 1, 2}, 3, true);
	assert_true(lane_drop_moved(&scene.lane));
	struct bytes out = {0};
	flight_write(scene.flight, &out);
	bytes_free(&out);
	assert_int_equal(hear(&scene, OK OK QUEUED QUEUED QUEUED), FLIGHT_GOES_ON);
	assert_int_equal(hear(&scene, "*3\r\n" ID ID ID), FLIGHT_PARCEL);
	lane_settle(&scene.lane, scene.flight, "", 1000);
	assert_pool(&scene, "13");
	assert_int_equal(scene.lane.counts.entries, 3);
	scene_close(&scene);
}

/* What is sent round in circles waits. */
static void test_redirected_too_often(void **state)
{
	(void)state;
	struct scene scene;
	scene_open(&scene);
	for (uint32_t i = 0; i <= FLIGHT_REDIRECTS_MAX; i++) {
		struct bytes out = {0};
		assert_int_equal(scene.flight->pause.until_ms, 0);
		take(&scene, (uint32_t[]){0}, 1, i % 2 != 0);
		assert_true(lane_drop_moved(&scene.lane));
		flight_write(scene.flight, &out);
		bytes_free(&out);
		hear(&scene, i % 2 != 0 ? OK MOVED : ASK);
		lane_settle(&scene.lane, scene.flight, "", 1000);
		assert_pool(&scene, "01234");
	}
	assert_true(scene.flight->pause.until_ms > 1000);
	assert_string_equal(scene.lane.fault, "the cluster sends it from node to node");
	scene_close(&scene);
}

/* Wherever the connection is lost: what was confirmed is, and the rest goes again in its order. */
static void test_the_connection_is_lost(void **state)
{
	(void)state;
	static const struct answers CASES[] = {
		{"", "02413", 0, true, "gone"},
		{OK QUEUED, "02413", 0, true, "gone"},
		{OK QUEUED QUEUED QUEUED, "02413", 0, true, "gone"},
		{OK QUEUED QUEUED QUEUED "*3\r\n" ID ID ID, "13", 3, true, "gone"},
		{OK MOVED MOVED MOVED ABORTED, "02413", 0, true, "gone"},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct scene scene;
		scene_open(&scene);
		launch(&scene, false, NULL);
		hear(&scene, CASES[i].answers);
		lane_settle(&scene.lane, scene.flight, "gone", 1000);
		assert_pool(&scene, CASES[i].pool);
		assert_int_equal(scene.lane.counts.entries, CASES[i].confirmed);
		assert_string_equal(scene.lane.fault, CASES[i].fault);
		assert_true(lane_is_waiting(&scene.lane));
		scene_close(&scene);
	}
}

/* An entry that the server will never take goes to the stream of dead letters, in front of what is to be sent. */
static void test_dead_letters(void **state)
{
	(void)state;
	struct scene scene;
	scene_open(&scene);
	launch(&scene, false, NULL);
	hear(&scene, OK QUEUED QUEUED QUEUED "*3\r\n" ID "-WRONGTYPE x\r\n" ID "-WRONGTYPE x\r\n");
	lane_settle(&scene.lane, scene.flight, "", 1000);
	assert_pool(&scene, "213");
	assert_true(scene.lane.pool.entries[0].is_dead_letter && scene.lane.pool.entries[1].is_dead_letter);
	assert_true(slice_equal(entry_batch_stream(&scene.lane.pool, 1), slice_string(RULE_DEAD_STREAM)));
	assert_int_equal(scene.flight->pause.until_ms, 0);
	scene_close(&scene);
}

static void test_what_no_redis_answers(void **state)
{
	(void)state;
	static const char *const CASES[] = {
		OK ":1\r\n",
		OK QUEUED QUEUED QUEUED OK,
		OK QUEUED QUEUED QUEUED "*2\r\n" ID ID,
		OK QUEUED QUEUED QUEUED "*4\r\n" ID ID ID ID,
		OK QUEUED QUEUED QUEUED "*3\r\n" ID ID ":1\r\n",
		OK QUEUED QUEUED QUEUED "*3\r\n" ID ID ID QUEUED,
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct scene scene;
		scene_open(&scene);
		launch(&scene, false, NULL);
		assert_int_equal(hear(&scene, CASES[i]), FLIGHT_WRONG);
		assert_true(scene.fault[0] != '\0');
		scene_close(&scene);
	}
}

/* On one server all is one transaction, what is left of it goes again before all else, and MOVED is an error like
 * others. */
static void test_one_server(void **state)
{
	(void)state;
	struct scene scene;
	struct bytes out = {0};
	scene_open(&scene);
	scene.lane.in_cluster = false;
	struct flight *flight = scene.flight = lane_flight(&scene.lane, 0);
	assert_true(lane_load(&scene.lane, flight));
	assert_int_equal(scene.lane.pool.count, 0);
	flight_write(flight, &out);
	hear(&scene, OK QUEUED QUEUED QUEUED QUEUED QUEUED "*5\r\n" ID ID ID ID "-WRONGTYPE x\r\n");
	add(&scene, "a", "5");
	lane_settle(&scene.lane, flight, "", 1000);
	assert_pool(&scene, "5");
	assert_int_equal(flight->batch.count, 1);
	assert_true(lane_load(&scene.lane, flight));
	assert_int_equal(flight->batch.count, 1);
	flight_write(flight, &out);
	flight->follows = false;
	hear(&scene, OK MOVED ABORTED);
	assert_false(flight->is_redirected);
	lane_settle(&scene.lane, flight, "", 1000);
	assert_string_equal(scene.lane.fault, "MOVED 7 h:2");
	assert_true(flight->pause.until_ms > 1000);
	bytes_free(&out);
	scene_close(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_goes),
		cmocka_unit_test(test_what_comes_back),
		cmocka_unit_test(test_asked),
		cmocka_unit_test(test_redirected_too_often),
		cmocka_unit_test(test_the_connection_is_lost),
		cmocka_unit_test(test_dead_letters),
		cmocka_unit_test(test_what_no_redis_answers),
		cmocka_unit_test(test_one_server),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
