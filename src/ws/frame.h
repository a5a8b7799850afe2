/* The heads of WebSocket frames, and their mask [RFC 6455, 5]. Bytes in, bytes out; pure, any thread. */
#ifndef WS_FRAME_H
#define WS_FRAME_H

#include "base/error.h"
#include "base/slice.h"

/* Two bytes, eight of a long length, four of a mask. */
#define WS_HEAD_BYTES_MAX 14u
#define WS_CONTROL_BYTES_MAX 125u

enum ws_opcode {
	WS_CONTINUATION = 0x0,
	WS_TEXT = 0x1,
	WS_BINARY = 0x2,
	WS_CLOSE = 0x8,
	WS_PING = 0x9,
	WS_PONG = 0xa,
};

/* Status codes of Close [RFC 6455, 7.4.1]. */
enum ws_close {
	WS_CLOSE_NORMAL = 1000,
	WS_CLOSE_GOING_AWAY = 1001,
	WS_CLOSE_PROTOCOL = 1002,
	WS_CLOSE_UNSUPPORTED = 1003,
	WS_CLOSE_NO_STATUS = 1005, /* never in a frame: there was no code */
	WS_CLOSE_POLICY = 1008,
};

struct ws_head {
	uint64_t payload_bytes; /* below 2^63 */
	uint8_t bytes;          /* of the head itself */
	uint8_t opcode;
	bool is_final;
	bool is_masked;
	uint8_t mask[4]; /* zero where the frame is not masked */
};

static inline bool ws_is_control(uint8_t opcode)
{
	return (opcode & 0x8) != 0;
}

/* from_client: the frame must be masked, and else must not be. ERROR_OK, ERROR_MORE, or ERROR_WS_RESERVED (bits or
 * opcode), ERROR_WS_MASK, ERROR_WS_CONTROL (longer than 125 bytes or fragmented), ERROR_WS_LENGTH (not minimal, or
 * 2^63 and above). A fault is told as soon as its byte is there. Whether a continuation has a start is the caller's
 * affair. */
enum error ws_head_read(struct slice bytes, bool from_client, struct ws_head *head);
/* Of a final frame. mask: four bytes, or NULL. Returns the head's length. */
size_t ws_head_write(enum ws_opcode opcode, uint64_t payload_bytes, const uint8_t *mask,
		     uint8_t out[WS_HEAD_BYTES_MAX]);
/* Applies the mask to `size` bytes; offset: where in the payload they begin. `to` may be `from`, or before it: the
 * bytes may overlap. */
void ws_mask(uint8_t *to, const uint8_t *from, size_t size, const uint8_t mask[4], uint64_t offset);

/* Reads the payload of a Close frame. *code: its status code, 0 where it has none. ERROR_OK, or ERROR_WS_CLOSE: one
 * byte alone, or a code that no endpoint may send [RFC 6455, 7.4]. */
enum error ws_close_read(struct slice payload, uint16_t *code);

#endif
