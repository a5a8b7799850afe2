/* Output for many connections at once, over every stack of kinds: it leaves with the ring's calls alone; and where
 * sockets take a part, or nothing, or the kernel has no ring, it comes whole and in order all the same. */
#include "framed_stream.h"
#include "io_scene.h"
#include "net/peer.h"
#include "random.h"
#include "tls/schedule.h"
#include "transport/transports.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define SLAB_BYTES ((size_t)64 << 20)
#define QUEUED_MAX 60000u
#define IDLE_WAIT_MS 200
#define IDLE_ROUNDS_MAX 50u
/* From the bottom: 'p' proxied, 't' TLS 1.3, 'o' TLS 1.2, 'w' a WebSocket, 'f' framed, which is not written so. */
static const char *const STACKS[] = {"", "t", "w", "p", "o", "tw", "pt", "pw", "ptw", "f", "ft", "wt"};
#define STACKS_COUNT (sizeof(STACKS) / sizeof(STACKS[0]))
#define STACKS_STAGED 9u
#define CONNS (4 * STACKS_COUNT)
_Static_assert(CONNS < WRITE_RING_WRITES_MAX, "one batch, where there is nothing to wait for");

/* ---- the system's calls, counted ---- */

static uint64_t sends;
static bool refuses_rings;
static uint32_t sends_until_failure; /* 0: none fails */

ssize_t __real_send(int fd, const void *bytes, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t size, int flags)
{
	sends++;
	if (sends_until_failure != 0 && --sends_until_failure == 0) {
		errno = ENOBUFS;
		return -1;
	}
	return __real_send(fd, bytes, size, flags);
}

ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
	sends++;
	return __real_sendmsg(fd, message, flags);
}

int __real_io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags);
int __wrap_io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags);
int __wrap_io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags)
{
	return refuses_rings ? -EPERM : __real_io_uring_queue_init(entries, ring, flags);
}

static uint32_t submits_until_refusal; /* 0: none is refused */

int __real_io_uring_submit_and_wait(struct io_uring *ring, unsigned wait);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned wait);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned wait)
{
	if (submits_until_refusal != 0 && --submits_until_refusal == 0)
		return -EAGAIN;
	return __real_io_uring_submit_and_wait(ring, wait);
}

/* ---- two ends ---- */

struct end {
	struct slab slab;
	struct io io;
	struct framed framed;
	struct transports transports;
	struct conn conns[CONNS];
	size_t at[CONNS]; /* sent, or got */
	uint32_t broken;
};

struct scene {
	struct end server; /* writes */
	struct end client; /* reads */
	struct random random;
};

static void on_blocked(void *context, struct conn *conn)
{
	(void)context;
	(void)conn;
}

static void on_broken(void *context, struct conn *conn)
{
	struct end *end = context;
	(void)conn;
	end->broken++;
}

static void end_open(struct end *end, bool is_client)
{
	struct io_observer observer = {.blocked = on_blocked, .broken = on_broken, .context = end};
	assert_int_equal(slab_open(&end->slab, SLAB_BYTES), ERROR_OK);
	assert_int_equal(io_open(&end->io, &end->slab, observer), ERROR_OK);
	framed_open(&end->framed, &end->io.streams);
	assert_int_equal(transports_open(&end->transports, &end->io.streams, NULL, 2 * CONNS), ERROR_OK);
	end->transports.websockets.masks = is_client;
}

static void end_close(struct end *end)
{
	for (size_t i = 0; i < CONNS; i++)
		io_disconnect(&end->io, &end->conns[i]);
	assert_int_equal(end->slab.used_bytes, 0);
	assert_int_equal(end->transports.tls.slab.used_bytes, 0);
	assert_int_equal(end->transports.tls.failures, 0);
	assert_int_equal(end->transports.websockets.failures, 0);
	framed_close(&end->framed);
	transports_close(&end->transports);
	io_close(&end->io);
	slab_close(&end->slab);
}

static struct stream secured(struct end *end, struct stream below, bool is_1_3, bool is_server)
{
	static const uint8_t CLIENT[TLS_SECRET_BYTES_MAX] = {1, 2, 3};
	static const uint8_t SERVER[TLS_SECRET_BYTES_MAX] = {4, 5, 6};
	_Alignas(struct tls_session) uint8_t memory[TLS_SESSION_BYTES_MAX];
	struct tls_session *session = (struct tls_session *)(void *)memory;
	struct tls_ciphers *ciphers = end->transports.tls.ciphers;
	if (is_1_3)
		tls_session_init_1_3(ciphers, session, 0x1301, CLIENT, SERVER, is_server);
	else
		tls_session_init_1_2(ciphers, session, 0xc02b, CLIENT, CLIENT, SERVER, is_server);
	return tls_stream_over(&end->io.streams, below, session, (struct slice){0}, (struct slice){0});
}

