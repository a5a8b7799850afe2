/* Bytes for the server's end of a handshake. The first byte says what it is like (enum what); the second, how many
 * bytes it is given at a time. Then either the bytes themselves, or changes to what a client of ours sends: a place,
 * two bytes, and what its byte is XORed with. So the input gets past key exchange and certificates. Whatever comes, the
 * handshake ends or waits, its output and what it takes stay in their bounds, and nothing is left in OpenSSL's queue of
 * errors. */
#include "fuzz.h"

#include "tls/certificate/development.h"
#include "tls/ciphers.h"
#include "tls/handshake.h"

#include <openssl/err.h>

#include <string.h>
#include <time.h>

enum what {
	WHAT_RAW = 1,          /* not changes */
	WHAT_TLS_1_2 = 2,      /* the client speaks no other */
	WHAT_CERTIFICATE = 4,  /* of the client, which the server requires */
	WHAT_RESUMES = 8,      /* the client has a ticket */
	WHAT_ONLY_TLS_1_3 = 16 /* the server */
};

#define STREAM_BYTES_MAX 70000u

struct stream {
	uint8_t bytes[STREAM_BYTES_MAX];
	size_t size;
	size_t passed; /* bytes that went before, for the places of changes */
};

static struct tls_context *servers[2][2];  /* ONLY_TLS_1_3, CERTIFICATE */
static struct tls_context *clients[2];     /* TLS_1_2; each has a certificate, which it shows where it is asked */
static struct tls_ticket *resumable[2][2]; /* TLS_1_2, CERTIFICATE */
static struct tls_ciphers *ciphers;

static struct tls_document document(const struct tls_development *files, enum tls_development_file file)
{
	return (struct tls_document){.path = "fuzz", .pem = files->pem[file]};
}

static bool is_known(enum error error)
{
	return error == ERROR_OK || error == ERROR_MORE ||
	       (error >= ERROR_TLS_PLAIN_MQTT && error <= ERROR_TLS_MESSAGE);
}

static void put(struct stream *stream, struct slice bytes)
{
	CHECK_LE(stream->size + bytes.size, (size_t)STREAM_BYTES_MAX);
	if (bytes.size > 0)
		memcpy(stream->bytes + stream->size, bytes.data, bytes.size);
	stream->size += bytes.size;
}

static void drop(struct stream *stream, size_t size)
{
	memmove(stream->bytes, stream->bytes + size, stream->size - size);
	stream->size -= size;
}

/* Gives an end all that waits for it, `piece` bytes more each time. True: something came of it. */
static bool give(struct tls_handshake *end, enum error *error, struct stream *in, struct stream *out, size_t piece)
{
	size_t size = 0, consumed;
	bool progress = false;
	do {
		if (*error != ERROR_MORE)
			return progress;
		size = size + piece < in->size ? size + piece : in->size;
		uint8_t *block = block_new(size);
		memcpy(block, in->bytes, size);
		*error = tls_handshake_step(end, slice_of(block, size), &consumed);
		free(block);
		CHECK(is_known(*error) && consumed <= size);
		CHECK(ERR_peek_error() == 0);
		struct slice output = tls_handshake_output(end);
		CHECK_LE(output.size, (size_t)TLS_HANDSHAKE_OUTPUT_BYTES_MAX);
		put(out, output);
		drop(in, consumed);
		size -= consumed;
		progress = progress || consumed > 0 || output.size > 0;
	} while (size < in->size);
	return progress;
}

/* What the client has sent since the last time, with the changes that are meant for it. */
static void change(struct stream *stream, size_t before, const uint8_t *changes, size_t size)
{
	for (size_t at = 0; at + 3 <= size; at += 3) {
		size_t place = (size_t)changes[at] << 8 | changes[at + 1];
		if (place >= stream->passed && place < stream->passed + stream->size - before)
			stream->bytes[before + place - stream->passed] ^= changes[at + 2];
	}
	stream->passed += stream->size - before;
}

