/* Streams of every kind, and a layered one upon each: bytes come whole and in order, driven by the poller's events and
 * by nothing else; streams move between threads' tables in the middle of a record; ends in order can be told from cuts.
 * io is the same for all. */
#include "framed_stream.h"
#include "io_scene.h"
#include "net/peer.h"
#include "random.h"
#include "reactor/poller.h"
#include "tls/schedule.h"
#include "transport/transports.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define SLAB_BYTES ((size_t)64 << 20)
#define BUFFER_BYTES 8192
#define QUEUED_MAX 60000u
/* Waiting for events that do not come. */
#define IDLE_WAIT_MS 200
#define IDLE_ROUNDS_MAX 50u

/* What carries the bytes. */
struct stack {
	/* From the bottom: 'f' framed, 'p' proxied, 't' TLS, 'w' a WebSocket, of which one end is a client's. */
	const char *layers;
	uint16_t cipher; /* of TLS: its number */
	bool fixed;
};

static bool is_layered(const struct stack *stack)
{
	return stack->layers[0] != '\0';
}

/* One end of a connection, with all that a thread has. */
struct side {
	struct slab slab;
	struct io io;
	struct framed framed;
	struct transports transports;
	struct poller poller;
	struct conn conn;
	bool ready; /* there may be something to read */
	size_t sent;
	size_t got;
	size_t total; /* to be sent, and to be got */
};

static void on_event(void *context, struct conn *conn)
{
	(void)context;
	(void)conn;
}

static void side_open(struct side *side, const struct stack *stack, bool is_client)
{
	struct io_observer observer = {.blocked = on_event, .broken = on_event};
	*side = (struct side){.conn = {.stream = STREAM_NONE}};
	assert_int_equal(slab_open(&side->slab, SLAB_BYTES), ERROR_OK);
	assert_int_equal(io_open(&side->io, &side->slab, observer), ERROR_OK);
	assert_int_equal(poller_open(&side->poller), ERROR_OK);
	framed_open(&side->framed, &side->io.streams);
	assert_int_equal(transports_open(&side->transports, &side->io.streams, NULL, 10), ERROR_OK);
	side->transports.websockets.masks = is_client;
	if (stack->fixed)
		assert_int_equal(io_fix_files(&side->io, &(struct fixed_plan){100, 100, 0}), ERROR_OK);
}

static void side_watch(struct side *side)
{
	int fd = stream_borrow(&side->io.streams, side->conn.stream);
	assert_int_equal(poller_add(&side->poller, fd, 1, POLLER_EDGE_BOTH), ERROR_OK);
	stream_give_back(&side->io.streams, side->conn.stream, fd);
	io_settle(&side->io, &side->conn);
}

/* What a handshake would have come to. */
static struct stream secure(struct side *side, uint16_t cipher, bool is_server)
{
	static const uint8_t CLIENT[TLS_SECRET_BYTES_MAX] = {1, 2, 3};
	static const uint8_t SERVER[TLS_SECRET_BYTES_MAX] = {4, 5, 6};
	_Alignas(struct tls_session) uint8_t memory[TLS_SESSION_BYTES_MAX];
	struct tls_session *session = (struct tls_session *)(void *)memory;
	struct tls_ciphers *ciphers = side->transports.tls.ciphers;
	enum tls_version version;
	enum tls_suite suite;
	assert_true(tls_suite_of(cipher, &version, &suite));
	if (version == TLS_1_3)
		tls_session_init_1_3(ciphers, session, cipher, CLIENT, SERVER, is_server);
	else
		tls_session_init_1_2(ciphers, session, cipher, CLIENT, CLIENT, SERVER, is_server);
	return tls_stream_over(&side->io.streams, side->conn.stream, session, (struct slice){0},
			       slice_string("CN=sensor-17"));
}

static struct stream put_over(struct side *side, const struct stack *stack, char layer, bool is_server)
{
	static const union peer CLIENT = {
		.v6 = {.sin6_family = AF_INET6, .sin6_port = 7, .sin6_addr = IN6ADDR_LOOPBACK_INIT}};
	struct streams *streams = &side->io.streams;
	struct stream below = side->conn.stream;
	switch (layer) {
	case 'p':
		return proxied_stream_over(streams, below, &CLIENT);
	case 't':
		return secure(side, stack->cipher, is_server);
	case 'w':
		return websocket_stream_over(streams, below, (struct slice){0});
	default:
		return framed_over(streams, below);
	}
}

