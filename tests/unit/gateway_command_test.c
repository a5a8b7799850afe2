/* Commands to a shard: carried out in order and within bounds, given up in time, refused by a shard that has ended; and
 * what each finds and does there. */
#include "base/log.h"
#include "runtime/command.h"
#include "shard/command_clients.h"
#include "shard/command_publish.h"
#include "shard_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int scene_open(void **state)
{
	*state = shard_scene_new(1);
	log_level_set(LOG_ERROR);
	return 0;
}

static int scene_close(void **state)
{
	shard_scene_free(*state);
	return 0;
}

/* ---- a thread that asks, while the test takes the shard's turns ---- */

struct asker {
	pthread_t thread;
	struct shard_scene *scene;
	struct command command;
	uint32_t timeout_ms;
	enum error result;
	_Atomic bool done;
};

static void *ask(void *argument)
{
	struct asker *asker = argument;
	struct shard *shard = &asker->scene->shards[0];
	asker->result = command_do(&asker->command, &shard->shared.commands, &asker->scene->mailboxes[0].waker,
				   asker->timeout_ms);
	atomic_store(&asker->done, true);
	return NULL;
}

static enum error do_command(struct shard_scene *scene, struct command command)
{
	struct asker asker = {.scene = scene, .command = command, .timeout_ms = 60000};
	assert_int_equal(pthread_create(&asker.thread, NULL, ask, &asker), 0);
	while (!atomic_load(&asker.done)) {
		shard_scene_turn_one(scene, 0);
		sched_yield();
	}
	pthread_join(asker.thread, NULL);
	return asker.result;
}

/* ---- clients ---- */

static int sign_in(struct shard_scene *scene, const char *id, bool clean)
{
	uint8_t packet[128] = {0x10, 0, 0, 4, 'M', 'Q', 'T', 'T', 4, clean ? 2 : 0, 0, 60, 0};
	size_t size = strlen(id);
	packet[13] = (uint8_t)size;
	memcpy(packet + 14, id, size);
	packet[1] = (uint8_t)(12 + size);
	int fd = shard_scene_connect(scene, 0, slice_of(packet, 14 + size), 0);
	assert_true(fd >= 0);
	shard_scene_settle(scene);
	return fd;
}

static void subscribe(struct shard_scene *scene, int fd, const char *filter, uint8_t qos)
{
	uint8_t packet[128] = {0x82, 0, 0, 1, 0};
	size_t size = strlen(filter);
	packet[5] = (uint8_t)size;
	memcpy(packet + 6, filter, size);
	packet[6 + size] = qos;
	packet[1] = (uint8_t)(5 + size);
	assert_int_equal(send(fd, packet, 7 + size, 0), (ssize_t)(7 + size));
	shard_scene_settle(scene);
}

/* What came, all of it. */
static size_t received(int fd, uint8_t *bytes, size_t room)
{
	ssize_t size = recv(fd, bytes, room, MSG_DONTWAIT);
	return size > 0 ? (size_t)size : 0;
}

static void leave(struct shard_scene *scene, int fd)
{
	close(fd);
	shard_scene_settle(scene);
}

/* ---- the queue ---- */

static void test_given_up_in_time(void **state)
{
	struct shard_scene *scene = *state;
	struct command_list list = {0};
	struct asker asker = {.scene = scene, .command = {.kind = COMMAND_LIST, .list = &list}, .timeout_ms = 1};
	ask(&asker);
	assert_int_equal(asker.result, ERROR_TIMEOUT);
	assert_false(commands_waiting(&scene->shards[0].shared.commands));
	shard_scene_turn_one(scene, 0);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_commands), 0);
}

static void test_bounded_queue_and_bounded_turns(void **state)
{
	struct shard_scene *scene = *state;
	static struct asker askers[COMMANDS_WAITING_MAX];
	struct command_list list = {.states = LIST_CONNECTED};
	memset(askers, 0, sizeof(askers));
	for (uint32_t i = 0; i < COMMANDS_WAITING_MAX; i++) {
		askers[i] = (struct asker){
			.scene = scene, .command = {.kind = COMMAND_LIST, .list = &list}, .timeout_ms = 60000};
		assert_int_equal(pthread_create(&askers[i].thread, NULL, ask, &askers[i]), 0);
	}
	while (atomic_load(&scene->shards[0].shared.commands.count) != COMMANDS_WAITING_MAX)
		sched_yield();
	struct asker one_more = {.scene = scene, .command = {.kind = COMMAND_LIST, .list = &list}, .timeout_ms = 60000};
	ask(&one_more);
	assert_int_equal(one_more.result, ERROR_LIMIT);
	shard_scene_turn_one(scene, 0);
	assert_int_equal(atomic_load(&scene->shards[0].shared.commands.count),
			 COMMANDS_WAITING_MAX - COMMANDS_PER_TURN);
	shard_scene_settle(scene);
	for (uint32_t i = 0; i < COMMANDS_WAITING_MAX; i++) {
		pthread_join(askers[i].thread, NULL);
		assert_int_equal(askers[i].result, ERROR_OK);
	}
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_commands), COMMANDS_WAITING_MAX);
}

