/* Replication between nodes: what is acknowledged when, which node is whose replica, and what is done when one goes. */
#include "replication_scene.h"

#include "cluster/copy/replication.h"
#include "lifecycle/inherit.h"
#include "runtime/nodes/node_mail.h"
#include "store/model/replay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- what is waited for ---- */

static bool a_is_in_step(struct sides *sides)
{
	return side_state(&sides->side[0]) == REPLICA_IN_STEP;
}

static bool both_are_in_step(struct sides *sides)
{
	return a_is_in_step(sides) && side_state(&sides->side[1]) == REPLICA_IN_STEP;
}

static bool a_is_alone(struct sides *sides)
{
	return side_state(&sides->side[0]) == REPLICA_NONE;
}

static uint64_t told;

static bool a_is_safe(struct sides *sides)
{
	return side_is_safe(&sides->side[0], told);
}

static enum copy_state copy_state_of(const struct side *side, const char *name)
{
	struct nodes_status status;
	side_status(side, &status);
	for (uint32_t i = 0; i < status.replicas.copy_count; i++) {
		if (strcmp(status.replicas.copies[i].name, name) == 0)
			return status.replicas.copies[i].state;
	}
	return COPY_NONE;
}

/* Sessions in the copy, as a recovery finds them. */
static uint64_t sessions_in_copy(const struct side *side, const char *name)
{
	struct disk disk;
	const char *why;
	char path[SCRATCH_PATH_BYTES];
	snprintf(path, sizeof(path), "%s/replicas/%s", side->scratch.directory, name);
	if (disk_open_directory(&disk, path, false, &why) != 0)
		return UINT64_MAX;
	struct store_identity identity;
	struct replay replay;
	struct model *model = model_new();
	assert_int_equal(store_identity_load(&disk, &identity, &why), ERROR_OK);
	assert_int_equal(replay_run(&disk, &identity, NULL, model, &replay), ERROR_OK);
	uint64_t sessions = model->session_count;
	model_free(&model);
	replay_fini(&replay);
	disk_close_directory(&disk);
	return sessions;
}

static bool lose_safe(struct message *message)
{
	return message->kind != REPLICATION_SAFE;
}

static bool b_holds_a(struct sides *sides)
{
	return copy_state_of(&sides->side[1], "node-a") == COPY_HELD;
}

static bool a_was_refused(struct sides *sides)
{
	struct nodes_status status;
	side_status(&sides->side[0], &status);
	return status.replicas.own.refusals > 0;
}

/* ---- the promise ---- */

static void what_is_acknowledged_is_on_both(void **state)
{
	(void)state;
	struct sides sides;
	sides_open(&sides, 2);
	sides_join(&sides, 0, 1);
	sides_until(&sides, both_are_in_step);
	for (int i = 0; i < 50; i++) {
		told = side_tell(&sides.side[0]);
		sides_until(&sides, a_is_safe);
		if (i % 10 == 0)
			assert_int_equal(sessions_in_copy(&sides.side[1], "node-a"), sides.side[0].named);
	}
	assert_int_equal(copy_state_of(&sides.side[1], "node-a"), COPY_FOLLOWS);
	assert_int_equal(copy_state_of(&sides.side[0], "node-b"), COPY_FOLLOWS);
	sides_close(&sides);
}

/* Clients' messages take all of the link that they may, and go on to: replication has what they leave. */
static void a_flood_of_messages_holds_no_acknowledgement_up(void **state)
{
	(void)state;
	struct sides sides;
	sides_open(&sides, 2);
	sides.side[0].link_bytes = (8u << 20) - PEER_ROOM_NOT_FOR_MESSAGES;
	sides_join(&sides, 0, 1);
	sides_until(&sides, both_are_in_step);
	told = side_tell(&sides.side[0]);
	sides_until(&sides, a_is_safe);
	assert_int_equal(side_state(&sides.side[0]), REPLICA_IN_STEP);
	sides_close(&sides);
}