static void side_connect(struct side *side, const struct stack *stack, int fd, bool is_server)
{
	int size = BUFFER_BYTES;
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	side->conn = (struct conn){.stream = stream_of(STREAM_DESCRIPTOR, fd)};
	for (const char *layer = stack->layers; *layer != '\0'; layer++) {
		side->conn.stream = put_over(side, stack, *layer, is_server);
		assert_true(stream_exists(side->conn.stream));
	}
	assert_int_equal(stream_is_layered(side->conn.stream), is_layered(stack));
	side_watch(side);
	if (!is_layered(stack))
		assert_int_equal(stream_kind_of(side->conn.stream),
				 stack->fixed ? STREAM_FIXED_FILE : STREAM_DESCRIPTOR);
}

static void side_close(struct side *side)
{
	io_disconnect(&side->io, &side->conn);
	io_flush(&side->io);
	io_turn_end(&side->io);
	assert_int_equal(side->slab.used_bytes, 0);
	assert_int_equal(side->io.backlog_bytes, 0);
	assert_int_equal(fixed_files_count(&side->io.fixed_files), 0);
	framed_close(&side->framed);
	assert_int_equal(side->transports.websockets.slab.used_bytes, 0);
	assert_int_equal(side->transports.websockets.failures, 0);
	assert_int_equal(side->transports.tls.slab.used_bytes, 0);
	assert_int_equal(side->transports.tls.failures, 0);
	assert_int_equal(side->transports.proxied.pool.used, 0);
	transports_close(&side->transports);
	poller_close(&side->poller);
	io_close(&side->io);
	slab_close(&side->slab);
}

struct scene {
	const struct stack *stack;
	struct side sides[2];
	struct random random;
};

static void unix_pair(int pair[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
}

/* TCP takes a part of a write where there is room for a part, which unix sockets do not. */
static void tcp_pair(int pair[2])
{
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(pair[0], (struct sockaddr *)&address, size), 0);
	assert_int_equal(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
	pair[1] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(pair[1] >= 0);
	close(listener);
}

static struct scene *scene_new(const struct stack *stack, void (*make_pair)(int pair[2]))
{
	struct scene *scene = calloc(1, sizeof(*scene));
	int pair[2];
	assert_non_null(scene);
	scene->stack = stack;
	scene->random = (struct random){77};
	make_pair(pair);
	for (int i = 0; i < 2; i++) {
		side_open(&scene->sides[i], stack, i == 0);
		side_connect(&scene->sides[i], stack, pair[i], i == 1);
	}
	return scene;
}

static void scene_free(struct scene *scene)
{
	side_close(&scene->sides[0]);
	side_close(&scene->sides[1]);
	free(scene);
}

/* ---- a turn of a side ---- */

static void side_send(struct side *side, size_t size)
{
	uint8_t *bytes = io_scratch(&side->io, size);
	assert_non_null(bytes);
	stream_fill(bytes, side->sent, size);
	io_send(&side->io, &side->conn, slice_of(bytes, size));
	side->sent += size;
}

static bool side_wait(struct side *side, int timeout_ms)
{
	struct poller_event event;
	if (poller_wait(&side->poller, &event, 1, timeout_ms) == 0)
		return false;
	if (poller_writable(&event) && io_awaits_writing(&side->conn))
		assert_true(io_resume(&side->io, &side->conn));
	side->ready |= poller_readable(&event);
	return true;
}

/* Reads once. Now and then a part of what came is kept, as of a packet that is not whole, but not the last bytes:
 * behind those nothing comes. */
static void side_read(struct side *side, struct random *random)
{
	struct slice bytes;
	enum io_result result = io_receive(&side->io, &side->conn, &bytes, &side->ready);
	io_acknowledge(&side->io, &side->conn); /* the small buffers fill again and again */
	if (result == IO_NOTHING)
		return;
	assert_int_equal(result, IO_BYTES);
	assert_true(bytes.size != 0);
	bool keeps = random_below(random, 4) == 0 && side->got + bytes.size != side->total;
	size_t kept = keeps ? random_below(random, (uint32_t)bytes.size) : 0;
	assert_stream(bytes.data, side->got, bytes.size - kept);
	side->got += bytes.size - kept;
	struct slice rest = slice_of(bytes.data + bytes.size - kept, kept);
	bool replay = kept != 0 && random_below(random, 2) == 0;
	assert_int_equal(io_keep(&side->io, &side->conn, rest, 0, replay), ERROR_OK);
	side->ready |= replay;
}

/* False: nothing happened. */
static bool side_turn(struct side *side, struct random *random, int timeout_ms)
{
	size_t sent = side->sent;
	while (side->sent < side->total && io_queued_bytes(&side->io, &side->conn) < QUEUED_MAX) {
		size_t left = side->total - side->sent;
		size_t size = 1 + random_below(random, random_below(random, 4) == 0 ? 9000 : 200);
		side_send(side, size < left ? size : left);
		if (random_below(random, 3) == 0)
			break;
	}
	io_flush(&side->io);
	bool event = side_wait(side, side->ready || side->sent != sent ? 0 : timeout_ms);
	bool reads = side->ready;
	for (uint32_t n = random_below(random, 20); side->ready && n != 0; n--)
		side_read(side, random);
	io_flush(&side->io);
	io_turn_end(&side->io);
	return event || reads || side->sent != sent;
}

static void converse(struct scene *scene, size_t total)
{
	struct side *sides = scene->sides;
	uint32_t idle = 0;
	sides[0].total = sides[1].total = total;
	while (sides[0].got != total || sides[1].got != total) {
		int timeout_ms = idle != 0 ? IDLE_WAIT_MS : 0;
		bool busy = side_turn(&sides[0], &scene->random, timeout_ms);
		busy |= side_turn(&sides[1], &scene->random, timeout_ms);
		idle = busy ? 0 : idle + 1;
		assert_true(idle < IDLE_ROUNDS_MAX); /* an event was missed */
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(sides[i].conn.backlog, 0);
		assert_int_equal(io_queued_bytes(&sides[i].io, &sides[i].conn), 0);
	}
}

static void test_both_ways(void **state)
{
	struct scene *scene = scene_new(*state, tcp_pair);
	converse(scene, 3 << 20);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(scene->sides[i].io.bytes_in, 3 << 20);
		assert_int_equal(scene->sides[i].io.bytes_out, 3 << 20);
		/* The layer was as awkward as it was made to be. */
		bool framed = strchr(scene->stack->layers, 'f') != NULL;
		assert_int_equal(scene->sides[i].framed.delays != 0, framed);
		assert_int_equal(scene->sides[i].framed.cut_writes != 0, framed);
	}
	scene_free(scene);
}

