/* All revocations page by page, against answers that stand written down before they are asked for. */
#include "bridge/redis_scan.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW_S INT64_C(1700000000)
#define VISITS_MAX 8u

/* What takes the place of Redis is the other end of the link's connection. */
struct scene {
	struct streams streams;
	struct redis_link link;
	struct redis_scan scan;
	int peer;
	uint32_t visits;
	char ids[VISITS_MAX][32];
	struct revocation revocations[VISITS_MAX];
};

static void visit(void *context, const struct revocation *revocation)
{
	struct scene *scene = context;
	assert_true(scene->visits < VISITS_MAX);
	snprintf(scene->ids[scene->visits], sizeof(scene->ids[0]), "%.*s", (int)revocation->id.size,
		 (const char *)revocation->id.data);
	scene->revocations[scene->visits++] = *revocation;
}

static void scene_open(struct scene *scene)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	struct redis_place place = {.host = "127.0.0.1"};
	const struct redis_login login = {.user = ""};
	const struct redis_way way = {.place = &place, .login = &login, .streams = &scene->streams};
	*scene = (struct scene){0};
	streams_init(&scene->streams);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	place.port = ntohs(address.sin_port);
	assert_true(redis_link_open(&scene->link, &way));
	scene->peer = accept(listener, NULL, NULL);
	assert_true(scene->peer >= 0);
	close(listener);
	redis_scan_begin(&scene->scan, visit, NULL, scene);
}

static void scene_close(struct scene *scene)
{
	redis_link_close(&scene->link);
	close(scene->peer);
}

static void answer(const struct scene *scene, const char *text)
{
	assert_int_equal(send(scene->peer, text, strlen(text), 0), strlen(text));
}

static void assert_asked(const struct scene *scene, const char *wanted)
{
	char asked[1024];
	ssize_t size = recv(scene->peer, asked, sizeof(asked) - 1, MSG_DONTWAIT);
	assert_true(size > 0);
	asked[size] = '\0';
	if (strstr(asked, wanted) == NULL)
		fail_msg("%s", asked);
}

#define KEY_ALICE "$24\r\nroost:revoked:user:alice\r\n"
#define KEY_TOKEN "$21\r\nroost:revoked:token:t\r\n"
#define KEY_OTHER "$21\r\nroost:revoked:planet:\r\n"
#define SCAN "SCAN\r\n"

static void test_two_pages(void **state)
{
	(void)state;
	struct scene scene;
	bool done = true;
	scene_open(&scene);
	answer(&scene, "*2\r\n$2\r\n17\r\n*3\r\n" KEY_ALICE KEY_TOKEN KEY_OTHER ":1500\r\n:-1\r\n:-1\r\n");
	assert_true(redis_scan_page(&scene.scan, &scene.link, NOW_S, &done));
	assert_false(done);
	assert_int_equal(scene.visits, 2);
	assert_string_equal(scene.ids[0], "alice");
	assert_int_equal(scene.revocations[0].kind, REVOCATION_USER);
	assert_int_equal(scene.revocations[0].until_s, NOW_S + 2);
	assert_string_equal(scene.ids[1], "t");
	assert_int_equal(scene.revocations[1].until_s, REVOKED_FOR_EVER);
	assert_asked(&scene, SCAN "$1\r\n0\r\n");
	answer(&scene, "*2\r\n$1\r\n0\r\n*0\r\n");
	assert_true(redis_scan_page(&scene.scan, &scene.link, NOW_S, &done));
	assert_true(done);
	assert_int_equal(scene.visits, 2);
	assert_asked(&scene, SCAN "$2\r\n17\r\n");
	scene_close(&scene);
}

/* Between SCAN and PTTL a key may have gone. */
static void test_keys_that_are_gone(void **state)
{
	(void)state;
	struct scene scene;
	bool done = false;
	scene_open(&scene);
	answer(&scene, "*2\r\n$1\r\n0\r\n*2\r\n" KEY_ALICE KEY_TOKEN ":-2\r\n:0\r\n");
	assert_true(redis_scan_page(&scene.scan, &scene.link, NOW_S, &done));
	assert_true(done);
	assert_int_equal(scene.visits, 0);
	scene_close(&scene);
}

