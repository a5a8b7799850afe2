/* A datagram of a link (cluster/link/link.h) as it lies in bytes. All numbers are little-endian.
 *
 *     0  "RL", version, flags
 *     4  check: the lower 32 bits of XXH3 of all from offset 8 on, with the first four bytes as its seed
 *     8  incarnation of the sender
 *    16  incarnation that it is for
 *    24  sequence of the datagram; 0: it carries no frames, only what it acknowledges
 *    32  acknowledged: every datagram up to this one has come
 *    40  frames: kind, flags, size of 16 bits, then so many bytes of a message
 *
 * The check finds accidents, not forgery: whoever may publish on the cluster's subjects is trusted. Pure; any thread.
 */
#ifndef CLUSTER_LINK_FORMAT_H
#define CLUSTER_LINK_FORMAT_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

#define LINK_VERSION 1u
#define LINK_HEAD_BYTES 40u
#define LINK_FRAME_HEAD_BYTES 4u
/* A frame's size has 16 bits, so no datagram is longer. */
#define LINK_DATAGRAM_BYTES_MAX 65536u

/* Flags of the head. */
#define LINK_FLAG_GAP 0x01u /* something is missing after what is acknowledged: send that again */

/* Flags of a frame. */
#define LINK_FRAME_BEGINS 0x01u /* first part of a message */
#define LINK_FRAME_ENDS 0x02u   /* last part of a message */
#define LINK_FRAME_WHOLE (LINK_FRAME_BEGINS | LINK_FRAME_ENDS)

struct link_head {
	uint8_t flags;
	uint64_t from;
	uint64_t to;
	uint64_t sequence;
	uint64_t acknowledged;
};

enum link_fault {
	LINK_FAULT_NONE,
	LINK_FAULT_SHORT,
	LINK_FAULT_MAGIC,
	LINK_FAULT_VERSION,
	LINK_FAULT_CHECK,
};

struct link_frame {
	uint8_t kind;
	uint8_t flags;
	struct slice part;
};

/* Writes the head in front of the frames that lie at `datagram` + LINK_HEAD_BYTES already, and its check. `size` is the
 * whole datagram's, at least LINK_HEAD_BYTES. */
void link_head_write(const struct link_head *head, uint8_t *datagram, size_t size);

/* Reads the head. On a fault *head is not set. */
enum link_fault link_head_read(struct slice datagram, struct link_head *head);
/* The same without the check of what follows: what it says is a guess. false: too short, another magic or version. */
bool link_head_peek(struct slice datagram, struct link_head *head);

static inline void link_frame_write(uint8_t *at, uint8_t kind, uint8_t flags, size_t size)
{
	at[0] = kind;
	at[1] = flags;
	at[2] = (uint8_t)size;
	at[3] = (uint8_t)(size >> 8);
}

/* Takes the next frame off the front of *rest, which is not empty. false: it is cut, or its flags are unknown. */
static inline bool link_frame_read(struct slice *rest, struct link_frame *frame)
{
	if (rest->size < LINK_FRAME_HEAD_BYTES)
		return false;
	size_t size = rest->data[2] | (size_t)rest->data[3] << 8;
	frame->kind = rest->data[0];
	frame->flags = rest->data[1];
	if (size > rest->size - LINK_FRAME_HEAD_BYTES || (frame->flags & ~LINK_FRAME_WHOLE) != 0)
		return false;
	frame->part = slice_of(rest->data + LINK_FRAME_HEAD_BYTES, size);
	*rest = slice_of(frame->part.data + size, rest->size - LINK_FRAME_HEAD_BYTES - size);
	return true;
}

#endif
