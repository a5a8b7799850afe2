/* Stages whose output the socket does not take at once: the next stage begins behind it, and nothing that came
 * meanwhile is lost. The socket is full because the test has filled it. */
#include "gate/accept.h"
#include "gate/connect.h"
#include "gate/gate.h"
#include "gate/handshake/handshake.h"
#include "gate/handshake/tls_queue.h"
#include "gate/handshakes.h"
#include "gate/stages.h"
#include "gate/tls.h"

#include "access/access.h"
#include "access/addresses.h"
#include "base/clock.h"
#include "tls/certificate/development.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define CONNECT "\x10\x0e\0\4MQTT\4\2\0\x3c\0\2id"
#define CONNECT_BYTES 16u
enum { OVER_WS, OVER_TLS, OVER_PROXY };

static const struct hash_key KEY = {{1, 2}};

struct scene {
	struct settings settings;
	struct gate gate;
	struct shard shard;
	struct mailbox mailbox;
	struct quota quota;
	struct tls_contexts contexts;
	struct tls_tickets *tickets;
	int admissions[2];
	/* the client's end, and the server's until the gate has closed it */
	int client;
	int served;
	uint32_t index;
};

/* ---- the scene ---- */

static void publish_context(struct scene *scene)
{
	struct tls_development made;
	char fault[TLS_FAULT_BYTES_MAX];
	assert_true(tls_development_identity(NULL, clock_wall_s(), &made, fault));
	scene->tickets = tls_tickets_new(3600, clock_wall_s());
	assert_non_null(scene->tickets);
	struct tls_server_options options = {
		.identities = {{.chain = {"chain", made.pem[TLS_DEVELOPMENT_SERVER]},
				.key = {"key", made.pem[TLS_DEVELOPMENT_SERVER_KEY]}}},
		.identity_count = 1,
		.alpn = "mqtt",
		.tickets = scene->tickets,
	};
	struct tls_context_set set = {0};
	set.items[OVER_TLS] = tls_context_new_server(&options, fault);
	assert_non_null(set.items[OVER_TLS]);
	tls_contexts_open(&scene->contexts);
	tls_contexts_publish(&scene->contexts, &set);
	tls_development_fini(&made);
}

static void make_settings(struct settings *settings)
{
	*settings = (struct settings){
		.listener_count = 3,
		.connect_timeout_ms = 10000,
		.tls_handshake_timeout_ms = 10000,
		.packet_bytes_max = 1 << 20,
		.connect_bytes_max = 16384,
		.handshake_bytes_max = 1 << 20,
		.client_id_bytes_max = 100,
		.handshakes_max = 16,
		.tls_handshakes_max = 4,
	};
	settings->listeners[OVER_WS] =
		(struct listener){.url = "ws://test", .path = "/mqtt", .scheme = LISTENER_WS, .loopback = true};
	settings->listeners[OVER_TLS] =
		(struct listener){.url = "tls://test", .scheme = LISTENER_TLS, .settings = OVER_TLS, .loopback = true};
	settings->listeners[OVER_PROXY] = (struct listener){
		.url = "unix://test", .scheme = LISTENER_UNIX, .settings = OVER_PROXY, .loopback = true};
	settings->listener_settings[OVER_PROXY].proxy_all_unix = true;
}

static int setup(void **state)
{
	struct scene *scene = aligned_alloc(64, (sizeof(*scene) + 63) / 64 * 64);
	assert_non_null(scene);
	memset(scene, 0, sizeof(*scene));
	make_settings(&scene->settings);
	assert_int_equal(mailbox_open(&scene->mailbox), ERROR_OK);
	assert_int_equal(fdpass_open(scene->admissions), ERROR_OK);
	publish_context(scene);
	scene->quota.limit = 10;
	scene->shard.env.quota = &scene->quota;
	struct gate *gate = &scene->gate;
	gate->settings = &scene->settings;
	gate->key = &KEY;
	gate->addresses = addresses_new(&KEY, 16, NULL);
	gate->access = access_new(&scene->settings.access, &KEY, &scene->mailbox, 1);
	assert_non_null(gate->access);
	gate->tls_contexts = &scene->contexts;
	gate->shards = &scene->shard;
	gate->shard_count = gate->gate_count = 1;
	gate->gates = gate;
	gate->admission_fds = &scene->admissions[0];
	assert_int_equal(gate_open(gate), ERROR_OK);
	assert_int_equal(poller_open(&gate->poller), ERROR_OK);
	gate->now_ms = clock_now_ms();
	gate->io.read_bytes = scene->settings.connect_bytes_max;
	gate_handshakes_begin(gate);
	gate_tls_refresh(gate);
	*state = scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;
	struct gate *gate = &scene->gate;
	assert_int_equal(gate->handshakes.used, 0);
	assert_int_equal(gate->slab.used_bytes, 0);
	assert_int_equal(gate_bytes_kept(gate), 0);
	assert_int_equal(gate->tls.open, 0);
	poller_close(&gate->poller);
	gate_close(gate);
	tls_contexts_close(&scene->contexts);
	tls_tickets_free(scene->tickets);
	access_free(gate->access);
	addresses_free(gate->addresses);
	mailbox_close(&scene->mailbox);
	close(scene->admissions[0]);
	close(scene->admissions[1]);
	close(scene->client);
	free(scene);
	return 0;
}

