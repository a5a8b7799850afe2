/* What a peer with the right keys may send after the handshake: records of any type and content, sealed as they should
 * be, and bytes in the clear. They are opened one by one, to a buffer and in place, with the same result; and once more
 * as a stream over a socket, in pieces and into a buffer of a size that the input says: it gives out the same bytes and
 * ends in the same way.
 *
 *   byte 0: suite, and whose end reads; 1: size of pieces; 2: size of the buffer; then steps:
 *   0TTTTTTT size*2 content   a record of that type, sealed; padded by as many zeros as the next byte says
 *   1SSSSSSS bytes            so many bytes as they are */
#include "fuzz.h"

#include "../unit/tls/twins.h"
#include "tls/record.h"
#include "transport/stream_tls.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WIRE_BYTES ((size_t)256 * 1024)
/* As in stream_tls.c: a stream ends earlier than its records where they come together. */
#define KEY_UPDATES_MAX 8u

struct reading {
	uint8_t plain[WIRE_BYTES];
	size_t plain_bytes;
	enum error error;
	bool is_closed;
	unsigned key_updates;
};

static struct {
	struct streams streams;
	struct tls_streams tls;
	uint8_t wire[WIRE_BYTES];
	size_t wire_bytes;
	struct reading by_record;
	struct reading by_stream;
} fuzz;

struct input {
	const uint8_t *data;
	size_t size;
};

static uint8_t next_byte(struct input *input)
{
	if (input->size == 0)
		return 0;
	input->size--;
	return *input->data++;
}

static struct slice next_bytes(struct input *input, size_t size)
{
	struct slice bytes = slice_of(input->data, size < input->size ? size : input->size);
	input->data += bytes.size;
	input->size -= bytes.size;
	return bytes;
}

/* The writer follows the KeyUpdates that it sends. */
static void follow(struct tls_session *writer, struct tls_session *reader)
{
	memcpy(tls_session_secret(writer, TLS_WRITE), tls_session_secret(reader, TLS_READ),
	       tls_secret_bytes(reader->suite));
	memcpy(tls_session_key(writer, TLS_WRITE), tls_session_key(reader, TLS_READ), tls_key_bytes(reader->suite));
	memcpy(tls_session_iv(writer, TLS_WRITE), tls_session_iv(reader, TLS_READ), TLS_IV_BYTES);
	writer->sequence[TLS_WRITE] = 0;
}

static void check_session(const struct tls_session *session, enum error error)
{
	CHECK(session->message_bytes <= sizeof(session->message));
	CHECK(session->idle_records <= TLS_IDLE_RECORDS_MAX || error != ERROR_OK);
	CHECK((error == ERROR_OK) == (session->error == ERROR_OK));
	CHECK(error == ERROR_OK || session->closed);
	CHECK(error == ERROR_OK || error == ERROR_TLS_ALERT || error == ERROR_TLS_MESSAGE ||
	      error == ERROR_TLS_RECORD_LENGTH || error == ERROR_TLS_RECORD_TAG || error == ERROR_TLS_RECORD_TYPE);
}

/* Opens the record in blocks of exactly its size, twice. */
static void open_twice(struct twin *reader, struct tls_session *writer, struct slice record)
{
	struct reading *reading = &fuzz.by_record;
	struct twin again = *reader;
	again.session = (struct tls_session *)(void *)again.memory;
	uint8_t *in_place = block_new(record.size);
	uint8_t *copy = block_new(record.size);
	uint8_t *out = block_new(record.size - TLS_HEAD_BYTES);
	memcpy(in_place, record.data, record.size);
	memcpy(copy, record.data, record.size);
	struct slice plain = {0};
	struct slice plain_again = {0};
	enum tls_content what = TLS_CONTENT_NONE;
	enum tls_content what_again = TLS_CONTENT_NONE;
	enum error error = tls_record_open(fuzz.tls.ciphers, reader->session, copy, record.size, out, &plain, &what);
	enum error error_again = tls_record_open(fuzz.tls.ciphers, again.session, in_place, record.size, NULL,
						 &plain_again, &what_again);
	CHECK(error == error_again && what == what_again);
	CHECK(memcmp(reader->memory, again.memory, sizeof(again.memory)) == 0);
	check_session(reader->session, error);
	if (error == ERROR_OK) {
		CHECK(slice_equal(plain, plain_again));
		CHECK(plain.size <= record.size - TLS_HEAD_BYTES && plain.size <= TLS_PLAIN_BYTES_MAX);
		if (what == TLS_CONTENT_DATA) {
			memcpy(reading->plain + reading->plain_bytes, plain.data, plain.size);
			reading->plain_bytes += plain.size;
		}
		if (what == TLS_CONTENT_UPDATE) {
			reading->key_updates++;
			follow(writer, reader->session);
		}
	}
	free(in_place);
	free(copy);
	free(out);
}

/* What has come whole of the bytes in the clear and the records behind them. Returns where the rest begins. */
static size_t open_whole(struct twin *reader, struct tls_session *writer, size_t at)
{
	while (!reader->session->closed) {
		size_t size = 0;
		enum error error = tls_record_size(slice_of(fuzz.wire + at, fuzz.wire_bytes - at), &size);
		if (error != ERROR_OK) {
			tls_session_fail(reader->session, error);
			check_session(reader->session, error);
			break;
		}
		if (size == 0 || size > fuzz.wire_bytes - at)
			break;
		open_twice(reader, writer, slice_of(fuzz.wire + at, size));
		at += size;
	}
	return at;
}

