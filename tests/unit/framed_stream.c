#include "framed_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FRAME_BYTES_MAX (FRAMED_HEAD_BYTES + FRAMED_BODY_BYTES_MAX)
#define STREAMS_MAX 1000u
/* Every so many whole frames are kept back for one read. */
#define DELAY_EVERY 5u

struct framed_state {
	struct stream below; /* first: the pool keeps its link there */
	uint8_t in[FRAME_BYTES_MAX];
	uint32_t in_used;
	uint32_t in_given; /* of a whole frame's body, to the reader */
	uint32_t frames;   /* whole ones that came */
	bool delayed;      /* this frame was */
	uint8_t out[FRAME_BYTES_MAX];
	uint32_t out_used;
	uint32_t out_sent;
	uint32_t credit; /* bytes of the caller that are in out[], and are told as taken when it is out */
	bool pong_due;
	bool ended; /* CLOSE came */
	bool cut;   /* the output ended in the middle */
};

static struct framed *framed_of(const struct streams *streams)
{
	return streams->contexts[FRAMED_KIND];
}

static struct framed_state *state_of(const struct streams *streams, struct stream stream)
{
	CHECK(stream_kind_of(stream) == FRAMED_KIND);
	return pool_at(&framed_of(streams)->pool, (uint32_t)stream_number(stream));
}

/* ---- frames ---- */

static void scramble(uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] ^= 0x5a;
}

size_t framed_encode(enum framed_type type, const void *body, size_t size, uint8_t *out)
{
	CHECK(size <= FRAMED_BODY_BYTES_MAX);
	out[0] = (uint8_t)type;
	out[1] = (uint8_t)(size >> 8);
	out[2] = (uint8_t)size;
	if (size != 0)
		memcpy(out + FRAMED_HEAD_BYTES, body, size);
	scramble(out + FRAMED_HEAD_BYTES, size);
	return FRAMED_HEAD_BYTES + size;
}

static size_t body_bytes_of(const uint8_t *frame)
{
	return (size_t)frame[1] << 8 | frame[2];
}

int framed_decode(uint8_t *bytes, size_t size, uint8_t **body, size_t *body_bytes)
{
	if (size < FRAMED_HEAD_BYTES || size < FRAMED_HEAD_BYTES + body_bytes_of(bytes))
		return 0;
	*body = bytes + FRAMED_HEAD_BYTES;
	*body_bytes = body_bytes_of(bytes);
	scramble(*body, *body_bytes);
	return bytes[0];
}

/* ---- writing ---- */

/* Goes on with the frame in out[]. 0 when there is none left. */
static int push_frame(struct streams *streams, struct framed_state *state)
{
	while (state->out_sent != state->out_used) {
		ssize_t sent = stream_send(streams, state->below, state->out + state->out_sent,
					   state->out_used - state->out_sent);
		if (sent < 0)
			return -1;
		state->out_sent += (uint32_t)sent;
		framed_of(streams)->cut_writes += state->out_sent != state->out_used;
	}
	return 0;
}

/* The answer that is due goes between two frames. */
static int push_all(struct streams *streams, struct framed_state *state)
{
	if (push_frame(streams, state) != 0)
		return -1;
	if (!state->pong_due)
		return 0;
	state->pong_due = false;
	state->out_used = (uint32_t)framed_encode(FRAMED_PONG, NULL, 0, state->out);
	state->out_sent = 0;
	framed_of(streams)->pongs++;
	return push_frame(streams, state);
}

static int framed_flush(struct streams *streams, struct stream stream)
{
	struct framed_state *state = state_of(streams, stream);
	int result = push_all(streams, state);
	return result == 0 && stream_is_layered(state->below) ? stream_flush(streams, state->below) : result;
}

/* Bytes in a frame that was cut count when it is out; whoever asks offers them again. */
static ssize_t collect_credit(struct framed_state *state, size_t offered)
{
	size_t taken = state->credit < offered ? state->credit : offered;
	state->credit -= (uint32_t)taken;
	return (ssize_t)taken;
}

