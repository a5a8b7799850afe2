/* The scene's connections over a layered stream, the framed one (framed_stream.h) or a WebSocket: included ahead of
 * everything in tests that are built once more for it. The clients' ends speak plain MQTT there as well, for send() and
 * recv() are those below. */
#ifndef TESTS_UNIT_SCENE_LINK_H
#define TESTS_UNIT_SCENE_LINK_H

#define SCENE_FRAMED 1

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

struct stream_carry;
struct streams;

/* The shard's streams get the kind, until link_shard_end(). */
void link_shard_begin(uint16_t shard, struct streams *streams);
void link_shard_end(uint16_t shard);
/* A connection is new: its two ends. *carry is to go to the shard. */
void link_begin(int shard_end, int client_end, struct stream_carry *carry);

/* Bytes that came to a client's end and say nothing yet: of half a frame or record. */
size_t link_unread(int fd);
ssize_t link_send(int fd, const void *bytes, size_t size, int flags);
ssize_t link_recv(int fd, void *bytes, size_t size, int flags);

#define send link_send
#define recv link_recv

#endif