static void nothing_is_acknowledged_before_the_replica_has_it(void **state)
{
	(void)state;
	struct sides sides;
	sides_open(&sides, 2);
	sides_join(&sides, 0, 1);
	sides_until(&sides, both_are_in_step);
	sides.filter = lose_safe;
	told = side_tell(&sides.side[0]);
	sides_pass(&sides, 400);
	assert_false(side_is_safe(&sides.side[0], told));
	/* A replica that says nothing for too long is not waited for. */
	sides_pass(&sides, 2000);
	sides_until(&sides, a_is_safe);
	assert_int_equal(side_state(&sides.side[0]), REPLICA_CATCHING_UP);
	sides.filter = NULL;
	told = side_tell(&sides.side[0]);
	sides_until(&sides, a_is_in_step);
	sides_close(&sides);
}

static void a_node_alone_acknowledges_by_its_own_store(void **state)
{
	(void)state;
	struct sides sides;
	sides_open(&sides, 2);
	told = side_tell(&sides.side[0]);
	sides_until(&sides, a_is_safe);
	sides_pass(&sides, 2000);
	struct nodes_status status;
	side_status(&sides.side[0], &status);
	assert_int_equal(status.replicas.own.state, REPLICA_NONE);
	assert_string_equal(status.replicas.own.fault, "no other node can be one");
	sides_join(&sides, 0, 1);
	sides_until(&sides, both_are_in_step);
	assert_int_equal(sessions_in_copy(&sides.side[1], "node-a"), sides.side[0].named);
	/* It is silent: nothing waits, and what was told meanwhile is sent when it is back. */
	sides_away(&sides, 0, 1);
	assert_int_equal(side_state(&sides.side[0]), REPLICA_AWAY);
	for (int i = 0; i < 30; i++)
		told = side_tell(&sides.side[0]);
	sides_until(&sides, a_is_safe);
	sides_back(&sides, 0, 1);
	sides_until(&sides, a_is_in_step);
	assert_int_equal(sessions_in_copy(&sides.side[1], "node-a"), sides.side[0].named);
	sides_close(&sides);
}

static void a_replica_that_begins_anew_goes_on_with_its_copy(void **state)
{
	(void)state;
	struct sides sides;
	sides_open(&sides, 2);
	for (int i = 0; i < 2000; i++)
		told = side_tell(&sides.side[0]);
	sides_join(&sides, 0, 1);
	sides_until(&sides, both_are_in_step);
	sides_gone(&sides, 0, 1);
	side_stop(&sides.side[1]);
	for (int i = 0; i < 10; i++)
		told = side_tell(&sides.side[0]);
	sides_until(&sides, a_is_safe);
	side_start(&sides, &sides.side[1]);
	memset(sides.side[1].delivered, 0, sizeof(sides.side[1].delivered));
	sides_join(&sides, 0, 1);
	sides_until(&sides, a_is_in_step);
	assert_true(sides.side[1].delivered[REPLICATION_BYTES] <= 3);
	assert_int_equal(sessions_in_copy(&sides.side[1], "node-a"), sides.side[0].named);
	sides_close(&sides);
}

static void a_node_that_begins_anew_finds_its_copy(void **state)
{
	(void)state;
	struct sides sides;
	sides_open(&sides, 2);
	sides_join(&sides, 0, 1);
	sides_until(&sides, both_are_in_step);
	for (int i = 0; i < 3; i++) {
		told = side_tell(&sides.side[0]);
		sides_gone(&sides, 0, 1);
		side_stop(&sides.side[0]);
		side_stop_store(&sides.side[0]);
		side_start_store(&sides.side[0]);
		side_start(&sides, &sides.side[0]);
		sides_join(&sides, 0, 1);
		sides_until(&sides, a_is_in_step);
		assert_int_equal(sessions_in_copy(&sides.side[1], "node-a"), sides.side[0].named);
	}
	sides_close(&sides);
}

/* ---- which node ---- */

static uint8_t replica_of_a(struct sides *sides)
{
	struct nodes_status status;
	side_status(&sides->side[0], &status);
	return (uint8_t)(status.replicas.own.name[5] - 'a');
}

