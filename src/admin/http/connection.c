#include "admin/http/connection.h"

#include "base/check.h"
#include "net/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define BODY_BYTES_LEAST ((size_t)4 << 10)
#define INTERIM "HTTP/1.1 100 Continue\r\n\r\n"

_Static_assert(HTTP_INPUT_BYTES > HTTP_HEAD_BYTES_MAX + HTTP_CHUNK_EXTRA_BYTES_MAX,
	       "bytes that belong to no body cannot fill the room behind a head");
_Static_assert(HTTP_INPUT_BYTES >= HTTP_HANDSHAKE_INPUT_BYTES, "a handshake's input lies where requests will");
_Static_assert(sizeof(INTERIM) < HTTP_RESPONSE_HEAD_BYTES_MAX, "an interim answer fits where a head does");

/* ---- one exchange ---- */

static void end_exchange(struct http_connections *all, struct http_connection *connection)
{
	if (connection->began)
		all->service->end(all->service->context, &connection->exchange);
	connection->began = false;
	free(connection->exchange.answer.owned);
	free(connection->body);
	CHECK(all->body_bytes >= connection->body_capacity);
	all->body_bytes -= connection->body_capacity;
	connection->body = NULL;
	connection->body_bytes = connection->body_capacity = 0;
	connection->exchange.state = NULL;
	connection->exchange.head = NULL;
	connection->exchange.body = slice_of(NULL, 0);
	connection->exchange.answer.owned = NULL;
}

/* Writes the response head for the service's answer and starts sending. */
static void begin_answer(struct http_connection *connection)
{
	const struct http_exchange *exchange = &connection->exchange;
	const struct http_head *head = exchange->head;
	struct http_response response = {
		.status = exchange->answer.status,
		.fields = exchange->answer.fields,
		.body_bytes = exchange->answer.body_bytes,
		.date_s = (int64_t)time(NULL),
		.close = connection->ends,
		.goes_on = !connection->ends && head->minor == 0,
	};
	CHECK(connection->state != HTTP_CONNECTION_ANSWER);
	connection->out_bytes = http_response_write(&response, connection->out);
	connection->sent = 0;
	connection->state = HTTP_CONNECTION_ANSWER;
}

/* The end of a refused request is unknown: what follows may be its body. So the connection ends with the answer. */
static void refuse_exchange(struct http_connections *all, struct http_connection *connection, enum http_status status,
			    const char *why)
{
	connection->began = true;
	connection->ends = connection->lingers = true;
	all->service->refuse(all->service->context, &connection->exchange, status, why);
	begin_answer(connection);
}

static void serve_exchange(struct http_connections *all, struct http_connection *connection)
{
	connection->exchange.body = slice_of(connection->body, connection->body_bytes);
	all->service->serve(all->service->context, &connection->exchange);
	begin_answer(connection);
}

/* ---- reading a head ---- */

static const char *sentence_of_refusal(enum http_status status)
{
	switch (status) {
	case HTTP_URI_TOO_LONG:
		return "the request line is too long";
	case HTTP_FIELDS_TOO_LARGE:
		return "the header has too many fields, or they are too long";
	case HTTP_EXPECTATION_FAILED:
		return "no expectation but 100-continue can be met";
	case HTTP_NOT_IMPLEMENTED:
		return "no transfer coding but chunked is known";
	case HTTP_VERSION_NOT_SUPPORTED:
		return "this version of HTTP is not spoken here";
	default:
		return "this is no HTTP request, or one that could be read in two ways";
	}
}

/* The client waits for this response before it sends the body. Nothing is waiting to be sent, so 25 bytes always fit in
 * the socket's buffer; if not, the connection is broken. */
static void send_interim(struct http_connections *all, struct http_connection *connection)
{
	ssize_t sent = stream_send(&all->streams, connection->stream, INTERIM, sizeof(INTERIM) - 1);
	if (sent != (ssize_t)sizeof(INTERIM) - 1)
		connection->peer_done = true;
}

static void begin_body(struct http_connections *all, struct http_connection *connection)
{
	const struct http_head *head = &connection->head;
	http_body_begin(&connection->decoder, head);
	connection->state = HTTP_CONNECTION_BODY;
	bool has_body = head->chunked || head->length != 0;
	if (head->expects_continue && has_body && connection->used == connection->input_bytes)
		send_interim(all, connection);
}

