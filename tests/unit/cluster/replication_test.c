/* The messages of replication: each as it was put, cut at every byte, and with what no node says. */
#include "cluster/copy/replication.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void offers(void **state)
{
	(void)state;
	struct replication_offer put = {
		.version = REPLICATION_VERSION, .stream = 7, .store_id = {1, 2}, .store_key = {3}, .knows_taken = 1};
	struct replication_offer got;
	uint8_t bytes[REPLICATION_OFFER_BYTES + 1] = {0};
	replication_put_offer(&put, bytes);
	assert_true(replication_get_offer(slice_of(bytes, REPLICATION_OFFER_BYTES), &got));
	assert_memory_equal(&put, &got, sizeof(put));
	for (size_t size = 0; size <= sizeof(bytes); size++)
		assert_int_equal(replication_get_offer(slice_of(bytes, size), &got), size == REPLICATION_OFFER_BYTES);
	bytes[REPLICATION_OFFER_BYTES - 1] = 1;
	assert_false(replication_get_offer(slice_of(bytes, REPLICATION_OFFER_BYTES), &got));
}

static size_t put_held(const struct replication_segment *segments, uint32_t count, uint8_t *to)
{
	replication_put_held(&(struct replication_held){.stream = 9, .count = count}, to);
	for (uint32_t i = 0; i < count; i++)
		replication_put_segment(&segments[i],
					to + REPLICATION_HELD_BYTES + (size_t)i * REPLICATION_SEGMENT_BYTES);
	return REPLICATION_HELD_BYTES + (size_t)count * REPLICATION_SEGMENT_BYTES;
}

static void what_a_replica_holds(void **state)
{
	(void)state;
	struct replication_segment put[3] = {{1, 64, 1, 11}, {5, 1000, 8, 12}, {6, UINT32_MAX, UINT64_MAX, 13}};
	struct replication_segment got;
	struct replication_held held;
	uint8_t bytes[256];
	size_t size = put_held(put, 3, bytes);
	assert_true(replication_get_held(slice_of(bytes, size), &held));
	assert_true(held.stream == 9 && held.count == 3);
	for (uint32_t i = 0; i < 3; i++) {
		assert_true(replication_get_segment(slice_of(bytes, size), i, &got));
		assert_true(got.number == put[i].number && got.bytes == put[i].bytes &&
			    got.next_commit == put[i].next_commit && got.header_checksum == put[i].header_checksum);
	}
	for (size_t cut = 0; cut < size; cut++)
		assert_false(replication_get_held(slice_of(bytes, cut), &held));
	put[1].number = 1; /* twice */
	size = put_held(put, 3, bytes);
	assert_false(replication_get_segment(slice_of(bytes, size), 1, &got));
	put[0] = (struct replication_segment){0, 64, 1, 0};
	put[1] = (struct replication_segment){5, (uint64_t)UINT32_MAX + 1, 1, 0};
	put[2] = (struct replication_segment){6, 64, 0, 0};
	size = put_held(put, 3, bytes);
	for (uint32_t i = 0; i < 3; i++)
		assert_false(replication_get_segment(slice_of(bytes, size), i, &got));
	replication_put_held(&(struct replication_held){.count = UINT32_MAX}, bytes);
	assert_false(replication_get_held(slice_of(bytes, REPLICATION_HELD_BYTES), &held));
}

static void pieces_and_confirmations(void **state)
{
	(void)state;
	struct replication_bytes head = {.stream = 1, .segment = 2, .offset = 3, .position = 4}, got_head;
	struct replication_safe safe = {.stream = 1, .position = 2, .pieces = 3, .last_commit = 4, .bytes = 5},
				got_safe;
	struct slice rest;
	uint8_t bytes[64] = {0};
	replication_put_bytes(&head, bytes);
	bytes[REPLICATION_BYTES_BYTES] = 'x';
	assert_true(replication_get_bytes(slice_of(bytes, REPLICATION_BYTES_BYTES + 1), &got_head, &rest));
	assert_memory_equal(&head, &got_head, sizeof(head));
	assert_true(rest.size == 1 && rest.data[0] == 'x');
	assert_false(replication_get_bytes(slice_of(bytes, REPLICATION_BYTES_BYTES - 1), &got_head, &rest));
	memset(&got_safe, 0, sizeof(got_safe));
	replication_put_safe(&safe, bytes);
	assert_true(replication_get_safe(slice_of(bytes, REPLICATION_SAFE_BYTES), &got_safe));
	assert_true(got_safe.stream == 1 && got_safe.position == 2 && got_safe.pieces == 3 &&
		    got_safe.last_commit == 4 && got_safe.bytes == 5);
	assert_false(replication_get_safe(slice_of(bytes, REPLICATION_SAFE_BYTES + 1), &got_safe));
}