static void put_stack(struct end *end, struct conn *conn, const char *stack, int fd, bool is_server)
{
	static const union peer CLIENT = {
		.v6 = {.sin6_family = AF_INET6, .sin6_port = 7, .sin6_addr = IN6ADDR_LOOPBACK_INIT}};
	struct streams *streams = &end->io.streams;
	struct stream stream = stream_of(STREAM_DESCRIPTOR, fd);
	for (; *stack != '\0'; stack++) {
		if (*stack == 'p')
			stream = proxied_stream_over(streams, stream, &CLIENT);
		else if (*stack == 'w')
			stream = websocket_stream_over(streams, stream, (struct slice){0});
		else if (*stack == 'f')
			stream = framed_over(streams, stream);
		else
			stream = secured(end, stream, *stack == 't', is_server);
		assert_true(stream_exists(stream));
	}
	*conn = (struct conn){.stream = stream};
}

static void tcp_pair(int pair[2], int send_bytes)
{
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (send_bytes != 0) {
		assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof(send_bytes)), 0);
		assert_int_equal(setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &send_bytes, sizeof(send_bytes)), 0);
	}
	assert_int_equal(connect(pair[0], (struct sockaddr *)&address, size), 0);
	assert_int_equal(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
	pair[1] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(pair[1] >= 0);
	close(listener);
}

static struct scene *scene_new(int send_bytes)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	assert_non_null(scene);
	scene->random = (struct random){11};
	end_open(&scene->server, false);
	end_open(&scene->client, true);
	for (size_t i = 0; i < CONNS; i++) {
		int pair[2];
		tcp_pair(pair, send_bytes);
		put_stack(&scene->server, &scene->server.conns[i], STACKS[i % STACKS_COUNT], pair[0], true);
		put_stack(&scene->client, &scene->client.conns[i], STACKS[i % STACKS_COUNT], pair[1], false);
	}
	return scene;
}

static void scene_free(struct scene *scene)
{
	assert_int_equal(scene->server.broken, 0);
	end_close(&scene->server);
	end_close(&scene->client);
	free(scene);
}

/* ---- a turn ---- */

static void send_piece(struct end *end, size_t number, size_t size)
{
	uint8_t *bytes = io_scratch(&end->io, size + 1); /* a gap: pieces stay apart */
	assert_non_null(bytes);
	stream_fill(bytes, end->at[number], size);
	io_send(&end->io, &end->conns[number], slice_of(bytes, size));
	end->at[number] += size;
}

static void end_turn(struct end *end)
{
	io_flush(&end->io);
	io_turn_end(&end->io);
}

static bool read_conn(struct end *end, size_t number)
{
	bool more = true;
	bool any = false;
	for (unsigned reads = 0; more && reads < 3; reads++) {
		struct slice bytes;
		enum io_result result = io_receive(&end->io, &end->conns[number], &bytes, &more);
		assert_true(result == IO_BYTES || result == IO_NOTHING);
		if (result != IO_BYTES)
			continue;
		assert_stream(bytes.data, end->at[number], bytes.size);
		end->at[number] += bytes.size;
		any = true;
		assert_int_equal(io_keep(&end->io, &end->conns[number], (struct slice){0}, 0, false), ERROR_OK);
	}
	io_acknowledge(&end->io, &end->conns[number]);
	end_turn(end);
	return any;
}

/* Waits until there is something for the client to read. False: nothing came. */
static bool wait_for_bytes(struct end *end)
{
	struct pollfd polled[CONNS];
	for (size_t i = 0; i < CONNS; i++)
		polled[i] =
			(struct pollfd){.fd = stream_borrow(&end->io.streams, end->conns[i].stream), .events = POLLIN};
	return poll(polled, CONNS, IDLE_WAIT_MS) > 0;
}

static void converse(struct scene *scene, size_t total, uint32_t large_of)
{
	struct end *server = &scene->server;
	struct end *client = &scene->client;
	size_t open = CONNS;
	for (uint32_t idle = 0; open != 0;) {
		bool busy = false;
		for (size_t i = 0; i < CONNS; i++) {
			size_t left = total - server->at[i];
			for (uint32_t n = random_below(&scene->random, 4); n != 0 && left != 0; n--) {
				if (io_queued_bytes(&server->io, &server->conns[i]) > QUEUED_MAX)
					break;
				bool is_large = random_below(&scene->random, large_of) == 0;
				size_t size = 1 + random_below(&scene->random, is_large ? 20000 : 200);
				send_piece(server, i, size < left ? size : left);
				left = total - server->at[i];
				busy = true;
			}
		}
		end_turn(server);
		for (size_t i = 0; i < CONNS; i++)
			assert_true(io_resume(&server->io, &server->conns[i]));
		open = CONNS;
		for (size_t i = 0; i < CONNS; i++) {
			if (random_below(&scene->random, 3) != 0)
				busy |= read_conn(client, i);
			open -= client->at[i] == total;
		}
		idle = busy ? 0 : idle + 1;
		assert_true(idle < IDLE_ROUNDS_MAX);
		if (!busy && wait_for_bytes(client))
			idle = 0; /* half a record says nothing yet */
	}
	for (size_t i = 0; i < CONNS; i++)
		assert_int_equal(server->conns[i].backlog, 0);
}