/* Parses a whole head and answers at once if no body is needed. */
static void handle_head(struct http_connections *all, struct http_connection *connection)
{
	struct http_head *head = &connection->head;
	struct slice bytes =
		slice_of(connection->input + connection->scan.begin, connection->scan.at - connection->scan.begin);
	connection->used = connection->scan.at;
	enum http_status status = http_head_parse(head, bytes);
	if (status != HTTP_OK) {
		refuse_exchange(all, connection, status, sentence_of_refusal(status));
		return;
	}
	connection->exchange.head = head;
	connection->ends = !head->keep_alive;
	connection->began = true;
	bool has_body = head->chunked || head->length != 0;
	if (all->service->begin(all->service->context, &connection->exchange)) {
		begin_body(all, connection);
	} else {
		connection->lingers = has_body;
		connection->ends = connection->ends || has_body;
		begin_answer(connection);
	}
}

/* Returns false if the head is not complete yet. */
static bool parse_head(struct http_connections *all, struct http_connection *connection)
{
	enum http_status status =
		http_head_scan(&connection->scan, slice_of(connection->input, connection->input_bytes));
	if (status == HTTP_NEEDS_MORE)
		return false;
	if (status == HTTP_OK)
		handle_head(all, connection);
	else
		refuse_exchange(all, connection, status, sentence_of_refusal(status));
	return true;
}

/* ---- reading a body ---- */

/* The buffer grows with the bytes received, not with the announced length. */
static enum http_status keep_piece(struct http_connections *all, struct http_connection *connection, struct slice piece)
{
	size_t needed = connection->body_bytes + piece.size;
	if (needed > all->service->body_bytes_max)
		return HTTP_CONTENT_TOO_LARGE;
	if (needed > connection->body_capacity) {
		size_t capacity = connection->body_capacity != 0 ? connection->body_capacity * 2 : BODY_BYTES_LEAST;
		if (capacity < needed)
			capacity = needed;
		size_t more = capacity - connection->body_capacity;
		if (all->body_bytes + more > HTTP_BODIES_BYTES_MAX)
			return HTTP_UNAVAILABLE;
		uint8_t *grown = realloc(connection->body, capacity);
		if (grown == NULL)
			return HTTP_UNAVAILABLE;
		connection->body = grown;
		connection->body_capacity = capacity;
		all->body_bytes += more;
	}
	memcpy(connection->body + connection->body_bytes, piece.data, piece.size);
	connection->body_bytes = needed;
	return HTTP_OK;
}

/* Returns false if the body is not complete yet. */
static bool parse_body(struct http_connections *all, struct http_connection *connection)
{
	struct slice bytes = slice_of(connection->input + connection->used, connection->input_bytes - connection->used);
	struct slice piece;
	enum http_body_step step;
	enum http_status kept = HTTP_OK;
	while ((step = http_body_next(&connection->decoder, &bytes, &piece)) == HTTP_BODY_PIECE && kept == HTTP_OK)
		kept = keep_piece(all, connection, piece);
	connection->used = connection->input_bytes - bytes.size;
	if (kept == HTTP_CONTENT_TOO_LARGE)
		refuse_exchange(all, connection, kept, "the body is too large");
	else if (kept != HTTP_OK)
		refuse_exchange(all, connection, kept, "there is no memory for the body now; try again");
	else if (step == HTTP_BODY_MALFORMED)
		refuse_exchange(all, connection, HTTP_BAD_REQUEST, "the body's chunks are malformed");
	else if (step == HTTP_BODY_END)
		serve_exchange(all, connection);
	else
		connection->input_bytes = connection->used = connection->scan.at; /* all input was copied to the body */
	return step != HTTP_BODY_MORE || kept != HTTP_OK;
}

/* ---- the socket ---- */

/* After EOF or an error an incomplete request cannot be completed; it makes no difference which it was. more: what came
 * was no byte of a request, and there may be more without an event. */
