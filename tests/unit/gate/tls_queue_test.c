/* Whose turn it is to do TLS: those in progress, then those with a ticket, then one of the others in any case. */
#include "gate/handshake/tls_queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define PLACES 64u
#define IN_PROGRESS_MAX 4u

struct scene {
	struct settings settings;
	struct gate gate;
};

static int setup(void **state)
{
	struct scene *scene = aligned_alloc(64, (sizeof(*scene) + 63) / 64 * 64);
	assert_non_null(scene);
	memset(scene, 0, sizeof(*scene));
	scene->settings.tls_handshakes_max = IN_PROGRESS_MAX;
	scene->gate.settings = &scene->settings;
	assert_int_equal(pool_open(&scene->gate.handshakes, sizeof(struct handshake), PLACES), ERROR_OK);
	for (uint32_t i = 0; i < PLACES; i++)
		assert_int_not_equal(pool_take(&scene->gate.handshakes), 0);
	*state = scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;
	pool_close(&scene->gate.handshakes);
	free(scene);
	return 0;
}

static uint64_t waiting(const struct gate *gate)
{
	return counter_of(&gate->counters, COUNTER_tls_handshakes_waiting);
}

static void add(struct gate *gate, uint32_t index, enum gate_tls_wait wait)
{
	assert_int_equal(gate_tls_queue_add(gate, index, wait), ERROR_OK);
	assert_int_equal(gate_handshake_at(gate, index)->tls_wait, wait);
}

/* What a turn takes, in this order; its time is never up. */
static void expect_turn(struct gate *gate, const uint32_t *expected, size_t count)
{
	gate_tls_turn_begin(gate);
	gate->tls.until_ns = UINT64_MAX;
	for (size_t i = 0; i < count; i++) {
		uint32_t index = gate_tls_next(gate);
		assert_int_equal(index, expected[i]);
		struct handshake *handshake = gate_handshake_at(gate, index);
		assert_true(handshake->tls_turn);
		assert_int_equal(handshake->tls_wait, GATE_TLS_WAITS_NOT);
		handshake->tls_turn = false;
	}
	assert_int_equal(gate_tls_next(gate), 0);
}

static void test_order(void **state)
{
	struct gate *gate = &((struct scene *)*state)->gate;
	assert_false(gate_tls_has_work(gate));
	expect_turn(gate, NULL, 0);
	add(gate, 1, GATE_TLS_BEGINS);
	add(gate, 2, GATE_TLS_RESUMES);
	add(gate, 3, GATE_TLS_GOES_ON);
	add(gate, 4, GATE_TLS_BEGINS);
	add(gate, 5, GATE_TLS_RESUMES);
	add(gate, 6, GATE_TLS_GOES_ON);
	assert_int_equal(waiting(gate), 4);
	assert_true(gate_tls_has_work(gate));
	static const uint32_t ORDER[] = {3, 6, 2, 5, 1, 4};
	expect_turn(gate, ORDER, 6);
	assert_int_equal(waiting(gate), 0);
	assert_false(gate_tls_has_work(gate));
}

/* Whoever goes away while it waits leaves the others in their order. */
static void test_some_leave(void **state)
{
	struct gate *gate = &((struct scene *)*state)->gate;
	for (uint32_t gone = 1; gone <= 5; gone++) {
		uint32_t expected[4];
		size_t count = 0;
		for (uint32_t i = 1; i <= 5; i++) {
			add(gate, i, GATE_TLS_BEGINS);
			if (i != gone)
				expected[count++] = i;
		}
		gate_tls_queue_remove(gate, gone);
		gate_tls_queue_remove(gate, gone); /* once more does nothing */
		assert_int_equal(waiting(gate), 4);
		add(gate, gone, GATE_TLS_RESUMES);
		gate_tls_queue_remove(gate, gone);
		expect_turn(gate, expected, count);
		assert_int_equal(waiting(gate), 0);
	}
}

/* Where as many are in progress as may, only those go on. */
static void test_in_progress_are_bounded(void **state)
{
	struct gate *gate = &((struct scene *)*state)->gate;
	for (uint32_t i = 0; i < IN_PROGRESS_MAX; i++)
		gate_tls_count(gate);
	add(gate, 1, GATE_TLS_BEGINS);
	add(gate, 2, GATE_TLS_RESUMES);
	assert_false(gate_tls_has_work(gate));
	add(gate, 3, GATE_TLS_GOES_ON);
	assert_true(gate_tls_has_work(gate));
	static const uint32_t ONE[] = {3};
	expect_turn(gate, ONE, 1);
	gate->tls.open--; /* one is complete */
	static const uint32_t TWO[] = {2, 1};
	expect_turn(gate, TWO, 2);
}