/* The server's error. The ticket that the client got, the caller's; NULL: none, or it is not asked for. */
static enum error shake(uint8_t what, size_t piece, const uint8_t *changes, size_t size, struct tls_ticket **ticket)
{
	static struct stream to_server, to_client;
	bool old = (what & WHAT_TLS_1_2) != 0, certificate = (what & WHAT_CERTIFICATE) != 0;
	const struct tls_ticket *resumed = (what & WHAT_RESUMES) != 0 ? resumable[old][certificate] : NULL;
	struct tls_handshake *server =
		tls_handshake_new(servers[(what & WHAT_ONLY_TLS_1_3) != 0][certificate], NULL, NULL);
	struct tls_handshake *client = tls_handshake_new(clients[old], "localhost", resumed);
	enum error server_error = ERROR_MORE, client_error = ERROR_MORE;
	to_server.size = to_server.passed = to_client.size = to_client.passed = 0;
	CHECK(server != NULL && client != NULL);
	for (bool more = true; more;) {
		size_t before = to_server.size;
		more = give(client, &client_error, &to_client, &to_server, STREAM_BYTES_MAX);
		change(&to_server, before, changes, size);
		more = give(server, &server_error, &to_server, &to_client, piece) || more;
	}
	uint8_t memory[TLS_SESSION_BYTES_MAX] __attribute__((aligned(8)));
	struct tls_session *session = (struct tls_session *)memory;
	if (server_error == ERROR_OK) {
		tls_handshake_session(server, ciphers, session);
		CHECK_EQ(tls_handshake_identity(server).size, certificate ? strlen("fuzz") : 0);
	} else if (server_error != ERROR_MORE) {
		CHECK(tls_handshake_fault(server)[0] != '\0');
	}
	if (ticket != NULL && client_error == ERROR_OK) {
		size_t consumed;
		tls_handshake_session(client, ciphers, session);
		tls_handshake_ticket_step(client, session, slice_of(to_client.bytes, to_client.size), &consumed);
		*ticket = tls_handshake_ticket(client);
	}
	tls_handshake_free(server);
	tls_handshake_free(client);
	return server_error;
}

static void feed(uint8_t what, size_t piece, const uint8_t *bytes, size_t size)
{
	static struct stream in, out;
	struct tls_handshake *server =
		tls_handshake_new(servers[(what & WHAT_ONLY_TLS_1_3) != 0][(what & WHAT_CERTIFICATE) != 0], NULL, NULL);
	enum error error = ERROR_MORE;
	in.size = out.size = 0;
	put(&in, slice_of(bytes, size < STREAM_BYTES_MAX ? size : STREAM_BYTES_MAX));
	give(server, &error, &in, &out, piece);
	CHECK(error != ERROR_OK); /* nobody guesses a Finished */
	tls_handshake_free(server);
}

static void open_once(void)
{
	if (ciphers != NULL)
		return;
	static const char *const NAMES[] = {"localhost"};
	const struct tls_development_options options = {.names = NAMES,
							.name_count = 1,
							.client = "fuzz",
							.begins_s = (int64_t)time(NULL) - 86400,
							.days = 800};
	static struct tls_development files;
	char fault[TLS_FAULT_BYTES_MAX];
	CHECK(tls_development_make(&options, NULL, &files, fault));
	ciphers = tls_ciphers_new();
	struct tls_server_options server = {
		.identities = {{document(&files, TLS_DEVELOPMENT_SERVER),
				document(&files, TLS_DEVELOPMENT_SERVER_KEY)}},
		.identity_count = 1,
		.alpn = "mqtt",
		.identity_from = TLS_IDENTITY_CN,
		.client_ca = document(&files, TLS_DEVELOPMENT_CA),
		.tickets = tls_tickets_new(604800, options.begins_s),
	};
	struct tls_client_options client = {
		.identity = {document(&files, TLS_DEVELOPMENT_CLIENT), document(&files, TLS_DEVELOPMENT_CLIENT_KEY)},
		.alpn = "mqtt",
		.keeps_tickets = true,
	};
	for (int i = 0; i < 4; i++) {
		server.only_tls_1_3 = i / 2 == 1;
		server.clients = i % 2 == 1 ? TLS_CLIENTS_REQUIRED : TLS_CLIENTS_NONE;
		servers[i / 2][i % 2] = tls_context_new_server(&server, fault);
		CHECK(servers[i / 2][i % 2] != NULL);
	}
	for (int i = 0; i < 2; i++) {
		client.only_tls_1_2 = i == 1;
		clients[i] = tls_context_new_client(&client, fault);
		CHECK(clients[i] != NULL);
	}
	for (int i = 0; i < 4; i++) {
		uint8_t what = (uint8_t)((i / 2 == 1 ? WHAT_TLS_1_2 : 0) | (i % 2 == 1 ? WHAT_CERTIFICATE : 0));
		CHECK_EQ(shake(what, STREAM_BYTES_MAX, NULL, 0, &resumable[i / 2][i % 2]), ERROR_OK);
		CHECK(resumable[i / 2][i % 2] != NULL);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	open_once();
	if (size < 2)
		return 0;
	/* Few pieces of a long input, so that one input takes a few milliseconds at most. */
	size_t piece = data[1] == 0 ? STREAM_BYTES_MAX : data[1] + size / 64;
	if ((data[0] & WHAT_RAW) != 0)
		feed(data[0], piece, data + 2, size - 2);
	else
		shake(data[0], piece, data + 2, size - 2, NULL);
	return 0;
}
