/* The bench's clients over TLS and WebSocket, against the server's halves of both and a broker of a few lines. What the
 * broker writes goes out in pieces as small as the test wants. */
#include "../scratch.h"

#include "bench/client/pool.h"
#include "bench/dial/transport.h"

#include "tls/certificate/development.h"
#include "tls/handshake.h"
#include "ws/upgrade.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define CLIENTS 6u
#define TURNS_MAX 20000u
#define OUT_BYTES_MAX 16384u

/* One connection at the broker's end. */
struct visitor {
	struct stream stream;
	struct tls_handshake *tls;
	bool upgrades;
	uint8_t in[8192];
	size_t in_size;
	uint8_t out[OUT_BYTES_MAX];
	size_t out_size;
};

struct scene {
	struct scratch scratch;
	struct tls_development made;
	struct tls_tickets *tickets;
	struct tls_context *server_tls;
	bool is_tls;
	bool is_websocket;
	struct slice refusal; /* instead of any answer to the first bytes; size 0: none */
	size_t piece;         /* bytes that are written in a turn */
	int listener;
	struct streams streams;
	struct tls_streams tls;
	struct websocket_streams websockets;
	struct visitor visitors[CLIENTS];
	uint32_t visitor_count;
	struct url url;
	struct transport transport;
	struct client_plan plan;
	struct client_pool pool;
	uint32_t readies;
	uint32_t lost;
	enum loss lost_by;
	uint32_t lost_code;
	enum client_state lost_in;
};

static void on_ready(void *owner, uint32_t index)
{
	struct scene *scene = owner;
	(void)index;
	scene->readies++;
}

static void on_lost(void *owner, uint32_t index, enum client_state state, enum loss kind, uint32_t code)
{
	struct scene *scene = owner;
	(void)index;
	scene->lost++;
	scene->lost_in = state;
	scene->lost_by = kind;
	scene->lost_code = code;
}

static uint32_t topic_of(void *owner, uint32_t index)
{
	(void)owner;
	return index;
}

/* ---- the broker ---- */

