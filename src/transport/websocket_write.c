/* A frame that the stream beneath took in part leaves nothing of the caller's bytes here: its head has announced how
 * many will come, and the caller offers them again. So that is all that is kept, and until they are out no other frame
 * begins.
 *
 * Where the stream beneath is layered, a write that it answered with EAGAIN may be in a record already, and has to be
 * offered again as it was: such a frame counts as begun. A socket that says EAGAIN has taken nothing. */
#include "transport/websocket_write.h"

#include <errno.h>

/* Parts of one frame; a caller that has more offers the rest again. */
#define PARTS_MAX 128u
/* Up to here a frame is copied behind its head: that is cheaper than to have the kernel gather it. */
#define FLAT_BYTES_MAX ((size_t)1024)
/* Of masked payload at once. */
#define MASKED_BYTES_MAX ((size_t)16 * 1024)

static size_t bytes_of_parts(const struct iovec *parts, size_t count)
{
	size_t bytes = 0;
	for (size_t i = 0; i < count; i++)
		bytes += parts[i].iov_len;
	return bytes;
}

/* [RFC 6455, 10.3] is about browsers, whose pages must not choose what goes over the wire. Here a generator of numbers
 * will do that nobody guesses (splitmix64, from a random seed). */
static void next_mask(struct websocket_streams *websockets, uint8_t mask[4])
{
	uint64_t word = websockets->random += 0x9e3779b97f4a7c15u;
	word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9u;
	word = (word ^ word >> 27) * 0x94d049bb133111ebu;
	word ^= word >> 31;
	memcpy(mask, &word, 4);
}

/* ---- one frame ---- */

/* Writes `head`, and behind it the first `payload` bytes of the parts, which have at least as many. What stream_send()
 * returns. */
static ssize_t write_copied(struct streams *streams, const struct websocket *websocket, struct slice head,
			    const struct iovec *parts, size_t payload, const uint8_t *mask)
{
	uint8_t *scratch = websockets_of(streams)->scratch;
	memcpy(scratch, head.data, head.size);
	size_t size = head.size, done = 0;
	for (; done != payload; parts++) {
		size_t part = parts->iov_len < payload - done ? parts->iov_len : payload - done;
		if (mask != NULL)
			ws_mask(scratch + size, parts->iov_base, part, mask, done);
		else
			memcpy(scratch + size, parts->iov_base, part);
		size += part;
		done += part;
	}
	return stream_send(streams, websocket->below, scratch, size);
}

static ssize_t write_gathered(struct streams *streams, const struct websocket *websocket, struct slice head,
			      const struct iovec *parts, size_t payload)
{
	struct iovec all[PARTS_MAX + 1];
	size_t count = 0;
	if (head.size != 0)
		all[count++] = (struct iovec){(void *)(uintptr_t)head.data, head.size};
	for (size_t done = 0; done != payload; parts++) {
		CHECK(count <= PARTS_MAX);
		size_t part = parts->iov_len < payload - done ? parts->iov_len : payload - done;
		all[count++] = (struct iovec){parts->iov_base, part};
		done += part;
	}
	return stream_sendv(streams, websocket->below, all, count);
}

static ssize_t write_frame(struct streams *streams, const struct websocket *websocket, struct slice head,
			   const struct iovec *parts, size_t payload, const uint8_t *mask)
{
	if (mask != NULL || payload <= FLAT_BYTES_MAX)
		return write_copied(streams, websocket, head, parts, payload, mask);
	return write_gathered(streams, websocket, head, parts, payload);
}

/* Whether a write that failed may have gone into a record of the stream beneath. */
static bool is_begun(const struct websocket *websocket)
{
	return (errno == EAGAIN || errno == EINTR) && stream_is_layered(websocket->below);
}

/* There is no memory to go on with a frame that has begun. */
static void cut_output(struct streams *streams, struct websocket *websocket)
{
	websocket->bits |= WEBSOCKET_CUT;
	stream_shutdown(streams, websocket->below);
	errno = ENOMEM;
}