/* ---- moving ---- */

/* From one thread's streams to another's, as from a gate to a shard. */
static void move(struct scene *scene, struct side *from, struct side *to)
{
	struct stream_carry carry;
	side_open(to, scene->stack, false);
	int fd = io_release(&from->io, &from->conn, &carry);
	assert_true(fd >= 0);
	assert_false(stream_exists(from->conn.stream));
	assert_int_equal(carry.state != NULL, is_layered(scene->stack));
	poller_remove(&from->poller, fd);
	to->conn.stream = stream_adopt(&to->io.streams, fd, &carry);
	assert_true(stream_exists(to->conn.stream));
	assert_null(carry.state);
	to->sent = from->sent;
	to->got = from->got;
	side_watch(to);
	to->ready = true; /* what the layer has inside brings no event */
}

/* Every so many bytes, so that there is half a head, half a body, and what was decoded and not given out. */
static void test_moves_in_the_middle(void **state)
{
	struct scene *scene = scene_new(*state, unix_pair);
	struct side *mover = &scene->sides[1];
	size_t total = 0;
	for (uint32_t reads = 0; reads < 12; reads++) {
		side_send(&scene->sides[0], 700);
		total += 700;
		io_flush(&scene->sides[0].io);
		io_turn_end(&scene->sides[0].io);
		side_wait(mover, 0);
		for (uint32_t n = reads; n != 0 && mover->ready; n--) {
			struct slice bytes;
			if (io_receive(&mover->io, &mover->conn, &bytes, &mover->ready) != IO_BYTES)
				continue;
			assert_stream(bytes.data, mover->got, bytes.size);
			mover->got += bytes.size;
		}
		io_turn_end(&mover->io);
		struct side *next = calloc(1, sizeof(*next));
		assert_non_null(next);
		move(scene, mover, next);
		side_close(mover);
		/* Its addresses are its own: it is moved where it stands. */
		side_open(mover, scene->stack, false);
		struct stream_carry carry;
		int fd = io_release(&next->io, &next->conn, &carry);
		assert_true(fd >= 0);
		poller_remove(&next->poller, fd);
		mover->conn.stream = stream_adopt(&mover->io.streams, fd, &carry);
		mover->got = next->got;
		side_watch(mover);
		mover->ready = true;
		side_close(next);
		free(next);
	}
	scene->sides[1].sent = 0;
	scene->sides[0].got = 0;
	converse(scene, total);
	scene_free(scene);
}