static void take_events(struct scene *scene)
{
	struct poller_event events[16];
	int count = poller_wait(&scene->gate.poller, events, 16, 0);
	for (int i = 0; i < count; i++)
		gate_handshake_event(&scene->gate, &events[i]);
}

static void turn(struct scene *scene)
{
	take_events(scene);
	gate_stages_run_tls(&scene->gate);
	io_flush(&scene->gate.io);
	io_turn_end(&scene->gate.io);
}

/* What the client has sent comes with the connection. */
static struct handshake *come_in(struct scene *scene, uint8_t listener)
{
	union peer peer = {.any = {.sa_family = AF_UNSPEC}};
	assert_true(gate_handshake_new(&scene->gate, scene->served, listener, &peer, 0));
	scene->index = 1;
	return gate_handshake_at(&scene->gate, 1);
}

static void connect_pair(struct scene *scene)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	scene->client = pair[0];
	scene->served = pair[1];
}

/* Returns how many bytes it took. */
static size_t fill(const struct scene *scene)
{
	static const uint8_t JUNK[4096] = {0};
	size_t filled = 0;
	for (size_t piece = sizeof(JUNK); piece != 0; piece /= 2) {
		ssize_t sent;
		while ((sent = send(scene->served, JUNK, piece, MSG_DONTWAIT)) > 0)
			filled += (size_t)sent;
	}
	assert_true(filled != 0);
	return filled;
}

static void drain(const struct scene *scene, size_t size)
{
	uint8_t buffer[4096];
	while (size != 0) {
		ssize_t got = recv(scene->client, buffer, size < sizeof(buffer) ? size : sizeof(buffer), 0);
		assert_true(got > 0);
		size -= (size_t)got;
	}
}

static void say(const struct scene *scene, const void *bytes, size_t size)
{
	assert_int_equal(send(scene->client, bytes, size, 0), (ssize_t)size);
}

/* The client has signed in, and its socket is on the way to the shard. */
static void expect_admitted(struct scene *scene)
{
	int fds[FDPASS_BATCH_MAX];
	struct admission *admissions[FDPASS_BATCH_MAX];
	size_t count = FDPASS_BATCH_MAX, size = sizeof(admissions);
	assert_int_equal(scene->gate.batched, 1);
	assert_true(gate_batch_send(&scene->gate, 0));
	assert_int_equal(fdpass_receive(scene->admissions[1], fds, &count, admissions, &size), ERROR_OK);
	assert_int_equal(count, 1);
	assert_int_equal(admission_id(admissions[0]).size, 2);
	stream_carry_drop(&scene->gate.io.streams, &admissions[0]->carry);
	free(admissions[0]);
	close(fds[0]);
}

/* ---- WebSocket ---- */

static const char REQUEST[] = "GET /mqtt HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
			      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
			      "Sec-WebSocket-Protocol: mqtt\r\n\r\n";

/* A frame with a mask of zeroes. */
static void say_connect_in_a_frame(const struct scene *scene)
{
	uint8_t frame[6 + CONNECT_BYTES] = {0x82, 0x80 | CONNECT_BYTES};
	memcpy(frame + 6, CONNECT, CONNECT_BYTES);
	say(scene, frame, sizeof(frame));
}

static void test_response_waits_for_room(void **state)
{
	struct scene *scene = *state;
	connect_pair(scene);
	size_t filled = fill(scene);
	say(scene, REQUEST, sizeof(REQUEST) - 1);
	say_connect_in_a_frame(scene);
	struct handshake *handshake = come_in(scene, OVER_WS);
	assert_true(handshake->is_over && handshake->conn.backlog != 0);
	turn(scene); /* nothing changes */
	assert_int_equal(scene->gate.batched, 0);
	drain(scene, filled);
	turn(scene);
	char response[12];
	assert_int_equal(recv(scene->client, response, sizeof(response), MSG_PEEK), sizeof(response));
	assert_memory_equal(response, "HTTP/1.1 101", sizeof(response));
	expect_admitted(scene);
}