static ssize_t credit_of(size_t taken)
{
	if (taken == 0) {
		errno = EAGAIN;
		return -1;
	}
	return (ssize_t)taken;
}

/* Keeps how far a frame has come of which `sent` bytes were taken. Returns those of its payload as stream_send() does.
 */
static ssize_t keep_frame(struct streams *streams, struct websocket *websocket, struct slice head, size_t payload,
			  const uint8_t *mask, size_t sent)
{
	struct websocket_busy *busy = websocket_busy_take(websockets_of(streams), websocket);
	if (busy == NULL) {
		cut_output(streams, websocket);
		return -1;
	}
	size_t of_head = sent < head.size ? sent : head.size;
	memcpy(busy->out, head.data, head.size);
	busy->out_bytes = (uint8_t)head.size;
	busy->out_sent = (uint8_t)of_head;
	busy->out_left = payload - (sent - of_head);
	if (mask != NULL) {
		memcpy(busy->out_mask, mask, sizeof(busy->out_mask));
		websocket_turn_mask(busy->out_mask, sent - of_head);
	}
	return credit_of(sent - of_head);
}

static ssize_t write_new_frame(struct streams *streams, struct websocket *websocket, const struct iovec *parts,
			       size_t count)
{
	struct websocket_streams *websockets = websockets_of(streams);
	uint8_t head[WS_HEAD_BYTES_MAX], bytes[4];
	const uint8_t *mask = NULL;
	size_t payload = bytes_of_parts(parts, count);
	CHECK(payload != 0);
	if (websockets->masks) {
		next_mask(websockets, bytes);
		mask = bytes;
		payload = payload < MASKED_BYTES_MAX ? payload : MASKED_BYTES_MAX;
	}
	size_t head_bytes = ws_head_write(WS_BINARY, payload, mask, head);
	ssize_t sent = write_frame(streams, websocket, slice_of(head, head_bytes), parts, payload, mask);
	if (sent == (ssize_t)(head_bytes + payload))
		return (ssize_t)payload;
	if (sent < 0 && !is_begun(websocket))
		return -1;
	return keep_frame(streams, websocket, slice_of(head, head_bytes), payload, mask, sent > 0 ? (size_t)sent : 0);
}

/* Goes on with a data frame that was cut. */
static ssize_t write_old_frame(struct streams *streams, const struct websocket *websocket, struct websocket_busy *busy,
			       const struct iovec *parts, size_t count)
{
	const uint8_t *mask = websockets_of(streams)->masks ? busy->out_mask : NULL;
	size_t payload = bytes_of_parts(parts, count);
	if (payload > busy->out_left)
		payload = busy->out_left;
	if (mask != NULL && payload > MASKED_BYTES_MAX)
		payload = MASKED_BYTES_MAX;
	struct slice head = slice_of(busy->out + busy->out_sent, (size_t)(busy->out_bytes - busy->out_sent));
	ssize_t sent = write_frame(streams, websocket, head, parts, payload, mask);
	if (sent < 0)
		return -1;
	size_t of_head = (size_t)sent < head.size ? (size_t)sent : head.size;
	size_t taken = (size_t)sent - of_head;
	CHECK_LE(taken, payload);
	busy->out_sent = (uint8_t)(busy->out_sent + of_head);
	busy->out_left -= taken;
	websocket_turn_mask(busy->out_mask, taken);
	return credit_of(taken);
}

/* ---- one frame in two steps ----
 * A server's alone, whose frames have no mask: what the head was is told by the payload's length. */

int websocket_write_descriptor(const struct streams *streams, const struct websocket *websocket)
{
	const struct websocket_streams *websockets = websockets_of(streams);
	const struct websocket_busy *busy = websocket_busy(websockets, websocket);
	bool waits = busy != NULL && (busy->out_left != 0 || busy->out_sent != busy->out_bytes || busy->pong_waits);
	if (waits || websockets->masks || (websocket->bits & WEBSOCKET_CUT) != 0)
		return -1;
	return stream_stage_descriptor(streams, websocket->below);
}