static void accept_all(struct scene *scene)
{
	for (int fd; (fd = accept4(scene->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
		assert_true(scene->visitor_count < CLIENTS);
		struct visitor *visitor = &scene->visitors[scene->visitor_count++];
		*visitor =
			(struct visitor){.stream = stream_of(STREAM_DESCRIPTOR, fd), .upgrades = scene->is_websocket};
		if (!scene->is_tls)
			continue;
		visitor->tls = tls_handshake_new(scene->server_tls, NULL, NULL);
		assert_non_null(visitor->tls);
	}
}

static void say(struct visitor *visitor, const void *bytes, size_t size)
{
	assert_true(visitor->out_size + size <= sizeof(visitor->out));
	memcpy(visitor->out + visitor->out_size, bytes, size);
	visitor->out_size += size;
}

static void forget_in(struct visitor *visitor, size_t used)
{
	memmove(visitor->in, visitor->in + used, visitor->in_size - used);
	visitor->in_size -= used;
}

/* The handshake's answer must be out on the socket before records are. */
static void shake_hands(struct scene *scene, struct visitor *visitor)
{
	size_t used;
	enum error error = tls_handshake_step(visitor->tls, slice_of(visitor->in, visitor->in_size), &used);
	struct slice output = tls_handshake_output(visitor->tls);
	say(visitor, output.data, output.size);
	forget_in(visitor, used);
	assert_true(error == ERROR_OK || error == ERROR_MORE || scene->lost > 0 || output.size > 0);
	if (error != ERROR_OK)
		return;
	union {
		struct tls_session session;
		uint8_t bytes[TLS_SESSION_BYTES_MAX];
	} room;
	while (visitor->out_size > 0) {
		ssize_t sent = stream_send(&scene->streams, visitor->stream, visitor->out, visitor->out_size);
		assert_true(sent > 0);
		visitor->out_size -= (size_t)sent;
		memmove(visitor->out, visitor->out + sent, visitor->out_size);
	}
	tls_handshake_session(visitor->tls, scene->tls.ciphers, &room.session);
	visitor->stream = tls_stream_over(&scene->streams, visitor->stream, &room.session,
					  slice_of(visitor->in, visitor->in_size), slice_of(NULL, 0));
	assert_true(stream_exists(visitor->stream));
	visitor->in_size = 0;
	tls_handshake_free(visitor->tls);
	visitor->tls = NULL;
}

static void upgrade(struct scene *scene, struct visitor *visitor)
{
	static const char *const paths[] = {"/mqtt"};
	static const struct ws_rules rules = {.paths = paths, .path_count = 1};
	char response[WS_RESPONSE_BYTES_MAX];
	size_t used;
	size_t size;
	enum error error = ws_upgrade_read(&rules, slice_of(visitor->in, visitor->in_size), 0, &used, response, &size);
	if (error == ERROR_MORE)
		return;
	if (error != ERROR_OK) {
		say(visitor, response, size);
		visitor->in_size = 0;
		return;
	}
	assert_int_equal(stream_send(&scene->streams, visitor->stream, response, size), size);
	visitor->stream = websocket_stream_over(&scene->streams, visitor->stream,
						slice_of(visitor->in + used, visitor->in_size - used));
	assert_true(stream_exists(visitor->stream));
	visitor->in_size = 0;
	visitor->upgrades = false;
}

/* Packets here are shorter than 128 bytes. */
static void answer(struct visitor *visitor)
{
	while (visitor->in_size >= 2 && visitor->in_size >= 2u + visitor->in[1]) {
		const uint8_t *packet = visitor->in;
		if (packet[0] >> 4 == MQTT_CONNECT)
			say(visitor, "\x20\x02\x00\x00", 4);
		else if (packet[0] >> 4 == MQTT_SUBSCRIBE)
			say(visitor, (uint8_t[]){0x90, 3, packet[2], packet[3], 0}, 5);
		else if (packet[0] >> 4 == MQTT_PINGREQ)
			say(visitor, "\xD0\x00", 2);
		forget_in(visitor, 2u + visitor->in[1]);
	}
}

static void serve(struct scene *scene, struct visitor *visitor)
{
	bool more = true;
	while (more && stream_exists(visitor->stream)) {
		ssize_t got = stream_receive(&scene->streams, visitor->stream, visitor->in + visitor->in_size,
					     sizeof(visitor->in) - visitor->in_size, &more);
		if (got == 0 || (got < 0 && errno != EAGAIN)) {
			stream_close(&scene->streams, visitor->stream);
			visitor->stream = STREAM_NONE;
			return;
		}
		visitor->in_size += got > 0 ? (size_t)got : 0;
		if (got > 0 && scene->refusal.size > 0) {
			say(visitor, scene->refusal.data, scene->refusal.size);
			visitor->in_size = 0;
		} else if (got > 0 && visitor->tls != NULL) {
			shake_hands(scene, visitor);
			more = true;
		} else if (got > 0 && visitor->upgrades) {
			upgrade(scene, visitor);
			more = true;
		} else if (got > 0) {
			answer(visitor);
		}
	}
}

static void broker_turn(struct scene *scene)
{
	accept_all(scene);
	for (uint32_t i = 0; i < scene->visitor_count; i++) {
		struct visitor *visitor = &scene->visitors[i];
		if (!stream_exists(visitor->stream))
			continue;
		size_t size = visitor->out_size < scene->piece ? visitor->out_size : scene->piece;
		ssize_t sent = size > 0 ? stream_send(&scene->streams, visitor->stream, visitor->out, size) : 0;
		assert_true(sent >= 0);
		visitor->out_size -= (size_t)sent;
		memmove(visitor->out, visitor->out + sent, visitor->out_size);
		if (visitor->out_size == 0)
			serve(scene, visitor);
	}
}

/* ---- the scene ---- */

static void write_file(struct scene *scene, const char *name, struct slice bytes)
{
	char path[SCRATCH_PATH_BYTES];
	FILE *file = fopen(scratch_path(&scene->scratch, name, path), "w");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes.data, 1, bytes.size, file), bytes.size);
	fclose(file);
	assert_int_equal(chmod(path, 0600), 0);
}

