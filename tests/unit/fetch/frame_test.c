/* Frames between the server and the process that fetches: what is written is read again, and what is cut or bent is
 * refused. */
#include "fetch/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct fetch_request JOB = {
	.method = "POST",
	.url = "https://localhost/x",
	.ca_file = "/ca.pem",
	.certificate_file = "",
	.key_file = "",
	.headers = {"A: b", "C: d"},
	.header_count = 2,
	.connect_ms = 1,
	.whole_ms = 2,
	.answer_bytes_max = 3,
	.cuts_answer = true,
	.body = {(const uint8_t *)"body\0", 5},
};

static const struct fetch_answer ANSWER = {
	.outcome = FETCH_TIMED_OUT,
	.status = 503,
	.took_us = 17,
	.is_cut = true,
	.fault = "too slow",
	.retry_after = "3",
	.cache_control = "no-store",
	.etag = "",
	.content_type = "text/plain",
	.location = "/there",
	.body = {(const uint8_t *)"hello", 5},
};

static struct bytes bytes;

static int clear(void **state)
{
	(void)state;
	bytes_free(&bytes);
	return 0;
}

static struct frame whole_frame(void)
{
	struct frame frame;
	assert_int_equal(frame_read(bytes_slice(&bytes), 1000, &frame), FRAME_WHOLE);
	assert_int_equal(frame.size, bytes.size);
	return frame;
}

static void test_job(void **state)
{
	(void)state;
	struct fetch_request job;
	frame_append_job(&bytes, 77, &JOB);
	struct frame frame = whole_frame();
	assert_int_equal(frame.kind, FRAME_JOB);
	assert_int_equal(frame.ticket, 77);
	assert_true(frame_read_job(frame.payload, &job));
	assert_string_equal(job.method, "POST");
	assert_string_equal(job.url, JOB.url);
	assert_string_equal(job.ca_file, "/ca.pem");
	assert_int_equal(job.header_count, 2);
	assert_string_equal(job.headers[1], "C: d");
	assert_int_equal(job.connect_ms, 1);
	assert_int_equal(job.whole_ms, 2);
	assert_int_equal(job.answer_bytes_max, 3);
	assert_true(job.cuts_answer);
	assert_true(slice_equal(job.body, JOB.body));
}

static void test_answer(void **state)
{
	(void)state;
	struct fetch_answer answer;
	frame_append_answer(&bytes, 78, &ANSWER);
	assert_true(frame_read_answer(whole_frame().payload, &answer));
	assert_int_equal(answer.outcome, FETCH_TIMED_OUT);
	assert_int_equal(answer.status, 503);
	assert_int_equal(answer.took_us, 17);
	assert_true(answer.is_cut);
	assert_string_equal(answer.fault, "too slow");
	assert_string_equal(answer.retry_after, "3");
	assert_string_equal(answer.cache_control, "no-store");
	assert_string_equal(answer.etag, "");
	assert_string_equal(answer.content_type, "text/plain");
	assert_string_equal(answer.location, "/there");
	assert_true(slice_equal(answer.body, ANSWER.body));
}

static void test_long_texts(void **state)
{
	(void)state;
	char text[FETCH_ANSWER_TEXT_BYTES_MAX + 2];
	struct fetch_answer answer = ANSWER;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	answer.fault = answer.etag = text;
	frame_append_answer(&bytes, 1, &answer);
	assert_true(frame_read_answer(whole_frame().payload, &answer));
	assert_int_equal(strlen(answer.fault), FETCH_ANSWER_TEXT_BYTES_MAX);
	assert_string_equal(answer.etag, "");
}

/* No beginning of a frame is one, and no beginning of a payload is taken for the whole, up to its body. */
static void test_cut_at_every_byte(void **state)
{
	(void)state;
	struct frame frame;
	struct fetch_request job;
	struct fetch_answer answer;
	frame_append_job(&bytes, 1, &JOB);
	for (size_t size = 0; size < bytes.size; size++)
		assert_int_equal(frame_read(slice_of(bytes.data, size), 1000, &frame), FRAME_MORE);
	frame = whole_frame();
	for (size_t size = 0; size < frame.payload.size - JOB.body.size; size++)
		assert_false(frame_read_job(slice_of(frame.payload.data, size), &job));
	bytes_free(&bytes);
	frame_append_answer(&bytes, 1, &ANSWER);
	frame = whole_frame();
	for (size_t size = 0; size < frame.payload.size - ANSWER.body.size; size++)
		assert_false(frame_read_answer(slice_of(frame.payload.data, size), &answer));
}

static void test_bad_heads(void **state)
{
	(void)state;
	struct frame frame;
	frame_append_cancel(&bytes, 1);
	assert_int_equal(whole_frame().payload.size, 0);
	bytes.data[4] = 9; /* its kind */
	assert_int_equal(frame_read(bytes_slice(&bytes), 1000, &frame), FRAME_BAD);
	bytes_free(&bytes);
	frame_append_answer(&bytes, 1, &ANSWER);
	assert_int_equal(frame_read(bytes_slice(&bytes), whole_frame().payload.size - 1, &frame), FRAME_BAD);
}

/* Sets each byte of a payload to 0xff in turn: it is refused, or what is read lies within it. */
static void test_bent_at_every_byte(void **state)
{
	(void)state;
	frame_append_answer(&bytes, 1, &ANSWER);
	struct slice payload = whole_frame().payload;
	size_t refused = 0;
	for (size_t i = 0; i < payload.size; i++) {
		uint8_t *byte = bytes.data + (payload.data - bytes.data) + i, was = *byte;
		struct fetch_answer answer;
		*byte = 0xff;
		if (frame_read_answer(payload, &answer))
			assert_ptr_equal(answer.body.data + answer.body.size, payload.data + payload.size);
		else
			refused++;
		*byte = was;
	}
	assert_true(refused > 6); /* the ends of texts, at least */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_job, clear),
		cmocka_unit_test_teardown(test_answer, clear),
		cmocka_unit_test_teardown(test_long_texts, clear),
		cmocka_unit_test_teardown(test_cut_at_every_byte, clear),
		cmocka_unit_test_teardown(test_bad_heads, clear),
		cmocka_unit_test_teardown(test_bent_at_every_byte, clear),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
