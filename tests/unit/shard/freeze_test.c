/* A shard on its way to rest: what it calls quiet, and what becomes of it where the main thread takes back what it has
 * asked for, or others ask for something, at the last moment. */
#include "shard/freeze/freeze.h"

#include "peer.h"
#include "shard/command_clients.h"
#include "state/shard.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

/* More than a turn lets in. */
#define ARRIVALS (WORK_SHARE_ADMISSIONS / WORK_ADMISSION + 20u)
#define COMMAND_MS 60000u

static int scene_open(void **state)
{
	*state = shard_scene_new(1);
	return 0;
}

static int scene_close(void **state)
{
	struct shard_scene *scene = *state;
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
	shard_scene_free(scene);
	return 0;
}

/* Up to the turn after which its thread would wait for its descriptors to be taken. */
static void bring_to_rest(struct shard_scene *scene)
{
	struct shard *shard = &scene->shards[0];
	freeze_ask(shard, SHARD_PREPARES);
	assert_true(shard_scene_turn_one(scene, 0));
	assert_true(freeze_is_prepared(shard));
	freeze_ask(shard, SHARD_QUIETENS);
	assert_non_null(freeze_unquiet(shard)); /* it has not looked yet */
	assert_true(shard_scene_turn_one(scene, 0));
	assert_null(freeze_unquiet(shard));
	freeze_ask(shard, SHARD_FREEZES);
	assert_false(shard_scene_turn_one(scene, 0));
	assert_true(freeze_is_over(shard));
}

/* The shard's thread. Returns the shard where its descriptors were taken. */
static void *wait_in_thread(void *shard)
{
	return freeze_wait_taken(shard) ? shard : NULL;
}

/* ---- what is quiet ---- */

static void test_all_are_let_in_before(void **state)
{
	struct shard_scene *scene = *state;
	struct shard *shard = &scene->shards[0];
	struct far_peer peers[ARRIVALS];
	char id[32];
	for (uint32_t i = 0; i < ARRIVALS; i++) {
		snprintf(id, sizeof(id), "client %u", i);
		peers[i] = peer_connect(scene, PEER_CONNECT(.id = id));
		assert_true(peers[i].fd >= 0);
	}
	freeze_ask(shard, SHARD_QUIETENS);
	assert_true(shard_scene_turn_one(scene, 0));
	assert_true(shard_scene_clients(scene, 0) < ARRIVALS);
	assert_string_equal(freeze_unquiet(shard), "clients that are being let in");
	assert_true(shard_scene_turn_one(scene, 0));
	assert_int_equal(shard_scene_clients(scene, 0), ARRIVALS);
	assert_null(freeze_unquiet(shard));
	freeze_ask(shard, SHARD_RUNS);
	for (uint32_t i = 0; i < ARRIVALS; i++)
		peer_drop(&peers[i]);
}

/* ---- the last moment ---- */

struct asking {
	struct shard_scene *scene;
	struct command command;
	enum error result;
};

static void *ask(void *argument)
{
	struct asking *asking = argument;
	struct mailbox *mailbox = &asking->scene->mailboxes[0];
	asking->result =
		command_do(&asking->command, &asking->scene->shards[0].shared.commands, &mailbox->waker, COMMAND_MS);
	return NULL;
}

/* A request waits, and is answered when the shard serves on. */
static void test_asked_while_it_comes_to_rest(void **state)
{
	struct shard_scene *scene = *state;
	struct shard *shard = &scene->shards[0];
	struct command_client client = {.id = slice_string("nobody")};
	struct asking asking = {.scene = scene, .command = {.kind = COMMAND_DISCONNECT, .client = &client}};
	pthread_t asker, thread;
	bring_to_rest(scene);
	assert_int_equal(pthread_create(&asker, NULL, ask, &asking), 0);
	while (!commands_waiting(&shard->shared.commands))
		sched_yield();
	assert_int_equal(pthread_create(&thread, NULL, wait_in_thread, shard), 0);
	while (!freeze_is_frozen(shard))
		sched_yield();
	freeze_give_up(shard);
	void *taken;
	assert_int_equal(pthread_join(thread, &taken), 0);
	assert_null(taken);
	assert_false(freeze_is_frozen(shard));
	assert_true(commands_waiting(&shard->shared.commands));
	assert_true(shard_scene_turn_one(scene, 0));
	assert_int_equal(pthread_join(asker, NULL), 0);
	assert_int_equal(asking.result, ERROR_NOT_FOUND);
}

/* One that comes before the last turn does not keep the shard from its rest either, nor begins anything. */
static void test_requests_wait_in_the_last_turn(void **state)
{
	struct shard_scene *scene = *state;
	struct shard *shard = &scene->shards[0];
	struct command_client client = {.id = slice_string("nobody")};
	struct asking asking = {.scene = scene, .command = {.kind = COMMAND_DISCONNECT, .client = &client}};
	pthread_t asker;
	freeze_ask(shard, SHARD_QUIETENS);
	assert_true(shard_scene_turn_one(scene, 0));
	assert_null(freeze_unquiet(shard));
	freeze_ask(shard, SHARD_FREEZES);
	assert_int_equal(pthread_create(&asker, NULL, ask, &asking), 0);
	while (!commands_waiting(&shard->shared.commands))
		sched_yield();
	assert_false(shard_scene_turn_one(scene, 0));
	assert_true(freeze_is_over(shard));
	freeze_give_up(shard);
	assert_false(freeze_wait_taken(shard));
	assert_true(shard_scene_turn_one(scene, 0));
	assert_int_equal(pthread_join(asker, NULL), 0);
	assert_int_equal(asking.result, ERROR_NOT_FOUND);
}

/* The main thread gives up between the shard's last turn and its wait. */
static void test_given_up_before_it_waits(void **state)
{
	struct shard_scene *scene = *state;
	struct shard *shard = &scene->shards[0];
	for (int attempt = 0; attempt < 2; attempt++) {
		bring_to_rest(scene);
		freeze_give_up(shard);
		assert_true(freeze_is_over(shard)); /* it has not drained */
		assert_false(freeze_wait_taken(shard));
		assert_false(freeze_is_over(shard));
		assert_false(freeze_is_frozen(shard));
		assert_true(shard_scene_turn_one(scene, 0));
	}
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = "peer"), false);
	peer_vanish(&peer);
}

static void test_taken(void **state)
{
	struct shard_scene *scene = *state;
	struct shard *shard = &scene->shards[0];
	pthread_t thread;
	bring_to_rest(scene);
	assert_int_equal(pthread_create(&thread, NULL, wait_in_thread, shard), 0);
	while (!freeze_is_frozen(shard))
		sched_yield();
	assert_int_equal(freeze_take_descriptors(shard), ERROR_OK);
	void *taken;
	assert_int_equal(pthread_join(thread, &taken), 0);
	assert_ptr_equal(taken, shard);
	assert_true(shard->shared.freeze.resumes);
	/* Another thread goes on, and may be asked the same. */
	freeze_ask(shard, SHARD_RUNS);
	freeze_resume(shard);
	bring_to_rest(scene);
	freeze_give_up(shard);
	assert_false(freeze_wait_taken(shard));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_are_let_in_before, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_asked_while_it_comes_to_rest, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_requests_wait_in_the_last_turn, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_given_up_before_it_waits, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_taken, scene_open, scene_close),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
