#include "bench/client/opening.h"

#include "bench/client/opening_state.h"
#include "bench/client/packets.h"
#include "bench/client/pool_io.h"
#include "bench/dial/transport.h"

#include "base/check.h"
#include "ws/upgrade.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* Streams exist beside the pool's clients while a client that leaves makes room for the next. */
#define STREAMS_SPARE 16u

static const struct transport *transport_of(const struct client_pool *pool)
{
	CHECK(pool->plan->dial.transport != NULL);
	return pool->plan->dial.transport;
}

bool opening_prepare(struct client_pool *pool)
{
	const struct transport *transport = pool->plan->dial.transport;
	streams_init(&pool->streams);
	if (transport == NULL)
		return true;
	if (transport->tls != NULL && tls_streams_open(&pool->tls, &pool->streams, NULL) != ERROR_OK)
		return false;
	if (transport->resume_percent > 0) {
		pool->tickets = calloc(CLIENT_TICKETS_MAX, sizeof(struct tls_ticket *));
		if (pool->tickets == NULL)
			return false;
	}
	return !transport->is_websocket || websocket_streams_open(&pool->websockets, &pool->streams, NULL,
								  pool->count + STREAMS_SPARE, true) == ERROR_OK;
}

void opening_finish(struct client_pool *pool)
{
	if (pool->streams.ops[STREAM_WEBSOCKET] != NULL)
		websocket_streams_close(&pool->websockets);
	if (pool->streams.ops[STREAM_TLS] != NULL)
		tls_streams_close(&pool->tls);
	for (uint32_t i = 0; pool->tickets != NULL && i < pool->ticket_count; i++)
		tls_ticket_free(pool->tickets[i]);
	free(pool->tickets);
}

size_t client_pool_stream_bytes(const struct client_pool *pool)
{
	size_t sum = 0;
	if (pool->streams.ops[STREAM_TLS] != NULL)
		sum += pool->tls.slab.used_bytes;
	if (pool->streams.ops[STREAM_WEBSOCKET] != NULL)
		sum += (size_t)pool->websockets.pool.used * pool->websockets.pool.object_bytes +
		       pool->websockets.slab.used_bytes;
	return sum;
}

/* 16 bytes that differ from one connection to the next, and need no better randomness: the server's answer shows that
 * it has read them [RFC 6455, 1.3]. */
static void make_key(struct client_pool *pool, char key[WS_KEY_BYTES + 1])
{
	uint64_t bits[2] = {pool->openings, (uintptr_t)pool};
	for (uint32_t i = 0; i < 2; i++)
		bits[i] = (bits[i] + 1) * 0x9E3779B97F4A7C15u;
	ws_key_write((const uint8_t *)bits, key);
}

/* The ticket for a connection, or NULL: the first so many of a hundred connections, and so on, spread evenly.
 * All that came serve in turn, again and again. */
static const struct tls_ticket *choose_ticket(struct client_pool *pool, uint64_t number)
{
	uint64_t percent = transport_of(pool)->resume_percent;
	if (pool->ticket_count == 0 || (number + 1) * percent / 100 == number * percent / 100)
		return NULL;
	return pool->tickets[number % pool->ticket_count];
}

static struct opening *opening_new(struct client_pool *pool)
{
	const struct transport *transport = transport_of(pool);
	struct opening *opening = calloc(1, sizeof(*opening));
	if (opening == NULL)
		return NULL;
	uint64_t number = pool->openings++;
	make_key(pool, opening->key);
	opening->stage = transport->tls != NULL ? OPENING_HANDSHAKE : OPENING_UPGRADE;
	if (transport->tls == NULL)
		return opening;
	size_t none;
	opening->tls = tls_handshake_new(transport->tls, transport->host, choose_ticket(pool, number));
	if (opening->tls == NULL || tls_handshake_step(opening->tls, slice_of(NULL, 0), &none) != ERROR_MORE) {
		opening_free(opening);
		return NULL;
	}
	return opening;
}

/* All of it or the client is lost: what an opening sends is far smaller than a socket's buffer. Returns false if TCP is
 * not up yet. */
static bool send_whole(struct client_pool *pool, uint32_t index, struct slice bytes)
{
	struct client *client = &pool->clients[index];
	ssize_t sent = stream_send(&pool->streams, client->stream, bytes.data, bytes.size);
	if (sent < 0 && errno == EAGAIN && client->state < CLIENT_OPENING)
		return false;
	if (sent == (ssize_t)bytes.size)
		pool->carriage.bytes += bytes.size;
	else if (client->state < CLIENT_OPENING)
		client_pool_lose(pool, index, LOSS_CONNECT, sent < 0 ? (uint32_t)errno : 0);
	else
		client_pool_lose(pool, index, LOSS_RESET, sent < 0 ? (uint32_t)errno : EAGAIN);
	return true;
}

