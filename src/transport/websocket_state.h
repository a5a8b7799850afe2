/* What the parts of the WebSocket kind share (transport/stream_websocket.h): what the thread has of it, and a stream's
 * state at rest and while something is under way. */
#ifndef TRANSPORT_WEBSOCKET_STATE_H
#define TRANSPORT_WEBSOCKET_STATE_H

#include "base/check.h"
#include "memory/pool.h"
#include "memory/slab.h"
#include "net/stream.h"
#include "ws/frame.h"

#define STREAM_WEBSOCKET (STREAM_LAYERED_FIRST + 1)

/* The kind, of one thread. */
struct websocket_streams {
	struct pool pool;
	struct slab slab;
	uint8_t *scratch; /* frames on their way out */
	uint64_t random;  /* of masks */
	bool masks;       /* a client's end: frames out are masked, and those in must not be */
	enum ws_close
		close_code; /* what close() says on our own account: WS_CLOSE_NORMAL, unless the owner sets another */
	uint64_t pings;     /* that were answered */
	uint64_t failures;  /* streams that ended because the peer broke RFC 6455 */
};

/* In the pool. */
struct websocket {
	struct stream below; /* first: the pool keeps its link there */
	uint32_t bits;       /* enum websocket_bit, and below them the reference of struct websocket_busy, 0: none */
};
_Static_assert(sizeof(struct websocket) == 8, "what a WebSocket costs at rest");

enum websocket_bit {
	WEBSOCKET_IN_MESSAGE = 1 << 28, /* a message came in part: its next frame is a continuation */
	WEBSOCKET_SPARSE = 1 << 29,     /* what came last was nearly all heads */
	WEBSOCKET_ENDED = 1 << 30,      /* Close came, or the peer broke the protocol: no more input */
};
#define WEBSOCKET_CUT ((uint32_t)1 << 31) /* the output ended in the middle: nothing may follow */
#define WEBSOCKET_REF_BITS (((uint32_t)1 << 28) - 1)
#define WEBSOCKET_SLAB_BYTES_MAX (((size_t)1 << 28) * SLAB_UNIT_BYTES)

/* In the slab while anything of it is needed. */
struct websocket_busy {
	/* ---- in ---- */
	uint64_t in_left;    /* payload that is still to come of the frame that is under way */
	uint32_t unread;     /* slab reference of struct websocket_unread; 0: none */
	uint16_t error;      /* how the peer broke the protocol */
	uint16_t close_code; /* what close() says; 0: the streams' own code */
	uint8_t in_opcode;
	uint8_t in_mask[4]; /* turned: its first byte is for the next one of the payload */
	uint8_t in_bytes;   /* in in[] */
	/* ---- out ---- */
	uint8_t out_bytes;   /* in out[] */
	uint8_t out_sent;    /* of them */
	uint8_t out_mask[4]; /* turned */
	uint64_t out_left;   /* payload that out[] has announced, and that the caller is to offer again */
	bool pong_waits;
	uint8_t pong_bytes;
	uint8_t in[WS_CONTROL_BYTES_MAX];                      /* half a head, or the payload of a control frame */
	uint8_t out[WS_HEAD_BYTES_MAX + WS_CONTROL_BYTES_MAX]; /* the head of a data frame, or a control frame */
	uint8_t pong[WS_CONTROL_BYTES_MAX];
};
_Static_assert(WS_CONTROL_BYTES_MAX >= WS_HEAD_BYTES_MAX, "in[] takes half a head");
_Static_assert(WS_HEAD_BYTES_MAX + WS_CONTROL_BYTES_MAX <= UINT8_MAX, "out_bytes counts out[]");

/* In the slab: what came behind the upgrade. */
struct websocket_unread {
	uint32_t size;
	uint32_t given;
	uint8_t bytes[];
};

static inline struct websocket_streams *websockets_of(const struct streams *streams)
{
	return streams->contexts[STREAM_WEBSOCKET];
}

static inline struct websocket *websocket_of(const struct streams *streams, struct stream stream)
{
	CHECK(stream_kind_of(stream) == (enum stream_kind)STREAM_WEBSOCKET);
	return pool_at(&websockets_of(streams)->pool, (uint32_t)stream_number(stream));
}

/* NULL: nothing is under way. */
static inline struct websocket_busy *websocket_busy(const struct websocket_streams *websockets,
						    const struct websocket *websocket)
{
	uint32_t ref = websocket->bits & WEBSOCKET_REF_BITS;
	return ref != 0 ? slab_at(&websockets->slab, ref) : NULL;
}

/* The block, or a new one. NULL: no memory. */
struct websocket_busy *websocket_busy_take(struct websocket_streams *websockets, struct websocket *websocket);
/* Gives the block back where nothing is under way any more. */
void websocket_busy_settle(struct websocket_streams *websockets, struct websocket *websocket);
/* Gives it back with all that it holds. */
void websocket_busy_drop(struct websocket_streams *websockets, struct websocket *websocket);

static inline struct websocket_unread *websocket_unread_at(const struct websocket_streams *websockets,
							   const struct websocket_busy *busy)
{
	return slab_at(&websockets->slab, busy->unread);
}

/* Takes a block for `size` bytes, not 0; busy->unread is it. NULL: no memory. */
struct websocket_unread *websocket_unread_take(struct websocket_streams *websockets, struct websocket_busy *busy,
					       size_t size);
void websocket_unread_drop(struct websocket_streams *websockets, struct websocket_busy *busy);

/* Has the mask's first byte be the one for `bytes` further on. */
static inline void websocket_turn_mask(uint8_t mask[4], uint64_t bytes)
{
	uint8_t before[4];
	memcpy(before, mask, sizeof(before));
	for (size_t i = 0; i < sizeof(before); i++)
		mask[i] = before[(bytes + i) % 4];
}

#endif