static void test_refused_by_a_shard_that_has_ended(void **state)
{
	struct shard_scene *scene = *state;
	struct command_list list = {0};
	struct asker waiting = {.scene = scene, .command = {.kind = COMMAND_LIST, .list = &list}, .timeout_ms = 60000};
	assert_int_equal(pthread_create(&waiting.thread, NULL, ask, &waiting), 0);
	while (!commands_waiting(&scene->shards[0].shared.commands))
		sched_yield();
	commands_refuse(&scene->shards[0].shared.commands);
	pthread_join(waiting.thread, NULL);
	assert_int_equal(waiting.result, ERROR_SERVER_STOPPING);
	struct asker late = {.scene = scene, .command = {.kind = COMMAND_LIST, .list = &list}, .timeout_ms = 60000};
	ask(&late);
	assert_int_equal(late.result, ERROR_SERVER_STOPPING);
}

/* ---- lists ---- */

#define LISTED 250

static void test_list_in_pages_finds_all_once(void **state)
{
	struct shard_scene *scene = *state;
	static int fds[LISTED];
	static bool seen[LISTED];
	char id[32];
	/* One of three leaves a session behind; their places are touched all the same. */
	for (int i = 0; i < LISTED; i++) {
		snprintf(id, sizeof(id), "%s-%d", i % 2 == 0 ? "even" : "odd", i);
		fds[i] = sign_in(scene, id, i % 3 != 0);
		seen[i] = false;
	}
	for (int i = 0; i < LISTED; i += 3)
		leave(scene, fds[i]);
	struct client_row rows[7];
	static uint8_t ids[COMMAND_ID_BYTES_MAX];
	struct command_list list = {.prefix = slice_string("even-"),
				    .states = LIST_OFFLINE,
				    .rows = rows,
				    .ids = ids,
				    .ids_capacity = sizeof(ids)};
	int found = 0;
	do {
		list.row_max = 7;
		assert_int_equal(do_command(scene, (struct command){.kind = COMMAND_LIST, .list = &list}), ERROR_OK);
		for (uint32_t i = 0; i < list.row_count; i++) {
			int number = atoi((const char *)ids + rows[i].id_offset + 5);
			assert_true(number % 6 == 0 && !seen[number]);
			assert_int_equal(rows[i].state, CLIENT_OFFLINE);
			seen[number] = true;
			found++;
		}
	} while (!list.ended);
	assert_int_equal(found, (LISTED + 5) / 6);
	for (int i = 0; i < LISTED; i++) {
		if (i % 3 != 0)
			close(fds[i]);
	}
	shard_scene_settle(scene);
}

static void test_list_stops_where_ids_find_no_room(void **state)
{
	struct shard_scene *scene = *state;
	int one = sign_in(scene, "aaaaaaaa", true);
	int other = sign_in(scene, "bbbbbbbb", true);
	struct client_row rows[5];
	uint8_t ids[12];
	struct command_list list = {
		.states = LIST_CONNECTED, .rows = rows, .row_max = 5, .ids = ids, .ids_capacity = sizeof(ids)};
	assert_int_equal(do_command(scene, (struct command){.kind = COMMAND_LIST, .list = &list}), ERROR_OK);
	assert_int_equal(list.row_count, 1);
	assert_false(list.ended);
	assert_memory_equal(ids, "aaaaaaaa", 8);
	assert_int_equal(do_command(scene, (struct command){.kind = COMMAND_LIST, .list = &list}), ERROR_OK);
	assert_int_equal(list.row_count, 1);
	assert_memory_equal(ids, "bbbbbbbb", 8);
	assert_true(list.ended);
	close(one);
	leave(scene, other);
}

/* ---- one client ---- */

static struct command_client client_named(const struct shard_scene *scene, const char *id)
{
	return (struct command_client){.id = slice_string(id), .hash = hash_slice(&scene->key, slice_string(id))};
}