static size_t write_request(struct client_pool *pool, uint32_t index, char request[WS_RESPONSE_BYTES_MAX])
{
	const struct transport *transport = transport_of(pool);
	return ws_request_write(transport->authority, transport->path, pool->clients[index].opening->key, request);
}

static bool send_request(struct client_pool *pool, uint32_t index)
{
	char request[WS_RESPONSE_BYTES_MAX];
	size_t size = write_request(pool, index, request);
	return send_whole(pool, index, slice_of(request, size));
}

bool opening_start(struct client_pool *pool, uint32_t index)
{
	struct client *client = &pool->clients[index];
	CHECK(client->state < CLIENT_OPENING);
	if (client->opening == NULL)
		client->opening = opening_new(pool);
	if (client->opening == NULL) {
		client_pool_lose(pool, index, LOSS_CONNECT, ENOMEM);
		return true;
	}
	bool is_up = client->opening->stage == OPENING_HANDSHAKE
			     ? send_whole(pool, index, tls_handshake_output(client->opening->tls))
			     : send_request(pool, index);
	if (is_up && client->state != CLIENT_GONE)
		client_pool_set_state(pool, client, CLIENT_OPENING);
	return is_up;
}

/* From here on MQTT has the stream. */
static void greet(struct client_pool *pool, uint32_t index)
{
	struct client *client = &pool->clients[index];
	opening_free(client->opening);
	client->opening = NULL;
	client_pool_greet(pool, index);
}

/* Puts the new stream in place of the one beneath. Returns false if there is none, and the client is lost. */
static bool take_stream(struct client_pool *pool, uint32_t index, struct stream above)
{
	if (stream_exists(above)) {
		pool->clients[index].stream = above;
		return true;
	}
	client_pool_lose(pool, index, LOSS_RESET, ENOMEM);
	return false;
}

/* TLS is up: its stream takes the place of the socket's. unread: what came behind the handshake. */
static bool begin_records(struct client_pool *pool, uint32_t index, struct tls_session *session, struct slice unread)
{
	struct client *client = &pool->clients[index];
	struct opening *opening = client->opening;
	tls_handshake_free(opening->tls);
	opening->tls = NULL;
	return take_stream(pool, index,
			   tls_stream_over(&pool->streams, client->stream, session, unread, slice_of(NULL, 0)));
}

/* What follows the handshake is sent as a record of the session that is not a stream's yet. */
static bool send_record(struct client_pool *pool, uint32_t index)
{
	union {
		char request[WS_RESPONSE_BYTES_MAX];
		uint8_t greeting[CLIENT_GREETING_BYTES_MAX];
	} plain;
	uint8_t sealed[sizeof(plain) + TLS_SEAL_BYTES_MAX];
	struct tls_session *session = opening_session(pool->clients[index].opening->kept);
	struct slice part = slice_of(&plain, 0);
	_Static_assert(sizeof(plain) <= TLS_PLAIN_BYTES_MAX, "one record holds it");
	part.size = transport_of(pool)->is_websocket ? write_request(pool, index, plain.request)
						     : client_pool_greeting(pool, index, plain.greeting);
	if (part.size > session->plain_bytes_max) {
		client_pool_lose(pool, index, LOSS_TRANSPORT, ERROR_TLS_RECORD_LENGTH);
		return false;
	}
	size_t size = tls_record_seal(pool->tls.ciphers, session, &part, 1, part.size, sealed);
	send_whole(pool, index, slice_of(sealed, size));
	return pool->clients[index].state != CLIENT_GONE;
}

static void keep_ticket(struct client_pool *pool, struct tls_handshake *tls)
{
	struct tls_ticket *ticket = tls_handshake_ticket(tls);
	if (ticket == NULL)
		return;
	if (pool->ticket_count < CLIENT_TICKETS_MAX)
		pool->tickets[pool->ticket_count++] = ticket;
	else
		tls_ticket_free(ticket);
}

/* What follows the handshake was sent already. */
static bool take_ticket(struct client_pool *pool, uint32_t index, struct slice input)
{
	struct client *client = &pool->clients[index];
	struct opening *opening = client->opening;
	size_t consumed = 0;
	enum error error = tls_handshake_ticket_step(opening->tls, opening_session(opening->kept), input, &consumed);
	struct slice rest = slice_of(input.data + consumed, input.size - consumed);
	CHECK(consumed <= input.size);
	pool->carriage.bytes += consumed;
	if (error == ERROR_MORE) {
		client_pool_keep_unread(pool, index, rest);
		return false;
	}
	if (error != ERROR_OK && error != ERROR_NOT_FOUND) {
		client_pool_lose(pool, index, LOSS_TRANSPORT, error);
		return false;
	}
	keep_ticket(pool, opening->tls);
	if (!begin_records(pool, index, opening_session(opening->kept), rest))
		return false;
	opening->stage = OPENING_UPGRADE;
	if (!transport_of(pool)->is_websocket) {
		opening_free(opening);
		client->opening = NULL;
		client_pool_set_state(pool, client, CLIENT_GREETING);
	}
	return true;
}

