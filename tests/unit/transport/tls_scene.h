/* A stream over TLS on one end of a socket pair, and OpenSSL at the other. */
#ifndef UNIT_TRANSPORT_TLS_SCENE_H
#define UNIT_TRANSPORT_TLS_SCENE_H

#include "tls/openssl_pair.h"
#include "transport/stream_tls.h"

struct tls_scene {
	struct streams streams;
	struct tls_streams tls;
	struct stream stream;
	struct openssl_peer peer;
	int fd; /* the peer's */
};

/* suite: of SUITES. The stream's end is the server's, which has sent one ticket. */
struct tls_scene *tls_scene_new(const struct suite_case *suite);
/* unread: how many bytes of `early`, which the peer has written, came behind the handshake. */
struct tls_scene *tls_scene_new_unread(const struct suite_case *suite, size_t early, size_t unread);
/* Nothing may be left over. */
void tls_scene_free(struct tls_scene *scene);

/* The peer writes `size` bytes of its stream, from `at` on, as one record or several; `wire` has room. */
size_t peer_seal(struct tls_scene *scene, size_t at, size_t size, uint8_t *wire);
/* Sends to our socket. */
void wire_send(struct tls_scene *scene, const uint8_t *bytes, size_t size);
/* What our end has written, opened by the peer. Returns the count; 0: nothing more for now. */
size_t peer_read(struct tls_scene *scene, uint8_t *bytes, size_t size);
/* The peer writes `size` bytes and sends them. */
void peer_send(struct tls_scene *scene, size_t at, size_t size);

/* Reads once, of our end; *more as of stream_receive(). */
ssize_t scene_receive(struct tls_scene *scene, uint8_t *buffer, size_t size, bool *more);

#endif
