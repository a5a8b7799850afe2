/* The writing half of a stream over TLS: what is written together is one record, and several leave with one call. */
#ifndef TRANSPORT_TLS_WRITE_H
#define TRANSPORT_TLS_WRITE_H

#include "transport/tls/state.h"

/* Goes on with the rest of what the socket took in part. 0 when there is none left. */
int tls_push(struct streams *streams, struct tls_state *state);
/* As stream_sendv(). */
ssize_t tls_sendv(struct streams *streams, struct stream stream, const struct iovec *parts, size_t count);
/* As stream_stage_descriptor(), stream_stage() and stream_staged(). */
int tls_stage_descriptor(const struct streams *streams, struct stream stream);
bool tls_stage(struct streams *streams, struct stream stream, const struct iovec *parts, size_t count,
	       struct stream_room room, struct slice *bytes);
ssize_t tls_staged(struct streams *streams, struct stream stream, size_t size, struct slice bytes, ssize_t result);

#endif
