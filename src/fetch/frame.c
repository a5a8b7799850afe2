#include "fetch/frame.h"

#include "base/check.h"

struct frame_head {
	uint32_t payload_bytes;
	uint32_t kind;
	uint64_t ticket;
};

/* In front of a job's texts. */
struct job_numbers {
	uint32_t connect_ms;
	uint32_t whole_ms;
	uint32_t answer_bytes_max;
	uint32_t cuts_answer;
	uint32_t header_count;
	uint32_t texts_bytes;
};

/* In front of an answer's texts. */
struct answer_numbers {
	uint32_t outcome;
	uint32_t status;
	uint32_t took_us;
	uint32_t is_cut;
	uint32_t texts_bytes;
};

#define JOB_TEXTS 5u /* besides its headers */
#define ANSWER_TEXTS 6u

_Static_assert(ANSWER_TEXTS *(FETCH_ANSWER_TEXT_BYTES_MAX + 1) <= FETCH_TEXTS_BYTES_MAX,
	       "a frame's texts have one limit");
_Static_assert(sizeof(struct answer_numbers) <= sizeof(struct job_numbers), "a job's are the longer ones");

static const char *const OUTCOME_NAMES[] = {
	[FETCH_ANSWERED] = "answered",   [FETCH_NO_HOST] = "no_host",       [FETCH_NO_CONNECTION] = "no_connection",
	[FETCH_NO_TRUST] = "no_trust",   [FETCH_TIMED_OUT] = "timed_out",   [FETCH_BROKEN] = "broken",
	[FETCH_TOO_LARGE] = "too_large", [FETCH_NO_PROCESS] = "no_process",
};

_Static_assert(sizeof(OUTCOME_NAMES) / sizeof(OUTCOME_NAMES[0]) == FETCH_OUTCOME_COUNT, "each outcome has a name");

const char *fetch_outcome_name(enum fetch_outcome outcome)
{
	CHECK(outcome < FETCH_OUTCOME_COUNT);
	return OUTCOME_NAMES[outcome];
}

/* ---- heads ---- */

size_t frame_payload_max(size_t body_bytes_max)
{
	return sizeof(struct job_numbers) + FETCH_TEXTS_BYTES_MAX + body_bytes_max;
}

enum frame_state frame_read(struct slice bytes, size_t payload_max, struct frame *frame)
{
	struct frame_head head;
	if (bytes.size < sizeof(head))
		return FRAME_MORE;
	memcpy(&head, bytes.data, sizeof(head));
	if (head.payload_bytes > payload_max || head.kind < FRAME_JOB || head.kind > FRAME_ANSWER)
		return FRAME_BAD;
	if (bytes.size - sizeof(head) < head.payload_bytes)
		return FRAME_MORE;
	*frame = (struct frame){
		.kind = (enum frame_kind)head.kind,
		.ticket = head.ticket,
		.payload = slice_of(bytes.data + sizeof(head), head.payload_bytes),
		.size = sizeof(head) + head.payload_bytes,
	};
	return FRAME_WHOLE;
}

static void append_frame_head(struct bytes *bytes, enum frame_kind kind, uint64_t ticket, size_t payload_bytes)
{
	const struct frame_head head = {.payload_bytes = (uint32_t)payload_bytes, .kind = kind, .ticket = ticket};
	CHECK_EQ(payload_bytes, head.payload_bytes);
	bytes_append(bytes, &head, sizeof(head));
}

/* ---- writing ---- */

static void append_texts(struct bytes *bytes, const char *const *texts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		bytes_append(bytes, texts[i], strlen(texts[i]) + 1);
}

static size_t texts_size(const char *const *texts, size_t count)
{
	size_t size = 0;
	for (size_t i = 0; i < count; i++)
		size += strlen(texts[i]) + 1;
	return size;
}

void frame_append_job(struct bytes *bytes, uint64_t ticket, const struct fetch_request *request)
{
	const char *const texts[JOB_TEXTS] = {request->method, request->url, request->ca_file,
					      request->certificate_file, request->key_file};
	CHECK_LE(request->header_count, FETCH_HEADERS_MAX);
	size_t size = texts_size(texts, JOB_TEXTS) + texts_size(request->headers, request->header_count);
	const struct job_numbers numbers = {
		.connect_ms = request->connect_ms,
		.whole_ms = request->whole_ms,
		.answer_bytes_max = request->answer_bytes_max,
		.cuts_answer = request->cuts_answer,
		.header_count = request->header_count,
		.texts_bytes = (uint32_t)size,
	};
	CHECK(size <= FETCH_TEXTS_BYTES_MAX && request->body.size <= FETCH_REQUEST_BYTES_MAX);
	append_frame_head(bytes, FRAME_JOB, ticket, sizeof(numbers) + size + request->body.size);
	bytes_append(bytes, &numbers, sizeof(numbers));
	append_texts(bytes, texts, JOB_TEXTS);
	append_texts(bytes, request->headers, request->header_count);
	bytes_append(bytes, request->body.data, request->body.size);
}

