/* The reading half of a WebSocket stream: payload out of frames, and what the peer asks for. */
#ifndef TRANSPORT_WEBSOCKET_READ_H
#define TRANSPORT_WEBSOCKET_READ_H

#include "transport/websocket_state.h"

/* As stream_receive(). */
ssize_t websocket_read(struct streams *streams, struct websocket *websocket, uint8_t *buffer, size_t size, bool *more);

#endif
