/* Streams over TLS, from the end of the handshake on (tls/record.h). At rest such a stream is one block of the thread's
 * slab: the stream beneath, the session, and where there is one the subject of the peer's certificate. A record that
 * came in part, plain bytes that the caller has no room for, and a record that the socket took a part of are blocks of
 * their own while there are any.
 *
 * Errors of receive() are EPROTO where the peer broke TLS, and stream_facts().error says how. Owned by one thread. */
#ifndef TRANSPORT_STREAM_TLS_H
#define TRANSPORT_STREAM_TLS_H

#include "tls/record.h"
#include "transport/tls/state.h"

struct arena;

/* Adds the kind. arena: for the slab, NULL: ordinary memory. ERROR_NO_MEMORY. tls must outlive streams.
 * Streams that are left when it is closed end with it, and their sockets are not closed. */
enum error tls_streams_open(struct tls_streams *tls, struct streams *streams, struct arena *arena);
enum error tls_streams_save(const struct tls_streams *tls, const struct arena *arena);
void tls_streams_close(struct tls_streams *tls);

/* Puts TLS on top of a stream whose handshake is done. unread: bytes of the socket that came behind the handshake, at
 * most 64 KiB. subject: of the peer's certificate, size 0 where there is none; of a longer one, the first 255 bytes.
 * Copies the session, and wipes the caller's. STREAM_NONE: no memory; below and the session are the caller's still. */
struct stream tls_stream_over(struct streams *streams, struct stream below, struct tls_session *session,
			      struct slice unread, struct slice subject);

#endif