static void another_one_is_chosen_when_it_is_away_for_long(void **state)
{
	(void)state;
	struct sides sides;
	sides_open(&sides, 3);
	sides_join(&sides, 0, 1);
	sides_join(&sides, 0, 2);
	sides_join(&sides, 1, 2);
	sides_until(&sides, a_is_in_step);
	uint8_t first = replica_of_a(&sides), other = 3 - first;
	sides_gone(&sides, 0, first);
	sides_pass(&sides, 20000);
	assert_int_equal(side_state(&sides.side[0]), REPLICA_NONE); /* it is waited for */
	sides_pass(&sides, 15000);
	sides_until(&sides, a_is_in_step);
	assert_int_equal(replica_of_a(&sides), other);
	/* The one before must not take over from what it has. */
	assert_int_equal(copy_state_of(&sides.side[first], "node-a"), COPY_HELD);
	sides_join(&sides, 0, first);
	sides_pass(&sides, 100);
	assert_int_equal(copy_state_of(&sides.side[first], "node-a"), COPY_NONE);
	sides_close(&sides);
}

/* ---- taking over ---- */

/* Answers as a shard would that takes everything; returns how many sessions were whole. */
static uint32_t answer_parts(struct side *side)
{
	uint32_t sessions = 0;
	struct node_mail *mail = node_box_take(&side->port->to_shards[0]);
	while (mail != NULL) {
		struct node_mail *next = mail->next;
		struct inherit_part part;
		memcpy(&part, mail->body, sizeof(part));
		sessions += part.is_last;
		struct node_mail *answer = node_mail_new(INHERIT_TAKEN, sizeof(struct inherit_taken));
		struct inherit_taken taken = {.number = part.number, .is_last = part.is_last};
		memcpy(answer->body, &taken, sizeof(taken));
		answer->shard = 0;
		REPLICATION_SERVICE.mail(side->replication, answer);
		node_mail_free(mail);
		mail = next;
	}
	return sessions;
}

static uint32_t taken_sessions;

static bool b_has_taken_over(struct sides *sides)
{
	taken_sessions += answer_parts(&sides->side[1]);
	return copy_state_of(&sides->side[1], "node-a") == COPY_TAKEN_OVER;
}

static void kill_a(struct sides *sides)
{
	sides_gone(sides, 0, 1);
	side_stop(&sides->side[0]);
}

static void a_node_that_is_gone_is_taken_over(void **state)
{
	(void)state;
	struct sides sides;
	sides_open(&sides, 2);
	sides_join(&sides, 0, 1);
	sides_until(&sides, both_are_in_step);
	for (int i = 0; i < 100; i++)
		told = side_tell(&sides.side[0]);
	sides_until(&sides, a_is_safe);
	taken_sessions = 0;
	kill_a(&sides);
	sides_pass(&sides, 25000);
	assert_true(b_holds_a(&sides));
	sides_pass(&sides, 10000);
	sides_until(&sides, b_has_taken_over);
	assert_int_equal(taken_sessions, sides.side[0].named);
	/* It comes back with the log that was taken: it is told so, and then makes a new copy. */
	side_start(&sides, &sides.side[0]);
	sides_join(&sides, 0, 1);
	sides_until(&sides, a_was_refused);
	struct nodes_status status;
	side_status(&sides.side[0], &status);
	assert_int_equal(status.replicas.own.state, REPLICA_NONE);
	assert_non_null(strstr(status.replicas.own.fault, "were taken over"));
	sides_pass(&sides, REPLICATION_REFUSED_MS);
	sides_until(&sides, a_is_in_step);
	assert_int_equal(sessions_in_copy(&sides.side[1], "node-a"), sides.side[0].named);
	sides_close(&sides);
}

static void a_node_that_is_cut_off_takes_nothing_over(void **state)
{
	(void)state;
	struct sides sides;
	sides_open(&sides, 2);
	sides_join(&sides, 0, 1);
	sides_until(&sides, both_are_in_step);
	sides.side[1].is_cut = true;
	sides_away(&sides, 0, 1);
	sides_pass(&sides, 60000);
	assert_int_equal(copy_state_of(&sides.side[1], "node-a"), COPY_FOLLOWS);
	sides.side[1].is_cut = false;
	sides_back(&sides, 0, 1);
	told = side_tell(&sides.side[0]);
	sides_until(&sides, a_is_in_step);
	sides_close(&sides);
}