void frame_append_cancel(struct bytes *bytes, uint64_t ticket)
{
	append_frame_head(bytes, FRAME_CANCEL, ticket, 0);
}

static const char *text_that_fits(const char *text)
{
	return strlen(text) <= FETCH_ANSWER_TEXT_BYTES_MAX ? text : "";
}

void frame_append_answer(struct bytes *bytes, uint64_t ticket, const struct fetch_answer *answer)
{
	char fault[FETCH_ANSWER_TEXT_BYTES_MAX + 1];
	size_t fault_size = strnlen(answer->fault, FETCH_ANSWER_TEXT_BYTES_MAX);
	memcpy(fault, answer->fault, fault_size);
	fault[fault_size] = '\0';
	const char *const texts[ANSWER_TEXTS] = {
		fault,
		text_that_fits(answer->retry_after),
		text_that_fits(answer->cache_control),
		text_that_fits(answer->etag),
		text_that_fits(answer->content_type),
		text_that_fits(answer->location),
	};
	size_t size = texts_size(texts, ANSWER_TEXTS);
	const struct answer_numbers numbers = {
		.outcome = answer->outcome,
		.status = answer->status,
		.took_us = answer->took_us,
		.is_cut = answer->is_cut,
		.texts_bytes = (uint32_t)size,
	};
	CHECK(answer->body.size <= FETCH_ANSWER_BYTES_MAX);
	append_frame_head(bytes, FRAME_ANSWER, ticket, sizeof(numbers) + size + answer->body.size);
	bytes_append(bytes, &numbers, sizeof(numbers));
	append_texts(bytes, texts, ANSWER_TEXTS);
	bytes_append(bytes, answer->body.data, answer->body.size);
}

/* ---- reading ---- */

/* Reads exactly `count` texts of exactly these bytes. */
static bool read_texts(struct slice bytes, const char **texts, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const uint8_t *end = bytes.size != 0 ? memchr(bytes.data, '\0', bytes.size) : NULL;
		if (end == NULL)
			return false;
		texts[i] = (const char *)bytes.data;
		size_t size = (size_t)(end - bytes.data) + 1;
		bytes = slice_of(bytes.data + size, bytes.size - size);
	}
	return bytes.size == 0;
}

/* Cuts so many bytes off the front. */
static bool cut_front(struct slice *rest, size_t size, struct slice *front)
{
	if (rest->size < size)
		return false;
	*front = slice_of(rest->data, size);
	*rest = slice_of(rest->data + size, rest->size - size);
	return true;
}

bool frame_read_job(struct slice payload, struct fetch_request *request)
{
	struct job_numbers numbers;
	struct slice front, texts;
	const char *all[JOB_TEXTS + FETCH_HEADERS_MAX];
	if (!cut_front(&payload, sizeof(numbers), &front))
		return false;
	memcpy(&numbers, front.data, sizeof(numbers));
	if (numbers.header_count > FETCH_HEADERS_MAX || numbers.answer_bytes_max > FETCH_ANSWER_BYTES_MAX ||
	    numbers.texts_bytes > FETCH_TEXTS_BYTES_MAX || !cut_front(&payload, numbers.texts_bytes, &texts) ||
	    payload.size > FETCH_REQUEST_BYTES_MAX || !read_texts(texts, all, JOB_TEXTS + numbers.header_count))
		return false;
	*request = (struct fetch_request){
		.method = all[0],
		.url = all[1],
		.ca_file = all[2],
		.certificate_file = all[3],
		.key_file = all[4],
		.header_count = numbers.header_count,
		.connect_ms = numbers.connect_ms,
		.whole_ms = numbers.whole_ms,
		.answer_bytes_max = numbers.answer_bytes_max,
		.cuts_answer = numbers.cuts_answer != 0,
		.body = payload,
	};
	memcpy(request->headers, all + JOB_TEXTS, numbers.header_count * sizeof(all[0]));
	return true;
}

bool frame_read_answer(struct slice payload, struct fetch_answer *answer)
{
	struct answer_numbers numbers;
	struct slice front, texts;
	const char *all[ANSWER_TEXTS];
	if (!cut_front(&payload, sizeof(numbers), &front))
		return false;
	memcpy(&numbers, front.data, sizeof(numbers));
	if (numbers.outcome >= FETCH_OUTCOME_COUNT || numbers.status > 999 ||
	    numbers.texts_bytes > ANSWER_TEXTS * (FETCH_ANSWER_TEXT_BYTES_MAX + 1) ||
	    !cut_front(&payload, numbers.texts_bytes, &texts) || payload.size > FETCH_ANSWER_BYTES_MAX ||
	    !read_texts(texts, all, ANSWER_TEXTS))
		return false;
	*answer = (struct fetch_answer){
		.outcome = (enum fetch_outcome)numbers.outcome,
		.status = numbers.status,
		.took_us = numbers.took_us,
		.is_cut = numbers.is_cut != 0,
		.fault = all[0],
		.retry_after = all[1],
		.cache_control = all[2],
		.etag = all[3],
		.content_type = all[4],
		.location = all[5],
		.body = payload,
	};
	return true;
}
