/* A reactor's io over socket pairs, for its tests: one side is a conn, the other a plain socket. */
#ifndef TESTS_UNIT_IO_SCENE_H
#define TESTS_UNIT_IO_SCENE_H

#include "net/io.h"

struct io_scene {
	struct slab slab;
	struct io io;
	struct conn conn;
	int peer;
	uint32_t blocked; /* times that the observer was told */
	uint32_t broken;
	struct conn *told; /* the last one */
};

/* cmocka's set-up and tear-down; *state is the scene. The tear-down checks that nothing was left behind. */
int io_scene_open(void **state);
/* The same with sockets in fixed files. */
int io_scene_open_fixed(void **state);
int io_scene_close(void **state);

/* A conn of its own; the other end is returned. send_bytes: of its socket's buffer, 0: as the system has it. */
int io_scene_connect(struct io *io, struct conn *conn, int send_bytes);
/* One byte of a stream in which every place tells itself from its neighbours. */
static inline uint8_t stream_byte(size_t at)
{
	return (uint8_t)(at * 31 + (at >> 8) * 7 + (at >> 16));
}
void stream_fill(uint8_t *bytes, size_t at, size_t size);
void assert_stream(const uint8_t *bytes, size_t at, size_t size);

#endif
