/* What a shard answers when the nodes thread says that a session is to go, and is not: it always does, because the
 * nodes thread keeps whoever asks for the same id next until then. The test is the nodes thread. */
#include "peer.h"
#include "runtime/nodes/session_mail.h"
#include "state/ending.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HOUR_S 3600u

static int scene_open(void **state)
{
	struct shard_scene *scene = shard_scene_new(1);
	shard_scene_join_cluster(scene);
	*state = scene;
	return 0;
}

static int scene_close(void **state)
{
	struct shard_scene *scene = *state;
	node_port_close(scene->nodes);
	shard_scene_settle(scene);
	shard_scene_pass_ms(scene, 4000u * HOUR_S);
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
	shard_scene_free(scene);
	return 0;
}

static void post(struct shard_scene *scene, enum session_told kind, uint64_t number, const char *id)
{
	struct session_piece head = {.number = number, .hash = hash_slice(&scene->key, slice_string(id))};
	struct node_mail *mail =
		session_mail_new((uint8_t)kind, &head, slice_string(id), slice_of(NULL, 0), slice_of(NULL, 0));
	assert_non_null(mail);
	node_port_post(scene->nodes, 0, mail);
	shard_scene_settle(scene);
}

/* How many pieces of this kind and number the shard has sent since the last time; others are dropped. */
static uint32_t heard(struct shard_scene *scene, enum session_says kind, uint64_t number)
{
	uint32_t count = 0;
	for (struct node_mail *mail = node_box_take(&scene->nodes->to_nodes), *next; mail != NULL; mail = next) {
		next = mail->next;
		count += mail->kind == (uint8_t)kind && session_piece_of(mail)->number == number;
		node_mail_free(mail);
	}
	return count;
}

/* A session without a connection that has begun to go, as move 8. */
static void begin(struct shard_scene *scene)
{
	struct far_peer peer = peer_sign_in(scene, PEER_CONNECT(.id = "c", .expiry_s = HOUR_S), false);
	peer_drop(&peer);
	shard_scene_settle(scene);
	node_port_open(scene->nodes);
	post(scene, SESSION_TOLD_YIELD, 8, "c");
	assert_int_equal(heard(scene, SESSION_SAYS_PART, 8), 1);
}

static void test_it_stays(void **state)
{
	struct shard_scene *scene = *state;
	begin(scene);
	post(scene, SESSION_TOLD_GIVE_UP, 8, "");
	assert_int_equal(heard(scene, SESSION_SAYS_BACK, 8), 1);
}

static void test_it_has_ended_meanwhile(void **state)
{
	struct shard_scene *scene = *state;
	begin(scene);
	struct shard *shard = &scene->shards[0];
	struct client_ref ref = registry_find(&shard->sessions.registry,
					      (uint32_t)hash_slice(&scene->key, slice_string("c")), slice_string("c"));
	assert_false(client_ref_is_none(ref));
	session_end(shard, ref, ERROR_ADMINISTRATIVE);
	post(scene, SESSION_TOLD_GIVE_UP, 8, "");
	assert_int_equal(heard(scene, SESSION_SAYS_NOTHING, 8), 1);
}

static void test_there_is_no_such_move(void **state)
{
	struct shard_scene *scene = *state;
	node_port_open(scene->nodes);
	post(scene, SESSION_TOLD_GIVE_UP, 7, "");
	assert_int_equal(heard(scene, SESSION_SAYS_NOTHING, 7), 1);
}

static void test_nobody_has_that_session(void **state)
{
	struct shard_scene *scene = *state;
	node_port_open(scene->nodes);
	post(scene, SESSION_TOLD_YIELD, 9, "nobody");
	assert_int_equal(heard(scene, SESSION_SAYS_NOTHING, 9), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_it_stays, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_it_has_ended_meanwhile, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_there_is_no_such_move, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_nobody_has_that_session, scene_open, scene_close),
	};
	return cmocka_run_group_tests_name("sessions that are to go", tests, NULL, NULL);
}