static struct scene *scene_open(const char *url, const struct transport_options *options, size_t piece)
{
	char fault[TLS_FAULT_BYTES_MAX];
	int64_t now_s = (int64_t)time(NULL);
	struct scene *scene = calloc(1, sizeof(*scene));
	struct address address;
	assert_non_null(scene);
	assert_null(url_parse(url, &scene->url));
	scene->scratch = scratch_open();
	scene->piece = piece;
	scene->is_tls = url_is_tls(&scene->url);
	scene->is_websocket = url_is_websocket(&scene->url);
	assert_true(tls_development_identity(NULL, now_s, &scene->made, fault));
	scene->tickets = tls_tickets_new(3600, now_s);
	struct tls_server_options server = {
		.identities = {{.chain = {"server", scene->made.pem[TLS_DEVELOPMENT_SERVER]},
				.key = {"key", scene->made.pem[TLS_DEVELOPMENT_SERVER_KEY]}}},
		.identity_count = 1,
		.alpn = scene->is_websocket ? "http/1.1" : "mqtt",
		.tickets = scene->tickets};
	scene->server_tls = tls_context_new_server(&server, fault);
	assert_non_null(scene->server_tls);
	streams_init(&scene->streams);
	assert_int_equal(tls_streams_open(&scene->tls, &scene->streams, NULL), ERROR_OK);
	assert_int_equal(websocket_streams_open(&scene->websockets, &scene->streams, NULL, CLIENTS + 1, false),
			 ERROR_OK);
	struct url loopback = {.host = "127.0.0.1"};
	assert_null(url_resolve(&loopback, &address));
	scene->listener = dial_listen(&address, CLIENTS);
	assert_true(scene->listener >= 0);
	assert_true(transport_open(&scene->transport, &scene->url, options));
	scene->plan = (struct client_plan){.client_prefix = "c", .topic_prefix = "t", .version = 4};
	dial_init(&scene->plan.dial, &address, false);
	scene->plan.dial.transport = &scene->transport;
	assert_true(client_pool_open(&scene->pool, &scene->plan, 0, CLIENTS));
	scene->pool.owner = scene;
	scene->pool.events = (struct client_events){.topic_of = topic_of, .ready = on_ready, .lost = on_lost};
	return scene;
}

static void scene_close(struct scene *scene)
{
	client_pool_close(&scene->pool);
	transport_close(&scene->transport);
	for (uint32_t i = 0; i < scene->visitor_count; i++) {
		if (stream_exists(scene->visitors[i].stream))
			stream_close(&scene->streams, scene->visitors[i].stream);
		tls_handshake_free(scene->visitors[i].tls);
	}
	close(scene->listener);
	websocket_streams_close(&scene->websockets);
	tls_streams_close(&scene->tls);
	tls_context_put(&scene->server_tls);
	tls_tickets_free(scene->tickets);
	tls_development_fini(&scene->made);
	scratch_close(&scene->scratch);
	free(scene);
}

/* Starts so many clients more, and runs both ends until each is ready or lost. */
static void start(struct scene *scene, uint32_t count)
{
	uint32_t wanted = scene->readies + scene->lost + count;
	for (uint32_t i = 0; i < count; i++)
		client_pool_start_next(&scene->pool);
	for (uint32_t i = 0; i < TURNS_MAX && scene->readies + scene->lost < wanted; i++) {
		broker_turn(scene);
		client_pool_turn(&scene->pool, 0);
	}
	assert_int_equal(scene->readies + scene->lost, wanted);
}

static const struct transport_options NO_OPTIONS = {0};

