#include "gate/tls.h"

#include "base/log.h"
#include "gate/handshake/tls_queue.h"
#include "tls/peer/hello.h"
#include "transport/proxy.h"

#include <stdlib.h>

/* For a browser, or a person with curl, at a port for TLS. */
static const char PLAIN_HTTP_ANSWER[] = "HTTP/1.1 400 Bad Request\r\n"
					"Content-Type: text/plain; charset=utf-8\r\n"
					"Content-Length: 28\r\n"
					"Connection: close\r\n"
					"\r\n"
					"TLS is spoken on this port.\n";

void gate_tls_refresh(struct gate *gate)
{
	if (gate->tls_contexts == NULL || gate->tls.version == tls_contexts_version(gate->tls_contexts))
		return;
	gate->tls.version = tls_contexts_take(gate->tls_contexts, &gate->tls.contexts);
}

void gate_tls_close(struct gate *gate)
{
	CHECK(gate->tls.open == 0);
	tls_context_set_drop(&gate->tls.contexts);
}

/* What costs least is looked at first: what a stranger says without TLS, in whichever pieces it comes. */
static enum error look(struct slice bytes)
{
	enum error proxy = proxy_head_look(bytes);
	if (proxy == ERROR_OK)
		return ERROR_PROXY_UNEXPECTED;
	enum error error = tls_hello_look(bytes);
	return error != ERROR_OK && proxy == ERROR_MORE ? ERROR_MORE : error;
}

/* ---- the end of the stage ---- */

/* The client's certificate has what the listener takes for a user or a client id. */
static enum error take_names(struct gate *gate, struct handshake *handshake)
{
	const struct listener_settings *own = gate_listener_settings(gate, handshake->listener);
	struct slice name = tls_handshake_identity(handshake->tls);
	if (own->certificate_names == CERTIFICATE_NAMES_NOTHING || name.size == 0)
		return ERROR_OK;
	free(handshake->name);
	handshake->name = gate_copy_text(name);
	return handshake->name != NULL ? ERROR_OK : ERROR_NO_MEMORY;
}

/* Puts TLS on top of the stream; the handshake's object is freed. */
static enum error gate_begin_session(struct gate *gate, uint32_t index, struct slice unread)
{
	struct handshake *handshake = gate_handshake_at(gate, index);
	union {
		struct tls_session session;
		uint8_t bytes[TLS_SESSION_BYTES_MAX];
	} room;
	enum error error = take_names(gate, handshake);
	if (error != ERROR_OK)
		return error;
	tls_handshake_session(handshake->tls, gate->transports.tls.ciphers, &room.session);
	struct stream stream = tls_stream_over(&gate->io.streams, handshake->conn.stream, &room.session, unread,
					       tls_handshake_subject(handshake->tls));
	if (!stream_exists(stream)) {
		tls_session_wipe(&room.session);
		return ERROR_NO_MEMORY;
	}
	handshake->conn.stream = stream;
	if (tls_handshake_resumed(handshake->tls))
		COUNT(&gate->counters, tls_handshakes_resumed);
	else
		COUNT(&gate->counters, tls_handshakes_full);
	gate_tls_free(gate, index);
	handshake->is_over = false;
	return ERROR_OK;
}

/* ---- a step ---- */

static enum error begin_handshake(struct gate *gate, struct handshake *handshake)
{
	struct tls_context *context = gate->tls.contexts.items[gate_listener(gate, handshake->listener)->settings];
	if (context == NULL)
		return ERROR_TLS_HANDSHAKE; /* its certificates were never loaded */
	handshake->tls = tls_handshake_new(context, NULL, NULL);
	if (handshake->tls == NULL)
		return ERROR_NO_MEMORY;
	gate_tls_count(gate);
	return ERROR_OK;
}

static void note_server_name(struct handshake *handshake)
{
	struct slice name = tls_handshake_server_name(handshake->tls);
	if (handshake->server_name == NULL && name.size != 0)
		handshake->server_name = gate_copy_text(name);
}

static void log_fault(const struct gate *gate, const struct handshake *handshake)
{
	const char *fault = tls_handshake_fault(handshake->tls);
	char text[PEER_TEXT_BYTES_MAX];
	if (fault[0] != '\0' && log_enabled(LOG_DEBUG))
		log_write(LOG_DEBUG, "%s: TLS handshake with %s: %s", gate_listener(gate, handshake->listener)->url,
			  peer_print(&handshake->peer, text), fault);
}

static enum error gate_tls_go_on(struct gate *gate, uint32_t index, struct slice bytes)
{
	struct handshake *handshake = gate_handshake_at(gate, index);
	size_t used = 0;
	enum error error = handshake->tls == NULL ? begin_handshake(gate, handshake) : ERROR_OK;
	if (error != ERROR_OK)
		return error;
	error = tls_handshake_step(handshake->tls, bytes, &used);
	CHECK(used <= bytes.size);
	note_server_name(handshake);
	bool sent = gate_handshake_send(gate, index, tls_handshake_output(handshake->tls));
	struct slice rest = slice_of(bytes.data + used, bytes.size - used);
	if (error != ERROR_OK && error != ERROR_MORE) {
		log_fault(gate, handshake); /* whether or not the client is still there to be told */
		return error;
	}
	if (!sent)
		return ERROR_CONNECTION_LOST;
	if (error == ERROR_MORE && rest.size > TLS_HANDSHAKE_INPUT_BYTES_MAX)
		return ERROR_TLS_HANDSHAKE_BYTES;
	if (error == ERROR_OK && handshake->conn.backlog == 0)
		return gate_begin_session(gate, index, rest);
	/* The flight's end is in front of whatever TLS writes. */
	handshake->is_over = error == ERROR_OK;
	CHECK(gate_tls_queue_add(gate, index, GATE_TLS_CLIENT) == ERROR_OK);
	gate_handshake_keep(gate, index, rest, 0, handshake->is_over, 0);
	return ERROR_MORE;
}

enum error gate_tls_take(struct gate *gate, uint32_t index, struct slice bytes)
{
	struct handshake *handshake = gate_handshake_at(gate, index);
	gate_tls_queue_remove(gate, index); /* the client was waited for */
	if (handshake->is_over)
		return gate_begin_session(gate, index, bytes);
	if (handshake->tls_turn) {
		handshake->tls_turn = false;
		return gate_tls_go_on(gate, index, bytes);
	}
	enum gate_tls_wait wait = GATE_TLS_GOES_ON;
	if (handshake->tls == NULL) {
		enum error error = look(bytes);
		if (error == ERROR_TLS_PLAIN_HTTP)
			io_send_last(&gate->io, &handshake->conn, slice_string(PLAIN_HTTP_ANSWER));
		if (error == ERROR_MORE)
			gate_handshake_keep(gate, index, bytes, 0, false, 0);
		if (error != ERROR_OK)
			return error;
		wait = tls_hello_resumes(bytes) ? GATE_TLS_RESUMES : GATE_TLS_BEGINS;
	}
	enum error error = gate_tls_queue_add(gate, index, wait);
	if (error != ERROR_OK)
		return error;
	gate_handshake_keep(gate, index, bytes, 0, true, 0);
	return ERROR_MORE;
}