static void read_records(struct input *input, struct twin *reader, struct tls_session *writer)
{
	size_t at = 0;
	while (input->size != 0 && !reader->session->closed) {
		uint8_t step = next_byte(input);
		if (fuzz.wire_bytes + TLS_RECORD_BYTES_MAX + 512 > WIRE_BYTES)
			break;
		uint8_t *out = fuzz.wire + fuzz.wire_bytes;
		if (step & 0x80) {
			struct slice bytes = next_bytes(input, step & 0x7f);
			memcpy(out, bytes.data, bytes.size);
			fuzz.wire_bytes += bytes.size;
		} else {
			size_t size = (size_t)next_byte(input) << 8 | next_byte(input);
			struct slice content =
				next_bytes(input, size < TLS_PLAIN_BYTES_MAX ? size : TLS_PLAIN_BYTES_MAX);
			size_t padding = next_byte(input);
			fuzz.wire_bytes +=
				seal_anything(fuzz.tls.ciphers, writer, step, content.data, content.size, padding, out);
		}
		at = open_whole(reader, writer, at);
	}
	fuzz.by_record.error = reader->session->error;
	fuzz.by_record.is_closed = reader->session->closed;
}

/* ---- the same as a stream ---- */

static void receive_all(struct stream stream, size_t room)
{
	struct reading *reading = &fuzz.by_stream;
	bool more = true;
	while (more && !reading->is_closed) {
		uint8_t *buffer = block_new(room);
		ssize_t count = stream_receive(&fuzz.streams, stream, buffer, room, &more);
		CHECK(count <= (ssize_t)room);
		if (count > 0) {
			memcpy(reading->plain + reading->plain_bytes, buffer, (size_t)count);
			reading->plain_bytes += (size_t)count;
		}
		free(buffer);
		CHECK(count >= 0 || errno == EAGAIN || errno == EPROTO);
		if (count == 0 || (count < 0 && errno == EPROTO)) {
			reading->error = stream_facts(&fuzz.streams, stream).error;
			reading->is_closed = true;
			CHECK((count == 0) == (reading->error == ERROR_OK));
		}
	}
}

static void read_stream(struct tls_session *session, size_t piece, size_t room)
{
	int pair[2];
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
	struct stream stream = tls_stream_over(&fuzz.streams, stream_of(STREAM_DESCRIPTOR, pair[0]), session,
					       (struct slice){0}, (struct slice){0});
	CHECK(stream_exists(stream));
	for (size_t at = 0; at < fuzz.wire_bytes && !fuzz.by_stream.is_closed; at += piece) {
		size_t size = fuzz.wire_bytes - at < piece ? fuzz.wire_bytes - at : piece;
		CHECK(send(pair[1], fuzz.wire + at, size, MSG_NOSIGNAL) == (ssize_t)size);
		receive_all(stream, room);
	}
	stream_close(&fuzz.streams, stream);
	close(pair[1]);
	CHECK_EQ(fuzz.tls.slab.used_bytes, 0);
}

static void compare(void)
{
	const struct reading *records = &fuzz.by_record;
	const struct reading *stream = &fuzz.by_stream;
	if (records->key_updates > KEY_UPDATES_MAX && stream->error == ERROR_TLS_MESSAGE) {
		CHECK(stream->plain_bytes <= records->plain_bytes);
	} else {
		CHECK_EQ(stream->error, records->error);
		CHECK(stream->is_closed == records->is_closed);
		CHECK_EQ(stream->plain_bytes, records->plain_bytes);
	}
	CHECK(memcmp(stream->plain, records->plain, stream->plain_bytes) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t CIPHERS[] = {0x1301, 0x1302, 0x1303, 0xc02b, 0xc02c, 0xcca9};
	struct input input = {data, size};
	if (fuzz.tls.ciphers == NULL) {
		streams_init(&fuzz.streams);
		CHECK(tls_streams_open(&fuzz.tls, &fuzz.streams, NULL) == ERROR_OK);
	}
	uint8_t first = next_byte(&input);
	size_t piece = 1 + (size_t)next_byte(&input) * 97;
	size_t room = 1 + (size_t)next_byte(&input) * 131;
	struct twins twins;
	struct twins for_stream;
	twins_make(&twins, fuzz.tls.ciphers, CIPHERS[first % 6]);
	twins_make(&for_stream, fuzz.tls.ciphers, CIPHERS[first % 6]);
	bool is_server = first & 0x80;
	fuzz.wire_bytes = 0;
	fuzz.by_record.plain_bytes = fuzz.by_stream.plain_bytes = 0;
	fuzz.by_record.key_updates = 0;
	fuzz.by_record.error = fuzz.by_stream.error = ERROR_OK;
	fuzz.by_record.is_closed = fuzz.by_stream.is_closed = false;
	if (is_server)
		read_records(&input, &twins.server, twins.client.session);
	else
		read_records(&input, &twins.client, twins.server.session);
	/* As many bytes as a socket takes at once. */
	read_stream(is_server ? for_stream.server.session : for_stream.client.session, piece, room);
	compare();
	return 0;
}
