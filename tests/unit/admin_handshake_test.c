/* TLS on a socket, with both ends ours: the admin side's handshakes, which never block, and those of a client that does
 * (transport/tls_connect.h). */
#include "admin/http/handshake.h"
#include "transport/tls_connect.h"

#include "tls/handshake_scene.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define TIMEOUT_MS 10000u

/* One thread's streams. */
struct end {
	struct streams streams;
	struct tls_streams tls;
	struct stream stream;
};

struct scene {
	struct end server;
	struct end client;
	struct http_handshake handshake;
	uint8_t input[HTTP_HANDSHAKE_INPUT_BYTES];
	int fds[2]; /* of the server, of the client */
	struct tls_connect connect;
	struct tls_connected connected;
	enum error error; /* of the client */
	char fault[TLS_FAULT_BYTES_MAX];
};

static void end_open(struct end *end)
{
	streams_init(&end->streams);
	assert_int_equal(tls_streams_open(&end->tls, &end->streams, NULL), ERROR_OK);
	end->stream = STREAM_NONE;
}

static void end_close(struct end *end)
{
	if (stream_exists(end->stream))
		stream_close(&end->streams, end->stream);
	tls_streams_close(&end->tls);
}

static void scene_open(struct scene *scene, const struct tls_server_options *server,
		       const struct tls_client_options *client)
{
	*scene = (struct scene){.connect = {.name = "localhost", .timeout_ms = TIMEOUT_MS}};
	end_open(&scene->server);
	end_open(&scene->client);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, scene->fds), 0);
	scene->server.stream = stream_of(STREAM_DESCRIPTOR, scene->fds[0]);
	struct tls_context *context = scene_server(server);
	assert_true(http_handshake_begin(&scene->handshake, context));
	tls_context_put(&context);
	scene->connect.context = scene_client(client);
}

static void scene_close(struct scene *scene)
{
	http_handshake_end(&scene->handshake);
	tls_ticket_free(scene->connected.ticket);
	tls_context_put(&scene->connect.context);
	end_close(&scene->server);
	end_close(&scene->client);
}

static void *run_client(void *argument)
{
	struct scene *scene = argument;
	scene->client.stream = tls_connect(&scene->client.streams, scene->fds[1], &scene->connect, &scene->connected,
					   &scene->error, scene->fault);
	if (!stream_exists(scene->client.stream))
		close(scene->fds[1]);
	return NULL;
}

/* The server's end, until it is done or has failed; it waits for events only. */
static enum http_handshake_result serve(struct scene *scene)
{
	enum http_handshake_result result = HTTP_HANDSHAKE_GOES_ON;
	while (result == HTTP_HANDSHAKE_GOES_ON || result == HTTP_HANDSHAKE_WAITS) {
		struct pollfd polled = {.fd = scene->fds[0], .events = POLLIN};
		if (result == HTTP_HANDSHAKE_WAITS)
			assert_int_equal(poll(&polled, 1, (int)TIMEOUT_MS), 1);
		result = http_handshake_step(&scene->handshake, &scene->server.streams, &scene->server.stream,
					     scene->input);
	}
	return result;
}

static enum http_handshake_result shake(struct scene *scene)
{
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, run_client, scene), 0);
	enum http_handshake_result result = serve(scene);
	assert_int_equal(pthread_join(thread, NULL), 0);
	return result;
}

static void exchange(struct scene *scene)
{
	bool more = true;
	char heard[16];
	assert_int_equal(stream_send(&scene->client.streams, scene->client.stream, "question", 8), 8);
	assert_int_equal(stream_receive(&scene->server.streams, scene->server.stream, heard, sizeof(heard), &more), 8);
	assert_memory_equal(heard, "question", 8);
	assert_int_equal(stream_send(&scene->server.streams, scene->server.stream, "answer", 6), 6);
	ssize_t got = -1;
	more = true;
	while (more && got < 0)
		got = stream_receive(&scene->client.streams, scene->client.stream, heard, sizeof(heard), &more);
	assert_int_equal(got, 6);
	assert_memory_equal(heard, "answer", 6);
}

static void test_both_ends(void **state)
{
	(void)state;
	struct tls_server_options server = scene_server_options();
	struct tls_client_options client = scene_client_options();
	static struct scene scene;
	for (int only_1_2 = 0; only_1_2 < 2; only_1_2++) {
		client.only_tls_1_2 = only_1_2 != 0;
		scene_open(&scene, &server, &client);
		assert_int_equal(shake(&scene), HTTP_HANDSHAKE_DONE);
		assert_int_equal(scene.error, ERROR_OK);
		assert_false(scene.connected.resumed);
		assert_int_equal(stream_facts(&scene.server.streams, scene.server.stream).tls_version,
				 only_1_2 != 0 ? 0x0303 : 0x0304);
		exchange(&scene);
		scene_close(&scene);
	}
}