static bool elsewhere(void *context, struct slice key, int64_t *ttl_ms)
{
	const struct scene *scene = context;
	assert_int_equal(scene->visits, 0); /* all answers of this server are here by then */
	assert_int_equal(key.size, 24);
	*ttl_ms = 3000;
	return true;
}

static bool nowhere(void *context, struct slice key, int64_t *ttl_ms)
{
	(void)context;
	(void)key;
	(void)ttl_ms;
	return false;
}

/* While slots of a cluster move a server lists keys that another one knows the time of. */
static void test_keys_that_are_elsewhere(void **state)
{
	(void)state;
	static const char *const ERRORS[] = {"MOVED 1 h:1", "ASK 1 h:1"};
	for (size_t i = 0; i < 2 * sizeof(ERRORS) / sizeof(ERRORS[0]); i++) {
		struct scene scene;
		bool done = false;
		char text[256];
		bool finds = i < 2;
		scene_open(&scene);
		redis_scan_begin(&scene.scan, visit, finds ? elsewhere : nowhere, &scene);
		snprintf(text, sizeof(text), "*2\r\n$1\r\n0\r\n*2\r\n" KEY_ALICE KEY_TOKEN "-%s\r\n:1000\r\n",
			 ERRORS[i % 2]);
		answer(&scene, text);
		assert_int_equal(redis_scan_page(&scene.scan, &scene.link, NOW_S, &done), finds);
		assert_int_equal(scene.visits, finds ? 2 : 0);
		if (finds)
			assert_int_equal(scene.revocations[0].until_s, NOW_S + 3);
		scene_close(&scene);
	}
}

static void test_the_largest_cursor(void **state)
{
	(void)state;
	struct scene scene;
	bool done = true;
	scene_open(&scene);
	answer(&scene, "*2\r\n$20\r\n18446744073709551615\r\n*0\r\n");
	assert_true(redis_scan_page(&scene.scan, &scene.link, NOW_S, &done));
	assert_false(done);
	assert_string_equal(scene.scan.cursor, "18446744073709551615");
	scene_close(&scene);
}

static void test_answers_that_break_the_link(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *fault;
	} cases[] = {
		{"-ERR busy\r\n", "ERR busy"},
		{"*2\r\n$1\r\n0\r\n*1\r\n" KEY_ALICE "-MOVED 1 h:1\r\n", "MOVED"},
		{"+OK\r\n", "not expected"},
		{"*-1\r\n", "not expected"},
		{"*0\r\n", "no page"},
		{"*3\r\n$1\r\n0\r\n*0\r\n*0\r\n", "no page"},
		{"*2\r\n:0\r\n*0\r\n", "no page"},
		{"*2\r\n$-1\r\n*0\r\n", "no page"},
		{"*2\r\n$1\r\n0\r\n$1\r\nx\r\n", "no page"},
		{"*2\r\n$24\r\n123456789012345678901234\r\n*0\r\n", "no page"},
		{"*2\r\n$1\r\n0\r\n*1\r\n:1\r\n", "no key"},
		{"*2\r\n$1\r\n0\r\n*1\r\n$-1\r\n", "no key"},
		{"*2\r\n$1\r\n0\r\n*1\r\n" KEY_ALICE "-ERR gone\r\n", "ERR gone"},
		{"*2\r\n$1\r\n0\r\n*1\r\n" KEY_ALICE "$1\r\n1\r\n", "not expected"},
		{"*2\r\n$1\r\n0\r\n*2\r\n" KEY_ALICE KEY_TOKEN ":1\r\n", "closed"},
		{"*2\r\n$1\r\n0\r\n*2000000\r\n", "too long"},
		{"HTTP/1.1 400 Bad Request\r\n", "Protocol error"},
		{"", "closed"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scene scene;
		bool done = false;
		scene_open(&scene);
		answer(&scene, cases[i].text);
		assert_int_equal(shutdown(scene.peer, SHUT_WR), 0);
		assert_false(redis_scan_page(&scene.scan, &scene.link, NOW_S, &done));
		if (strstr(scene.link.fault, cases[i].fault) == NULL)
			fail_msg("%s: %s", cases[i].text, scene.link.fault);
		scene_close(&scene);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_pages),
		cmocka_unit_test(test_keys_that_are_gone),
		cmocka_unit_test(test_keys_that_are_elsewhere),
		cmocka_unit_test(test_the_largest_cursor),
		cmocka_unit_test(test_answers_that_break_the_link),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
