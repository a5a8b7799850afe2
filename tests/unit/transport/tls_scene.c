#include "tls_scene.h"

#include "io_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define WIRE_BYTES ((size_t)128 * 1024)

struct tls_scene *tls_scene_new_unread(const struct suite_case *suite, size_t early, size_t unread)
{
	struct tls_scene *scene = calloc(1, sizeof(*scene));
	_Alignas(struct tls_session) uint8_t memory[TLS_SESSION_BYTES_MAX];
	struct tls_session *session = (struct tls_session *)(void *)memory;
	int pair[2];
	assert_non_null(scene);
	streams_init(&scene->streams);
	assert_int_equal(tls_streams_open(&scene->tls, &scene->streams, NULL), ERROR_OK);
	openssl_pair(scene->tls.ciphers, suite, true, suite->version == TLS1_3_VERSION, &scene->peer, session);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	scene->fd = pair[1];
	static uint8_t wire[WIRE_BYTES];
	size_t size = early != 0 ? peer_seal(scene, 0, early, wire) : 0;
	assert_in_range(unread, 0, size);
	scene->stream = tls_stream_over(&scene->streams, stream_of(STREAM_DESCRIPTOR, pair[0]), session,
					slice_of(wire, unread), slice_string("CN=sensor-17"));
	assert_true(stream_exists(scene->stream));
	for (size_t i = 0; i < sizeof(*session); i++)
		assert_int_equal(memory[i], 0);
	wire_send(scene, wire + unread, size - unread);
	return scene;
}

struct tls_scene *tls_scene_new(const struct suite_case *suite)
{
	return tls_scene_new_unread(suite, 0, 0);
}

void tls_scene_free(struct tls_scene *scene)
{
	if (stream_exists(scene->stream))
		stream_close(&scene->streams, scene->stream);
	close(scene->fd);
	assert_int_equal(scene->tls.slab.used_bytes, 0);
	tls_streams_close(&scene->tls);
	openssl_free(&scene->peer);
	free(scene);
}

size_t peer_seal(struct tls_scene *scene, size_t at, size_t size, uint8_t *wire)
{
	static uint8_t bytes[WIRE_BYTES];
	assert_in_range(size, 1, sizeof(bytes));
	stream_fill(bytes, at, size);
	assert_int_equal(SSL_write(scene->peer.ssl, bytes, (int)size), (int)size);
	return openssl_take(&scene->peer, wire, WIRE_BYTES);
}

void wire_send(struct tls_scene *scene, const uint8_t *bytes, size_t size)
{
	if (size != 0)
		assert_int_equal(send(scene->fd, bytes, size, MSG_NOSIGNAL), (int)size);
}

void peer_send(struct tls_scene *scene, size_t at, size_t size)
{
	static uint8_t wire[WIRE_BYTES];
	wire_send(scene, wire, peer_seal(scene, at, size, wire));
}

size_t peer_read(struct tls_scene *scene, uint8_t *bytes, size_t size)
{
	uint8_t wire[4096];
	ssize_t count;
	while ((count = recv(scene->fd, wire, sizeof(wire), MSG_DONTWAIT)) > 0)
		openssl_give(&scene->peer, wire, (size_t)count);
	int got = SSL_read(scene->peer.ssl, bytes, (int)size);
	return got > 0 ? (size_t)got : 0;
}

ssize_t scene_receive(struct tls_scene *scene, uint8_t *buffer, size_t size, bool *more)
{
	ssize_t count = stream_receive(&scene->streams, scene->stream, buffer, size, more);
	assert_true(count <= (ssize_t)size);
	return count;
}
