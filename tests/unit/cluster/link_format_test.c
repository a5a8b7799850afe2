/* The head of a datagram: what is written is read; every byte of it counts. */
#include "cluster/link/link_format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define FRAMES_BYTES 20u
#define SIZE (LINK_HEAD_BYTES + FRAMES_BYTES)

static const struct link_head HEAD = {.flags = LINK_FLAG_GAP,
				      .from = 0x1122334455667788u,
				      .to = 0x99aabbccddeeff01u,
				      .sequence = 77,
				      .acknowledged = 0xffffffffffffffffu};

static void write_sample(uint8_t *datagram)
{
	memset(datagram, 7, SIZE);
	link_head_write(&HEAD, datagram, SIZE);
}

static void test_what_is_written_is_read(void **state)
{
	uint8_t datagram[SIZE];
	struct link_head head;
	(void)state;
	write_sample(datagram);
	assert_int_equal(link_head_read(slice_of(datagram, SIZE), &head), LINK_FAULT_NONE);
	assert_true(head.flags == HEAD.flags && head.from == HEAD.from && head.to == HEAD.to);
	assert_true(head.sequence == HEAD.sequence && head.acknowledged == HEAD.acknowledged);
	/* As other machines read it. */
	assert_memory_equal(datagram, "RL\1\1", 4);
	assert_memory_equal(datagram + 8, "\x88\x77\x66\x55\x44\x33\x22\x11", 8);
	assert_memory_equal(datagram + 24, "\x4d\0\0\0\0\0\0\0", 8);
}

static void test_any_other_byte_is_a_fault(void **state)
{
	uint8_t datagram[SIZE];
	struct link_head head;
	(void)state;
	for (size_t at = 0; at < SIZE; at++) {
		write_sample(datagram);
		datagram[at] ^= 0x40;
		enum link_fault fault = link_head_read(slice_of(datagram, SIZE), &head);
		enum link_fault wanted = at < 2 ? LINK_FAULT_MAGIC : at == 2 ? LINK_FAULT_VERSION : LINK_FAULT_CHECK;
		assert_int_equal(fault, wanted);
	}
}

static void test_cut_everywhere(void **state)
{
	uint8_t datagram[SIZE];
	struct link_head head;
	(void)state;
	write_sample(datagram);
	for (size_t size = 0; size < SIZE; size++) {
		enum link_fault wanted = size < LINK_HEAD_BYTES ? LINK_FAULT_SHORT : LINK_FAULT_CHECK;
		assert_int_equal(link_head_read(slice_of(datagram, size), &head), wanted);
		assert_int_equal(link_head_peek(slice_of(datagram, size), &head), size >= LINK_HEAD_BYTES);
	}
}

static void test_frames(void **state)
{
	const uint8_t bytes[] = {5, LINK_FRAME_WHOLE, 2, 0, 'h', 'i', 9, LINK_FRAME_BEGINS, 0, 0};
	const uint8_t unknown_flag[] = {5, 4, 0, 0};
	struct slice rest = slice_of(bytes, sizeof(bytes));
	struct link_frame frame;
	(void)state;
	assert_true(link_frame_read(&rest, &frame));
	assert_int_equal(frame.kind, 5);
	assert_true(slice_equal(frame.part, slice_string("hi")));
	assert_true(link_frame_read(&rest, &frame));
	assert_int_equal(frame.flags, LINK_FRAME_BEGINS);
	assert_int_equal(frame.part.size, 0);
	assert_int_equal(rest.size, 0);
	for (size_t size = 1; size < 6; size++) {
		rest = slice_of(bytes, size);
		assert_false(link_frame_read(&rest, &frame));
	}
	rest = slice_of(unknown_flag, sizeof(unknown_flag));
	assert_false(link_frame_read(&rest, &frame));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_written_is_read),
		cmocka_unit_test(test_any_other_byte_is_a_fault),
		cmocka_unit_test(test_cut_everywhere),
		cmocka_unit_test(test_frames),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