static void test_nobody_adopts(void **state)
{
	struct scene *scene = scene_new(*state, unix_pair);
	struct side *side = &scene->sides[1];
	struct stream_carry carry;
	int fd = io_release(&side->io, &side->conn, &carry);
	assert_true(fd >= 0);
	stream_carry_drop(&side->io.streams, &carry);
	assert_null(carry.state);
	stream_close_descriptor(fd);
	scene_free(scene); /* leaks are found by ASan */
}

/* ---- pending, and the socket itself ---- */

static void test_pending(void **state)
{
	struct scene *scene = scene_new(*state, unix_pair);
	struct side *side = &scene->sides[1];
	assert_false(io_has_input(&side->io, &side->conn));
	side_send(&scene->sides[0], 300);
	io_flush(&scene->sides[0].io);
	assert_true(io_has_input(&side->io, &side->conn));
	side->ready = true;
	while (side->got != 300) {
		/* It may be inside the layer, and out of the socket. */
		assert_true(io_has_input(&side->io, &side->conn));
		side_read(side, &(struct random){5});
	}
	while (side->ready)
		side_read(side, &(struct random){5});
	assert_false(io_has_input(&side->io, &side->conn));
	scene_free(scene);
}

static void test_borrowed_socket_is_the_socket(void **state)
{
	struct scene *scene = scene_new(*state, unix_pair);
	struct side *side = &scene->sides[0];
	int fd = stream_borrow(&side->io.streams, side->conn.stream);
	int size = 0;
	socklen_t bytes = sizeof(size);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &bytes), 0);
	assert_int_equal(size, 2 * BUFFER_BYTES); /* the kernel doubles it */
	stream_give_back(&side->io.streams, side->conn.stream, fd);
	assert_int_equal(stream_borrow(&side->io.streams, STREAM_NONE), -1);
	scene_free(scene);
}

/* ---- ends ---- */

static enum io_result read_to_the_end(struct side *side)
{
	struct slice bytes;
	bool more;
	enum io_result result;
	do
		result = io_receive(&side->io, &side->conn, &bytes, &more);
	while (result == IO_BYTES || (result == IO_NOTHING && more));
	return result;
}

static void test_end_in_order(void **state)
{
	struct scene *scene = scene_new(*state, unix_pair);
	side_send(&scene->sides[0], 2000);
	io_flush(&scene->sides[0].io);
	io_disconnect(&scene->sides[0].io, &scene->sides[0].conn);
	assert_int_equal(read_to_the_end(&scene->sides[1]), IO_EOF);
	assert_int_equal(scene->sides[1].io.bytes_in, 2000);
	scene_free(scene);
}

/* A layer can tell a cut from an end; a socket cannot. TLS could, and does not care: MQTT has frames of its own. */
static void test_cut(void **state)
{
	struct scene *scene = scene_new(*state, unix_pair);
	struct side *side = &scene->sides[0];
	side_send(side, 2000);
	io_flush(&side->io);
	stream_shutdown(&side->io.streams, side->conn.stream);
	errno = 0;
	bool tells = strpbrk(scene->stack->layers, "fw") != NULL;
	assert_int_equal(read_to_the_end(&scene->sides[1]), tells ? IO_BROKEN : IO_EOF);
	assert_int_equal(errno, tells ? ECONNRESET : errno);
	scene_free(scene);
}

/* ---- the layer's own answers ---- */

/* The other end is a bare socket, which does not read: the answer waits inside the layer, goes when there is room, and
 * does not end up within the caller's output. */