/* Goes on without a ticket, or with the one that TLS 1.2 has given within the handshake. */
static bool go_on(struct client_pool *pool, uint32_t index, struct tls_session *session, struct slice unread)
{
	struct client *client = &pool->clients[index];
	if (!begin_records(pool, index, session, unread))
		return false;
	client->opening->stage = OPENING_UPGRADE;
	if (transport_of(pool)->is_websocket)
		send_request(pool, index);
	else
		greet(pool, index);
	return client->state != CLIENT_GONE;
}

/* The handshake is over. unread: what came behind it. */
static bool secure(struct client_pool *pool, uint32_t index, struct slice unread)
{
	struct opening *opening = pool->clients[index].opening;
	struct session_room session;
	size_t none = 0;
	pool->carriage.handshakes++;
	pool->carriage.resumed += tls_handshake_resumed(opening->tls);
	tls_handshake_session(opening->tls, pool->tls.ciphers, opening_session(&session));
	const struct tls_session *begun = opening_session(&session);
	pool->carriage.version = begun->version == TLS_1_3 ? 0x0304 : 0x0303;
	pool->carriage.cipher = begun->cipher;
	bool wants_ticket = pool->tickets != NULL && pool->ticket_count < CLIENT_TICKETS_MAX;
	if (!wants_ticket || tls_handshake_ticket_step(opening->tls, opening_session(&session), slice_of(NULL, 0),
						       &none) != ERROR_MORE) {
		if (wants_ticket)
			keep_ticket(pool, opening->tls);
		return go_on(pool, index, opening_session(&session), unread);
	}
	opening->kept = malloc(sizeof(*opening->kept));
	if (opening->kept == NULL) {
		client_pool_lose(pool, index, LOSS_RESET, ENOMEM);
		return false;
	}
	*opening->kept = session;
	tls_session_wipe(opening_session(&session));
	opening->stage = OPENING_TICKET;
	if (!send_record(pool, index))
		return false;
	return unread.size > 0 && take_ticket(pool, index, unread);
}

/* The first failure of a run is told in full: OpenSSL says more than a count can. */
static void fail_handshake(struct client_pool *pool, uint32_t index, enum error error)
{
	static atomic_flag told = ATOMIC_FLAG_INIT;
	if (!atomic_flag_test_and_set(&told))
		fprintf(stderr, "roost bench: TLS: %s\n", tls_handshake_fault(pool->clients[index].opening->tls));
	client_pool_lose(pool, index, LOSS_TRANSPORT, error);
}

static bool take_handshake(struct client_pool *pool, uint32_t index, struct slice input)
{
	struct client *client = &pool->clients[index];
	struct tls_handshake *tls = client->opening->tls;
	size_t consumed;
	enum error error = tls_handshake_step(tls, input, &consumed);
	CHECK(consumed <= input.size);
	pool->carriage.bytes += consumed;
	struct slice output = tls_handshake_output(tls);
	if (output.size > 0)
		send_whole(pool, index, output);
	if (client->state == CLIENT_GONE)
		return false;
	struct slice rest = slice_of(input.data + consumed, input.size - consumed);
	if (error == ERROR_OK)
		return secure(pool, index, rest);
	if (error == ERROR_MORE)
		client_pool_keep_unread(pool, index, rest);
	else
		fail_handshake(pool, index, error);
	return false;
}

static bool take_upgrade(struct client_pool *pool, uint32_t index, struct slice input)
{
	struct client *client = &pool->clients[index];
	size_t consumed;
	int status;
	enum error error = ws_response_read(input, client->opening->key, &consumed, &status);
	if (error == ERROR_MORE) {
		client_pool_keep_unread(pool, index, input);
		return false;
	}
	if (error != ERROR_OK) {
		if (status != 0 && status != 101)
			client_pool_lose(pool, index, LOSS_UPGRADE, LOSS_HTTP_CODE(status));
		else
			client_pool_lose(pool, index, LOSS_TRANSPORT, error);
		return false;
	}
	CHECK(consumed <= input.size);
	pool->carriage.bytes += consumed;
	pool->carriage.upgrades++;
	struct slice unread = slice_of(input.data + consumed, input.size - consumed);
	if (!take_stream(pool, index, websocket_stream_over(&pool->streams, client->stream, unread)))
		return false;
	greet(pool, index);
	return client->state != CLIENT_GONE;
}

bool opening_take(struct client_pool *pool, uint32_t index, size_t size)
{
	const struct client *client = &pool->clients[index];
	struct slice input = slice_of(pool->scratch, size);
	CHECK(client->state == CLIENT_OPENING && client->opening != NULL);
	if (size == 0)
		return false;
	switch ((enum opening_stage)client->opening->stage) {
	case OPENING_HANDSHAKE:
		return take_handshake(pool, index, input);
	case OPENING_TICKET:
		return take_ticket(pool, index, input);
	case OPENING_UPGRADE:
		return take_upgrade(pool, index, input);
	}
	return false;
}
