/* The reading half of a stream over TLS: records are opened straight into the caller's buffer. */
#ifndef TRANSPORT_TLS_READ_H
#define TRANSPORT_TLS_READ_H

#include "transport/tls/state.h"

/* As stream_receive() and stream_pending(). */
ssize_t tls_receive(struct streams *streams, struct stream stream, void *buffer, size_t size, bool *more);
bool tls_pending(struct streams *streams, struct stream stream);

#endif