bool websocket_write_stage(struct streams *streams, const struct websocket *websocket, const struct iovec *parts,
			   size_t count, struct stream_room room, struct slice *bytes)
{
	size_t payload = bytes_of_parts(parts, count);
	CHECK(payload != 0);
	if (room.bytes < payload + WS_HEAD_BYTES_MAX)
		return false;
	size_t size = ws_head_write(WS_BINARY, payload, NULL, room.at);
	for (size_t i = 0; i < count; i++) {
		memcpy(room.at + size, parts[i].iov_base, parts[i].iov_len);
		size += parts[i].iov_len;
	}
	struct iovec frame = {room.at, size};
	struct stream_room rest = {room.at + size, room.bytes - size};
	return stream_stage(streams, websocket->below, &frame, 1, rest, bytes);
}

ssize_t websocket_write_staged(struct streams *streams, struct websocket *websocket, size_t payload, struct slice bytes,
			       ssize_t result)
{
	uint8_t head[WS_HEAD_BYTES_MAX];
	size_t head_bytes = ws_head_write(WS_BINARY, payload, NULL, head);
	ssize_t sent = stream_staged(streams, websocket->below, head_bytes + payload, bytes, result);
	if (sent == (ssize_t)(head_bytes + payload))
		return (ssize_t)payload;
	if (sent < 0 && !is_begun(websocket))
		return -1;
	return keep_frame(streams, websocket, slice_of(head, head_bytes), payload, NULL, sent > 0 ? (size_t)sent : 0);
}

/* ---- control frames ---- */

static size_t compose_control(struct websocket_streams *websockets, enum ws_opcode opcode, struct slice payload,
			      uint8_t frame[WS_HEAD_BYTES_MAX + WS_CONTROL_BYTES_MAX])
{
	uint8_t bytes[4];
	const uint8_t *mask = NULL;
	CHECK(payload.size <= WS_CONTROL_BYTES_MAX);
	if (websockets->masks) {
		next_mask(websockets, bytes);
		mask = bytes;
	}
	size_t head = ws_head_write(opcode, payload.size, mask, frame);
	if (mask != NULL)
		ws_mask(frame + head, payload.data, payload.size, mask, 0);
	else if (payload.size != 0)
		memcpy(frame + head, payload.data, payload.size);
	return head + payload.size;
}

/* Goes on with the control frame in out[]. 0 when it is out. */
static int write_old_control(struct streams *streams, const struct websocket *websocket, struct websocket_busy *busy)
{
	CHECK(busy->out_left == 0);
	while (busy->out_sent != busy->out_bytes) {
		ssize_t sent = stream_send(streams, websocket->below, busy->out + busy->out_sent,
					   (size_t)(busy->out_bytes - busy->out_sent));
		if (sent < 0)
			return -1;
		busy->out_sent = (uint8_t)(busy->out_sent + sent);
	}
	return 0;
}

/* A control frame that was cut, and then the Pong that waits; between two data frames only. 0: nothing is left. */
static int write_controls(struct streams *streams, struct websocket *websocket, struct websocket_busy *busy)
{
	if (write_old_control(streams, websocket, busy) != 0)
		return -1;
	if (!busy->pong_waits)
		return 0;
	struct websocket_streams *websockets = websockets_of(streams);
	busy->pong_waits = false;
	busy->out_bytes =
		(uint8_t)compose_control(websockets, WS_PONG, slice_of(busy->pong, busy->pong_bytes), busy->out);
	busy->out_sent = 0;
	websockets->pings++;
	return write_old_control(streams, websocket, busy);
}