static void sign_in_over(const char *url, const struct transport_options *options, size_t piece)
{
	struct scene *scene = scene_open(url, options, piece);
	start(scene, 3);
	assert_int_equal(scene->readies, 3);
	assert_int_equal(scene->pool.carriage.handshakes, scene->is_tls ? 3 : 0);
	assert_int_equal(scene->pool.carriage.upgrades, scene->is_websocket ? 3 : 0);
	assert_int_equal(scene->pool.carriage.resumed, 0);
	client_pool_ping(&scene->pool, 1);
	for (uint32_t i = 0; i < TURNS_MAX && scene->pool.pings_pending > 0; i++) {
		broker_turn(scene);
		client_pool_turn(&scene->pool, 0);
	}
	assert_int_equal(scene->pool.pings_pending, 0);
	client_pool_leave(&scene->pool, 0);
	client_pool_break(&scene->pool, 1);
	start(scene, 1);
	assert_int_equal(scene->pool.ready, 2);
	scene_close(scene);
}

static void test_every_transport_in_any_pieces(void **state)
{
	(void)state;
	static const char *const urls[] = {"tls://localhost", "ws://localhost/mqtt", "wss://localhost/mqtt"};
	static const size_t pieces[] = {1, 7, OUT_BYTES_MAX};
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
		for (size_t p = 0; p < sizeof(pieces) / sizeof(pieces[0]); p++)
			sign_in_over(urls[i], &NO_OPTIONS, pieces[p]);
}

static void test_tls_1_2(void **state)
{
	(void)state;
	struct transport_options options = {.only_tls_1_2 = true};
	sign_in_over("tls://127.0.0.1", &options, 5);
	sign_in_over("wss://127.0.0.1", &options, OUT_BYTES_MAX);
}

/* At rest there is the session and nothing else: what makes a million clients fit. */
static void test_state_at_rest(void **state)
{
	(void)state;
	struct scene *scene = scene_open("wss://127.0.0.1", &NO_OPTIONS, OUT_BYTES_MAX);
	char cipher[CARRIAGE_CIPHER_BYTES];
	start(scene, 4);
	assert_int_equal(scene->readies, 4);
	assert_in_range(client_pool_stream_bytes(&scene->pool), 4 * 100, 4 * 200);
	carriage_cipher(&scene->pool.carriage, cipher);
	assert_string_equal(cipher, "TLS 1.3, AES-128-GCM");
	assert_true(carriage_bytes_each(&scene->pool.carriage) > 500);
	for (uint32_t i = 0; i < 4; i++) {
		assert_null(scene->pool.clients[i].unread);
		assert_null(scene->pool.clients[i].unsent);
	}
	scene_close(scene);
}

static void resume_over(const char *url, bool only_tls_1_2, uint32_t percent, uint32_t resumed)
{
	struct transport_options options = {.resume_percent = percent, .only_tls_1_2 = only_tls_1_2};
	struct scene *scene = scene_open(url, &options, 11);
	start(scene, 1);
	assert_int_equal(scene->pool.ticket_count, 1);
	start(scene, 1);
	start(scene, 2);
	assert_int_equal(scene->readies, 4);
	assert_int_equal(scene->pool.carriage.resumed, resumed);
	scene_close(scene);
}

/* The first connection has no ticket to offer. */
static void test_resumption(void **state)
{
	(void)state;
	resume_over("tls://127.0.0.1", false, 100, 3);
	resume_over("wss://127.0.0.1", false, 100, 3);
	resume_over("tls://127.0.0.1", true, 100, 3);
	/* Of four in a row the second and the fourth. */
	resume_over("tls://127.0.0.1", false, 50, 2);
}

static void test_checks_the_certificate(void **state)
{
	(void)state;
	char path[SCRATCH_PATH_BYTES];
	struct scene *scene = scene_open("tls://localhost", &NO_OPTIONS, OUT_BYTES_MAX);
	write_file(scene, "ca.pem", scene->made.pem[TLS_DEVELOPMENT_CA]);
	transport_close(&scene->transport);
	struct transport_options options = {.ca_path = scratch_path(&scene->scratch, "ca.pem", path)};
	assert_true(transport_open(&scene->transport, &scene->url, &options));
	start(scene, 1);
	assert_int_equal(scene->readies, 1);
	/* The certificate is not for that name. */
	transport_close(&scene->transport);
	struct url other = scene->url;
	strcpy(other.host, "elsewhere.example");
	assert_true(transport_open(&scene->transport, &other, &options));
	start(scene, 1);
	assert_int_equal(scene->lost, 1);
	assert_int_equal(scene->lost_by, LOSS_TRANSPORT);
	assert_int_equal(scene->lost_in, CLIENT_OPENING);
	scene_close(scene);
}