static void note_read(struct http_connection *connection, ssize_t received, bool more)
{
	if (received < 0 && (errno == EAGAIN || errno == EINTR)) {
		connection->may_read = more || errno == EINTR;
		return;
	}
	connection->may_read = false;
	connection->peer_done = true;
}

static void read_input(struct http_connections *all, struct http_connection *connection)
{
	bool more = false;
	size_t room = HTTP_INPUT_BYTES - connection->input_bytes;
	CHECK(room != 0); /* larger heads are refused, and body bytes are consumed as they arrive */
	ssize_t received = stream_receive(&all->streams, connection->stream,
					  connection->input + connection->input_bytes, room, &more);
	if (received > 0)
		connection->input_bytes += (size_t)received;
	else
		note_read(connection, received, more);
}

static void read_to_drop(struct http_connections *all, struct http_connection *connection)
{
	bool more = false;
	ssize_t received =
		stream_receive(&all->streams, connection->stream, connection->input, HTTP_INPUT_BYTES, &more);
	if (received > 0)
		connection->lingered += (size_t)received;
	else
		note_read(connection, received, more);
}

/* Returns false if the socket's buffer is full or the connection is broken. */
static bool send_answer(struct http_connections *all, struct http_connection *connection, size_t whole,
			bool without_body)
{
	struct http_answer *answer = &connection->exchange.answer;
	size_t sent = connection->sent;
	struct iovec parts[2];
	size_t count = 0;
	if (sent < connection->out_bytes)
		parts[count++] = (struct iovec){connection->out + sent, connection->out_bytes - sent};
	size_t body_sent = sent > connection->out_bytes ? sent - connection->out_bytes : 0;
	if (!without_body && body_sent < answer->body_bytes)
		parts[count++] =
			(struct iovec){(void *)(uintptr_t)(answer->body + body_sent), answer->body_bytes - body_sent};
	ssize_t taken = stream_sendv(&all->streams, connection->stream, parts, count);
	if (taken < 0) {
		connection->may_write = errno == EINTR;
		connection->broken = errno != EAGAIN && errno != EINTR;
		return false;
	}
	connection->sent += (size_t)taken;
	CHECK(connection->sent <= whole);
	return true;
}

/* ---- steps ---- */

/* Moves what follows the request to the front of the buffer: the next request begins there. */
static void begin_next(struct http_connection *connection)
{
	CHECK(connection->used <= connection->input_bytes);
	connection->input_bytes -= connection->used;
	memmove(connection->input, connection->input + connection->used, connection->input_bytes);
	connection->used = 0;
	connection->scan = (struct http_scan){0};
	connection->state = HTTP_CONNECTION_HEAD;
}

static void end_answer(struct http_connections *all, struct http_connection *connection, uint64_t now_ms)
{
	end_exchange(all, connection);
	connection->since_ms = now_ms;
	if (!connection->ends) {
		begin_next(connection);
	} else if (connection->lingers) {
		stream_shutdown(&all->streams, connection->stream);
		connection->state = HTTP_CONNECTION_LINGER;
		connection->lingered = 0;
	} else {
		http_connection_close(all, connection);
	}
}

static bool step_answer(struct http_connections *all, struct http_connection *connection, uint64_t now_ms)
{
	const struct http_head *head = connection->exchange.head;
	bool without_body = head != NULL && http_text_equal(head->method, "HEAD");
	size_t whole = connection->out_bytes + (without_body ? 0 : connection->exchange.answer.body_bytes);
	while (connection->sent < whole && connection->may_write && send_answer(all, connection, whole, without_body))
		;
	if (connection->broken) {
		http_connection_close(all, connection);
		return false;
	}
	if (connection->sent != whole)
		return connection->may_write;
	end_answer(all, connection, now_ms);
	return connection->state != HTTP_CONNECTION_FREE;
}