/* The same, and CONNECT comes only when the response is read. */
static void test_frames_come_later(void **state)
{
	struct scene *scene = *state;
	connect_pair(scene);
	size_t filled = fill(scene);
	say(scene, REQUEST, sizeof(REQUEST) - 1);
	come_in(scene, OVER_WS);
	drain(scene, filled);
	turn(scene);
	assert_int_equal(scene->gate.handshakes.used, 1);
	say_connect_in_a_frame(scene);
	turn(scene);
	expect_admitted(scene);
}

/* Who never reads is refused when its time is up. */
static void test_response_is_never_read(void **state)
{
	struct scene *scene = *state;
	connect_pair(scene);
	fill(scene);
	say(scene, REQUEST, sizeof(REQUEST) - 1);
	come_in(scene, OVER_WS);
	scene->gate.now_ms += 10001 + WHEEL_TICK_MS;
	gate_handshakes_expire(&scene->gate);
	assert_int_equal(scene->gate.handshakes.used, 0);
	assert_int_equal(atomic_load(&scene->gate.counters.ends[ERROR_CONNECT_TIMEOUT]), 1);
}

/* ---- PROXY ---- */

/* A proxy on this machine says the line, and a client without credentials follows. */
static void come_through_proxy(struct scene *scene, const char *line)
{
	union peer peer = {.process = {.family = AF_UNIX, .pid = 1}};
	connect_pair(scene);
	say(scene, line, strlen(line));
	say(scene, CONNECT, CONNECT_BYTES);
	assert_true(gate_handshake_new(&scene->gate, scene->served, OVER_PROXY, &peer, 0));
	assert_int_equal(scene->gate.handshakes.used, 0);
}

static void test_local_through_a_proxy(void **state)
{
	come_through_proxy(*state, "PROXY TCP4 127.0.0.1 127.0.0.1 5000 1883\r\n");
	expect_admitted(*state);
}

/* Whether it comes from this machine is not known, so it is not let in as if it did. */
static void test_unknown_through_a_proxy(void **state)
{
	struct scene *scene = *state;
	come_through_proxy(scene, "PROXY UNKNOWN\r\n");
	assert_int_equal(scene->gate.batched, 0);
	assert_int_equal(atomic_load(&scene->gate.counters.ends[ERROR_NOT_AUTHORIZED]), 1);
}

/* ---- Roost's own connections ---- */

#define RULE "\x10\x1f\0\4MQTT\5\0\0\0\5\x11\xff\xff\xff\xff\0\x0d$roost/rule/a"

static void pass_in(struct scene *scene, const int pair[2])
{
	connect_pair(scene);
	assert_int_equal(fdpass_send(pair[0], &scene->served, 1, "", 1), ERROR_OK);
	close(scene->served);
}

/* One comes in where there is no room for anybody else, and is counted nowhere. */
static void test_internal_comes_in(void **state)
{
	struct scene *scene = *state;
	struct gate *gate = &scene->gate;
	int pair[2];
	int fds[FDPASS_BATCH_MAX];
	struct admission *admissions[FDPASS_BATCH_MAX];
	size_t count = FDPASS_BATCH_MAX, size = sizeof(admissions);
	assert_int_equal(fdpass_open(pair), ERROR_OK);
	gate->internal_fd = pair[1];
	scene->quota.limit = 0;
	gate->environment.refusal = ERROR_OVERLOADED;
	assert_int_equal(gate_internal_begin(gate, (uint64_t)2 << 32), ERROR_OK);
	pass_in(scene, pair);
	gate_internal_take(gate);
	assert_int_equal(gate->handshakes.used, 1);
	say(scene, RULE, sizeof(RULE) - 1);
	turn(scene);
	assert_int_equal(gate->batched, 1);
	assert_true(gate_batch_send(gate, 0));
	assert_int_equal(fdpass_receive(scene->admissions[1], fds, &count, admissions, &size), ERROR_OK);
	assert_int_equal(admissions[0]->address, ADDRESSES_INTERNAL);
	assert_true(admissions[0]->is_unix && !admissions[0]->is_beyond);
	assert_int_equal(atomic_load(&scene->quota.taken), 1);
	assert_int_equal(addresses_count(gate->addresses), 0);
	stream_carry_drop(&gate->io.streams, &admissions[0]->carry);
	free(admissions[0]);
	close(fds[0]);
	close(pair[0]);
	close(pair[1]);
}