static void test_wrong_files(void **state)
{
	(void)state;
	struct url url = {.host = "127.0.0.1", .scheme = URL_TLS};
	struct transport transport;
	struct transport_options options = {.ca_path = "/nowhere/ca.pem"};
	assert_false(transport_open(&transport, &url, &options));
	transport_close(&transport);
	/* Without TLS nobody reads it. */
	url.scheme = URL_WS;
	assert_true(transport_open(&transport, &url, &options));
	transport_close(&transport);
}

/* A server that speaks something else, or refuses: each is told apart. */
static void test_other_servers(void **state)
{
	(void)state;
	static const struct {
		const char *url;
		const char *refusal;
		size_t size; /* 0: of the string */
		enum loss kind;
		uint32_t code;
	} cases[] = {
		{"tls://127.0.0.1", "HTTP/1.1 400 Bad Request\r\n\r\n", 0, LOSS_TRANSPORT, UINT32_MAX},
		{"tls://127.0.0.1", "\x15\x03\x03\x00\x02\x02\x28", 7, LOSS_TRANSPORT, UINT32_MAX},
		{"ws://127.0.0.1", "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", 0, LOSS_UPGRADE,
		 LOSS_HTTP_CODE(403)},
		{"ws://127.0.0.1", "\x20\x02\x01\x01 and no HTTP\r\n\r\n", 0, LOSS_TRANSPORT, UINT32_MAX},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scene *scene = scene_open(cases[i].url, &NO_OPTIONS, 3);
		scene->refusal =
			slice_of(cases[i].refusal, cases[i].size > 0 ? cases[i].size : strlen(cases[i].refusal));
		start(scene, 1);
		assert_int_equal(scene->lost, 1);
		assert_int_equal(scene->lost_by, cases[i].kind);
		assert_int_equal(scene->lost_in, CLIENT_OPENING);
		if (cases[i].code != UINT32_MAX)
			assert_int_equal(scene->lost_code, cases[i].code);
		scene_close(scene);
	}
	struct scene *scene = scene_open("ws://127.0.0.1/elsewhere", &NO_OPTIONS, OUT_BYTES_MAX);
	char reasons[128];
	start(scene, 1);
	losses_describe(&scene->pool.losses, 4, reasons, sizeof(reasons));
	assert_string_equal(reasons, "1 refused by HTTP status: 404");
	scene_close(scene);
}

/* Clients that are given up, or closed with their pool, in the middle of an opening. */
static void test_ends_in_the_middle(void **state)
{
	(void)state;
	struct scene *scene = scene_open("wss://127.0.0.1", &NO_OPTIONS, 40);
	for (uint32_t i = 0; i < 3; i++)
		client_pool_start_next(&scene->pool);
	for (uint32_t i = 0; i < 4; i++) {
		broker_turn(scene);
		client_pool_turn(&scene->pool, 0);
	}
	client_pool_break(&scene->pool, 0);
	client_pool_give_up_one(&scene->pool, 1);
	assert_int_equal(scene->lost_by, LOSS_NO_ANSWER);
	assert_int_equal(scene->lost_in, CLIENT_OPENING);
	scene_close(scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_transport_in_any_pieces),
		cmocka_unit_test(test_tls_1_2),
		cmocka_unit_test(test_state_at_rest),
		cmocka_unit_test(test_resumption),
		cmocka_unit_test(test_checks_the_certificate),
		cmocka_unit_test(test_wrong_files),
		cmocka_unit_test(test_other_servers),
		cmocka_unit_test(test_ends_in_the_middle),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