/* Parses what was received, or else receives more. Each call does one of both, so that connections take turns. */
static bool step_input(struct http_connections *all, struct http_connection *connection)
{
	bool parsed = false;
	/* Buffered bytes come first: they may hold a whole request, and there may be no room to receive more. */
	if (connection->input_bytes != connection->used)
		parsed = connection->state == HTTP_CONNECTION_HEAD ? parse_head(all, connection)
								   : parse_body(all, connection);
	if (!parsed && connection->state == HTTP_CONNECTION_BODY && connection->input_bytes == connection->used)
		parsed = parse_body(all, connection); /* an empty body is complete at once */
	if (!parsed && connection->may_read && !connection->peer_done) {
		read_input(all, connection);
		return true;
	}
	if (!parsed && connection->peer_done)
		http_connection_close(all, connection);
	return parsed;
}

static bool step_linger(struct http_connections *all, struct http_connection *connection)
{
	if (connection->may_read && !connection->peer_done)
		read_to_drop(all, connection);
	if (connection->peer_done || connection->lingered > HTTP_LINGER_BYTES_MAX)
		http_connection_close(all, connection);
	return connection->state == HTTP_CONNECTION_LINGER && connection->may_read;
}

/* The client has been told, by an alert or in HTTP; the log is told here. */
static void refuse_handshake(struct http_connections *all, struct http_connection *connection, uint64_t now_ms)
{
	char peer[PEER_TEXT_BYTES_MAX];
	union peer name = peer_of_stream(&all->streams, connection->stream);
	all->service->handshake_failed(all->service->context, peer_print(&name, peer), connection->handshake.outcome,
				       tls_handshake_fault(connection->handshake.tls));
	stream_shutdown(&all->streams, connection->stream);
	connection->since_ms = now_ms;
	connection->lingered = 0;
	connection->may_read = true;
	connection->state = HTTP_CONNECTION_LINGER;
}

static bool step_handshake(struct http_connections *all, struct http_connection *connection, uint64_t now_ms)
{
	switch (http_handshake_step(&connection->handshake, &all->streams, &connection->stream, connection->input)) {
	case HTTP_HANDSHAKE_GOES_ON:
		return true;
	case HTTP_HANDSHAKE_WAITS:
		return false;
	case HTTP_HANDSHAKE_DONE:
		connection->may_read = true; /* what came behind the handshake is in the stream */
		connection->state = HTTP_CONNECTION_HEAD;
		return true;
	case HTTP_HANDSHAKE_REFUSED:
		refuse_handshake(all, connection, now_ms);
		return true;
	case HTTP_HANDSHAKE_BROKEN:
		break;
	}
	http_connection_close(all, connection);
	return false;
}

bool http_connection_step(struct http_connections *all, struct http_connection *connection, uint64_t now_ms)
{
	switch (connection->state) {
	case HTTP_CONNECTION_FREE:
		return false;
	case HTTP_CONNECTION_HANDSHAKE:
		return step_handshake(all, connection, now_ms);
	case HTTP_CONNECTION_HEAD:
	case HTTP_CONNECTION_BODY:
		return step_input(all, connection);
	case HTTP_CONNECTION_ANSWER:
		return step_answer(all, connection, now_ms);
	case HTTP_CONNECTION_LINGER:
		return step_linger(all, connection);
	}
	return false;
}

bool http_connection_open(const struct http_connections *all, struct http_connection *connection, int fd,
			  uint64_t now_ms)
{
	CHECK(connection->state == HTTP_CONNECTION_FREE && fd >= 0);
	bool is_tls = all->context != NULL;
	uint8_t *input = malloc(HTTP_INPUT_BYTES);
	if (input == NULL || (is_tls && !http_handshake_begin(&connection->handshake, all->context))) {
		free(input);
		close(fd);
		return false;
	}
	connection->stream = stream_of(STREAM_DESCRIPTOR, fd);
	connection->state = is_tls ? HTTP_CONNECTION_HANDSHAKE : HTTP_CONNECTION_HEAD;
	connection->may_read = connection->may_write = true;
	connection->since_ms = now_ms;
	connection->input = input;
	return true;
}

void http_connection_close(struct http_connections *all, struct http_connection *connection)
{
	CHECK(connection->state != HTTP_CONNECTION_FREE);
	end_exchange(all, connection);
	stream_close(&all->streams, connection->stream);
	http_handshake_end(&connection->handshake);
	free(connection->input);
	connection->input = NULL;
	connection->stream = STREAM_NONE;
	connection->state = HTTP_CONNECTION_FREE;
}
