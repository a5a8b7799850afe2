/* The bench's audit of numbered messages, and the stamp that carries the number. */
#include "bench/measure/audit.h"
#include "bench/measure/stamp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct audit receive_all(const uint64_t *numbers, size_t count, uint64_t sent)
{
	struct audit audit = {0};
	struct audit_stream stream = {0};
	for (size_t i = 0; i < count; i++)
		audit_receive(&audit, &stream, numbers[i]);
	audit_end(&audit, &stream, sent);
	return audit;
}

#define RECEIVE(sent, ...)                                                                                             \
	receive_all((const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t), sent)

static void assert_audit(struct audit audit, uint64_t received, uint64_t missing, uint64_t reordered, uint64_t doubled)
{
	assert_int_equal(audit.received, received);
	assert_int_equal(audit.missing, missing);
	assert_int_equal(audit.reordered, reordered);
	assert_int_equal(audit.doubled, doubled);
}

static void test_streams_are_judged_by_their_numbers(void **state)
{
	(void)state;
	assert_audit(RECEIVE(3, 0, 1, 2), 3, 0, 0, 0);
	assert_audit(RECEIVE(5, 0, 1, 2), 3, 2, 0, 0);       /* the tail is missing */
	assert_audit(RECEIVE(5, 0, 3, 4), 3, 2, 0, 0);       /* a gap */
	assert_audit(RECEIVE(3, 1, 2), 2, 1, 0, 0);          /* the first one is missing */
	assert_audit(RECEIVE(3, 0, 2, 1), 3, 0, 1, 0);       /* late, not lost */
	assert_audit(RECEIVE(3, 0, 1, 1, 2), 3, 0, 0, 1);    /* twice */
	assert_audit(RECEIVE(4, 0, 3, 1, 1, 2), 4, 0, 2, 1); /* late twice */
	assert_audit(RECEIVE(3, 2, 1, 0, 0, 1), 3, 0, 2, 2); /* backwards, then again */
	assert_audit(RECEIVE(101, 0, 100, 1), 3, 98, 1, 0);  /* later than the bits reach: late */
	assert_audit(RECEIVE(1, 0, 0, 0), 1, 0, 0, 2);
}

static void test_nothing_came_at_all(void **state)
{
	(void)state;
	assert_audit(receive_all(NULL, 0, 7), 0, 7, 0, 0);
	assert_audit(receive_all(NULL, 0, 0), 0, 0, 0, 0);
}

/* A closed loop goes on by what is accounted for: each message once, whether it arrived or is known to be missing. */
static void test_each_message_is_settled_once(void **state)
{
	(void)state;
	struct audit audit = {0};
	struct audit_stream stream = {0};
	assert_int_equal(audit_receive(&audit, &stream, 0), 1);
	assert_int_equal(audit_receive(&audit, &stream, 4), 4);
	assert_int_equal(audit_receive(&audit, &stream, 2), 0);
	assert_int_equal(audit_receive(&audit, &stream, 2), 0);
	assert_int_equal(audit_receive(&audit, &stream, 5), 1);
}

static void test_double_is_told_from_late_across_the_bits(void **state)
{
	(void)state;
	struct audit audit = {0};
	struct audit_stream stream = {0};
	for (uint64_t number = 0; number < 1000; number++)
		audit_receive(&audit, &stream, number);
	for (uint64_t back = 0; back < 64; back++)
		audit_receive(&audit, &stream, 999 - back);
	audit_receive(&audit, &stream, 0);
	assert_audit(audit, 1000, 0, 0, 65);
}

static void test_stamp_comes_back(void **state)
{
	(void)state;
	uint8_t payload[STAMP_BYTES];
	struct stamp stamp = {.publisher = 7, .number = 1ull << 40, .sent_ns = UINT64_MAX};
	struct stamp back;
	stamp_write(&stamp, payload);
	assert_true(stamp_read(slice_of(payload, sizeof(payload)), &back));
	assert_int_equal(back.publisher, 7);
	assert_true(back.number == 1ull << 40);
	assert_true(back.sent_ns == UINT64_MAX);
}

/* There is no such time if the payload has no room for it, or if it is not known. */
static void test_stamp_with_the_time_of_leaving(void **state)
{
	(void)state;
	uint8_t payload[STAMP_LEFT_BYTES] = {0};
	struct stamp stamp = {.publisher = 7, .sent_ns = 5, .left_ns = 1ull << 60};
	struct stamp back;
	stamp_write(&stamp, payload);
	assert_true(stamp_read(slice_of(payload, STAMP_BYTES), &back));
	stamp_read_left(slice_of(payload, STAMP_LEFT_BYTES - 1), &back);
	assert_int_equal(back.left_ns, 0);
	stamp_read_left(slice_of(payload, STAMP_LEFT_BYTES), &back);
	assert_true(back.left_ns == 1ull << 60);
	payload[STAMP_BYTES] = 7;
	stamp.left_ns = 0;
	stamp_write(&stamp, payload);
	assert_int_equal(payload[STAMP_BYTES], 7);
}

static void test_foreign_payload_is_not_a_stamp(void **state)
{
	(void)state;
	uint8_t payload[STAMP_BYTES] = {0};
	struct stamp back;
	assert_false(stamp_read(slice_of(payload, sizeof(payload)), &back));
	stamp_write(&(struct stamp){0}, payload);
	assert_false(stamp_read(slice_of(payload, sizeof(payload) - 1), &back));
	payload[0] ^= 1;
	assert_false(stamp_read(slice_of(payload, sizeof(payload)), &back));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_streams_are_judged_by_their_numbers),
		cmocka_unit_test(test_nothing_came_at_all),
		cmocka_unit_test(test_each_message_is_settled_once),
		cmocka_unit_test(test_double_is_told_from_late_across_the_bits),
		cmocka_unit_test(test_stamp_comes_back),
		cmocka_unit_test(test_stamp_with_the_time_of_leaving),
		cmocka_unit_test(test_foreign_payload_is_not_a_stamp),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