/* While the gate rests they wait, for the gate that follows. */
static void test_internal_waits_for_a_gate(void **state)
{
	struct scene *scene = *state;
	struct gate *gate = &scene->gate;
	int pair[2];
	assert_int_equal(fdpass_open(pair), ERROR_OK);
	gate->internal_fd = pair[1];
	atomic_store(&gate->resting, true);
	pass_in(scene, pair);
	gate_internal_take(gate);
	assert_int_equal(gate->handshakes.used, 0);
	atomic_store(&gate->resting, false);
	gate_internal_take(gate);
	assert_int_equal(gate->handshakes.used, 1);
	say(scene, CONNECT, CONNECT_BYTES); /* with an id that is not Roost's own */
	turn(scene);
	assert_int_equal(gate->handshakes.used, 0);
	assert_int_equal(atomic_load(&gate->counters.ends[ERROR_CLIENT_ID_RESERVED]), 1);
	close(pair[0]);
	close(pair[1]);
}

/* ---- TLS ---- */

struct tls_client {
	struct tls_context *context;
	struct tls_handshake *handshake;
	struct tls_ciphers *ciphers;
	uint8_t in[8192];
	size_t in_used;
};

static void tls_client_begin(struct tls_client *client, const struct scene *scene)
{
	char fault[TLS_FAULT_BYTES_MAX];
	struct tls_client_options options = {.alpn = "mqtt"};
	size_t used;
	*client = (struct tls_client){.context = tls_context_new_client(&options, fault), .ciphers = tls_ciphers_new()};
	assert_non_null(client->context);
	client->handshake = tls_handshake_new(client->context, NULL, NULL);
	assert_int_equal(tls_handshake_step(client->handshake, slice_of(NULL, 0), &used), ERROR_MORE);
	struct slice hello = tls_handshake_output(client->handshake);
	say(scene, hello.data, hello.size);
}

/* Reads the server's flight; the client's Finished and a CONNECT follow each other in `out`. */
static size_t tls_client_finish(struct tls_client *client, const struct scene *scene, uint8_t out[1024])
{
	union {
		struct tls_session session;
		uint8_t bytes[TLS_SESSION_BYTES_MAX];
	} room;
	struct slice part = slice_of(CONNECT, CONNECT_BYTES);
	size_t used;
	ssize_t got = recv(scene->client, client->in, sizeof(client->in), 0);
	assert_true(got > 0);
	assert_int_equal(tls_handshake_step(client->handshake, slice_of(client->in, (size_t)got), &used), ERROR_OK);
	struct slice finished = tls_handshake_output(client->handshake);
	assert_true(finished.size != 0 && finished.size < 512);
	memcpy(out, finished.data, finished.size);
	tls_handshake_session(client->handshake, client->ciphers, &room.session);
	return finished.size +
	       tls_record_seal(client->ciphers, &room.session, &part, 1, CONNECT_BYTES, out + finished.size);
}

static void tls_client_end(struct tls_client *client)
{
	tls_handshake_free(client->handshake);
	tls_context_put(&client->context);
	tls_ciphers_free(client->ciphers);
}

static void test_flights_wait_for_room(void **state)
{
	struct scene *scene = *state;
	struct tls_client client;
	uint8_t out[1024];
	connect_pair(scene);
	size_t filled = fill(scene);
	tls_client_begin(&client, scene);
	struct handshake *handshake = come_in(scene, OVER_TLS);
	assert_int_equal(handshake->tls_wait, GATE_TLS_BEGINS);
	turn(scene);
	assert_true(handshake->tls != NULL && handshake->conn.backlog != 0 && !handshake->is_over);
	drain(scene, filled);
	turn(scene);
	assert_int_equal(handshake->conn.backlog, 0);
	size_t size = tls_client_finish(&client, scene, out);
	filled = fill(scene);
	say(scene, out, size);
	turn(scene); /* its ticket does not go */
	assert_true(handshake->is_over && handshake->conn.backlog != 0 && handshake->tls != NULL);
	drain(scene, filled);
	turn(scene);
	assert_int_equal(scene->gate.tls.open, 0);
	expect_admitted(scene);
	tls_client_end(&client);
}