int websocket_write_on(struct streams *streams, struct websocket *websocket)
{
	struct websocket_busy *busy = websocket_busy(websockets_of(streams), websocket);
	if (busy != NULL && busy->out_left == 0) {
		if (write_controls(streams, websocket, busy) != 0)
			return -1;
		websocket_busy_settle(websockets_of(streams), websocket);
	}
	return stream_is_layered(websocket->below) ? stream_flush(streams, websocket->below) : 0;
}

bool websocket_answer_ping(struct streams *streams, struct websocket *websocket, struct slice payload)
{
	struct websocket_streams *websockets = websockets_of(streams);
	struct websocket_busy *busy = websocket_busy(websockets, websocket);
	uint8_t frame[WS_HEAD_BYTES_MAX + WS_CONTROL_BYTES_MAX];
	if ((websocket->bits & WEBSOCKET_CUT) != 0)
		return true;
	ssize_t sent = 0;
	size_t size = 0;
	bool waits = busy != NULL && (busy->out_left != 0 || busy->out_sent != busy->out_bytes);
	if (!waits) {
		size = compose_control(websockets, WS_PONG, payload, frame);
		sent = stream_send(streams, websocket->below, frame, size);
		waits = sent < 0 && !is_begun(websocket);
	}
	if (waits) {
		if (busy == NULL)
			busy = websocket_busy_take(websockets, websocket);
		if (busy == NULL)
			return true;
		busy->pong_waits = true;
		busy->pong_bytes = (uint8_t)payload.size;
		memcpy(busy->pong, payload.data, payload.size);
		return true;
	}
	websockets->pings++;
	if (busy != NULL)
		busy->pong_waits = false; /* an older one */
	if (sent == (ssize_t)size)
		return true;
	busy = websocket_busy_take(websockets, websocket);
	if (busy == NULL) {
		cut_output(streams, websocket);
		return false;
	}
	memcpy(busy->out, frame, size);
	busy->out_bytes = (uint8_t)size;
	busy->out_sent = sent > 0 ? (uint8_t)sent : 0;
	return true;
}

void websocket_write_close(struct streams *streams, struct websocket *websocket)
{
	struct websocket_streams *websockets = websockets_of(streams);
	struct websocket_busy *busy = websocket_busy(websockets, websocket);
	uint8_t frame[WS_HEAD_BYTES_MAX + WS_CONTROL_BYTES_MAX];
	if ((websocket->bits & WEBSOCKET_CUT) != 0)
		return;
	if (busy != NULL && (busy->out_left != 0 || write_old_control(streams, websocket, busy) != 0))
		return;
	uint16_t code = busy != NULL && busy->close_code != 0 ? busy->close_code : (uint16_t)websockets->close_code;
	uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};
	size_t size =
		compose_control(websockets, WS_CLOSE, slice_of(payload, code != WS_CLOSE_NO_STATUS ? 2 : 0), frame);
	/* What it does not take is lost: the socket ends here. */
	if (stream_send(streams, websocket->below, frame, size) != (ssize_t)size)
		websocket->bits |= WEBSOCKET_CUT;
}

/* ---- all together ---- */

ssize_t websocket_write(struct streams *streams, struct websocket *websocket, const struct iovec *parts, size_t count)
{
	struct websocket_busy *busy = websocket_busy(websockets_of(streams), websocket);
	if ((websocket->bits & WEBSOCKET_CUT) != 0) {
		errno = EPIPE;
		return -1;
	}
	if (count > PARTS_MAX)
		count = PARTS_MAX;
	if (busy == NULL)
		return write_new_frame(streams, websocket, parts, count);
	if (busy->out_left == 0) {
		if (write_controls(streams, websocket, busy) != 0)
			return -1;
		websocket_busy_settle(websockets_of(streams), websocket);
		return write_new_frame(streams, websocket, parts, count);
	}
	ssize_t taken = write_old_frame(streams, websocket, busy, parts, count);
	if (busy->out_left == 0) {
		write_controls(streams, websocket, busy); /* what does not go now goes with flush() */
		websocket_busy_settle(websockets_of(streams), websocket);
	}
	return taken;
}
