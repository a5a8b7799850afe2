/* Frames are read into the caller's buffer, and unmasked and closed up there: payload moves to where heads were. */
#include "transport/websocket_read.h"

#include "transport/websocket_write.h"

#include <errno.h>

/* After a read of at least so much that was nearly all heads, no more than this is read at once: who sends frames
 * without payload takes time, but gives no bytes that count as work. */
#define SPARSE_READ_BYTES ((size_t)4096)
#define SPARSE_RATIO 4u

/* A read that is being taken apart. at <= end, and to <= at: what is written never overtakes what is read. */
struct unwrap {
	struct streams *streams;
	struct websocket_streams *websockets;
	struct websocket *websocket;
	uint8_t *to;
	const uint8_t *at;
	const uint8_t *end;
	bool pinged;
	uint8_t ping_bytes;
	uint8_t ping[WS_CONTROL_BYTES_MAX]; /* the newest one's payload */
};

static size_t unwrap_left(const struct unwrap *unwrap)
{
	return (size_t)(unwrap->end - unwrap->at);
}

/* ---- the end of input ---- */

/* close() will say the code. */
static enum error end_input(struct unwrap *unwrap, enum error error, uint16_t close_code)
{
	struct websocket_busy *busy = websocket_busy_take(unwrap->websockets, unwrap->websocket);
	unwrap->websocket->bits |= WEBSOCKET_ENDED;
	unwrap->at = unwrap->end;
	if (busy == NULL)
		return ERROR_NO_MEMORY;
	busy->error = (uint16_t)error;
	busy->close_code = close_code;
	busy->in_left = busy->in_bytes = 0;
	return ERROR_OK;
}

static enum error refuse_input(struct unwrap *unwrap, enum error error)
{
	unwrap->websockets->failures++;
	return end_input(unwrap, error, error == ERROR_WS_TEXT ? WS_CLOSE_UNSUPPORTED : WS_CLOSE_PROTOCOL);
}

/* ---- frames ---- */

static enum error take_control(struct unwrap *unwrap, uint8_t opcode, struct slice payload)
{
	uint16_t code;
	CHECK(payload.size <= WS_CONTROL_BYTES_MAX);
	switch (opcode) {
	case WS_PING:
		unwrap->pinged = true;
		unwrap->ping_bytes = (uint8_t)payload.size;
		memcpy(unwrap->ping, payload.data, payload.size);
		return ERROR_OK;
	case WS_CLOSE:
		if (ws_close_read(payload, &code) != ERROR_OK)
			return refuse_input(unwrap, ERROR_WS_CLOSE);
		return end_input(unwrap, ERROR_OK, code != 0 ? code : WS_CLOSE_NO_STATUS);
	default:
		return ERROR_OK; /* a Pong that nobody asked for */
	}
}

/* Whether a frame of this kind may come now; and what may come next. */
static enum error check_order(struct websocket *websocket, const struct ws_head *head)
{
	if (ws_is_control(head->opcode))
		return ERROR_OK;
	bool in_message = (websocket->bits & WEBSOCKET_IN_MESSAGE) != 0;
	if (in_message != (head->opcode == WS_CONTINUATION))
		return ERROR_WS_CONTINUATION;
	if (head->opcode == WS_TEXT)
		return ERROR_WS_TEXT;
	if (head->is_final)
		websocket->bits &= ~(uint32_t)WEBSOCKET_IN_MESSAGE;
	else
		websocket->bits |= WEBSOCKET_IN_MESSAGE;
	return ERROR_OK;
}

/* A frame whose payload is here to the end: the usual case, which keeps nothing. */
static enum error take_whole(struct unwrap *unwrap, const struct ws_head *head)
{
	size_t size = (size_t)head->payload_bytes;
	const uint8_t *payload = unwrap->at;
	unwrap->at += size;
	if (ws_is_control(head->opcode)) {
		uint8_t bytes[WS_CONTROL_BYTES_MAX];
		ws_mask(bytes, payload, size, head->mask, 0);
		return take_control(unwrap, head->opcode, slice_of(bytes, size));
	}
	if (head->is_masked)
		ws_mask(unwrap->to, payload, size, head->mask, 0);
	else
		memmove(unwrap->to, payload, size);
	unwrap->to += size;
	return ERROR_OK;
}

