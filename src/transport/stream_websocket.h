/* Streams in the binary frames of a WebSocket [RFC 6455], from the end of the upgrade on (ws/upgrade.h, ws/frame.h). At
 * rest such a stream is eight bytes: the stream beneath, and bits. Half a head, the rest of a payload, a frame that was
 * cut and an answer that waits are a block of the thread's slab while there are any.
 *
 * Frames and packets of MQTT stand in no relation to each other; a write is one frame. Ping is answered, the newest
 * where several wait. A Close frame is the end, and close() answers it with its own code. What breaks RFC 6455 is
 * EPROTO: stream_facts().error says how, and close() tells the peer 1002, or 1003 for a text frame. Bytes that came
 * before are read first. A socket that ends without Close is ECONNRESET.
 *
 * One receive() reads once from the stream beneath, so that frames without payload, however many, are as little work as
 * one read. Owned by one thread. */
#ifndef TRANSPORT_STREAM_WEBSOCKET_H
#define TRANSPORT_STREAM_WEBSOCKET_H

#include "transport/websocket_state.h"

struct arena;

/* Adds the kind. limit: streams. arena: for the pool and the slab, NULL: ordinary memory. ERROR_NO_MEMORY, ERROR_LIMIT.
 * websockets must outlive streams. Those that are left end with it; their sockets are not closed. */
enum error websocket_streams_open(struct websocket_streams *websockets, struct streams *streams, struct arena *arena,
				  uint32_t limit, bool masks);
enum error websocket_streams_save(const struct websocket_streams *websockets, const struct arena *arena);
void websocket_streams_close(struct websocket_streams *websockets);

/* Puts frames on top of a stream whose upgrade is done. unread: bytes of it that came behind the upgrade; where there
 * are any, the first receive() has them without an event. STREAM_NONE: no memory; below is the caller's still. */
struct stream websocket_stream_over(struct streams *streams, struct stream below, struct slice unread);

#endif