static void test_answer_waits_for_room(void **state)
{
	const struct stack *stack = *state;
	struct side *side = calloc(1, sizeof(*side));
	int pair[2];
	assert_non_null(side);
	unix_pair(pair);
	side_open(side, stack, false);
	side_connect(side, stack, pair[0], true);
	while (side->conn.backlog == 0) {
		side_send(side, 400);
		io_flush(&side->io);
	}
	uint8_t frames[1 << 16];
	size_t size = framed_encode(FRAMED_PING, NULL, 0, frames);
	for (int i = 0; i < 3; i++)
		assert_int_equal(send(pair[1], frames, size, 0), size);
	assert_int_equal(read_to_the_end(side), IO_NOTHING);

	size_t used = 0, data = 0, pongs = 0;
	while (data != side->sent || pongs == 0 || pongs != side->framed.pongs) {
		ssize_t some = recv(pair[1], frames + used, sizeof(frames) - used, 0);
		used += some > 0 ? (size_t)some : 0;
		side_wait(side, 0);
		uint8_t *body;
		size_t at = 0, body_bytes;
		int type;
		while ((type = framed_decode(frames + at, used - at, &body, &body_bytes)) != 0) {
			assert_true(type == FRAMED_DATA || type == FRAMED_PONG);
			pongs += type == FRAMED_PONG;
			if (type == FRAMED_DATA)
				assert_stream(body, data, body_bytes);
			data += body_bytes;
			at += FRAMED_HEAD_BYTES + body_bytes;
		}
		memmove(frames, frames + at, used - at);
		used -= at;
	}
	assert_in_range(pongs, 1, 2); /* one waited, and one more for all that were asked for meanwhile */
	assert_int_equal(side->conn.backlog, 0);
	close(pair[1]);
	side_close(side);
	free(side);
}

/* ---- handles ---- */

static void test_handles(void **state)
{
	(void)state;
	assert_false(stream_exists(STREAM_NONE));
	assert_false(stream_is_descriptor(STREAM_NONE) || stream_is_layered(STREAM_NONE));
	static const int NUMBERS[] = {0, 1, 1000000, STREAM_NUMBER_MAX};
	for (uint32_t kind = 0; kind < STREAM_KINDS; kind++) {
		for (size_t i = 0; i < sizeof(NUMBERS) / sizeof(NUMBERS[0]); i++) {
			struct stream stream = stream_of((enum stream_kind)kind, NUMBERS[i]);
			assert_true(stream_exists(stream));
			assert_int_equal(stream_kind_of(stream), kind);
			assert_int_equal(stream_number(stream), NUMBERS[i]);
			assert_int_equal(stream_is_descriptor(stream), kind == STREAM_DESCRIPTOR);
			assert_int_equal(stream_is_layered(stream), kind >= STREAM_LAYERED_FIRST);
		}
	}
}

#define ON(stack, test) cmocka_unit_test_prestate(test, (void *)&(stack))
#define ALL(stack)                                                                                                     \
	ON(stack, test_both_ways), ON(stack, test_moves_in_the_middle), ON(stack, test_nobody_adopts),                 \
		ON(stack, test_pending), ON(stack, test_borrowed_socket_is_the_socket), ON(stack, test_end_in_order),  \
		ON(stack, test_cut)

int main(void)
{
	static struct stack plain = {.layers = ""}, framed = {.layers = "f"}, twice = {.layers = "ff"};
	static struct stack websocket = {.layers = "w"}, websocket_framed = {.layers = "fw"};
	static struct stack framed_websocket = {.layers = "wf"}, proxied = {.layers = "p"};
	static struct stack tls = {"t", 0x1301, false}, tls_1_2 = {"t", 0xc02b, false}, chacha = {"t", 0x1303, false};
	static struct stack tls_framed = {"ft", 0x1302, false}, all_framed = {"fptw", 0x1301, false};
	/* Behind a balancer, from a browser. */
	static struct stack all = {"ptw", 0x1301, false};
	static struct stack fixed = {"", 0, true}, framed_fixed = {"f", 0, true}, websocket_fixed = {"w", 0, true};
	static struct stack tls_fixed = {"t", 0x1301, true}, all_fixed = {"ptw", 0x1301, true};
	const struct CMUnitTest in_table[] = {
		cmocka_unit_test(test_handles),
		ALL(plain),
		ALL(framed),
		ALL(twice),
		ON(framed, test_answer_waits_for_room),
		ALL(websocket),
		ALL(websocket_framed),
		ALL(framed_websocket),
		ALL(proxied),
		ALL(tls),
		ALL(tls_1_2),
		ALL(chacha),
		ALL(tls_framed),
		ALL(all),
		ALL(all_framed),
	};
	const struct CMUnitTest in_fixed_files[] = {
		ALL(fixed),           ALL(framed_fixed), ON(framed_fixed, test_answer_waits_for_room),
		ALL(websocket_fixed), ALL(tls_fixed),    ALL(all_fixed),
	};
	int failed = cmocka_run_group_tests_name("in the table", in_table, NULL, NULL);
	if (fixed_files_work() && poller_outlives_descriptors())
		failed += cmocka_run_group_tests_name("in fixed files", in_fixed_files, NULL, NULL);
	return failed;
}
