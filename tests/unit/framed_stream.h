/* A kind of stream for tests, which is as awkward as a kind may be: it puts every few bytes into a frame with a head of
 * its own and changes them, reads a frame's head and its body apart, gives out less than it has, now and then nothing
 * at all, asks questions and answers them, and has last words. What lies beneath is any other stream.
 *
 *   frame: one byte of type, two of size (big-endian), the body with each byte XOR 0x5a
 *
 * Its state is in a pool; a stream that moves between two threads takes it along. One thread. */
#ifndef TESTS_UNIT_FRAMED_STREAM_H
#define TESTS_UNIT_FRAMED_STREAM_H

#include "memory/pool.h"
#include "net/stream.h"

#define FRAMED_KIND (STREAM_KINDS - 1)
#define FRAMED_HEAD_BYTES 3u
#define FRAMED_BODY_BYTES_MAX 500u

enum framed_type {
	FRAMED_DATA = 'D',
	FRAMED_PING = 'P', /* asks for a PONG */
	FRAMED_PONG = 'p',
	FRAMED_CLOSE = 'C', /* the end in order: without it the stream was cut */
};

/* The kind's context. */
struct framed {
	struct pool pool;
	uint32_t delays;     /* reads that said "nothing yet" although bytes had come */
	uint32_t cut_writes; /* frames that the stream beneath took in part */
	uint32_t pongs;      /* answers that were written */
};

void framed_open(struct framed *framed, struct streams *streams);
/* No stream of it is left. */
void framed_close(struct framed *framed);
/* Puts the kind on top. STREAM_NONE: the pool is full. */
struct stream framed_over(struct streams *streams, struct stream below);

/* ---- for whoever is at the other end ---- */

/* Writes a frame. Returns its size; out has room for the head and FRAMED_BODY_BYTES_MAX. */
size_t framed_encode(enum framed_type type, const void *body, size_t size, uint8_t *out);
/* Takes the frame at the front of *bytes: returns its type, and its body is decoded in place. 0: it is not whole. */
int framed_decode(uint8_t *bytes, size_t size, uint8_t **body, size_t *body_bytes);

#endif