static void refusals(void **state)
{
	(void)state;
	struct replication_refused put = {.stream = 1, .reason = REPLICATION_TAKES_OVER, .epoch = 3, .commit = 4}, got;
	uint8_t bytes[REPLICATION_REFUSED_BYTES + REPLICATION_WORDS_MAX + 1];
	struct slice words;
	memset(bytes, 'w', sizeof(bytes));
	replication_put_refused(&put, bytes);
	assert_true(replication_get_refused(slice_of(bytes, REPLICATION_REFUSED_BYTES + 5), &got, &words));
	assert_memory_equal(&put, &got, sizeof(got));
	assert_true(slice_equal(words, slice_string("wwwww")));
	assert_false(replication_get_refused(slice_of(bytes, sizeof(bytes)), &got, &words));
	bytes[REPLICATION_REFUSED_BYTES + 2] = '\n'; /* it goes to a log */
	assert_false(replication_get_refused(slice_of(bytes, REPLICATION_REFUSED_BYTES + 5), &got, &words));
	put.reason = REPLICATION_REFUSAL_LIMIT;
	replication_put_refused(&put, bytes);
	assert_false(replication_get_refused(slice_of(bytes, REPLICATION_REFUSED_BYTES), &got, &words));
	put.reason = 0;
	replication_put_refused(&put, bytes);
	assert_false(replication_get_refused(slice_of(bytes, REPLICATION_REFUSED_BYTES), &got, &words));
}

static void questions(void **state)
{
	(void)state;
	struct replication_ask ask = {.number = 5, .store_id = {9}}, got_ask;
	struct replication_answer answer = {.number = 5, .copy = REPLICATION_HOLDS, .epoch = 1, .commit = 2},
				  got_answer;
	struct replication_taken taken = {.store_id = {8}, .epoch = 1, .commit = 2, .sessions = 3}, got_taken;
	struct slice name;
	uint8_t bytes[64];
	memset(bytes, 'n', sizeof(bytes));
	replication_put_ask(&ask, bytes);
	assert_true(replication_get_ask(slice_of(bytes, REPLICATION_ASK_BYTES + 2), &got_ask, &name));
	assert_memory_equal(&ask, &got_ask, sizeof(ask));
	assert_true(slice_equal(name, slice_string("nn")));
	assert_false(replication_get_ask(slice_of(bytes, REPLICATION_ASK_BYTES), &got_ask, &name));
	replication_put_answer(&answer, bytes);
	assert_true(replication_get_answer(slice_of(bytes, REPLICATION_ANSWER_BYTES), &got_answer));
	assert_memory_equal(&answer, &got_answer, sizeof(answer));
	answer.copy = REPLICATION_COPY_LIMIT;
	replication_put_answer(&answer, bytes);
	assert_false(replication_get_answer(slice_of(bytes, REPLICATION_ANSWER_BYTES), &got_answer));
	replication_put_taken(&taken, bytes);
	bytes[REPLICATION_TAKEN_BYTES] = 'm';
	assert_true(replication_get_taken(slice_of(bytes, REPLICATION_TAKEN_BYTES + 1), &got_taken, &name));
	assert_memory_equal(&taken, &got_taken, sizeof(taken));
	assert_true(slice_equal(name, slice_string("m")));
	assert_false(replication_get_taken(slice_of(bytes, REPLICATION_TAKEN_BYTES), &got_taken, &name));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(offers),
		cmocka_unit_test(what_a_replica_holds),
		cmocka_unit_test(pieces_and_confirmations),
		cmocka_unit_test(refusals),
		cmocka_unit_test(questions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