/* From the note of its end until that is carried out, in the same turn, a client is neither connected nor offline. */
static void test_who_is_closing_is_listed_where_that_is_asked_for(void **state)
{
	struct shard_scene *scene = *state;
	struct client_row row;
	uint8_t ids[16];
	int fd = sign_in(scene, "closing", false);
	struct command_client client = client_named(scene, "closing");
	assert_int_equal(command_end_client(&scene->shards[0], &client, false), ERROR_OK);
	for (int also_closing = 0; also_closing <= 1; also_closing++) {
		struct command_list list = {
			.states = LIST_CONNECTED | LIST_OFFLINE | (also_closing ? LIST_CLOSING : 0),
			.rows = &row,
			.row_max = 1,
			.ids = ids,
			.ids_capacity = sizeof(ids),
		};
		assert_int_equal(command_list_clients(&scene->shards[0], &list), ERROR_OK);
		assert_int_equal(list.row_count, also_closing);
	}
	leave(scene, fd);
}

static void test_inspect(void **state)
{
	struct shard_scene *scene = *state;
	static struct subscription_row rows[COMMAND_SUBSCRIPTIONS_MAX];
	static uint8_t filters[4096];
	static const char *const FILTERS[] = {"a/b", "+/b/#", "$share/group/a/+", "$share/group/exact", "#"};
	int fd = sign_in(scene, "looked at", false);
	for (size_t i = 0; i < 5; i++)
		subscribe(scene, fd, FILTERS[i], (uint8_t)(i % 3));
	shard_scene_pass_ms(scene, 12000);
	struct command_client client = client_named(scene, "looked at");
	client.subscriptions = rows;
	client.filters = filters;
	client.filters_capacity = sizeof(filters);
	assert_int_equal(do_command(scene, (struct command){.kind = COMMAND_INSPECT, .client = &client}), ERROR_OK);
	assert_int_equal(client.row.state, CLIENT_ACTIVE);
	assert_int_equal(client.row.connected_s, 12);
	assert_in_range(client.row.silent_ms, 11800, 12200);
	assert_int_equal(client.session_expiry_s, UINT32_MAX);
	assert_int_equal(client.subscription_rows, 5);
	for (size_t i = 0; i < 5; i++) { /* the newest first */
		const char *wanted = FILTERS[4 - i];
		assert_int_equal(rows[i].filter_bytes, strlen(wanted));
		assert_memory_equal(filters + rows[i].filter_offset, wanted, strlen(wanted));
		assert_int_equal(rows[i].qos, (4 - i) % 3);
	}
	client.filters_capacity = 20; /* "#" and "$share/group/exact" fit, no more */
	assert_int_equal(do_command(scene, (struct command){.kind = COMMAND_INSPECT, .client = &client}), ERROR_OK);
	assert_int_equal(client.subscription_rows, 2);
	struct command_client stranger = client_named(scene, "nobody");
	assert_int_equal(do_command(scene, (struct command){.kind = COMMAND_INSPECT, .client = &stranger}),
			 ERROR_NOT_FOUND);
	leave(scene, fd);
}

static void test_disconnect_keeps_the_session_and_end_does_not(void **state)
{
	struct shard_scene *scene = *state;
	int fd = sign_in(scene, "x", false);
	struct command_client client = client_named(scene, "x");
	struct command disconnect = {.kind = COMMAND_DISCONNECT, .client = &client};
	struct command end = {.kind = COMMAND_END_SESSION, .client = &client};
	assert_int_equal(do_command(scene, disconnect), ERROR_OK);
	shard_scene_settle(scene);
	assert_int_equal(shard_scene_ends(scene, 0, ERROR_ADMINISTRATIVE), 1);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_sessions_offline), 1);
	assert_int_equal(do_command(scene, disconnect), ERROR_NOT_FOUND);
	assert_int_equal(do_command(scene, end), ERROR_OK);
	close(fd);
	fd = sign_in(scene, "x", false);
	assert_int_equal(do_command(scene, end), ERROR_OK);
	shard_scene_settle(scene);
	assert_int_equal(do_command(scene, end), ERROR_NOT_FOUND);
	close(fd);
	shard_scene_check_empty(scene);
}