/* Finished, and what follows it, a byte at a time. */
static void test_bytes_by_themselves(void **state)
{
	struct scene *scene = *state;
	struct tls_client client;
	uint8_t out[1024];
	connect_pair(scene);
	tls_client_begin(&client, scene);
	come_in(scene, OVER_TLS);
	turn(scene);
	size_t size = tls_client_finish(&client, scene, out);
	for (size_t i = 0; i < size; i++) {
		assert_int_equal(scene->gate.batched, 0);
		say(scene, out + i, 1);
		turn(scene);
	}
	assert_int_equal(counter_of(&scene->gate.counters, COUNTER_tls_handshakes_full), 1);
	expect_admitted(scene);
	tls_client_end(&client);
}

/* In whichever state a handshake is when the server stops, nothing is left. */
static void test_stop_in_the_middle(void **state)
{
	struct scene *scene = *state;
	struct tls_client client;
	connect_pair(scene);
	tls_client_begin(&client, scene);
	come_in(scene, OVER_TLS);
	turn(scene);
	assert_int_equal(scene->gate.tls.open, 1);
	gate_handshakes_end(&scene->gate);
	assert_int_equal(atomic_load(&scene->gate.counters.ends[ERROR_SERVER_STOPPING]), 1);
	tls_client_end(&client);
}

/* A client that goes away while it waits for its turn costs no handshake. */
static void test_gone_while_it_waits(void **state)
{
	struct scene *scene = *state;
	struct tls_client client;
	connect_pair(scene);
	tls_client_begin(&client, scene);
	struct handshake *handshake = come_in(scene, OVER_TLS);
	assert_int_equal(handshake->tls_wait, GATE_TLS_BEGINS);
	shutdown(scene->client, SHUT_RDWR);
	turn(scene);
	assert_int_equal(scene->gate.tls.waiting, 0);
	assert_int_equal(scene->gate.handshakes.used, 0);
	assert_int_equal(atomic_load(&scene->gate.counters.ends[ERROR_CONNECTION_LOST]), 1);
	tls_client_end(&client);
}

/* A client says why it goes, and its end comes while what it said waits for its turn. */
static void test_alert_before_the_end(void **state)
{
	static const uint8_t UNKNOWN_CA[] = {21, 3, 3, 0, 2, 2, 48}; /* fatal [RFC 8446, 6] */
	struct scene *scene = *state;
	struct tls_client client;
	connect_pair(scene);
	tls_client_begin(&client, scene);
	struct handshake *handshake = come_in(scene, OVER_TLS);
	turn(scene);
	say(scene, UNKNOWN_CA, sizeof(UNKNOWN_CA));
	take_events(scene);
	assert_int_equal(handshake->tls_wait, GATE_TLS_GOES_ON);
	shutdown(scene->client, SHUT_RDWR);
	turn(scene);
	assert_int_equal(scene->gate.handshakes.used, 0);
	assert_int_equal(atomic_load(&scene->gate.counters.ends[ERROR_TLS_CERTIFICATE_REFUSED]), 1);
	assert_int_equal(atomic_load(&scene->gate.counters.ends[ERROR_CONNECTION_LOST]), 0);
	tls_client_end(&client);
}

/* The same in the middle of what it says: its turn comes, and the end is seen behind it. */
static void test_gone_while_it_goes_on(void **state)
{
	struct scene *scene = *state;
	struct tls_client client;
	uint8_t out[1024];
	connect_pair(scene);
	tls_client_begin(&client, scene);
	struct handshake *handshake = come_in(scene, OVER_TLS);
	turn(scene);
	tls_client_finish(&client, scene, out);
	say(scene, out, 20);
	take_events(scene);
	assert_int_equal(handshake->tls_wait, GATE_TLS_GOES_ON);
	shutdown(scene->client, SHUT_RDWR);
	turn(scene);
	assert_int_equal(scene->gate.handshakes.used, 0);
	assert_int_equal(atomic_load(&scene->gate.counters.ends[ERROR_CONNECTION_LOST]), 1);
	tls_client_end(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_response_waits_for_room, setup, teardown),
		cmocka_unit_test_setup_teardown(test_frames_come_later, setup, teardown),
		cmocka_unit_test_setup_teardown(test_response_is_never_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_local_through_a_proxy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unknown_through_a_proxy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_internal_comes_in, setup, teardown),
		cmocka_unit_test_setup_teardown(test_internal_waits_for_a_gate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flights_wait_for_room, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bytes_by_themselves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop_in_the_middle, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone_while_it_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_alert_before_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone_while_it_goes_on, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
