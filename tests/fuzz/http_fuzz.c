/* A stream of HTTP requests, as a connection reads it: heads, bodies, and what is refused. It comes in pieces, whose
 * size the first byte says, and once more all at once: both ways have to end in the same. All slices have to be within
 * the head. */
#include "fuzz.h"

#include "http/body.h"

#include <string.h>

/* What was read from a stream, so that two readings can be compared. */
struct trace {
	size_t at;    /* of the byte behind the last whole request */
	size_t body;  /* bytes of all bodies */
	uint64_t sum; /* over all heads and bodies */
	uint32_t requests;
	enum http_status status; /* that ended it, or HTTP_NEEDS_MORE */
};

static void mix(struct trace *trace, struct slice bytes)
{
	for (size_t i = 0; i < bytes.size; i++)
		trace->sum = trace->sum * 31 + bytes.data[i];
}

static void check_within(struct slice part, struct slice whole)
{
	CHECK(part.size == 0 || (part.data >= whole.data && part.data + part.size <= whole.data + whole.size));
}

static void check_head(const struct http_head *head, struct slice bytes)
{
	check_within(head->method, bytes);
	check_within(head->target, bytes);
	CHECK(head->field_count <= HTTP_FIELDS_MAX);
	for (uint32_t i = 0; i < head->field_count; i++) {
		const struct http_field *field = &head->fields[i];
		check_within(field->name, bytes);
		check_within(field->value, bytes);
		CHECK(field->name.size != 0 && memchr(field->name.data, ' ', field->name.size) == NULL);
		CHECK(field->value.size == 0 || memchr(field->value.data, '\n', field->value.size) == NULL);
	}
	/* What two servers could read in two ways was refused. */
	CHECK(!(head->chunked && http_head_field(head, "content-length").data != NULL));
	CHECK(head->minor == 0 || http_head_field(head, "host").data != NULL);
}

/* Reads one head from a block of its own, which is as long as what has come. False: the stream ends here. */
static bool read_head(struct slice stream, size_t piece, struct trace *trace, struct http_head *head, uint8_t **block)
{
	struct http_scan scan = {0};
	struct slice rest = slice_of(stream.data + trace->at, stream.size - trace->at);
	trace->status = HTTP_NEEDS_MORE;
	for (size_t size = 0; trace->status == HTTP_NEEDS_MORE && size < rest.size;) {
		size = size + piece < rest.size ? size + piece : rest.size;
		trace->status = http_head_scan(&scan, slice_of(rest.data, size));
	}
	if (trace->status != HTTP_OK)
		return false;
	size_t size = scan.at - scan.begin;
	*block = block_new(size);
	memcpy(*block, rest.data + scan.begin, size);
	trace->at += scan.at;
	trace->status = http_head_parse(head, slice_of(*block, size));
	if (trace->status != HTTP_OK)
		return false;
	check_head(head, slice_of(*block, size));
	mix(trace, slice_of(*block, size));
	return true;
}

static bool read_body(struct slice stream, size_t piece, struct trace *trace, const struct http_head *head)
{
	struct http_body body;
	enum http_body_step step = HTTP_BODY_MORE;
	http_body_begin(&body, head);
	do {
		size_t left = stream.size - trace->at;
		struct slice bytes = slice_of(stream.data + trace->at, piece < left ? piece : left);
		struct slice part, given = bytes;
		while ((step = http_body_next(&body, &bytes, &part)) == HTTP_BODY_PIECE) {
			CHECK(part.size != 0);
			check_within(part, given);
			mix(trace, part);
			trace->body += part.size;
		}
		CHECK(step != HTTP_BODY_MORE || bytes.size == 0);
		trace->at += given.size - bytes.size;
	} while (step == HTTP_BODY_MORE && trace->at < stream.size);
	if (step == HTTP_BODY_MALFORMED)
		trace->status = HTTP_BAD_REQUEST;
	return step == HTTP_BODY_END;
}

static struct trace read_stream(struct slice stream, size_t piece)
{
	struct trace trace = {0};
	bool goes_on = true;
	while (goes_on) {
		struct http_head head;
		uint8_t *block = NULL;
		goes_on = read_head(stream, piece, &trace, &head, &block) && read_body(stream, piece, &trace, &head);
		trace.requests += goes_on;
		free(block);
	}
	return trace;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	struct slice stream = slice_of(data + 1, size - 1);
	struct trace in_pieces = read_stream(stream, data[0] % 64u + 1u);
	struct trace at_once = read_stream(stream, size);
	CHECK(in_pieces.status == at_once.status);
	CHECK(in_pieces.requests == at_once.requests);
	CHECK(in_pieces.sum == at_once.sum && in_pieces.body == at_once.body);
	CHECK(in_pieces.at == at_once.at || at_once.status == HTTP_BAD_REQUEST);
	return 0;
}