static ssize_t framed_sendv(struct streams *streams, struct stream stream, const struct iovec *parts, size_t count)
{
	struct framed_state *state = state_of(streams, stream);
	size_t offered = 0;
	uint8_t body[FRAMED_BODY_BYTES_MAX];
	size_t size = 0;
	for (size_t i = 0; i < count; i++) {
		size_t room = sizeof(body) - size;
		size_t part = parts[i].iov_len < room ? parts[i].iov_len : room;
		memcpy(body + size, parts[i].iov_base, part);
		size += part;
		offered += parts[i].iov_len;
	}
	if (push_all(streams, state) != 0)
		return -1;
	if (state->credit != 0)
		return collect_credit(state, offered);
	state->out_used = (uint32_t)framed_encode(FRAMED_DATA, body, size, state->out);
	state->out_sent = 0;
	state->credit = (uint32_t)size;
	/* The frame stays as it is even where none of it was taken: what is beneath may have begun with it. */
	return push_frame(streams, state) == 0 ? collect_credit(state, offered) : -1;
}

static ssize_t framed_send(struct streams *streams, struct stream stream, const void *bytes, size_t size)
{
	struct iovec part = {(void *)(uintptr_t)bytes, size};
	return framed_sendv(streams, stream, &part, 1);
}

/* ---- reading ---- */

static bool frame_is_whole(const struct framed_state *state)
{
	return state->in_used >= FRAMED_HEAD_BYTES && state->in_used == FRAMED_HEAD_BYTES + body_bytes_of(state->in);
}

/* Reads of the head or of the body. What receive() returns. */
static ssize_t pull(struct streams *streams, struct framed_state *state, bool *more)
{
	size_t wanted = FRAMED_HEAD_BYTES;
	if (state->in_used >= FRAMED_HEAD_BYTES)
		wanted += body_bytes_of(state->in);
	if (wanted > sizeof(state->in)) {
		errno = EPROTO;
		return -1;
	}
	ssize_t count =
		stream_receive(streams, state->below, state->in + state->in_used, wanted - state->in_used, more);
	if (count > 0)
		state->in_used += (uint32_t)count;
	return count;
}

static ssize_t nothing_yet(void)
{
	errno = EAGAIN;
	return -1;
}

static ssize_t give_body(struct framed *framed, struct framed_state *state, uint8_t *buffer, size_t size)
{
	if (!state->delayed && state->in_given == 0 && state->frames % DELAY_EVERY == 0) {
		state->delayed = true;
		framed->delays++;
		return nothing_yet();
	}
	uint32_t left = state->in_used - FRAMED_HEAD_BYTES - state->in_given;
	size_t part = left < size ? left : size;
	part = part > 1 ? part - part / 3 : part; /* less than there is */
	memcpy(buffer, state->in + FRAMED_HEAD_BYTES + state->in_given, part);
	scramble(buffer, part);
	state->in_given += (uint32_t)part;
	if (part == left)
		state->in_used = state->in_given = 0;
	return (ssize_t)part;
}

static ssize_t framed_receive(struct streams *streams, struct stream stream, void *buffer, size_t size, bool *more)
{
	struct framed_state *state = state_of(streams, stream);
	*more = false;
	if (state->ended)
		return 0;
	if (!frame_is_whole(state)) {
		bool more_below = false;
		ssize_t count = pull(streams, state, &more_below);
		if (count == 0)
			errno = ECONNRESET; /* without CLOSE */
		*more = count > 0 || more_below;
		if (count <= 0)
			return -1;
		if (!frame_is_whole(state))
			return nothing_yet();
		state->frames++;
		state->delayed = false;
	}
	*more = true;
	if (state->in[0] == FRAMED_DATA)
		return give_body(framed_of(streams), state, buffer, size);
	if (state->in[0] == FRAMED_PING) {
		state->pong_due = true;
		push_all(streams, state); /* what does not go now goes with flush() */
	}
	state->ended = state->in[0] == FRAMED_CLOSE;
	state->in_used = 0;
	return nothing_yet();
}

static bool framed_pending(struct streams *streams, struct stream stream)
{
	const struct framed_state *state = state_of(streams, stream);
	return frame_is_whole(state) || stream_pending(streams, state->below);
}

/* ---- what is the socket's ---- */

static void framed_acknowledge(struct streams *streams, struct stream stream)
{
	stream_acknowledge(streams, state_of(streams, stream)->below);
}