/* ---- the tests ---- */

static void test_no_call_but_the_ring_s(void **state)
{
	(void)state;
	struct scene *scene = scene_new(0);
	struct end *server = &scene->server;
	for (unsigned turn = 0; turn < 3; turn++) {
		size_t staged = 0;
		for (size_t i = 0; i < CONNS; i++) {
			if (i % STACKS_COUNT >= STACKS_STAGED)
				continue;
			staged++;
			for (size_t pieces = 0; pieces <= i / STACKS_COUNT; pieces++)
				send_piece(server, i, 60 + 7 * pieces);
		}
		uint64_t writes = server->io.write_count;
		sends = 0;
		end_turn(server);
		assert_int_equal(sends, 0);
		assert_int_equal(server->io.write_count, writes + staged);
		for (size_t i = 0; i < CONNS; i++) {
			assert_int_equal(server->conns[i].outbox, 0);
			while (scene->client.at[i] != server->at[i])
				if (!read_conn(&scene->client, i))
					wait_for_bytes(&scene->client);
		}
	}
	scene_free(scene);
}

static void test_what_sockets_take_in_part(void **state)
{
	(void)state;
	static const int SEND_BYTES[] = {0, 2304, 4608, 20000};
	for (size_t i = 0; i < sizeof(SEND_BYTES) / sizeof(SEND_BYTES[0]); i++) {
		struct scene *scene = scene_new(SEND_BYTES[i]);
		converse(scene, 120000, 12);
		scene_free(scene);
	}
}

static void test_without_a_ring(void **state)
{
	(void)state;
	refuses_rings = true;
	struct scene *scene = scene_new(4608);
	converse(scene, 60000, 12);
	refuses_rings = false;
	scene_free(scene);
}

/* What the kernel is short of memory for is written in the usual way, and only so. */
static void test_a_batch_is_refused(void **state)
{
	(void)state;
	for (uint32_t n = 1; n <= 3; n++) {
		struct scene *scene = scene_new(0);
		submits_until_refusal = n;
		converse(scene, 20000, 1000);
		assert_int_equal(submits_until_refusal, 0);
		scene_free(scene);
	}
}

/* A fault that passes is asked about once more, and the record that did not leave is as if it had never been. */
static void test_a_send_fails_once(void **state)
{
	(void)state;
	for (uint32_t n = 1; n <= STACKS_STAGED; n++) {
		refuses_rings = true;
		struct scene *scene = scene_new(0);
		for (size_t i = 0; i < CONNS; i++)
			send_piece(&scene->server, i, 100);
		sends_until_failure = n;
		end_turn(&scene->server);
		refuses_rings = false;
		assert_int_equal(sends_until_failure, 0);
		assert_int_equal(scene->server.broken, 0);
		for (size_t i = 0; i < CONNS; i++)
			while (scene->client.at[i] != 100)
				if (!read_conn(&scene->client, i))
					wait_for_bytes(&scene->client);
		scene_free(scene);
	}
}

/* Those whose peer is gone are told so, and nobody else. */
static void test_broken(void **state)
{
	(void)state;
	struct scene *scene = scene_new(0);
	struct end *server = &scene->server;
	for (size_t i = 0; i < STACKS_COUNT; i++) {
		int fd = stream_borrow(&server->io.streams, server->conns[i].stream);
		shutdown(fd, SHUT_WR);
	}
	for (size_t i = 0; i < CONNS; i++)
		send_piece(server, i, 100);
	end_turn(server);
	assert_int_equal(server->broken, STACKS_COUNT);
	server->broken = 0;
	for (size_t i = STACKS_COUNT; i < CONNS; i++)
		while (scene->client.at[i] != 100)
			if (!read_conn(&scene->client, i))
				wait_for_bytes(&scene->client);
	scene_free(scene);
}

/* Of a peer that takes little at once (max_fragment_length), what is more than a record is written in the usual way. */
static void test_small_records(void **state)
{
	(void)state;
	struct scene *scene = scene_new(0);
	for (size_t i = 0; i < CONNS; i++) {
		struct stream stream = scene->server.conns[i].stream;
		if (stream_is_layered(stream) && stream_kind_of(stream) == (enum stream_kind)STREAM_TLS)
			tls_state_of(&scene->server.io.streams, stream)->session.plain_bytes_max = 64;
	}
	converse(scene, 60000, 12);
	scene_free(scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_call_but_the_ring_s), cmocka_unit_test(test_what_sockets_take_in_part),
		cmocka_unit_test(test_without_a_ring),         cmocka_unit_test(test_a_batch_is_refused),
		cmocka_unit_test(test_a_send_fails_once),      cmocka_unit_test(test_broken),
		cmocka_unit_test(test_small_records),
	};
	return cmocka_run_group_tests_name("staged", tests, NULL, NULL);
}