/* Goes on with a payload that came in part. */
static enum error take_part(struct unwrap *unwrap, struct websocket_busy *busy)
{
	size_t left = unwrap_left(unwrap);
	size_t part = busy->in_left < left ? (size_t)busy->in_left : left;
	bool is_control = ws_is_control(busy->in_opcode);
	uint8_t *to = is_control ? busy->in + busy->in_bytes : unwrap->to;
	CHECK(!is_control || busy->in_bytes + part <= WS_CONTROL_BYTES_MAX);
	ws_mask(to, unwrap->at, part, busy->in_mask, 0);
	websocket_turn_mask(busy->in_mask, part);
	busy->in_left -= part;
	unwrap->at += part;
	if (!is_control) {
		unwrap->to += part;
		return ERROR_OK;
	}
	busy->in_bytes = (uint8_t)(busy->in_bytes + part);
	if (busy->in_left != 0)
		return ERROR_OK;
	struct slice payload = slice_of(busy->in, busy->in_bytes);
	busy->in_bytes = 0;
	return take_control(unwrap, busy->in_opcode, payload);
}

/* What came of a head is kept. */
static enum error keep_head(struct unwrap *unwrap)
{
	struct websocket_busy *busy = websocket_busy_take(unwrap->websockets, unwrap->websocket);
	if (busy == NULL)
		return ERROR_NO_MEMORY;
	size_t size = unwrap_left(unwrap);
	CHECK(busy->in_bytes + size < WS_HEAD_BYTES_MAX);
	memcpy(busy->in + busy->in_bytes, unwrap->at, size);
	busy->in_bytes = (uint8_t)(busy->in_bytes + size);
	unwrap->at = unwrap->end;
	return ERROR_OK;
}

/* A head, the front of which may be kept from before; then unwrap->at is behind it. */
static enum error read_head(struct unwrap *unwrap, struct websocket_busy *busy, struct ws_head *head)
{
	bool from_client = !unwrap->websockets->masks;
	size_t left = unwrap_left(unwrap);
	if (busy == NULL || busy->in_bytes == 0) {
		enum error error = ws_head_read(slice_of(unwrap->at, left), from_client, head);
		unwrap->at += error == ERROR_OK ? head->bytes : 0;
		return error;
	}
	uint8_t bytes[WS_HEAD_BYTES_MAX];
	size_t kept = busy->in_bytes, room = sizeof(bytes) - kept;
	memcpy(bytes, busy->in, kept);
	memcpy(bytes + kept, unwrap->at, left < room ? left : room);
	enum error error = ws_head_read(slice_of(bytes, kept + (left < room ? left : room)), from_client, head);
	if (error != ERROR_OK)
		return error;
	CHECK(head->bytes > kept); /* it was not whole before */
	unwrap->at += head->bytes - kept;
	busy->in_bytes = 0;
	return ERROR_OK;
}

static enum error take_frame(struct unwrap *unwrap, struct websocket_busy *busy)
{
	struct ws_head head;
	enum error error = read_head(unwrap, busy, &head);
	if (error == ERROR_MORE)
		return keep_head(unwrap);
	if (error == ERROR_OK)
		error = check_order(unwrap->websocket, &head);
	if (error != ERROR_OK)
		return refuse_input(unwrap, error);
	if (head.payload_bytes <= unwrap_left(unwrap))
		return take_whole(unwrap, &head);
	busy = websocket_busy_take(unwrap->websockets, unwrap->websocket);
	if (busy == NULL)
		return ERROR_NO_MEMORY;
	busy->in_left = head.payload_bytes;
	busy->in_opcode = head.opcode;
	memcpy(busy->in_mask, head.mask, sizeof(busy->in_mask));
	return ERROR_OK;
}