static int framed_borrow(struct streams *streams, struct stream stream)
{
	return stream_borrow(streams, state_of(streams, stream)->below);
}

static void framed_give_back(struct streams *streams, struct stream stream, int fd)
{
	stream_give_back(streams, state_of(streams, stream)->below, fd);
}

static struct stream framed_settle(struct streams *streams, struct stream stream)
{
	struct framed_state *state = state_of(streams, stream);
	state->below = stream_settle(streams, state->below);
	return stream;
}

/* ---- the end ---- */

static void framed_shutdown(struct streams *streams, struct stream stream)
{
	struct framed_state *state = state_of(streams, stream);
	state->cut = true;
	stream_shutdown(streams, state->below);
}

static void framed_end(struct streams *streams, struct stream stream)
{
	struct framed_state *state = state_of(streams, stream);
	if (!state->cut && push_all(streams, state) == 0) {
		state->out_used = (uint32_t)framed_encode(FRAMED_CLOSE, NULL, 0, state->out);
		state->out_sent = 0;
		push_frame(streams, state);
	}
	stream_close(streams, state->below);
	pool_give(&framed_of(streams)->pool, (uint32_t)stream_number(stream));
}

/* ---- moving ---- */

struct framed_carry {
	struct framed_state state;
	struct stream_carry below;
};

static int framed_release(struct streams *streams, struct stream stream, struct stream_carry *carry)
{
	struct framed_carry *carried = calloc(1, sizeof(*carried));
	if (carried == NULL)
		return -1;
	carried->state = *state_of(streams, stream);
	int fd = stream_release(streams, carried->state.below, &carried->below);
	if (fd < 0) {
		free(carried);
		return -1;
	}
	pool_give(&framed_of(streams)->pool, (uint32_t)stream_number(stream));
	*carry = (struct stream_carry){.state = carried, .kind = FRAMED_KIND};
	return fd;
}

/* Without state it is a new one. */
static struct stream framed_adopt(struct streams *streams, int fd, struct stream_carry *carry)
{
	struct framed_carry *carried = carry->state;
	uint32_t index = pool_take(&framed_of(streams)->pool);
	if (index == 0)
		return STREAM_NONE;
	struct framed_state *state = pool_at(&framed_of(streams)->pool, index);
	struct stream_carry plain = {.kind = STREAM_DESCRIPTOR};
	struct stream below = stream_adopt(streams, fd, carried != NULL ? &carried->below : &plain);
	if (!stream_exists(below)) {
		pool_give(&framed_of(streams)->pool, index);
		return STREAM_NONE;
	}
	*state = carried != NULL ? carried->state : (struct framed_state){0};
	state->below = below;
	free(carried);
	return stream_of(FRAMED_KIND, (int)index);
}

static void framed_drop(const struct streams *streams, struct stream_carry *carry)
{
	struct framed_carry *carried = carry->state;
	stream_carry_drop(streams, &carried->below);
	free(carried);
}

static const struct stream_ops FRAMED_OPS = {
	.receive = framed_receive,
	.pending = framed_pending,
	.send = framed_send,
	.sendv = framed_sendv,
	.flush = framed_flush,
	.acknowledge = framed_acknowledge,
	.shutdown = framed_shutdown,
	.close = framed_end,
	.borrow = framed_borrow,
	.give_back = framed_give_back,
	.settle = framed_settle,
	.release = framed_release,
	.adopt = framed_adopt,
	.drop = framed_drop,
};

/* ---- opening ---- */

void framed_open(struct framed *framed, struct streams *streams)
{
	*framed = (struct framed){0};
	CHECK(pool_open(&framed->pool, sizeof(struct framed_state), STREAMS_MAX) == ERROR_OK);
	streams_add_kind(streams, FRAMED_KIND, &FRAMED_OPS, framed);
}

void framed_close(struct framed *framed)
{
	CHECK(framed->pool.used == 0);
	pool_close(&framed->pool);
}

struct stream framed_over(struct streams *streams, struct stream below)
{
	uint32_t index = pool_take(&framed_of(streams)->pool);
	if (index == 0)
		return STREAM_NONE;
	*(struct framed_state *)pool_at(&framed_of(streams)->pool, index) = (struct framed_state){.below = below};
	return stream_of(FRAMED_KIND, (int)index);
}