/* It lives on in a split, and hears "refused" for what it sends when that is over. */
static void a_node_that_was_taken_over_is_told_so(void **state)
{
	(void)state;
	struct sides sides;
	sides_open(&sides, 2);
	sides.takeover_s = 5;
	for (uint32_t i = 0; i < 2; i++) {
		side_stop(&sides.side[i]);
		side_start(&sides, &sides.side[i]);
	}
	/* Of the node that is away it is said a little later. */
	sides_join(&sides, 0, 1);
	sides_until(&sides, both_are_in_step);
	taken_sessions = 0;
	sides_away(&sides, 0, 1);
	sides_pass(&sides, 4000);
	sides.side[0].seen[1].peer.state = PEER_ALIVE;
	REPLICATION_SERVICE.back(sides.side[0].replication, &sides.side[0].seen[1].peer);
	sides.side[0].seen[1].peer.state = PEER_AWAY;
	REPLICATION_SERVICE.away(sides.side[0].replication, &sides.side[0].seen[1].peer);
	sides_pass(&sides, 4000);
	sides_until(&sides, b_has_taken_over);
	sides_back(&sides, 0, 1);
	told = side_tell(&sides.side[0]);
	sides_until(&sides, a_is_alone);
	sides_until(&sides, a_is_safe);
	sides_close(&sides);
}

/* The machine of a replica and of its node fail together; the copy is found at the start. */
static void a_copy_from_before_is_taken_over(void **state)
{
	(void)state;
	struct sides sides;
	sides_open(&sides, 2);
	sides_join(&sides, 0, 1);
	sides_until(&sides, both_are_in_step);
	told = side_tell(&sides.side[0]);
	sides_until(&sides, a_is_safe);
	kill_a(&sides);
	side_stop(&sides.side[1]);
	side_start(&sides, &sides.side[1]);
	taken_sessions = 0;
	sides_until(&sides, b_holds_a);
	sides_pass(&sides, 35000);
	sides_until(&sides, b_has_taken_over);
	assert_int_equal(taken_sessions, sides.side[0].named);
	side_stop(&sides.side[1]);
	side_start(&sides, &sides.side[1]);
	sides_until(&sides, b_has_taken_over);
	sides_close(&sides);
}

/* ---- what is refused ---- */

static bool spoil_bytes(struct message *message)
{
	if (message->kind == REPLICATION_BYTES && message->bytes > REPLICATION_BYTES_BYTES)
		message->body[message->bytes - 1] ^= 1;
	return true;
}

static void what_is_damaged_is_refused(void **state)
{
	(void)state;
	struct sides sides;
	sides_open(&sides, 2);
	sides.filter = spoil_bytes;
	sides_join(&sides, 0, 1);
	sides_until(&sides, a_was_refused);
	struct nodes_status status;
	side_status(&sides.side[0], &status);
	assert_non_null(strstr(status.replicas.own.fault, "no whole commit"));
	side_status(&sides.side[1], &status);
	assert_true(status.replicas.copies[0].refusals > 0);
	told = side_tell(&sides.side[0]);
	sides_until(&sides, a_is_safe);
	sides.filter = NULL;
	sides_pass(&sides, REPLICATION_REFUSED_MS);
	sides_until(&sides, both_are_in_step);
	sides_close(&sides);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_acknowledged_is_on_both),
		cmocka_unit_test(a_flood_of_messages_holds_no_acknowledgement_up),
		cmocka_unit_test(nothing_is_acknowledged_before_the_replica_has_it),
		cmocka_unit_test(a_node_alone_acknowledges_by_its_own_store),
		cmocka_unit_test(a_replica_that_begins_anew_goes_on_with_its_copy),
		cmocka_unit_test(a_node_that_begins_anew_finds_its_copy),
		cmocka_unit_test(another_one_is_chosen_when_it_is_away_for_long),
		cmocka_unit_test(a_node_that_is_gone_is_taken_over),
		cmocka_unit_test(a_node_that_is_cut_off_takes_nothing_over),
		cmocka_unit_test(a_node_that_was_taken_over_is_told_so),
		cmocka_unit_test(a_copy_from_before_is_taken_over),
		cmocka_unit_test(what_is_damaged_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