/* A client is connected for as long as it has its connection, however its silence is graded. */
static void check_silent_client(struct shard_scene *scene, uint32_t silent_ms, enum client_state state,
				bool session_too)
{
	static struct subscription_row subscriptions[COMMAND_SUBSCRIPTIONS_MAX];
	uint8_t filters[16];
	uint8_t ids[16];
	struct client_row row;
	int fd = sign_in(scene, "silent", false);
	shard_scene_pass_ms(scene, silent_ms);
	shard_scene_settle(scene);
	struct command_client client = client_named(scene, "silent");
	client.subscriptions = subscriptions;
	client.filters = filters;
	client.filters_capacity = sizeof(filters);
	assert_int_equal(do_command(scene, (struct command){.kind = COMMAND_INSPECT, .client = &client}), ERROR_OK);
	assert_int_equal(client.row.state, state);
	assert_int_equal(client.row.connected_s, silent_ms / 1000);
	assert_in_range(client.row.silent_ms, silent_ms - 200, silent_ms + 200);
	struct command_list list = {
		.states = LIST_CONNECTED, .rows = &row, .row_max = 1, .ids = ids, .ids_capacity = sizeof(ids)};
	assert_int_equal(do_command(scene, (struct command){.kind = COMMAND_LIST, .list = &list}), ERROR_OK);
	assert_int_equal(list.row_count, 1);
	assert_int_equal(row.state, state);
	enum command_kind kind = session_too ? COMMAND_END_SESSION : COMMAND_DISCONNECT;
	assert_int_equal(do_command(scene, (struct command){.kind = kind, .client = &client}), ERROR_OK);
	shard_scene_settle(scene);
	assert_int_equal(recv(fd, ids, sizeof(ids), MSG_DONTWAIT), 4); /* CONNACK */
	assert_int_equal(recv(fd, ids, sizeof(ids), MSG_DONTWAIT), 0);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_sessions_offline), session_too ? 0 : 1);
	if (!session_too)
		assert_int_equal(do_command(scene, (struct command){.kind = COMMAND_END_SESSION, .client = &client}),
				 ERROR_OK);
	close(fd);
	shard_scene_check_empty(scene);
}

static void test_silent_clients_are_connected(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.grace_ms = 5000;
	for (int session_too = 0; session_too < 2; session_too++) {
		check_silent_client(scene, 73000, CLIENT_QUIET, session_too);
		check_silent_client(scene, 86000, CLIENT_SUSPECT, session_too);
	}
}

/* Its connection ends in the turn that carries out the command: there is none to end, but a session. */
static void test_a_session_ends_in_the_turn_that_its_connection_ends(void **state)
{
	struct shard_scene *scene = *state;
	static const enum command_kind KINDS[] = {COMMAND_DISCONNECT, COMMAND_END_SESSION};
	static const enum error RESULTS[] = {ERROR_NOT_FOUND, ERROR_OK};
	for (size_t i = 0; i < 2; i++) {
		int fd = sign_in(scene, "x", false);
		struct command_client client = client_named(scene, "x");
		struct asker asker = {
			.scene = scene, .command = {.kind = KINDS[i], .client = &client}, .timeout_ms = 60000};
		assert_int_equal(pthread_create(&asker.thread, NULL, ask, &asker), 0);
		while (!commands_waiting(&scene->shards[0].shared.commands))
			sched_yield();
		leave(scene, fd);
		pthread_join(asker.thread, NULL);
		assert_int_equal(asker.result, RESULTS[i]);
		assert_int_equal(shard_scene_counter(scene, 0, COUNTER_sessions_offline), 1 - i);
	}
	shard_scene_check_empty(scene);
}

/* ---- messages ---- */

static void test_publish(void **state)
{
	struct shard_scene *scene = *state;
	uint8_t bytes[64];
	int fd = sign_in(scene, "reader", true);
	subscribe(scene, fd, "t", 0);
	received(fd, bytes, sizeof(bytes));
	static const uint8_t PACKET[] = {0x30, 5, 0, 1, 't', 'h', 'i'};
	struct command_message messages[3];
	for (int i = 0; i < 3; i++)
		messages[i] = (struct command_message){
			.publication = {.packet_bytes = sizeof(PACKET), .topic_bytes = 1, .header_bytes = 2},
			.packet = PACKET};
	struct command_publish publish = {.messages = messages, .count = 3};
	assert_int_equal(do_command(scene, (struct command){.kind = COMMAND_PUBLISH, .publish = &publish}), ERROR_OK);
	assert_int_equal(publish.published, 3);
	shard_scene_settle(scene);
	assert_int_equal(received(fd, bytes, sizeof(bytes)), 3 * sizeof(PACKET));
	for (size_t i = 0; i < 3; i++)
		assert_memory_equal(bytes + i * sizeof(PACKET), PACKET, sizeof(PACKET));
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_messages_from_api), 3);
	leave(scene, fd);
	shard_scene_check_empty(scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_given_up_in_time, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_bounded_queue_and_bounded_turns, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_refused_by_a_shard_that_has_ended, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_list_in_pages_finds_all_once, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_list_stops_where_ids_find_no_room, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_who_is_closing_is_listed_where_that_is_asked_for, scene_open,
						scene_close),
		cmocka_unit_test_setup_teardown(test_inspect, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_disconnect_keeps_the_session_and_end_does_not, scene_open,
						scene_close),
		cmocka_unit_test_setup_teardown(test_silent_clients_are_connected, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_a_session_ends_in_the_turn_that_its_connection_ends, scene_open,
						scene_close),
		cmocka_unit_test_setup_teardown(test_publish, scene_open, scene_close),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
