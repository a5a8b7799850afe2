/* Frames between the server and the process that sends its requests: the first byte says what the others are. */
#include "fuzz.h"

#include "fetch/frame.h"

#define PAYLOAD_MAX 4096u

static void check_within(struct slice payload, const char *text, size_t size_max)
{
	const uint8_t *at = (const uint8_t *)text;
	CHECK(at >= payload.data && at < payload.data + payload.size);
	CHECK(memchr(text, '\0', (size_t)(payload.data + payload.size - at)) != NULL);
	CHECK(strlen(text) <= size_max);
}

static void check_end(struct slice payload, struct slice body)
{
	CHECK(body.data + body.size == payload.data + payload.size);
}

static void read_answer(struct slice payload)
{
	struct fetch_answer answer;
	struct bytes again = {0};
	if (!frame_read_answer(payload, &answer))
		return;
	const char *const texts[] = {answer.fault, answer.retry_after,  answer.cache_control,
				     answer.etag,  answer.content_type, answer.location};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		check_within(payload, texts[i], payload.size);
	check_end(payload, answer.body);
	CHECK(fetch_outcome_name(answer.outcome)[0] != '\0');
	frame_append_answer(&again, 1, &answer);
	CHECK(!again.failed);
	bytes_free(&again);
}

static void read_job(struct slice payload)
{
	struct fetch_request request;
	struct bytes again = {0};
	struct frame frame;
	if (!frame_read_job(payload, &request))
		return;
	CHECK(request.header_count <= FETCH_HEADERS_MAX);
	check_within(payload, request.url, FETCH_TEXTS_BYTES_MAX);
	for (uint32_t i = 0; i < request.header_count; i++)
		check_within(payload, request.headers[i], FETCH_TEXTS_BYTES_MAX);
	check_end(payload, request.body);
	/* What is written of it is what was read, but that every true is 1. */
	frame_append_job(&again, 1, &request);
	CHECK(frame_read(bytes_slice(&again), payload.size, &frame) == FRAME_WHOLE);
	CHECK(frame.payload.size == payload.size && frame_read_job(frame.payload, &request));
	bytes_free(&again);
}

static void read_frames(struct slice bytes)
{
	struct frame frame;
	while (frame_read(bytes, PAYLOAD_MAX, &frame) == FRAME_WHOLE) {
		CHECK(frame.size <= bytes.size && frame.payload.size <= PAYLOAD_MAX);
		check_end(slice_of(bytes.data, frame.size), frame.payload);
		if (frame.kind == FRAME_ANSWER)
			read_answer(frame.payload);
		else if (frame.kind == FRAME_JOB)
			read_job(frame.payload);
		bytes = slice_of(bytes.data + frame.size, bytes.size - frame.size);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const READERS[])(struct slice) = {read_answer, read_job, read_frames};
	if (size == 0 || data[0] >= sizeof(READERS) / sizeof(READERS[0]))
		return 0;
	uint8_t *rest = block_new(size - 1);
	if (size > 1)
		memcpy(rest, data + 1, size - 1);
	READERS[data[0]](slice_of(rest, size - 1));
	free(rest);
	return 0;
}
