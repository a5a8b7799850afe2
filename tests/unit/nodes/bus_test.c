/* The bus with a real nats-server, which is started late, killed, paused, started again, full of other settings. */
#include "bus_scene.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_datagrams_come(void **state)
{
	struct server server;
	struct end ends[2];
	char url[64];
	(void)state;
	server_init(&server);
	server_start(&server, "");
	url_of(&server, url);
	end_init_plain(&ends[0], url, "one");
	end_init_plain(&ends[1], url, "two.example");
	UNTIL(ends[0].connected == 1 && ends[1].connected == 1, ends, 2);
	send_burst(&ends[0], &ends[1], "two.example", 10, 'a');
	send_burst(&ends[1], &ends[0], "one", BUS_PAYLOAD_BYTES, 'b');
	assert_int_equal(ends[0].datagrams[BUS_ALL] + ends[1].datagrams[BUS_ALL], 0);
	assert_true(bus_send_all(ends[0].bus, slice_string("to all")));
	UNTIL(ends[0].datagrams[BUS_ALL] == 1 && ends[1].datagrams[BUS_ALL] == 1, ends, 2);
	struct bus_status status;
	bus_status(ends[0].bus, &status);
	assert_int_equal(status.state, BUS_CONNECTED);
	assert_string_equal(status.url, url);
	assert_true(status.max_payload >= BUS_PAYLOAD_BYTES && status.connects == 1);
	uint64_t begun_ms = clock_now_ms();
	bus_free(ends[0].bus);
	bus_free(ends[1].bus);
	assert_true(clock_now_ms() < begun_ms + 2000);
	server_fini(&server);
}

static void test_a_server_that_is_not_there_holds_nothing_up(void **state)
{
	struct server server;
	struct end end;
	char url[64], urls[160];
	struct bus_status status;
	(void)state;
	server_init(&server);
	url_of(&server, url);
	snprintf(urls, sizeof(urls), "nats://127.0.0.1:1, %s", url);
	end_init_plain(&end, urls, "one");
	turn_for(&end, 1, 400);
	bus_status(end.bus, &status);
	assert_true(status.state != BUS_CONNECTED && status.tries >= 2);
	assert_true(status.error[0] != '\0');
	assert_false(bus_send_all(end.bus, slice_string("x")));
	assert_false(bus_has_room(end.bus));
	server_start(&server, "");
	UNTIL(end.connected == 1, &end, 1);
	assert_true(end.longest_ms < 1000);
	bus_free(end.bus);
	server_fini(&server);
}

static void test_killed_and_started_again(void **state)
{
	struct server server;
	struct end ends[2];
	char url[64];
	(void)state;
	server_init(&server);
	server_start(&server, "");
	url_of(&server, url);
	end_init_plain(&ends[0], url, "one");
	end_init_plain(&ends[1], url, "two");
	UNTIL(ends[0].connected == 1 && ends[1].connected == 1, ends, 2);
	uint32_t descriptors = open_sockets();
	for (uint32_t i = 1; i <= 3; i++) {
		server_kill(&server);
		UNTIL(ends[0].lost == i && ends[1].lost == i, ends, 2);
		server_start(&server, "");
		UNTIL(ends[0].connected == i + 1 && ends[1].connected == i + 1, ends, 2);
		send_burst(&ends[0], &ends[1], "two", 1000, 'c');
	}
	assert_int_equal(open_sockets(), descriptors);
	assert_true(ends[0].longest_ms < 1000);
	bus_free(ends[0].bus);
	bus_free(ends[1].bus);
	server_fini(&server);
}

static void test_paused(void **state)
{
	struct server server;
	struct end end;
	char url[64];
	static uint8_t bytes[BUS_PAYLOAD_BYTES];
	struct bus_address address;
	(void)state;
	server_init(&server);
	server_start(&server, "");
	url_of(&server, url);
	end_init_plain(&end, url, "one");
	UNTIL(end.connected == 1, &end, 1);
	kill(server.pid, SIGSTOP);
	/* What is sent meanwhile has a limit. */
	bus_address_of(end.bus, slice_string("other"), &address);
	for (uint32_t i = 0; i < 4000; i++)
		bus_send(end.bus, &address, slice_of(bytes, sizeof(bytes)));
	struct bus_status status;
	bus_status(end.bus, &status);
	assert_true(status.dropped_unsent > 0);
	UNTIL(end.lost == 1, &end, 1);
	bus_status(end.bus, &status);
	assert_non_null(strstr(status.error, "does not answer"));
	turn_for(&end, 1, 500);
	kill(server.pid, SIGCONT);
	UNTIL(end.connected == 2, &end, 1);
	assert_true(end.longest_ms < 1000);
	bus_free(end.bus);
	server_fini(&server);
}

static void test_credentials_are_asked_for(void **state)
{
	struct server server;
	struct end end;
	char url[64];
	struct bus_status status;
	(void)state;
	server_init(&server);
	server_start(&server, "authorization { user: roost, password: secret }");
	url_of(&server, url);
	end_init_plain(&end, url, "one");
	/* The first try may come before the server. */
	UNTIL((bus_status(end.bus, &status), strstr(status.error, "uthorization") != NULL), &end, 1);
	assert_int_equal(status.connects, 0);
	bus_free(end.bus);
	snprintf(url, sizeof(url), "nats://roost:secret@127.0.0.1:%u", server.port);
	end_init_plain(&end, url, "one");
	UNTIL(end.connected == 1, &end, 1);
	bus_status(end.bus, &status);
	assert_null(strstr(status.url, "secret"));
	bus_free(end.bus);
	server_fini(&server);
}

static void test_what_a_server_does_not_allow_is_said(void **state)
{
	struct server server;
	struct end end;
	char url[64];
	struct bus_status status;
	(void)state;
	server_init(&server);
	server_start(&server, "max_payload: 1000");
	url_of(&server, url);
	end_init_plain(&end, url, "one");
	/* The first try may come before the server. */
	UNTIL((bus_status(end.bus, &status), strstr(status.error, "max_payload") != NULL), &end, 1);
	assert_int_equal(status.connects, 0);
	bus_free(end.bus);
	server_kill(&server);
	server_start(&server,
		     "authorization { users = [ { user: a, password: b, permissions: { subscribe: \"x\" } } ] }");
	snprintf(url, sizeof(url), "nats://a:b@127.0.0.1:%u", server.port);
	end_init_plain(&end, url, "one");
	UNTIL((bus_status(end.bus, &status), strstr(status.error, "ermissions") != NULL), &end, 1);
	assert_int_equal(status.connects, 0);
	bus_free(end.bus);
	server_fini(&server);
}

static int run_group(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_datagrams_come),
		cmocka_unit_test(test_a_server_that_is_not_there_holds_nothing_up),
		cmocka_unit_test(test_killed_and_started_again),
		cmocka_unit_test(test_paused),
		cmocka_unit_test(test_credentials_are_asked_for),
		cmocka_unit_test(test_what_a_server_does_not_allow_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return server_is_there() ? run_apart(run_group) : 77; /* skipped */
}