static enum error unwrap_all(struct unwrap *unwrap)
{
	enum error error = ERROR_OK;
	while (error == ERROR_OK && unwrap->at != unwrap->end) {
		struct websocket_busy *busy = websocket_busy(unwrap->websockets, unwrap->websocket);
		if (busy != NULL && busy->in_left != 0)
			error = take_part(unwrap, busy);
		else
			error = take_frame(unwrap, busy);
		CHECK(unwrap->to <= unwrap->at);
	}
	return error;
}

/* ---- a read ---- */

/* From what came behind the upgrade, and then from the stream beneath. */
static ssize_t read_below(struct streams *streams, struct websocket *websocket, uint8_t *buffer, size_t size,
			  bool *more)
{
	struct websocket_streams *websockets = websockets_of(streams);
	struct websocket_busy *busy = websocket_busy(websockets, websocket);
	if (busy == NULL || busy->unread == 0)
		return stream_receive(streams, websocket->below, buffer, size, more);
	struct websocket_unread *unread = websocket_unread_at(websockets, busy);
	size_t left = unread->size - unread->given;
	size_t part = left < size ? left : size;
	memcpy(buffer, unread->bytes + unread->given, part);
	unread->given += (uint32_t)part;
	if (part == left)
		websocket_unread_drop(websockets, busy);
	*more = true;
	return (ssize_t)part;
}

static ssize_t say_end(const struct websocket_streams *websockets, const struct websocket *websocket)
{
	const struct websocket_busy *busy = websocket_busy(websockets, websocket);
	if (busy == NULL || busy->error == ERROR_OK)
		return 0;
	errno = EPROTO;
	return -1;
}

ssize_t websocket_read(struct streams *streams, struct websocket *websocket, uint8_t *buffer, size_t size, bool *more)
{
	struct websocket_streams *websockets = websockets_of(streams);
	bool more_below = false;
	*more = false;
	if ((websocket->bits & WEBSOCKET_ENDED) != 0)
		return say_end(websockets, websocket);
	if ((websocket->bits & WEBSOCKET_SPARSE) != 0 && size > SPARSE_READ_BYTES)
		size = SPARSE_READ_BYTES;
	ssize_t count = read_below(streams, websocket, buffer, size, &more_below);
	*more = more_below;
	if (count == 0)
		errno = ECONNRESET; /* without Close */
	if (count <= 0)
		return -1;

	/* The Ping's bytes are written before they are read: no reason to clear them. */
	struct unwrap unwrap;
	unwrap.streams = streams;
	unwrap.websockets = websockets;
	unwrap.websocket = websocket;
	unwrap.to = buffer;
	unwrap.at = buffer;
	unwrap.end = buffer + count;
	unwrap.pinged = false;
	enum error error = unwrap_all(&unwrap);
	size_t given = (size_t)(unwrap.to - buffer);
	bool pong = unwrap.pinged && error == ERROR_OK && (websocket->bits & WEBSOCKET_ENDED) == 0;
	if (error == ERROR_NO_MEMORY ||
	    (pong && !websocket_answer_ping(streams, websocket, slice_of(unwrap.ping, unwrap.ping_bytes)))) {
		errno = ENOMEM;
		return -1;
	}
	CHECK_EQ(error, ERROR_OK);
	websocket_busy_settle(websockets, websocket);
	if ((size_t)count >= SPARSE_READ_BYTES)
		websocket->bits = given < (size_t)count / SPARSE_RATIO ? websocket->bits | WEBSOCKET_SPARSE
								       : websocket->bits & ~(uint32_t)WEBSOCKET_SPARSE;
	bool ended = (websocket->bits & WEBSOCKET_ENDED) != 0;
	if (given == 0 && ended)
		return say_end(websockets, websocket);
	*more |= given == 0 || ended;
	if (given != 0)
		return (ssize_t)given;
	errno = EAGAIN;
	return -1;
}
