#include "ws/frame.h"

#include "base/check.h"

#include <endian.h>

/* The first byte. */
#define FINAL_BIT 0x80u
#define RESERVED_BITS 0x70u
#define OPCODE_BITS 0x0fu
/* The second. */
#define MASK_BIT 0x80u
#define LENGTH_BITS 0x7fu
#define LENGTH_OF_2 126u
#define LENGTH_OF_8 127u

static bool is_opcode(uint8_t opcode)
{
	return opcode <= WS_BINARY || (opcode >= WS_CLOSE && opcode <= WS_PONG);
}

static enum error read_first_bytes(struct slice bytes, bool from_client, struct ws_head *head)
{
	head->opcode = bytes.data[0] & OPCODE_BITS;
	head->is_final = (bytes.data[0] & FINAL_BIT) != 0;
	if ((bytes.data[0] & RESERVED_BITS) != 0 || !is_opcode(head->opcode))
		return ERROR_WS_RESERVED;
	if (ws_is_control(head->opcode) && !head->is_final)
		return ERROR_WS_CONTROL;
	if (bytes.size == 1)
		return ERROR_MORE;
	head->is_masked = (bytes.data[1] & MASK_BIT) != 0;
	if (head->is_masked != from_client)
		return ERROR_WS_MASK;
	head->payload_bytes = bytes.data[1] & LENGTH_BITS;
	return ws_is_control(head->opcode) && head->payload_bytes > WS_CONTROL_BYTES_MAX ? ERROR_WS_CONTROL : ERROR_OK;
}

/* Where the length has bytes of its own. */
static enum error read_payload_length(struct slice bytes, struct ws_head *head)
{
	uint16_t two;
	uint64_t eight;
	if (head->payload_bytes < LENGTH_OF_2)
		return ERROR_OK;
	bool is_short = head->payload_bytes == LENGTH_OF_2;
	head->bytes = (uint8_t)(head->bytes + (is_short ? sizeof(two) : sizeof(eight)));
	if (!is_short && bytes.size > 2 && (bytes.data[2] & 0x80) != 0)
		return ERROR_WS_LENGTH;
	if (bytes.size < head->bytes)
		return ERROR_MORE;
	if (is_short) {
		memcpy(&two, bytes.data + 2, sizeof(two));
		head->payload_bytes = be16toh(two);
		return head->payload_bytes < LENGTH_OF_2 ? ERROR_WS_LENGTH : ERROR_OK;
	}
	memcpy(&eight, bytes.data + 2, sizeof(eight));
	head->payload_bytes = be64toh(eight);
	return head->payload_bytes <= UINT16_MAX ? ERROR_WS_LENGTH : ERROR_OK;
}

enum error ws_head_read(struct slice bytes, bool from_client, struct ws_head *head)
{
	*head = (struct ws_head){.bytes = 2};
	if (bytes.size == 0)
		return ERROR_MORE;
	enum error error = read_first_bytes(bytes, from_client, head);
	if (error == ERROR_OK)
		error = read_payload_length(bytes, head);
	if (error != ERROR_OK || !head->is_masked)
		return error;
	if (bytes.size < head->bytes + sizeof(head->mask))
		return ERROR_MORE;
	memcpy(head->mask, bytes.data + head->bytes, sizeof(head->mask));
	head->bytes = (uint8_t)(head->bytes + sizeof(head->mask));
	CHECK(head->bytes <= WS_HEAD_BYTES_MAX && head->payload_bytes <= INT64_MAX);
	return ERROR_OK;
}

size_t ws_head_write(enum ws_opcode opcode, uint64_t payload_bytes, const uint8_t *mask, uint8_t out[WS_HEAD_BYTES_MAX])
{
	CHECK(payload_bytes <= INT64_MAX);
	CHECK(!ws_is_control((uint8_t)opcode) || payload_bytes <= WS_CONTROL_BYTES_MAX);
	size_t size = 2;
	uint8_t length = (uint8_t)payload_bytes;
	if (payload_bytes > UINT16_MAX) {
		uint64_t eight = htobe64(payload_bytes);
		memcpy(out + size, &eight, sizeof(eight));
		size += sizeof(eight);
		length = LENGTH_OF_8;
	} else if (payload_bytes >= LENGTH_OF_2) {
		uint16_t two = htobe16((uint16_t)payload_bytes);
		memcpy(out + size, &two, sizeof(two));
		size += sizeof(two);
		length = LENGTH_OF_2;
	}
	out[0] = (uint8_t)(FINAL_BIT | opcode);
	out[1] = (uint8_t)(length | (mask != NULL ? MASK_BIT : 0));
	if (mask != NULL) {
		memcpy(out + size, mask, 4);
		size += 4;
	}
	return size;
}

/* Words are loaded before those behind `to` are stored, so what overlaps is read in time: `to` is never behind `from`.
 */
void ws_mask(uint8_t *to, const uint8_t *from, size_t size, const uint8_t mask[4], uint64_t offset)
{
	uint32_t half;
	uint64_t words[4];
	memcpy(&half, mask, sizeof(half));
	half = le32toh(half);
	unsigned bits = (unsigned)(offset % 4) * 8;
	half = half >> bits | half << ((32 - bits) % 32); /* its low byte is for the first one */
	const uint64_t word = htole64((uint64_t)half << 32 | half);
	for (; size >= sizeof(words); size -= sizeof(words)) {
		memcpy(words, from, sizeof(words));
		for (size_t i = 0; i < 4; i++)
			words[i] ^= word;
		memcpy(to, words, sizeof(words));
		to += sizeof(words);
		from += sizeof(words);
	}
	for (; size >= sizeof(word); size -= sizeof(word)) {
		memcpy(words, from, sizeof(word));
		words[0] ^= word;
		memcpy(to, words, sizeof(word));
		to += sizeof(word);
		from += sizeof(word);
	}
	for (; size != 0; size--) {
		*to++ = *from++ ^ (uint8_t)half;
		half = half >> 8 | half << 24;
	}
}

/* 1004 to 1006 and 1015 never stand in a frame, 1016 to 2999 are not given out yet, 3000 to 4999 are anyone's. */
static bool is_close_code(uint16_t code)
{
	return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

enum error ws_close_read(struct slice payload, uint16_t *code)
{
	*code = 0;
	if (payload.size == 0)
		return ERROR_OK;
	if (payload.size == 1)
		return ERROR_WS_CLOSE;
	*code = (uint16_t)(payload.data[0] << 8 | payload.data[1]);
	return is_close_code(*code) ? ERROR_OK : ERROR_WS_CLOSE;
}