/* The list of those that wait to begin is bounded; those in progress are bounded by themselves. */
static void test_waiting_are_bounded(void **state)
{
	struct gate *gate = &((struct scene *)*state)->gate;
	uint32_t most = IN_PROGRESS_MAX * GATE_TLS_WAITING_FACTOR;
	for (uint32_t i = 1; i <= most; i++)
		add(gate, i, i % 2 != 0 ? GATE_TLS_BEGINS : GATE_TLS_RESUMES);
	assert_int_equal(gate_tls_queue_add(gate, most + 1, GATE_TLS_BEGINS), ERROR_TLS_HANDSHAKE_QUEUE);
	assert_int_equal(gate_tls_queue_add(gate, most + 1, GATE_TLS_RESUMES), ERROR_TLS_HANDSHAKE_QUEUE);
	assert_int_equal(gate_handshake_at(gate, most + 1)->tls_wait, GATE_TLS_WAITS_NOT);
	add(gate, most + 1, GATE_TLS_GOES_ON);
	gate_tls_queue_remove(gate, 1);
	add(gate, most + 2, GATE_TLS_BEGINS);
	assert_int_equal(waiting(gate), most);
}

/* When the time of a turn is up, one full handshake begins still, if none did: a storm of others does not keep them
 * out. At least one goes on in each turn, however short it is. */
static void test_time_is_up(void **state)
{
	struct gate *gate = &((struct scene *)*state)->gate;
	add(gate, 1, GATE_TLS_GOES_ON);
	add(gate, 2, GATE_TLS_GOES_ON);
	add(gate, 3, GATE_TLS_RESUMES);
	add(gate, 4, GATE_TLS_BEGINS);
	add(gate, 5, GATE_TLS_BEGINS);
	static const uint32_t TURNS[][2] = {{1, 4}, {2, 5}, {3, 0}};
	for (size_t i = 0; i < 3; i++) {
		assert_true(gate_tls_has_work(gate));
		gate_tls_turn_begin(gate);
		gate->tls.until_ns = 0;
		assert_int_equal(gate_tls_next(gate), TURNS[i][0]);
		assert_int_equal(gate_tls_next(gate), TURNS[i][1]);
		assert_int_equal(gate_tls_next(gate), 0);
	}
	assert_false(gate_tls_has_work(gate));
}

/* Only where others wait for its place, and the oldest first. */
static void test_silent_clients_are_given_up(void **state)
{
	struct gate *gate = &((struct scene *)*state)->gate;
	for (uint32_t i = 1; i <= IN_PROGRESS_MAX; i++) {
		gate_tls_count(gate);
		add(gate, i, GATE_TLS_CLIENT);
		gate->now_ms++;
	}
	assert_false(gate_tls_has_work(gate));
	gate->now_ms = GATE_TLS_PATIENCE_MS + 1;
	assert_int_equal(gate_tls_overdue(gate), 0);
	add(gate, 10, GATE_TLS_RESUMES);
	add(gate, 11, GATE_TLS_BEGINS);
	add(gate, 12, GATE_TLS_BEGINS);
	for (uint32_t i = 1; i <= 2; i++) { /* those that are silent for long enough */
		assert_int_equal(gate_tls_overdue(gate), i);
		gate_tls_queue_remove(gate, i);
		gate->tls.open--;
		/* Not before the room that there is has been taken: it is time that is short, not places. */
		assert_int_equal(gate_tls_overdue(gate), 0);
		gate_tls_count(gate);
	}
	assert_int_equal(gate_tls_overdue(gate), 0);
	gate->now_ms += 100;
	assert_int_equal(gate_tls_overdue(gate), 3);
}

/* One that sends a byte now and then does not start anew with each. */
static void test_drips_are_given_up(void **state)
{
	struct gate *gate = &((struct scene *)*state)->gate;
	gate->now_ms = 1;
	for (uint32_t i = 1; i <= IN_PROGRESS_MAX; i++) {
		gate_tls_count(gate);
		add(gate, i, GATE_TLS_CLIENT);
	}
	add(gate, 10, GATE_TLS_BEGINS);
	for (; gate->now_ms < 1 + GATE_TLS_PATIENCE_MS; gate->now_ms += GATE_TLS_PATIENCE_MS / 4) {
		assert_int_equal(gate_tls_overdue(gate), 0);
		for (uint32_t i = 1; i <= IN_PROGRESS_MAX; i++) {
			gate_tls_queue_remove(gate, i);
			add(gate, i, GATE_TLS_GOES_ON);
			gate_tls_queue_remove(gate, i);
			add(gate, i, GATE_TLS_CLIENT);
		}
	}
	assert_int_equal(gate_tls_overdue(gate), 1);
}

/* A place comes free now and then, and there is always somebody who offers a ticket, be it a false one. */
static void test_tickets_do_not_keep_others_out(void **state)
{
	struct gate *gate = &((struct scene *)*state)->gate;
	for (uint32_t i = 1; i < IN_PROGRESS_MAX; i++)
		gate_tls_count(gate);
	add(gate, 1, GATE_TLS_BEGINS);
	uint32_t taken, turns = 0;
	do {
		add(gate, 2, GATE_TLS_RESUMES);
		gate_tls_turn_begin(gate);
		gate->tls.until_ns = UINT64_MAX;
		taken = gate_tls_next(gate);
		gate_tls_count(gate);
		assert_int_equal(gate_tls_next(gate), 0);
		gate->tls.open--;
		gate_tls_queue_remove(gate, 2);
	} while (taken != 1 && ++turns < 100);
	assert_int_equal(turns, GATE_TLS_RESUMED_IN_A_ROW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_some_leave, setup, teardown),
		cmocka_unit_test_setup_teardown(test_in_progress_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_waiting_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_time_is_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_silent_clients_are_given_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drips_are_given_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tickets_do_not_keep_others_out, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
