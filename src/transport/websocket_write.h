/* The writing half of a WebSocket stream: frames, and the answers between them. */
#ifndef TRANSPORT_WEBSOCKET_WRITE_H
#define TRANSPORT_WEBSOCKET_WRITE_H

#include "transport/websocket_state.h"

/* As stream_sendv(): one frame. */
ssize_t websocket_write(struct streams *streams, struct websocket *websocket, const struct iovec *parts, size_t count);
/* As stream_stage_descriptor(), stream_stage() and stream_staged(). */
int websocket_write_descriptor(const struct streams *streams, const struct websocket *websocket);
bool websocket_write_stage(struct streams *streams, const struct websocket *websocket, const struct iovec *parts,
			   size_t count, struct stream_room room, struct slice *bytes);
ssize_t websocket_write_staged(struct streams *streams, struct websocket *websocket, size_t payload, struct slice bytes,
			       ssize_t result);
/* As stream_flush(): a control frame that was cut, and a Pong that waits. */
int websocket_write_on(struct streams *streams, struct websocket *websocket);
/* Answers a Ping: at once, or with websocket_write_on(), or not at all where there is no memory for what waits. False:
 * the output was cut; errno is ENOMEM. */
bool websocket_answer_ping(struct streams *streams, struct websocket *websocket, struct slice payload);
/* A Close frame, if the socket takes it at once and no frame was cut. */
void websocket_write_close(struct streams *streams, struct websocket *websocket);

#endif