static void test_resumed(void **state)
{
	(void)state;
	struct tls_server_options server = scene_server_options();
	struct tls_client_options client = scene_client_options();
	static struct scene first, second;
	server.tickets = tls_tickets_new(3600, scene_wall_s());
	client.keeps_tickets = true;
	scene_open(&first, &server, &client);
	assert_int_equal(shake(&first), HTTP_HANDSHAKE_DONE);
	assert_non_null(first.connected.ticket);
	exchange(&first);
	scene_open(&second, &server, &client);
	second.connect.ticket = first.connected.ticket;
	assert_int_equal(shake(&second), HTTP_HANDSHAKE_DONE);
	assert_true(second.connected.resumed);
	exchange(&second);
	scene_close(&second);
	scene_close(&first);
	tls_tickets_free(server.tickets);
}

static void test_the_client_refuses(void **state)
{
	(void)state;
	static struct scene scene;
	struct tls_server_options server = scene_server_options();
	struct tls_client_options client = scene_client_options();
	/* Another's name. */
	scene_open(&scene, &server, &client);
	scene.connect.name = "elsewhere.example";
	assert_int_equal(shake(&scene), HTTP_HANDSHAKE_REFUSED);
	assert_int_equal(scene.handshake.outcome, ERROR_TLS_CERTIFICATE_REFUSED);
	assert_int_equal(scene.error, ERROR_TLS_CERTIFICATE_UNTRUSTED);
	assert_non_null(strstr(scene.fault, "elsewhere.example"));
	scene_close(&scene);
	/* Another's authority. */
	client.ca = scene_document("ca", &scene_files()->rsa, TLS_DEVELOPMENT_CA);
	scene_open(&scene, &server, &client);
	assert_int_equal(shake(&scene), HTTP_HANDSHAKE_REFUSED);
	assert_int_equal(scene.error, ERROR_TLS_CERTIFICATE_UNTRUSTED);
	assert_true(strlen(scene.fault) > 5);
	scene_close(&scene);
}

static void test_a_server_that_does_not_go_on(void **state)
{
	(void)state;
	static struct scene scene;
	struct tls_server_options server = scene_server_options();
	struct tls_client_options client = scene_client_options();
	scene_open(&scene, &server, &client);
	scene.connect.timeout_ms = 20;
	run_client(&scene); /* nobody serves */
	assert_int_equal(scene.error, ERROR_TIMEOUT);
	assert_non_null(strstr(scene.fault, "does not go on"));
	scene_close(&scene);
	scene_open(&scene, &server, &client);
	assert_int_equal(shutdown(scene.fds[0], SHUT_WR), 0);
	run_client(&scene);
	assert_int_equal(scene.error, ERROR_CONNECTION_LOST);
	assert_non_null(strstr(scene.fault, "closed the connection"));
	scene_close(&scene);
}

static void test_what_is_no_tls(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum error error;
		const char *answer; /* how it begins */
	} CASES[] = {
		{"GET / HTTP/1.1\r\nHost: h\r\n\r\n", ERROR_TLS_PLAIN_HTTP, "HTTP/1.1 400 "},
		{"\x10\x0c\0\x04MQTT\x05\x02\0\0\0\0", ERROR_TLS_PLAIN_MQTT, ""},
		{"\xff\xff\xff\xff\xff\xff\xff\xff", ERROR_TLS_NOT_TLS, "\x15\x03\x03"},
	};
	static struct scene scene;
	struct tls_server_options server = scene_server_options();
	struct tls_client_options client = scene_client_options();
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		char heard[512];
		scene_open(&scene, &server, &client);
		size_t size = CASES[i].error == ERROR_TLS_PLAIN_MQTT ? 14 : strlen(CASES[i].text);
		assert_int_equal(send(scene.fds[1], CASES[i].text, size, 0), (ssize_t)size);
		assert_int_equal(serve(&scene), HTTP_HANDSHAKE_REFUSED);
		assert_int_equal(scene.handshake.outcome, CASES[i].error);
		stream_shutdown(&scene.server.streams, scene.server.stream);
		ssize_t got = recv(scene.fds[1], heard, sizeof(heard), 0);
		assert_true(got >= (ssize_t)strlen(CASES[i].answer));
		assert_memory_equal(heard, CASES[i].answer, strlen(CASES[i].answer));
		close(scene.fds[1]);
		scene_close(&scene);
	}
}

static void test_a_client_that_is_gone(void **state)
{
	(void)state;
	static struct scene scene;
	struct tls_server_options server = scene_server_options();
	struct tls_client_options client = scene_client_options();
	scene_open(&scene, &server, &client);
	assert_int_equal(send(scene.fds[1], "\x16\x03\x01", 3, 0), 3);
	close(scene.fds[1]);
	assert_int_equal(serve(&scene), HTTP_HANDSHAKE_BROKEN);
	scene_close(&scene);
}

static int forget(void **state)
{
	(void)state;
	scene_files_free();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ends),          cmocka_unit_test(test_resumed),
		cmocka_unit_test(test_the_client_refuses), cmocka_unit_test(test_a_server_that_does_not_go_on),
		cmocka_unit_test(test_what_is_no_tls),     cmocka_unit_test(test_a_client_that_is_gone),
	};
	return cmocka_run_group_tests(tests, NULL, forget);
}
